"""Compare unrolling modalities, tasks and learning rates from one configuration; a list of runs that resumes."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import statistics
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from eddygrad.progress import bar
from eddygrad.studies import report, results
from eddygrad.studies.bench import Bench, baseline_names
from eddygrad.studies.configuration import TASKS, Configuration, describe
from eddygrad.studies.configuration import preset as preset_fields
from eddygrad.studies.estimate import Estimate, Estimates, estimate
from eddygrad.studies.evaluate import evaluate
from eddygrad.studies.experiment import fit
from eddygrad.studies.records import BASELINE, environment, slug, write_pictures, write_run
from eddygrad.studies.workers import leave_with_parent, set_up_process
from eddygrad.training import metrics
from eddygrad.training.checkpoint import write_atomically
from eddygrad.training.schedule import schedule


class Study:
    """A configuration and the folder of its results: `study.json`, `runs/RUN.json`, `runs/RUN.nc`, and `work/` with checkpoints.

    Raises: ValueError if the folder holds a study of another configuration.
    """

    def __init__(self, configuration: Configuration, folder: str | Path) -> None:
        self.configuration, self.folder = configuration, Path(folder)

    def pairs(self) -> list[tuple[str, str]]:
        return [(task, unroll) for task in self.configuration.tasks for unroll in self.configuration.unroll]

    def run_name(self, task: str, unroll: str) -> str:
        c = self.configuration
        return f"{task}-{unroll.replace(':', '').replace('/', '-')}-w{c.width}d{c.depth}"

    def pending(self) -> list[tuple[str, str]]:
        return [pair for pair in self.pairs() if not (self.folder / "runs" / f"{self.run_name(*pair)}.json").exists()]

    def estimate(self, updates: int = 5, threads: int | None = None, jobs: int = 1) -> Estimates:
        """Hours and graph memory of the missing runs, tuning, tests and baselines included, from `updates` measured ones, `jobs` side by side."""
        missing = {self.run_name(*pair): pair for pair in self.pending()}
        return estimate(self.configuration, missing, updates, threads, jobs)

    def run(self, jobs: int = 1, threads: int | None = None, progress: bool = True) -> Study:
        """Do the missing runs; killed at any moment, a second call goes on.

        Args: jobs: processes side by side, each with `threads` threads (default: torch's number of threads, shared out).
        """
        self.claim()
        threads = threads or max(1, torch.get_num_threads() // jobs)
        self._baselines(threads)
        pending = self.pending()
        together = min(jobs, len(pending))
        if jobs == 1:
            for task, unroll in pending:
                _run(self.configuration, self.folder, task, unroll, threads, 1, progress)
        elif pending:
            # Processes start clean: a fork would inherit torch's thread pool.
            with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=leave_with_parent, initargs=(os.getpid(),)) as pool:
                work = [pool.submit(_run, self.configuration, self.folder, task, unroll, threads, together, False) for task, unroll in pending]
                with bar(self.configuration.name, len(work), unit="run", show=progress) as shown:
                    for future in work:
                        future.result()
                        shown.update()
        return self

    def table(self) -> str:
        """Errors, costs and ratios of the finished runs as text."""
        return results.table(results.load(self.folder))

    def report(self, path: str | Path = "report.html") -> Path:
        """Write the report, `results.json` and `results.csv`; a relative path lies in the folder of the study."""
        found = results.load(self.folder)
        results.to_json(found, self.folder / "results.json")
        results.to_csv(found, self.folder / "results.csv")
        return report.write(self.folder, path)

    def claim(self) -> None:
        """Write `study.json`, or check that the folder holds this study. Raises ValueError if it holds another."""
        described = describe(self.configuration)
        path = self.folder / "study.json"
        if path.exists():
            found = json.loads(path.read_text())
            different = [k for k in described if found.get(k) != described[k]]
            if different:
                k = different[0]
                raise ValueError(f"compare: {path} was made with {k}={found.get(k)!r}, got {described[k]!r}; choose another folder or delete it")
            return
        write_atomically(path, (json.dumps(described, indent=1) + "\n").encode())
        write_atomically(self.folder / "work" / ".gitignore", b"*\n")

    def _baselines(self, threads: int) -> None:
        paths = {name: self.folder / "runs" / f"baseline-{slug(name)}.json" for name in baseline_names(self.configuration)}
        missing = [name for name, path in paths.items() if not path.exists()]
        if not missing:
            return
        set_up_process(threads)
        bench = Bench(self.configuration)
        for name in missing:
            score = evaluate(bench.baselines[name], bench.test, self.configuration.horizon, bench.setting.reference, self.configuration.long_horizon)
            write_run(paths[name], {"name": name, **BASELINE}, self.configuration.recipe, score)


def _run(c: Configuration, folder: Path, task: str, unroll: str, threads: int, together: int, progress: bool) -> None:
    """One run, of `together` side by side: choose the learning rate, train all seeds, score them, write RUN.nc and RUN.json."""
    set_up_process(threads)
    name = Study(c, folder).run_name(task, unroll)
    work = folder / "work" / name
    with _locked(work):
        if (folder / "runs" / f"{name}.json").exists():
            return
        bench = Bench(c)
        tuning = _tune(bench, task, unroll, work, progress)
        best: dict[str, Any] = min(tuning, key=lambda t: t["validation"]) if tuning else dict(zip(("lr", "schedule"), c.candidates[0]))
        recipe = c.recipe_of(unroll, best["lr"], best["schedule"])
        trained = fit(bench.stepper(task, range(c.seeds)), bench.data, recipe, folder=work / "fit", progress=progress, threads=None)
        score = evaluate(trained.stepper, bench.test, c.horizon, bench.setting.reference, c.long_horizon).charging(trained.fit.diverged)
        network = {"name": "ResNet", "width": c.width, "depth": c.depth, "parameters": trained.stepper.network.parameter_count()}  # type: ignore[operator]
        record = {"name": name, "kind": "model", "task": task, "unroll": unroll, "network": network, "seeds": list(range(c.seeds)), "tuning": tuning}
        if len(c.lr) > 1 and best["lr"] in (min(c.lr), max(c.lr)):
            record["tuning_note"] = f"the best learning rate, {best['lr']:g}, is an end of the list: one beyond it was not tried"
        alone = evaluate(bench.setting.coarse, bench.test, c.horizon, long_horizon=c.long_horizon).prediction[0]
        write_pictures(folder / "runs" / f"{name}.nc", score, alone)
        write_run(folder / "runs" / f"{name}.json", {**record, **trained.as_json()}, c.recipe, score, side_by_side=together)
        shutil.rmtree(work / "tune", ignore_errors=True)


def _tune(bench: Bench, task: str, unroll: str, work: Path, progress: bool) -> list[dict[str, Any]]:
    """Short runs of other seeds, one per candidate: the median final validation error of each. Nothing of the test data is seen."""
    c = bench.configuration
    if len(c.candidates) == 1:
        return []
    seeds, rows = range(1000, 1000 + c.tune_seeds), []
    for lr, name in c.candidates:
        plan = replace(schedule(name), every=max(1, round(2000 * c.tune_steps / c.steps))) if name == "exponential" else name
        recipe = replace(c.recipe_of(unroll, lr, name), schedule=plan, steps=c.tune_steps, validate_every=c.tune_steps)
        result = fit(bench.stepper(task, seeds), bench.data, recipe, folder=work / "tune" / f"{name}-{lr:g}", progress=progress, threads=None).fit
        final = [metrics.CLIPPED_ERROR if lost else v for v, lost in zip(result.curve[-1]["validation"], result.diverged)]
        rows.append({"lr": lr, "schedule": name, "validation": statistics.median(final)})
    return rows


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process per run: the lock goes with the process, however it ends."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ValueError(f"compare: another process works on {folder}; wait for it, or stop it") from None
        yield


def compare(folder: str | Path | None = None, preset: str | None = None, **options: Any) -> Study:
    """A comparison of unrolling modalities and tasks.

        study = eg.compare(tasks=["correct", "predict"], unroll=["one", "nog:4", "wig:4"], recipe="kuramoto-sivashinsky", seeds=16)
        print(study.estimate()); study.run(); print(study.table()); study.report()
    Args:
        folder:  of the results, default runs/NAME. preset: name of a comparison that comes with the package; `options` override it.
        options: fields of `Configuration`.
    Raises: ValueError for an unknown preset or option, or a value out of range.
    """
    known = Configuration.__dataclass_fields__
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise ValueError(f"compare: unknown options {unknown}; expected some of {sorted(known)}")
    configuration = Configuration(**{**(preset_fields(preset) if preset else {}), **options})
    return Study(configuration, folder or Path("runs") / configuration.name)


__all__ = ["TASKS", "Bench", "Configuration", "Estimate", "Estimates", "Study", "compare", "describe", "environment", "set_up_process"]
