"""Compare unrolling modalities, tasks and learning rates from one configuration; a list of runs that resumes."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from eddygrad.correctors.compose import Corrected, correct, predict
from eddygrad.correctors.resnet import ResNet
from eddygrad.datasets.dataset import Dataset, Split
from eddygrad.solver.memory import keep_freed_memory
from eddygrad.solver.step import Stepper
from eddygrad.studies import report, results
from eddygrad.studies.configuration import TASKS, Configuration, describe
from eddygrad.studies.configuration import preset as preset_fields
from eddygrad.studies.evaluate import Persistence, evaluate
from eddygrad.studies.experiment import fit, prepare, saved_megabytes
from eddygrad.studies.records import BASELINE, environment, slug, write_pictures, write_run
from eddygrad.studies.settings import Setting, setting
from eddygrad.training import metrics
from eddygrad.training.checkpoint import write_atomically
from eddygrad.training.loop import Loop
from eddygrad.training.schedule import schedule


@dataclass(frozen=True)
class Estimate:
    """What a run will cost, from a few updates measured now."""

    run: str
    updates: int
    seconds_per_update: float
    megabytes: float

    @property
    def hours(self) -> float:
        return self.updates * self.seconds_per_update / 3600


class Estimates(list[Estimate]):
    """Estimates of the missing runs; `print` shows a table."""

    @property
    def hours(self) -> float:
        """Of all runs, one after the other."""
        return sum(row.hours for row in self)

    def __str__(self) -> str:
        if not self:
            return "nothing is missing"
        width = max(len(row.run) for row in self)
        lines = [
            f"{row.run:{width}}  {row.updates:>9,}  {1e3 * row.seconds_per_update:>9.1f}  {row.hours:>7.3f}  {row.megabytes:>8.1f}" for row in self
        ]
        head = f"{'run':{width}}  {'updates':>9}  {'ms/update':>9}  {'hours':>7}  {'graph MB':>8}"
        return "\n".join([head, *lines, f"{'together':{width}}  {'':9}  {'':9}  {self.hours:>7.3f}"])


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

    def estimate(self, updates: int = 5, threads: int | None = None) -> Estimates:
        """Hours and graph memory of the missing runs, tuning included, from `updates` measured ones."""
        if not self.pending():
            return Estimates()
        set_up_process(threads)
        bench = Bench(self.configuration)
        rows = Estimates()
        for task, unroll in self.pending():
            recipe = self.configuration.recipe_of(unroll, *self.configuration.candidates[0])
            stepper = bench.stepper(task, tuple(range(self.configuration.seeds)))
            objective, batch_at, training = prepare(stepper, bench.data, recipe)
            megabytes = saved_megabytes(stepper, objective, batch_at, training.horizon_at(0))
            loop = Loop(stepper, objective, batch_at, training)
            loop.update()
            begin = time.perf_counter()
            for _ in range(updates):
                loop.update()
            c = self.configuration
            tuning = len(c.candidates) * c.tune_steps * c.tune_seeds / c.seeds if len(c.candidates) > 1 else 0
            rows.append(Estimate(self.run_name(task, unroll), round(c.steps + tuning), (time.perf_counter() - begin) / updates, megabytes))
        return rows

    def run(self, jobs: int = 1, threads: int | None = None, progress: bool = True) -> Study:
        """Do the missing runs; killed at any moment, a second call goes on.

        Args: jobs: processes side by side, each with `threads` threads (default: torch's number of threads, shared out).
        """
        self.claim()
        threads = threads or max(1, torch.get_num_threads() // jobs)
        self._baselines(threads)
        pending = self.pending()
        if jobs == 1:
            for task, unroll in pending:
                _run(self.configuration, self.folder, task, unroll, threads, progress)
        elif pending:
            # Processes start clean: a fork would inherit torch's thread pool.
            with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_leave_with_parent, initargs=(os.getpid(),)) as pool:
                work = [pool.submit(_run, self.configuration, self.folder, task, unroll, threads, False) for task, unroll in pending]
                for future in tqdm(work, desc=self.configuration.name, unit="run", disable=not progress):
                    future.result()
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
        names = ["persistence", *setting(self.configuration.recipe).baselines]
        missing = [n for n in names if not (self.folder / "runs" / f"baseline-{slug(n)}.json").exists()]
        if not missing:
            return
        set_up_process(threads)
        bench = Bench(self.configuration)
        steppers: dict[str, Stepper] = {"persistence": Persistence(bench.setting.coarse.dt), **bench.setting.baselines}
        for name in missing:
            score = evaluate(steppers[name], bench.test, self.configuration.horizon, bench.setting.reference, self.configuration.long_horizon)
            write_run(self.folder / "runs" / f"baseline-{slug(name)}.json", {"name": name, **BASELINE}, self.configuration.recipe, score)


class Bench:
    """Data and solvers of a configuration, made once per process; `data` replaces the recipe's training data."""

    def __init__(self, c: Configuration, data: Dataset | None = None) -> None:
        self.configuration = c
        self.setting: Setting = setting(c.recipe)
        dtype = getattr(torch, c.dtype)
        split = (self.setting.training(c.frames) if data is None else data).split(val=c.val, test=0)
        self.data = Split(*(part.to(c.device, dtype) if part.samples else part for part in (split.train, split.val, split.test)))
        self.test: Dataset = self.setting.testing(c.starts, c.long_horizon, c.test_seed).to(c.device, dtype)

    def stepper(self, task: str, seeds: Sequence[int]) -> Corrected:
        c, s = self.configuration, self.setting
        cin = s.state_channels + s.features.extra_channels
        network = ResNet(c.width, c.depth, cin, s.state_channels, s.ndim, tuple(seeds)).to(c.device, getattr(torch, c.dtype))
        if task == "correct":
            return correct(s.coarse, network, s.mode, features=s.features)
        return predict(network, s.coarse.dt, features=s.features)


def _run(c: Configuration, folder: Path, task: str, unroll: str, threads: int, progress: bool) -> None:
    """One run: choose the learning rate, train all seeds, score them, write RUN.nc and RUN.json."""
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
        trained = fit(bench.stepper(task, range(c.seeds)), bench.data, recipe, folder=work / "fit", progress=progress)
        score = evaluate(trained.stepper, bench.test, c.horizon, bench.setting.reference, c.long_horizon).charging(trained.fit.diverged)
        network = {"name": "ResNet", "width": c.width, "depth": c.depth, "parameters": trained.stepper.network.parameter_count()}  # type: ignore[operator]
        record = {"name": name, "kind": "model", "task": task, "unroll": unroll, "network": network, "seeds": list(range(c.seeds)), "tuning": tuning}
        if len(c.lr) > 1 and best["lr"] in (min(c.lr), max(c.lr)):
            record["tuning_note"] = f"the best learning rate, {best['lr']:g}, is an end of the list: one beyond it was not tried"
        alone = evaluate(bench.setting.coarse, bench.test, c.horizon, long_horizon=c.long_horizon).prediction[0]
        write_pictures(folder / "runs" / f"{name}.nc", score, alone)
        write_run(folder / "runs" / f"{name}.json", {**record, **trained.as_json()}, c.recipe, score)
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
        result = fit(bench.stepper(task, seeds), bench.data, recipe, folder=work / "tune" / f"{name}-{lr:g}", progress=progress).fit
        final = sorted(metrics.CLIPPED_ERROR if lost else v for v, lost in zip(result.curve[-1]["validation"], result.diverged))
        rows.append({"lr": lr, "schedule": name, "validation": final[len(final) // 2]})
    return rows


def set_up_process(threads: int | None = None) -> None:
    """Threads of this process, and memory that it keeps: a worker of the comparison's own."""
    if threads:
        torch.set_num_threads(threads)
    keep_freed_memory()


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


def _leave_with_parent(parent: int) -> None:
    """A worker whose parent was killed must not go on beside the run that resumes it."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.2)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


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


__all__ = ["TASKS", "Configuration", "Estimate", "Estimates", "Study", "compare", "describe", "environment", "set_up_process"]
