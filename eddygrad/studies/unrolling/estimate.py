"""Expected cost of a comparison of unrolling modalities, from a few measured updates and test frames."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
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
from eddygrad.studies.shared.estimate import Estimate, Estimates
from eddygrad.studies.unrolling.config import PlannedUnrollingRun, UnrollingConfiguration
from eddygrad.studies.unrolling.workbench import Bench
from eddygrad.training.loop import Loop

_FRAMES = (4, 16)  # two horizons: the cost of a test is a fixed part and a part that grows with its frames
_PATIENCE = 600.0  # seconds that a process waits for the others: longer means that one of them has died

_barrier: Any = None  # where processes meet before each run is timed; None in a single process


def estimate(
    c: UnrollingConfiguration,
    runs: Sequence[PlannedUnrollingRun],
    updates: int = 5,
    threads: int | None = None,
    jobs: int = 1,
    folder: Path | None = None,
) -> Estimates:
    """Measure a few updates of every run, and its tests.

    With several `jobs`, as many processes measure every run at the same time, because runs share memory and cores; a row is the mean over processes.

    Args:
        c:       the comparison. runs: to measure.
        updates: measured per run.
        threads: of each process; by default torch's number of threads, divided among them. jobs: number of processes.
        folder:  of the recipe's data; None keeps them in memory.
    Raises: ValueError if updates or jobs are below one.
    """
    if updates < 1 or jobs < 1:
        raise ValueError(f"estimate: updates and jobs must be at least one, got {updates} and {jobs}")
    if not runs:
        return Estimates()
    jobs = min(jobs, len(runs))
    threads = threads or max(1, torch.get_num_threads() // jobs)
    set_up_process(threads)
    baselines = _baselines(c, folder)  # makes the data once, before several processes need them
    if jobs == 1:
        copies = [_measure(c, runs, updates, threads, folder)]
    else:
        context = get_context("spawn")  # processes start clean, as those of the runs do
        start = (os.getpid(), context.Barrier(jobs, timeout=_PATIENCE))
        with ProcessPoolExecutor(jobs, mp_context=context, initializer=_join, initargs=start) as pool:
            copies = [f.result() for f in [pool.submit(_measure, c, runs, updates, threads, folder) for _ in range(jobs)]]
    rows = []
    for run, values in zip(runs, zip(*copies, strict=True), strict=True):
        seconds, megabytes, other = (fmean(column) for column in zip(*values, strict=True))
        rows.append(Estimate(run.name, _updates(c, run), seconds, megabytes, other))
    return Estimates(rows, baselines, jobs)


def _updates(c: UnrollingConfiguration, run: PlannedUnrollingRun) -> int:
    """Return the updates of a run; the first run of a pair also has those of the tuning, in proportion to the seeds."""
    tuning = len(c.candidates) * c.tune_steps * c.tune_seeds / len(run.seeds) if run.tunes else 0
    return round(c.steps + tuning)


def _join(parent: int, barrier: Any) -> None:
    """Set up a measuring process."""
    global _barrier
    _barrier = barrier
    leave_with_parent(parent)


def _measure(
    c: UnrollingConfiguration, runs: Sequence[PlannedUnrollingRun], updates: int, threads: int, folder: Path | None
) -> list[tuple[float, float, float]]:
    """Return, per run: seconds of an update, megabytes of its graph, seconds of everything but updates."""
    set_up_process(threads)
    measured = []
    making, bench = _timed(lambda: Bench(c, folder=folder).make())
    fixed = making + _testing(bench, bench.setting.coarse)
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
        measured.append((seconds, megabytes, fixed + validating + _testing(bench, stepper)))
    return measured


def _baselines(c: UnrollingConfiguration, folder: Path | None) -> float:
    """Return the seconds of making the data and scoring the baselines; a candidate's validation counts as a test, which is about as long."""
    making, bench = _timed(lambda: Bench(c, folder=folder).make())
    return making + sum(len(candidates) * _testing(bench, candidates[0]) for candidates in bench.baselines.values())


def _testing(bench: Bench, stepper: Stepper) -> float:
    """Return the seconds of `evaluate` over the long horizon."""
    c = bench.configuration
    return _over(c.long_horizon, lambda frames: evaluate(stepper, bench.test, min(c.horizon, frames), bench.setting.reference, frames))


def _validating(validation: Any, stepper: Stepper) -> float:
    """Return the seconds of a validation over its horizon; 0 without one."""
    if not isinstance(validation, Validation):
        return 0.0
    return _over(validation.horizon, lambda frames: Validation(validation.data, frames, validation.windows).score(stepper))


def _over(horizon: int, work: Callable[[int], Any]) -> float:
    """Return the seconds of work over a number of frames, extrapolated from two shorter horizons.

    The states of an untrained network leave the range of a trained one, and solving them over the whole horizon would take far longer.
    """
    if horizon <= _FRAMES[1]:
        return _timed(lambda: work(horizon))[0]
    work(1)  # warm up: what happens only once is not counted
    few, more = (_timed(partial(work, frames))[0] for frames in _FRAMES)
    return more + max(0.0, more - few) * (horizon - _FRAMES[1]) / (_FRAMES[1] - _FRAMES[0])


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    begin = time.perf_counter()
    result = work()
    return time.perf_counter() - begin, result
