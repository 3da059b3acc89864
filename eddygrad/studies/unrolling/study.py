"""Compare unrolling modalities and tasks: the study's runs, their expected cost, its table and its report."""

from __future__ import annotations

import json
import shutil
import statistics
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from eddygrad.evaluation import metrics
from eddygrad.evaluation.evaluate import evaluate
from eddygrad.fitting.corrector import fit_stepper
from eddygrad.fitting.validation import Validation
from eddygrad.runtime.files import write_atomically
from eddygrad.runtime.processes import set_up_process
from eddygrad.solver.step import Stepper
from eddygrad.studies.shared.estimate import Estimates
from eddygrad.studies.shared.folder import claim, hide_work, locked, side_by_side
from eddygrad.studies.shared.run_files import BASELINE, slug, write_pictures, write_run
from eddygrad.studies.shared.study import Study, check_options
from eddygrad.studies.unrolling.config import PlannedUnrollingRun, UnrollingConfiguration, describe
from eddygrad.studies.unrolling.config import preset as preset_fields
from eddygrad.studies.unrolling.estimate import estimate
from eddygrad.studies.unrolling.report import page
from eddygrad.studies.unrolling.results import tables
from eddygrad.studies.unrolling.results.load import load
from eddygrad.studies.unrolling.workbench import Bench, baseline_names
from eddygrad.training.schedule import Exponential


