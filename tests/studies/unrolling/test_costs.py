"""Costs are measured side by side and replace what a busy machine wrote; nothing else of a run changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from eddygrad.studies.unrolling import costs
from eddygrad.studies.unrolling.config import UnrollingConfiguration
from eddygrad.studies.unrolling.costs import measure
from eddygrad.studies.unrolling.results import tables
from eddygrad.studies.unrolling.results.load import load
from eddygrad.studies.unrolling.study import UnrollingStudy

TINY = UnrollingConfiguration(
    name="tiny",
    tasks=("predict",),
    unroll=("one", "nog:2"),
    width=4,
    depth=1,
    seeds=2,
    steps=4,
    frames=60,
    starts=1,
    long_horizon=12,
    validate_every=4,
)


class Clock:
    """Time passes only where the test says so, in binary fractions of a second, so that differences are exact."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


UPDATE = {1: 0.25, 2: 0.75}  # seconds of an update by the horizon of its unrolling
FRAME = 1 / 64
SLOW = 1000.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """In place of the machine's."""
    clock = Clock()
    monkeypatch.setattr(costs.time, "perf_counter", clock.perf_counter)
    return clock


def test_costs_alone_change_and_are_medians_of_rounds(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    study = UnrollingStudy(TINY, tmp_path)
    with pytest.raises(ValueError, match="holds no finished run"):
        measure(study)
    study.run(progress=False)
    paths = sorted((tmp_path / "runs").glob("*.json"))
    before = {p.name: json.loads(p.read_text()) for p in paths}

    real, calls = costs.Loop.update, dict.fromkeys(UPDATE, 0)

    def update(loop: Any) -> Any:
        horizon = loop.training.horizon_at(0)
        round_, position = divmod(calls[horizon], 1 + 3)
        calls[horizon] += 1
        clock.now += SLOW if position == 0 or round_ == 1 else UPDATE[horizon]
        return real(loop)

    timings = iter(range(10**6))

    def frame(stepper: Any, params: Any, like: Any) -> float:
        return SLOW if next(timings) // len(paths) == 1 else FRAME

    monkeypatch.setattr(costs.Loop, "update", update)
    monkeypatch.setattr(costs, "seconds_per_frame", frame)
    monkeypatch.setattr(costs, "peak_resident", lambda work: 12.5)
    for _ in range(2):  # a second time changes nothing more: what it took as it ran is kept
        calls, timings = dict.fromkeys(UPDATE, 0), iter(range(10**6))
        measure(study, rounds=3, updates=3, progress=False)
    for p in paths:
        old, new = before[p.name], json.loads(p.read_text())
        assert new["test"].pop("inference_seconds_per_frame") == FRAME
        del old["test"]["inference_seconds_per_frame"]
        if new["training"]:
            # Neither the warm-up of a round nor the round in which the machine was busy counts.
            per_update = UPDATE[2 if "nog2" in p.name else 1]
            assert new["training"].pop("seconds_per_update") == per_update
            assert new["training"].pop("seconds") == per_update * TINY.steps
            assert new["training"].pop("seconds_as_run") == old["training"].pop("seconds")
            assert new["training"].pop("peak_resident_mb") == 12.5
            del old["training"]["seconds_per_update"]
        assert new["environment"].pop("costs") == "medians of 3 interleaved rounds"
        assert new == old
    row = next(r for r in tables.rows(load(tmp_path)) if r["kind"] == "model")
    assert row["training_seconds_estimated"] and row["training_seconds"] == UPDATE[1] * TINY.steps
