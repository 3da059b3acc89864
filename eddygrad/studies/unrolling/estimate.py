"""What a comparison will cost, from a few updates and test frames measured now."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from eddygrad.evaluation.cost import saved_megabytes
from eddygrad.evaluation.evaluate import evaluate
from eddygrad.fitting.corrector import prepare
from eddygrad.fitting.validation import Validation
from eddygrad.runtime.processes import leave_with_parent, set_up_process
from eddygrad.solver.step import Stepper
from eddygrad.studies.unrolling.config import Configuration, PlannedUnrollingRun
from eddygrad.studies.unrolling.workbench import Bench
from eddygrad.training.loop import Loop

_FRAMES = (4, 16)  # windows of two lengths: what a test costs grows with its frames, from a fixed part
_PATIENCE = 600.0  # seconds that a copy waits for the others: more means that one of them is lost

_barrier: Any = None  # where copies meet before each run is timed; a single one waits for nobody


@dataclass(frozen=True)
class Estimate:
    """What a run will cost. `other_seconds`: making the data, validating, testing."""

    run: str
    updates: int
    seconds_per_update: float
    megabytes: float
    other_seconds: float = 0.0

    @property
    def hours(self) -> float:
        return (self.updates * self.seconds_per_update + self.other_seconds) / 3600


class Estimates(list[Estimate]):
    """Estimates of the missing runs; `print` shows a table.

    Args: baselines: seconds that scoring them takes, before the first run. jobs: runs side by side, as they were measured.
    """

    def __init__(self, rows: Iterable[Estimate] = (), baselines: float = 0.0, jobs: int = 1) -> None:
        super().__init__(rows)
        self.baselines, self.jobs = baselines, jobs

    @property
    def hours(self) -> float:
        """Of all runs and baselines, one after the other."""
        return sum(row.hours for row in self) + self.baselines / 3600

    @property
    def elapsed_hours(self) -> float:
        """Until all is done: baselines, then every run on the job that is free first."""
        busy = [0.0] * self.jobs
        for row in self:
            busy[busy.index(min(busy))] += row.hours
        return max(busy) + self.baselines / 3600

    def __str__(self) -> str:
        if not self:
            return "nothing is missing"
        width = max(*(len(row.run) for row in self), len("baselines"))
        lines = [f"{'run':{width}}  {'updates':>9}  {'ms/update':>9}  {'other s':>7}  {'hours':>7}  {'graph MB':>8}"]
        lines += [
            f"{row.run:{width}}  {row.updates:>9,}  {1e3 * row.seconds_per_update:>9.1f}  {row.other_seconds:>7.1f}  {row.hours:>7.3f}"
            f"  {row.megabytes:>8.1f}"
            for row in self
        ]
        for name, hours in (("baselines", self.baselines / 3600), ("together", self.hours)):
            lines.append(f"{name:{width}}  {'':9}  {'':9}  {'':7}  {hours:>7.3f}")
        return "\n".join([*lines, f"about {60 * self.elapsed_hours:.1f} minutes with {self.jobs} at a time, if nothing else runs"])


def estimate(
    c: Configuration, runs: Sequence[PlannedUnrollingRun], updates: int = 5, threads: int | None = None, jobs: int = 1, folder: Path | None = None
) -> Estimates:
    """Measure a few updates of every run and what its tests take.

    With several `jobs` as many copies are timed side by side, because runs share memory and cores; a row is the mean over its copies.

    Args:   runs: of the comparison. threads: of each process; default: torch's number of threads, shared out. folder: of the recipe's data.
    Raises: ValueError if updates or jobs are below one.
    """
    if updates < 1 or jobs < 1:
        raise ValueError(f"estimate: updates and jobs must be at least one, got {updates} and {jobs}")
    if not runs:
        return Estimates()
    jobs = min(jobs, len(runs))
    threads = threads or max(1, torch.get_num_threads() // jobs)
    set_up_process(threads)
    baselines = _baselines(c, folder)  # makes the data, once, before several processes ask for them
    if jobs == 1:
        copies = [_measure(c, runs, updates, threads, folder)]
    else:
        context = get_context("spawn")  # clean, as the runs themselves
        start = (os.getpid(), context.Barrier(jobs, timeout=_PATIENCE))
        with ProcessPoolExecutor(jobs, mp_context=context, initializer=_join, initargs=start) as pool:
            copies = [f.result() for f in [pool.submit(_measure, c, runs, updates, threads, folder) for _ in range(jobs)]]
    rows = []
    for run, values in zip(runs, zip(*copies, strict=True), strict=True):
        seconds, megabytes, other = (fmean(column) for column in zip(*values, strict=True))
        rows.append(Estimate(run.name, _updates(c, run), seconds, megabytes, other))
    return Estimates(rows, baselines, jobs)


def _updates(c: Configuration, run: PlannedUnrollingRun) -> int:
    """Of a run, and in the first of its pair of their tuning in proportion to the seeds."""
    tuning = len(c.candidates) * c.tune_steps * c.tune_seeds / len(run.seeds) if run.tunes else 0
    return round(c.steps + tuning)


def _join(parent: int, barrier: Any) -> None:
    global _barrier
    _barrier = barrier
    leave_with_parent(parent)


def _measure(c: Configuration, runs: Sequence[PlannedUnrollingRun], updates: int, threads: int, folder: Path | None) -> list[tuple[float, float, float]]:
    """Per run: seconds of an update, megabytes of its graph, seconds of what is not an update."""
    set_up_process(threads)
    found = []
    making, bench = _timed(lambda: Bench(c, folder=folder).make())
    around = making + _testing(bench, bench.setting.coarse)
    for run in runs:
        stepper = bench.stepper(run.task, run.seeds)
        recipe = c.recipe_of(run.unroll, *c.candidates[0])
        stages = [prepare(stepper, bench.data, stage) for stage in recipe.stages]
        megabytes = saved_megabytes(stepper, *stages[-1][:2], recipe.unrolling.horizon)
        loops = [Loop(stepper, *stage) for stage in stages]
        for loop in loops:
            loop.update()
        if _barrier is not None:
            _barrier.wait()
        begin = time.perf_counter()
        for _ in range(updates):
            for loop in loops:
                loop.update()
        seconds = (time.perf_counter() - begin) / (updates * len(loops))
        validating = _validating(stages[-1][2].validate, stepper) * -(-c.steps // c.validate_every)
        found.append((seconds, megabytes, around + validating + _testing(bench, stepper)))
    return found


def _baselines(c: Configuration, folder: Path | None) -> float:
    """Making the data, and scoring; of candidates on validation data this counts a test each, which is about as long."""
    making, bench = _timed(lambda: Bench(c, folder=folder).make())
    return making + sum(len(candidates) * _testing(bench, candidates[0]) for candidates in bench.baselines.values())


def _testing(bench: Bench, stepper: Stepper) -> float:
    """Seconds of `evaluate` over the long horizon."""
    c = bench.configuration
    return _over(c.long_horizon, lambda frames: evaluate(stepper, bench.test, min(c.horizon, frames), bench.setting.reference, frames))


def _validating(validation: Any, stepper: Stepper) -> float:
    """Seconds of a validation over its horizon; 0 if there is none."""
    if not isinstance(validation, Validation):
        return 0.0
    return _over(validation.horizon, lambda frames: Validation(validation.data, frames, validation.windows).score(stepper))


def _over(horizon: int, work: Callable[[int], Any]) -> float:
    """Seconds of work over so many frames, on the line through two shorter ones: an untrained network's wild states would take far longer."""
    if horizon <= _FRAMES[1]:
        return _timed(lambda: work(horizon))[0]
    work(1)  # what happens only once is not part of it
    few, more = (_timed(partial(work, frames))[0] for frames in _FRAMES)
    return more + max(0.0, more - few) * (horizon - _FRAMES[1]) / (_FRAMES[1] - _FRAMES[0])


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    begin = time.perf_counter()
    result = work()
    return time.perf_counter() - begin, result
