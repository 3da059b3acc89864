"""Compare unrolling modalities, tasks and learning rates from one configuration; a list of runs that resumes."""

from __future__ import annotations

import fcntl
import json
import os
import platform
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
import xarray as xr
from tqdm import tqdm

from eddygrad._version import __version__
from eddygrad.correctors.compose import Corrected, correct, predict
from eddygrad.correctors.resnet import ResNet
from eddygrad.datasets.dataset import Dataset, Split
from eddygrad.solver.step import Stepper
from eddygrad.studies.evaluate import Evaluation, Persistence, evaluate
from eddygrad.studies.experiment import Recipe, fit, prepare, saved_megabytes
from eddygrad.studies.settings import Setting, setting
from eddygrad.training.checkpoint import write_atomically
from eddygrad.training.loop import Loop
from eddygrad.training.objectives.unrolled import Unrolling
from eddygrad.training.schedule import schedule

TASKS = ("correct", "predict")
_PICTURE_FRAMES = 100


@dataclass(frozen=True)
class Configuration:
    """A comparison, fixed before it starts; `study.json` keeps it.

    Args:
        name:          of the study.
        recipe:        data, solvers and features: see `eddygrad.studies.settings`.
        tasks, unroll: every pair of them is a run; all seeds of a run are trained in one program.
        width, depth:  of the residual network.
        seeds:         number of seeds, 0 .. seeds - 1.
        steps, batch, clip: see `Recipe`; ONE takes batch times the longest horizon.
        lr, schedule:  learning rates and schedules; from several, each run takes the pair with the best median validation error of short runs
                       (`tune_steps` updates, the schedule shrunk alike, `tune_seeds` other seeds).
        frames:        training frames per trajectory. val: share of trajectories kept for validation.
        starts, horizon, long_horizon, test_seed: test states per set, frames of the endpoint, of stability and pictures, and their draw.
        dtype, device: of the runs.
    """

    name: str = "comparison"
    recipe: str = "kuramoto-sivashinsky"
    tasks: tuple[str, ...] = TASKS
    unroll: tuple[str, ...] = ("one", "nog:3", "wig:3")
    width: int = 16
    depth: int = 4
    seeds: int = 16
    steps: int = 20_000
    batch: int = 16
    lr: tuple[float, ...] = (1e-3,)
    tune_steps: int = 1500
    tune_seeds: int = 3
    schedule: tuple[str, ...] = ("cosine",)
    clip: float | None = None
    frames: int = 1000
    val: float = 0.12
    starts: int = 10
    horizon: int = 12
    long_horizon: int = 100
    test_seed: int = 0
    validate_every: int = 1000
    checkpoint_every: int = 500
    dtype: str = "float32"
    device: str = "cpu"

    def __post_init__(self) -> None:
        for field in ("tasks", "unroll", "lr", "schedule"):
            value = getattr(self, field)
            object.__setattr__(self, field, (value,) if isinstance(value, (str, int, float)) else tuple(value))
        unknown = [t for t in self.tasks if t not in TASKS]
        if unknown or not (self.tasks and self.unroll and self.lr and self.schedule):
            raise ValueError(f"compare: tasks must be some of {TASKS}; unroll, lr and schedule not empty; got {self}")
        for name in self.schedule:
            schedule(name)
        longest = max(Unrolling.parse(u).horizon for u in self.unroll)
        if longest + 1 > self.frames:
            raise ValueError(f"compare: horizon {longest} needs {longest + 1} frames, got frames={self.frames}; generate more or unroll less")
        if self.seeds < 1 or self.long_horizon < self.horizon:
            raise ValueError(f"compare: seeds >= 1 and long_horizon >= horizon expected, got {self.seeds}, {self.long_horizon} < {self.horizon}")
        if self.dtype not in ("float32", "float64"):
            raise ValueError(f"compare: dtype must be 'float32' or 'float64', got {self.dtype!r}")
        setting(self.recipe)

    @property
    def budget(self) -> int:
        """Windows of ONE per window of the others: the longest horizon."""
        return max(Unrolling.parse(u).horizon for u in self.unroll)

    @property
    def candidates(self) -> list[tuple[float, str]]:
        """Learning rates and schedules from which a run chooses on validation data."""
        return [(lr, name) for name in self.schedule for lr in self.lr]

    def recipe_of(self, unroll: str, lr: float, schedule: str) -> Recipe:
        return Recipe(
            unroll=unroll,
            steps=self.steps,
            batch=self.batch,
            budget=self.budget,
            lr=lr,
            schedule=schedule,
            clip=self.clip,
            validate_every=self.validate_every,
            validation_horizon=self.horizon,
            checkpoint_every=self.checkpoint_every,
        )


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

    def estimate(self, updates: int = 5) -> list[Estimate]:
        """Seconds and graph memory per run, tuning included, from `updates` measured ones."""
        torch_setup(self.configuration)
        bench = _Bench(self.configuration)
        rows = []
        for task, unroll in self.pairs():
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

        Args: jobs: processes side by side, each with `threads` threads (default: the cores shared out).
        """
        self._claim()
        threads = threads or max(1, (os.cpu_count() or 1) // jobs)
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

    def _claim(self) -> None:
        described = describe(self.configuration)
        path = self.folder / "study.json"
        if path.exists():
            found = json.loads(path.read_text())
            different = sorted(k for k in described if found.get(k) != described[k])
            if different:
                k = different[0]
                raise ValueError(f"compare: {path} was made with {k}={found.get(k)!r}, got {described[k]!r}; choose another folder or delete it")
            return
        write_atomically(path, (json.dumps(described, indent=1) + "\n").encode())
        write_atomically(self.folder / "work" / ".gitignore", b"*\n")

    def _baselines(self, threads: int) -> None:
        names = ["persistence", *setting(self.configuration.recipe).baselines]
        missing = [n for n in names if not (self.folder / "runs" / f"baseline-{_slug(n)}.json").exists()]
        if not missing:
            return
        torch_setup(self.configuration, threads)
        bench = _Bench(self.configuration)
        steppers: dict[str, Stepper] = {"persistence": Persistence(bench.setting.coarse.dt), **bench.setting.baselines}
        for name in missing:
            score = evaluate(steppers[name], bench.test, self.configuration.horizon, bench.setting.reference)
            record = {
                "name": name,
                "kind": "baseline",
                "task": None,
                "unroll": None,
                "network": None,
                "seeds": [None],
                "training": None,
                "curve": None,
            }
            _write_run(self.folder / "runs" / f"baseline-{_slug(name)}.json", record, self.configuration, score)


def describe(c: Configuration) -> dict[str, Any]:
    """What is fixed beforehand: `study.json`."""
    values = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(c).items()}
    endpoint = {
        "metric": "rellinf",
        "horizon": c.horizon,
        "comparison": "ratio, paired by seed on the log scale, 95 % t-interval, Holm in each family",
    }
    return {**values, "endpoint": endpoint, "seeds_used": list(range(c.seeds)), "ONE_batch": c.batch * c.budget}


class _Bench:
    """Data and solvers of a configuration, made once per process."""

    def __init__(self, c: Configuration) -> None:
        self.configuration = c
        self.setting: Setting = setting(c.recipe)
        dtype = getattr(torch, c.dtype)
        data = self.setting.training(c.frames).split(val=c.val, test=0)
        self.data = Split(*(part.to(c.device, dtype) if part.samples else part for part in (data.train, data.val, data.test)))
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
    torch_setup(c, threads)
    name = Study(c, folder).run_name(task, unroll)
    work = folder / "work" / name
    with _locked(work):
        if (folder / "runs" / f"{name}.json").exists():
            return
        bench = _Bench(c)
        tuning = _tune(bench, task, unroll, work, progress)
        best: dict[str, Any] = min(tuning, key=lambda t: t["validation"]) if tuning else dict(zip(("lr", "schedule"), c.candidates[0]))
        recipe = c.recipe_of(unroll, best["lr"], best["schedule"])
        trained = fit(bench.stepper(task, range(c.seeds)), bench.data, recipe, folder=work / "fit", progress=progress)
        score = evaluate(trained.stepper, bench.test, c.horizon, bench.setting.reference)
        network = {"name": "ResNet", "width": c.width, "depth": c.depth, "parameters": trained.stepper.network.parameter_count()}  # type: ignore[operator]
        record = {"name": name, "kind": "model", "task": task, "unroll": unroll, "network": network, "seeds": list(range(c.seeds)), "tuning": tuning}
        _write_pictures(folder / "runs" / f"{name}.nc", bench, score)
        _write_run(folder / "runs" / f"{name}.json", {**record, **trained.as_json()}, c, score)
        shutil.rmtree(work / "tune", ignore_errors=True)


def _tune(bench: _Bench, task: str, unroll: str, work: Path, progress: bool) -> list[dict[str, Any]]:
    """Short runs of other seeds, one per candidate: the median final validation error of each. Nothing of the test data is seen."""
    c = bench.configuration
    if len(c.candidates) == 1:
        return []
    seeds, rows = range(1000, 1000 + c.tune_seeds), []
    for lr, name in c.candidates:
        plan = replace(schedule(name), every=max(1, round(2000 * c.tune_steps / c.steps))) if name == "exponential" else name
        recipe = replace(c.recipe_of(unroll, lr, name), schedule=plan, steps=c.tune_steps, validate_every=c.tune_steps)
        result = fit(bench.stepper(task, seeds), bench.data, recipe, folder=work / "tune" / f"{name}-{lr:g}", progress=progress).fit
        final = sorted(result.curve[-1]["validation"])
        rows.append({"lr": lr, "schedule": name, "validation": final[len(final) // 2]})
    return rows


def _write_run(path: Path, record: dict[str, Any], c: Configuration, score: Evaluation) -> None:
    full = {"schema": "eddygrad-run/1", "recipe": c.recipe, **record, "test": score.as_json(), "environment": environment()}
    write_atomically(path, (json.dumps(full) + "\n").encode())


def _write_pictures(path: Path, bench: _Bench, score: Evaluation) -> None:
    """The first frames of one trajectory per test set, for the seed with the median error, beside the reference and the solver alone; 1-D states."""
    firsts, at = [], 0
    for s in score.sets:
        firsts.append(at)
        at += s["samples"]
    error = score.metrics["rellinf"].mean(1)
    median = int(error.argsort()[len(error) // 2])
    alone = evaluate(bench.setting.coarse, bench.test, bench.configuration.horizon)
    fields = {"reference": score.reference[firsts], "uncorrected": alone.prediction[0, firsts], "prediction": score.prediction[median, firsts]}
    count = min(_PICTURE_FRAMES, score.reference.shape[1])
    content = xr.Dataset(
        {n: (("set", "time", "x"), v[:, :count, 0].cpu().float().numpy(), {"units": "1"}) for n, v in fields.items()},
        coords={"time": torch.arange(count).double().numpy() * score.dt, "set": [s["name"] for s in score.sets]},
        attrs={"seed_index": median},
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    content.to_netcdf(temporary, engine="h5netcdf")
    os.replace(temporary, path)


def environment() -> dict[str, Any]:
    """What a number was measured with."""
    return {
        "eddygrad": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
    }


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def torch_setup(c: Configuration, threads: int | None = None) -> None:
    """Threads of this process."""
    if threads:
        torch.set_num_threads(threads)


def _slug(name: str) -> str:
    return "".join(ch if ch.isalnum() else "-" for ch in name).strip("-").lower()


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
