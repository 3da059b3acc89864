"""Compare loss weightings: the study's runs, their expected cost, its table and its report."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

import torch

from eddygrad.evaluation.cost import saved_megabytes
from eddygrad.pinn.posed_problem import Problem
from eddygrad.runtime.processes import set_up_process
from eddygrad.studies.shared.estimate import Estimate, Estimates
from eddygrad.studies.shared.folder import claim, locked, side_by_side
from eddygrad.studies.shared.run_files import write_record
from eddygrad.studies.shared.study import Study, check_options
from eddygrad.studies.weightings.config import PlannedWeightingRun, WeightingConfiguration, describe
from eddygrad.studies.weightings.config import preset as preset_fields
from eddygrad.studies.weightings.report import page
from eddygrad.studies.weightings.results import tables
from eddygrad.studies.weightings.results.load import load
from eddygrad.studies.weightings.runner import prepare, train
from eddygrad.training.loop import Loop
from eddygrad.training.weighting.averaged import AveragedWeighting


class WeightingStudy(Study[WeightingConfiguration, PlannedWeightingRun]):
    """A comparison of loss weightings in a folder: `study.json`, `runs/RUN.json`, and `work/` with checkpoints and weights.

    Args: configuration: the settings. folder: of the results.
    """

    _checked = False

    def check(self) -> None:
        """Build every problem, weighting and optimiser once. Raises: ValueError as `WeightingConfiguration.check`."""
        if not self._checked:
            self.configuration.check()
            self._checked = True

    def claim(self) -> None:
        """Write `study.json`, or check that the folder holds this study. Raises: ValueError if it holds another, or as `check`."""
        self.check()
        advice = "; eddygrad report FOLDER OTHER --out both.html reports several as one"
        claim(self.folder, describe(self.configuration), describe(WeightingConfiguration()), advice, free=("checkpoint_every",))

    def run(self, jobs: int = 1, threads: int | None = None, progress: bool = True, compiled: bool = False) -> WeightingStudy:
        """Make the missing runs; killed at any moment, a second call continues.

        Args:
            jobs:     processes at a time. threads: of each; by default torch's number of threads, divided among them.
            progress: whether a progress bar is shown.
            compiled: whether activations are fused, see `CoordinateNetwork`; results differ by round-off.
        Raises: ValueError if the folder holds another study, or for settings that cannot be trained.
        """
        _check_jobs(jobs)
        self.claim()
        threads = threads or max(1, torch.get_num_threads() // jobs)
        side_by_side(partial(_run, compiled), self.folder, self.pending(), self.configuration.name, jobs, threads, progress)
        return self

    def estimate(self, updates: int = 3, jobs: int = 1, compiled: bool = False) -> Estimates:
        """Return hours and graph memory of the missing runs; nothing is written.

        Runs are measured one at a time, although several at a time are slower.

        Args:   updates: measured in every phase of a run, with and without an evaluation of the weights. jobs: runs at a time. compiled: see `run`.
        Raises: ValueError for settings that cannot be trained.
        """
        _check_jobs(jobs)
        self.check()
        return Estimates([_expected(run, updates, compiled) for run in self.pending()], jobs=jobs)

    def table(self) -> str:
        """Return errors, failed seeds and ratios of the finished runs as text."""
        return tables.table(load(self.folder))

    def report(self, path: str | Path = "report.html") -> Path:
        """Write the report and its numbers; returns the path of the report, which is relative to the folder of the study."""
        written: Path = page.publish(self.folder, path=path)["report"]
        return written


def _check_jobs(jobs: int) -> None:
    if jobs < 1:
        raise ValueError(f"pinn: jobs must be at least one, got {jobs}")


def _expected(run: PlannedWeightingRun, updates: int, compiled: bool) -> Estimate:
    """Measure a few updates of every phase of a run."""
    case, training = prepare(run, compiled)
    batches: Any = case.batches
    loop = Loop(case.problem, case.problem.losses, batches, training)
    ends = [end for term in case.problem.terms.values() for end in (term.begins, term.ends) if end is not None]
    ends += [] if training.polish is None else [training.steps - training.polish.steps]
    starts = sorted({0, *(end for end in ends if end < training.steps)})
    seconds = 0.0
    for start, stop in zip(starts, [*starts[1:], training.steps]):  # a phase ends where a term joins or leaves
        loop.step = start
        loop.update()
        seconds += (stop - start) * _mean_update(loop, updates)
    begin = time.perf_counter()
    case.errors(case.problem)
    errors = (time.perf_counter() - begin) * training.steps / training.validate_every
    megabytes = max(saved_megabytes(case.problem, case.problem.losses, batches, 1, start) for start in starts)
    return Estimate(run.name, training.steps, seconds / training.steps, megabytes, errors)


def _mean_update(loop: Loop, updates: int) -> float:
    """Return the mean duration of an update [s], of which every n-th evaluates the weights."""
    weighting, begin = loop.weighting, time.perf_counter()
    if not isinstance(weighting, AveragedWeighting) or weighting.every == 1:
        for _ in range(updates):
            loop.update()
        return (time.perf_counter() - begin) / updates
    every, weighting.calls = weighting.every, weighting.warmup  # the next update evaluates the weights
    loop.update()
    evaluating, begin = time.perf_counter() - begin, time.perf_counter()
    count = min(updates, every - 1)
    for _ in range(count):
        loop.update()
    other = (time.perf_counter() - begin) / count
    return other + (evaluating - other) / every


def _run(compiled: bool, folder: Path, run: PlannedWeightingRun, threads: int, jobs: int, progress: bool) -> None:
    """Train the seeds of a run and write RUN.json, unless another process has done so."""
    set_up_process(threads)
    study, work = WeightingStudy(run.configuration, folder), folder / "work" / run.name
    with locked(work):
        if not study.path(run).exists():
            trained = train(run, work, threads=threads, compiled=compiled, progress=progress)
            record = trained.as_json()
            record["environment"]["side_by_side"] = jobs
            write_record(study.path(run), record)


def compare(folder: str | Path | None = None, preset: str | None = None, **options: Any) -> WeightingStudy:
    """Return a comparison of loss weightings.

        study = eg.pinn.compare(problem="poisson:k=4", weighting=["uniform", "inverse-dirichlet"], seeds=5)
        study.run(); print(study.table()); study.report()
    Args:
        folder:  of the results, by default runs/NAME.
        preset:  name of a comparison that comes with the package; `options` override it.
        options: fields of `WeightingConfiguration`.
    Raises: ValueError for an unknown preset or option, or settings that cannot be trained.
    """
    check_options("pinn", WeightingConfiguration.__dataclass_fields__, options)
    if isinstance(options.get("problem"), Problem):
        raise ValueError('pinn: compare takes problems by name; eg.pinn.register("mine", problem, errors=exact) first, then compare(problem="mine")')
    configuration = WeightingConfiguration(**{**(preset_fields(preset) if preset else {}), **options})
    study = WeightingStudy(configuration, folder or Path("runs") / configuration.name)
    study.check()
    return study
