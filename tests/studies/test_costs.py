"""Costs are measured side by side and replace what a busy machine wrote; nothing else of a run changes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from eddygrad.studies.compare import Configuration, Study
from eddygrad.studies.costs import measure

TINY = Configuration(
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


def test_costs_alone_change(tmp_path: Path) -> None:
    study = Study(TINY, tmp_path)
    with pytest.raises(ValueError, match="holds no finished run"):
        measure(study)
    study.run(progress=False)
    paths = sorted((tmp_path / "runs").glob("*.json"))
    before = {p.name: json.loads(p.read_text()) for p in paths}
    for p in paths:  # a machine so busy that nobody would believe it
        record = json.loads(p.read_text())
        record["test"]["inference_seconds_per_frame"] = 1e3
        if record["training"]:
            record["training"]["seconds_per_update"] = 1e3
        p.write_text(json.dumps(record))
    measure(study, rounds=2, updates=1, progress=False)
    for p in paths:
        old, new = before[p.name], json.loads(p.read_text())
        assert 0 < new["test"]["inference_seconds_per_frame"] < 1
        new["test"]["inference_seconds_per_frame"] = old["test"]["inference_seconds_per_frame"]
        if new["training"]:
            assert 0 < new["training"]["seconds_per_update"] < 1
            new["training"]["seconds_per_update"] = old["training"]["seconds_per_update"]
        assert new["environment"].pop("costs") == "medians of 2 interleaved rounds"
        assert new == old
