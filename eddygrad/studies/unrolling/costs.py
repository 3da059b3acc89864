"""Time an update and a frame of all runs of a study in turn; times of runs made at different hours, or next to other work, do not compare."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eddygrad.evaluation.cost import peak_resident, seconds_per_frame
from eddygrad.fitting.corrector import prepare
from eddygrad.runtime.progress import bar
from eddygrad.solver.step import Stepper
from eddygrad.studies.shared.run_files import slug, write_record
from eddygrad.studies.unrolling.study import UnrollingStudy
from eddygrad.studies.unrolling.workbench import Bench
from eddygrad.training.loop import Loop


@dataclass(frozen=True)
class _Timed:
    path: Path
    stages: Sequence[Callable[[], Any]]  # makes an update of each stage of the curriculum; empty for a baseline
    stepper: Stepper


def measure(study: UnrollingStudy, rounds: int = 5, updates: int = 10, progress: bool = True) -> UnrollingStudy:
    """Time every finished run again and write the medians into its JSON, in place of what was measured while it ran.

    A round times, for one run after the other, some updates of each stage of its curriculum (stages are equally long) and some frames, so that a slow
    minute of the machine meets all of them. Let nothing else run meanwhile. Costs do not depend on the weights: fresh networks are timed.

    In the JSON `seconds` becomes the time per update times the number of updates, an estimate; the duration of the run itself, validation included,
    stays as `seconds_as_run`. `peak_resident_mb` is the largest resident memory in an update above that before it, on Linux only.

    Args:   study: with finished runs. rounds: over all runs. updates: per round and stage. progress: whether a progress bar is shown.
    Returns: the study.
    Raises: ValueError if no run is finished, or rounds or updates are below one.
    """
    if rounds < 1 or updates < 1:
        raise ValueError(f"costs: rounds and updates must be at least one, got {rounds} and {updates}")
    bench = study.bench(progress)
    timed = [t for t in _runs(study, bench) if t.path.exists()]
    if not timed:
        raise ValueError(f"costs: {study.folder} holds no finished run; run the comparison first")
    window = bench.test.windows(0, 0)
    per_update: dict[Path, list[float]] = {t.path: [] for t in timed}
    per_frame: dict[Path, list[float]] = {t.path: [] for t in timed}
    with bar("costs", rounds, unit="round", show=progress) as shown:
        for _ in range(rounds):
            for t in timed:
                if t.stages:
                    per_update[t.path].append(statistics.fmean(_seconds(update, updates) for update in t.stages))
                per_frame[t.path].append(seconds_per_frame(t.stepper, window.params, window.u[:, 0]))
            shown.update()
    for t in timed:
        record = json.loads(t.path.read_text())
        record["test"]["inference_seconds_per_frame"] = statistics.median(per_frame[t.path])
        if record["training"] is not None and t.stages:
            record["training"] = _priced(record["training"], statistics.median(per_update[t.path]), peak_resident(t.stages[-1]))
        record["environment"]["costs"] = f"medians of {rounds} interleaved rounds"
        write_record(t.path, record)
    return study


def _seconds(update: Callable[[], Any], updates: int) -> float:
    update()
    begin = time.perf_counter()
    for _ in range(updates):
        update()
    return (time.perf_counter() - begin) / updates


def _priced(training: dict[str, Any], per_update: float, peak: float | None) -> dict[str, Any]:
    as_run = training.get("seconds_as_run", training["seconds"])
    new = {**training, "seconds_per_update": per_update, "seconds": per_update * training["updates"], "seconds_as_run": as_run}
    new.pop("peak_resident_mb", None)
    return new if peak is None else {**new, "peak_resident_mb": peak}


def _runs(study: UnrollingStudy, bench: Bench) -> list[_Timed]:
    c = study.configuration
    runs = study.folder / "runs"  # all candidates of a tuned baseline cost the same: the first one is timed
    timed = [_Timed(runs / f"baseline-{slug(name)}.json", (), candidates[0]) for name, candidates in bench.baselines.items()]
    for run in c.planned:
        stepper = bench.stepper(run.task, run.seeds)
        stages = [prepare(stepper, bench.data, stage) for stage in c.recipe_of(run.unroll, *c.candidates[0]).stages]
        timed.append(_Timed(study.path(run), [Loop(stepper, *stage).update for stage in stages], stepper))
    return timed