class UnrollingStudy(Study[UnrollingConfiguration, PlannedUnrollingRun]):
    """A comparison of unrolling modalities in a folder: `study.json`, `runs/RUN.json`, `runs/RUN.nc`, and `work/` with checkpoints and data.

    Args: configuration: the settings. folder: of the results.
    """

    @property
    def data(self) -> Path:
        """Folder of the recipe's data while the study runs; they can always be made again."""
        return self.folder / "work" / "data"

    def estimate(self, updates: int = 5, threads: int | None = None, jobs: int = 1) -> Estimates:
        """Return hours and graph memory of the missing runs, tuning, tests and baselines included.

        Args: updates: measured per run. threads: of each process; by default torch's number of threads, divided among them. jobs: runs at a time.
        """
        claimed = (self.folder / "study.json").exists()  # an estimate of an unclaimed folder leaves nothing behind
        with nullcontext(self.data) if claimed else TemporaryDirectory() as data:
            return estimate(self.configuration, self.pending(), updates, threads, jobs, Path(data))

    def run(self, jobs: int = 1, threads: int | None = None, progress: bool = True) -> UnrollingStudy:
        """Make the missing runs; killed at any moment, a second call continues.

        Args:
            jobs:     processes at a time. threads: of each; by default torch's number of threads, divided among them.
            progress: whether a progress bar is shown.
        Raises: ValueError if the folder holds another study.
        """
        self.claim()
        threads = threads or max(1, torch.get_num_threads() // jobs)
        self._baselines(threads, progress)
        pending = self.pending()
        if pending:
            self.bench(progress)  # makes the data once, before several processes need them
        wanted = [run for run in self.configuration.planned if run.tunes and any(p.pair == run.pair for p in pending)]
        title = self.configuration.name
        side_by_side(_tune, self.folder, [run for run in wanted if _tuned(self.folder, run) is None], title, jobs, threads, progress)
        side_by_side(_run, self.folder, pending, title, jobs, threads, progress)
        return self

    def bench(self, progress: bool = False) -> Bench:
        """Return data and solvers; a second process waits until the first has made the data."""
        hide_work(self.folder)
        with locked(self.data, wait=True):
            return Bench(self.configuration, folder=self.data, progress=progress).make()

    def table(self) -> str:
        """Return errors, costs and ratios of the finished runs as text."""
        return tables.table(load(self.folder))

    def report(self, path: str | Path = "report.html") -> Path:
        """Write the report and its numbers; returns the path of the report, which is relative to the folder of the study."""
        written: Path = page.publish(self.folder, path=path)["report"]
        return written

    def claim(self) -> None:
        """Write `study.json`, or check that the folder holds this study. Raises: ValueError if it holds another."""
        # A field that an older version did not have counts with its default.
        defaults = {k: v for k, v in describe(UnrollingConfiguration()).items() if k in UnrollingConfiguration.__dataclass_fields__}
        claim(self.folder, describe(self.configuration), defaults)

    def _baselines(self, threads: int, progress: bool) -> None:
        paths = {name: self.folder / "runs" / f"baseline-{slug(name)}.json" for name in baseline_names(self.configuration)}
        missing = [name for name, path in paths.items() if not path.exists()]
        if not missing:
            return
        set_up_process(threads)
        bench, c = self.bench(progress), self.configuration
        for name in missing:
            stepper, tuning = _best(bench, bench.baselines[name])
            score = evaluate(stepper, bench.test, c.horizon, bench.setting.reference, c.long_horizon, domain=bench.domain)
            write_run(paths[name], {"name": name, **BASELINE, **tuning}, c.recipe, score)


def _best(bench: Bench, candidates: Sequence[Stepper]) -> tuple[Stepper, dict[str, Any]]:
    """Return the candidate with the lowest error on validation data, and the record of the choice."""
    if len(candidates) == 1:
        return candidates[0], {}
    validation = Validation(bench.data.val, min(bench.configuration.horizon, bench.data.val.frames - 2))
    errors = [float(validation.score(stepper).median()) for stepper in candidates]
    rows = [{"stepper": repr(stepper), "validation": error} for stepper, error in zip(candidates, errors)]
    return candidates[errors.index(min(errors))], {"tuning": rows}


def _run(folder: Path, run: PlannedUnrollingRun, threads: int, jobs: int, progress: bool) -> None:
    """Train and score the seeds of a run, one of `jobs` at a time, and write RUN.nc and RUN.json, unless another process has done so."""
    set_up_process(threads)
    c, study = run.configuration, UnrollingStudy(run.configuration, folder)
    work = folder / "work" / run.name
    with locked(work):
        if study.path(run).exists():
            return
        bench = study.bench()
        tuning = _tuned(folder, run) or []
        if len(c.candidates) > 1 and not tuning:
            raise ValueError(f"compare: {_tuning_path(folder, run)}: expected the choice among {len(c.candidates)} candidates, got none")
        best: dict[str, Any] = min(tuning, key=lambda t: t["validation"]) if tuning else dict(zip(("lr", "schedule"), c.candidates[0]))
        recipe = c.recipe_of(run.unroll, best["lr"], best["schedule"])
        trained = fit_stepper(bench.stepper(run.task, run.seeds), bench.data, recipe, folder=work / "fit", progress=progress, threads=None)
        score = evaluate(trained.stepper, bench.test, c.horizon, bench.setting.reference, c.long_horizon, domain=bench.domain).charging(
            trained.fit.diverged
        )
        record = {**trained.describe(), "name": run.name, "unroll": run.unroll, "tuning": tuning}
        if len(c.lr) > 1 and best["lr"] in (min(c.lr), max(c.lr)):
            record["tuning_note"] = f"the best learning rate, {best['lr']:g}, is an end of the list: one beyond it was not tried"
        alone = evaluate(bench.setting.coarse, bench.test, c.horizon, long_horizon=c.long_horizon).prediction[0]
        write_pictures(study.path(run).with_suffix(".nc"), score, alone, bench.setting.metric)
        write_run(study.path(run), {**record, **trained.as_json()}, c.recipe, score, side_by_side=jobs)


def _tuning_path(folder: Path, run: PlannedUnrollingRun) -> Path:
    """Return the path of the chosen learning rate, which all runs of a task and modality share."""
    return folder / "tuning" / f"{run.pair}.json"


def _tuned(folder: Path, run: PlannedUnrollingRun) -> list[dict[str, Any]] | None:
    """Return the record of the short runs, one row per candidate; None if they are missing or were made for another configuration."""
    path, c = _tuning_path(folder, run), run.configuration
    if len(c.candidates) == 1 or not path.exists():
        return None
    record = json.loads(path.read_text())
    return list(record["candidates"]) if record["of"] == _decisive(c) else None


def _decisive(c: UnrollingConfiguration) -> dict[str, Any]:
    """Return the fields of the configuration on which the choice of a learning rate depends."""
    return {k: v for k, v in describe(c).items() if k not in ("name", "seeds", "seeds_per_run", "seeds_used", "starts", "long_horizon", "test_seed")}


def _tune(folder: Path, run: PlannedUnrollingRun, threads: int, jobs: int, progress: bool) -> None:
    """Train each candidate briefly with other seeds and record its median final validation error; test data are not used."""
    set_up_process(threads)
    c, seeds, rows, work = run.configuration, range(1000, 1000 + run.configuration.tune_seeds), [], folder / "work" / "tune" / run.pair
    with locked(work):
        bench = UnrollingStudy(c, folder).bench()
        for lr, name in c.candidates:
            plan = Exponential(every=max(1, round(2000 * c.tune_steps / c.steps))) if name == "exponential" else name
            recipe = replace(c.recipe_of(run.unroll, lr, name), schedule=plan, steps=c.tune_steps, validate_every=c.tune_steps)
            result = fit_stepper(
                bench.stepper(run.task, seeds), bench.data, recipe, folder=work / f"{name}-{lr:g}", progress=progress, threads=None
            ).fit
            final = [metrics.CLIPPED_ERROR if lost else v for v, lost in zip(result.curve[-1]["validation"], result.diverged)]
            rows.append({"lr": lr, "schedule": name, "validation": statistics.median(final)})
        write_atomically(_tuning_path(folder, run), (json.dumps({"of": _decisive(c), "candidates": rows}) + "\n").encode())
        for lr, name in c.candidates:
            shutil.rmtree(work / f"{name}-{lr:g}", ignore_errors=True)


def compare(folder: str | Path | None = None, preset: str | None = None, **options: Any) -> UnrollingStudy:
    """Return a comparison of unrolling modalities and tasks.

        study = eg.compare(tasks=["correct", "predict"], unroll=["one", "nog:4", "wig:4"], recipe="kuramoto-sivashinsky", seeds=16)
        print(study.estimate()); study.run(); print(study.table()); study.report()
    Args:
        folder:  of the results, by default runs/NAME.
        preset:  name of a comparison that comes with the package; `options` override it.
        options: fields of `UnrollingConfiguration`.
    Raises: ValueError for an unknown preset or option, or a value out of range.
    """
    check_options("compare", UnrollingConfiguration.__dataclass_fields__, options)
    configuration = UnrollingConfiguration(**{**(preset_fields(preset) if preset else {}), **options})
    return UnrollingStudy(configuration, folder or Path("runs") / configuration.name)
