"""Compare loss weightings from one plan; a list of runs that resumes."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

import torch

from eddygrad.evaluation.cost import saved_megabytes
from eddygrad.pinn.problem import Problem
from eddygrad.runtime.processes import set_up_process
from eddygrad.studies.shared.folder import claim, locked, side_by_side
from eddygrad.studies.shared.run_files import write_record
from eddygrad.studies.unrolling.estimate import Estimate, Estimates
from eddygrad.studies.weightings.config import WeightingConfiguration, PlannedWeightingRun, describe, preset
from eddygrad.studies.weightings.report import page
from eddygrad.studies.weightings.results import tables
from eddygrad.studies.weightings.runner import prepare, train
from eddygrad.training.loop import Loop


class WeightingStudy:
    """A plan and the folder of its results: `study.json`, `runs/RUN.json`, and `work/` with checkpoints and weights."""

    def __init__(self, plan: WeightingConfiguration, folder: str | Path) -> None:
        self.plan, self.folder = plan, Path(folder)

    def path(self, run: PlannedWeightingRun) -> Path:
        return self.folder / "runs" / f"{run.name}.json"

    def pending(self) -> list[PlannedWeightingRun]:
        return [run for run in self.plan.planned if not self.path(run).exists()]

    def run(self, jobs: int = 1, threads: int | None = None, progress: bool = True, compiled: bool = False) -> WeightingStudy:
        """Do the missing runs; killed at any moment, a second call goes on.

        Args:   jobs: processes side by side, each with `threads` threads (default: torch's number of threads, shared out).
                compiled: activations fused, see `CoordinateNetwork`; results differ by round-off.
        Raises: ValueError if the folder holds a study of another plan.
        """
        _check_jobs(jobs)
        advice = "; eddygrad report FOLDER OTHER --out both.html reports several as one"
        claim(self.folder, describe(self.plan), describe(WeightingConfiguration()), advice, free=("checkpoint_every",))
        threads = threads or max(1, torch.get_num_threads() // jobs)
        side_by_side(partial(_run, compiled), self.folder, self.pending(), self.plan.name, jobs, threads, progress)
        return self

    def estimate(self, updates: int = 3, jobs: int = 1, compiled: bool = False) -> Estimates:
        """Hours and graph memory of the missing runs from `updates` measured ones of every phase, with and without looks; nothing is written.

        Side by side runs are slower than one by itself, which is what is measured.
        """
        _check_jobs(jobs)
        return Estimates([_expected(run, updates, compiled) for run in self.pending()], jobs=jobs)

    def table(self) -> str:
        """Errors, failed seeds and ratios of the finished runs as text."""
        return tables.table(tables.load(self.folder))

    def report(self, path: str | Path = "report.html") -> Path:
        """Write the report, `results.json` and `results.csv`; a relative path lies in the folder of the study."""
        written: Path = page.publish(self.folder, path=path)["report"]
        return written


def _check_jobs(jobs: int) -> None:
    if jobs < 1:
        raise ValueError(f"pinn: jobs must be at least one, got {jobs}")


def _expected(run: PlannedWeightingRun, updates: int, compiled: bool) -> Estimate:
    case, training = prepare(run, compiled)
    batches: Any = case.batches
    loop = Loop(case.problem, case.problem.losses, batches, training)
    ends = [end for term in case.problem.terms.values() for end in (term.begins, term.ends) if end is not None]
    ends += [] if training.polish is None else [training.steps - training.polish.steps]
    starts = sorted({0, *(end for end in ends if end < training.steps)})
    seconds = 0.0
    for start, stop in zip(starts, [*starts[1:], training.steps]):  # terms come and go
        loop.step = start
        loop.update()
        seconds += (stop - start) * _mean_update(loop, updates)
    begin = time.perf_counter()
    case.errors(case.problem)
    errors = (time.perf_counter() - begin) * training.steps / training.validate_every
    megabytes = max(saved_megabytes(case.problem, case.problem.losses, batches, 1, start) for start in starts)
    return Estimate(run.name, training.steps, seconds / training.steps, megabytes, errors)


def _mean_update(loop: Loop, updates: int) -> float:
    """Seconds, with the share of those that look at gradients."""
    every, begin = getattr(loop.weighting, "every", 1), time.perf_counter()
    if every == 1:
        for _ in range(updates):
            loop.update()
        return (time.perf_counter() - begin) / updates
    loop.weighting.calls = loop.weighting.warmup  # the next one looks
    loop.update()
    look, begin = time.perf_counter() - begin, time.perf_counter()
    count = min(updates, every - 1)
    for _ in range(count):
        loop.update()
    other = (time.perf_counter() - begin) / count
    return other + (look - other) / every


def _run(compiled: bool, folder: Path, run: PlannedWeightingRun, threads: int, together: int, progress: bool) -> None:
    """Train the seeds of a run and write RUN.json."""
    set_up_process(threads)
    study, work = WeightingStudy(run.plan, folder), folder / "work" / run.name
    with locked(work):
        if not study.path(run).exists():
            trained = train(run, work, threads=threads, compiled=compiled, progress=progress)
            record = trained.as_json()
            record["environment"]["side_by_side"] = together
            write_record(study.path(run), record)


def compare(folder: str | Path | None = None, preset_name: str | None = None, **options: Any) -> WeightingStudy:
    """A comparison of loss weightings.

        study = eg.pinn.compare(problem="poisson:k=4", weighting=["uniform", "inverse-dirichlet"], seeds=5)
        study.run(); print(study.table()); study.report()
    Args:
        folder:      of the results, default runs/NAME. preset_name: a plan that comes with the package; `options` override it.
        options:     fields of `WeightingConfiguration`.
    Raises: ValueError for an unknown preset or option, or a value out of range.
    """
    known = WeightingConfiguration.__dataclass_fields__
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise ValueError(f"pinn: unknown options {unknown}; expected some of {sorted(known)}")
    if isinstance(options.get("problem"), Problem):
        raise ValueError('pinn: compare takes problems by name; eg.pinn.register("mine", problem, errors=exact) first, then compare(problem="mine")')
    plan = WeightingConfiguration(**{**(preset(preset_name) if preset_name else {}), **options})
    return WeightingStudy(plan, folder or Path("runs") / plan.name)
