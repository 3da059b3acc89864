"""`eddygrad train`."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from eddygrad.cli.base import Command, Outcome, Say, set_up_process

if TYPE_CHECKING:
    from eddygrad.fitting.recipe import TrainingRecipe
    from eddygrad.studies.unrolling.config import Configuration
    from eddygrad.studies.unrolling.study import Bench

OPTIONS, RECORD = "train.json", "run.json"


@dataclass(kw_only=True)
class Train(Command):
    """Train a network that corrects a solver, or replaces it; all seeds side by side in one program.

    Into --out go weights.safetensors and what they are as JSON, metrics.jsonl, curve.png and a checkpoint. Killed at any moment, the same command
    goes on and ends with the same weights. Then: eddygrad evaluate FOLDER.

    example: eddygrad train --unroll nog:3 --seeds 8 --steps 2000 --out runs/mine
    """

    recipe: tyro.conf.Positional[str] = "kuramoto-sivashinsky"
    """Data, solver and features: see eddygrad info."""
    data: Path | None = None
    """Train on this data set in place of the recipe's."""
    task: Literal["correct", "predict"] = "correct"
    """correct: the network corrects the solver. predict: it replaces it."""
    unroll: str = "nog:3"
    """one, nog:M, wig:M, wig:M/J (cut every J < M frames) or push:M/W (W < M frames of warm-up); M in frames."""
    network: str = "resnet"
    """resnet (width and depth), or encoder-decoder:SIZE with 32k, 116k, 461k or 1.08M parameters."""
    width: int = 16
    """Channels of the residual network."""
    depth: int = 4
    """Blocks of the residual network."""
    seeds: int = 4
    """How many networks are trained at once."""
    seed: int = 0
    """The first of them; the others follow it."""
    steps: int = 2000
    """Updates."""
    batch: int = 16
    """Windows per update and seed."""
    lr: float = 1e-3
    """Learning rate at the start."""
    schedule: Literal["constant", "exponential", "cosine", "plateau"] = "cosine"
    """Course of the learning rate."""
    curriculum: tuple[int, ...] = ()
    """Horizons of stages of equal length up to that of --unroll, e.g. 1 2 4; the optimiser begins anew in each."""
    curriculum_rates: tuple[float, ...] = ()
    """Factors of --lr per stage; by default each is a tenth of the one before."""
    clip: float | None = None
    """Length at which a seed's gradient is clipped."""
    outlier: float | None = None
    """Multiple of its moving average at which a longer gradient is skipped; above 1."""
    frames: int = 1000
    """Training frames per trajectory."""
    val: float = 0.12
    """Share of the trajectories kept for validation."""
    validate_every: int | None = None
    """Updates between validations; by default 250, or fewer so that a short training has five."""
    validation_horizon: int = 12
    """Frames that are compared there."""
    checkpoint_every: int = 250
    """Updates between checkpoints."""
    out: Path | None = None
    """Folder to write to; by default runs/TASK-UNROLL."""
    dtype: Literal["float32", "float64"] = "float32"
    """Floating point type."""
    device: str = "cpu"
    """cpu, cuda, ..."""

    def run(self, say: Say) -> Outcome:
        from eddygrad.cli.pictures import curves, save
        from eddygrad.fitting.corrector import fit_stepper, prepare
        from eddygrad.runtime.files import write_atomically

        self._check()
        set_up_process(self.threads, self.device)
        recipe = self.trained_by()
        folder = self.out or Path("runs") / f"{self.task}-{self.unroll.replace(':', '').replace('/', '-')}"
        bench, seeds = self.bench(), range(self.seed, self.seed + self.seeds)
        stepper = bench.stepper(self.task, seeds)
        prepare(stepper, bench.data, recipe)  # what does not fit leaves no folder behind
        values = {k: str(v) if isinstance(v, Path) else v for k, v in asdict(self).items() if k not in ("config", "json", "out", "threads")}
        options = (json.dumps(values, indent=1) + "\n").encode()
        if not (folder / "checkpoint.pt").exists():  # else `fit` says first whether this is the run that lies there
            write_atomically(folder / OPTIONS, options)
        trained = fit_stepper(stepper, bench.data, recipe, folder=folder, threads=None, progress=not self.json)
        write_atomically(folder / OPTIONS, options)
        write_atomically(folder / RECORD, (json.dumps({**trained.describe(), **trained.as_json()}) + "\n").encode())
        final = trained.fit.curve[-1]["validation"] if trained.fit.curve else []
        if trained.fit.curve:
            save(curves(trained.fit.curve, trained.recipe.unrolling.name.partition(":")[0].upper()), folder / "curve.png")
            say(f"validation error (rellinf) of {self.seeds} seeds: median {statistics.median(final):.3g}, best {min(final):.3g}")
        elif self.val == 0:
            say("no validation error and no curve: --val 0 keeps no trajectories for them")
        lost = [seed for seed, diverged in zip(seeds, trained.fit.diverged) if diverged]
        if lost:
            say(f"diverged and frozen: seeds {', '.join(map(str, lost))}")
        say(f"{folder}: weights.safetensors, metrics.jsonl{', curve.png' if final else ''}; next: eddygrad evaluate {folder}")
        return Outcome({"folder": str(folder), "validation": final, "diverged": lost, "seconds": trained.fit.seconds, "updates": trained.fit.steps})

    def _check(self) -> None:
        """Raise ValueError, one line, for a number out of range that would show late or in other words."""
        for name in ("seeds", "steps", "batch", "frames", "validate_every", "validation_horizon", "checkpoint_every"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ValueError(f"train: --{name.replace('_', '-')} must be at least 1, got {getattr(self, name)}")
        self._check_unroll()
        if not self.lr > 0:
            raise ValueError(f"train: --lr must be positive, got {self.lr:g}")
        for name, least in (("clip", 0), ("outlier", 1)):
            if getattr(self, name) is not None and not getattr(self, name) > least:
                raise ValueError(f"train: --{name} must be above {least}, got {getattr(self, name):g}; leave it out to switch it off")
        if self.seed < 0:
            raise ValueError(f"train: --seed must not be negative, got {self.seed}")
        if not 0 <= self.val < 1:
            raise ValueError(f"train: --val must be a share of the trajectories, at least 0 and below 1, got {self.val:g}")
        if self.val == 0 and self.schedule == "plateau":
            raise ValueError("train: --schedule plateau watches the validation error, got --val 0; keep a share, or take another schedule")

    def _check_unroll(self) -> None:
        from eddygrad.training.objectives.unrolled import Unrolling

        horizon = Unrolling.parse(self.unroll).horizon
        if horizon + 1 > self.frames:
            raise ValueError(f"train: --unroll {self.unroll} needs {horizon + 1} frames, got --frames {self.frames}; take more or unroll less")

    def trained_by(self) -> TrainingRecipe:
        """How the network is trained."""
        recipe = self.configuration().recipe_of(self.unroll, self.lr, self.schedule)
        return replace(recipe, validation_horizon=self.validation_horizon)

    def configuration(self) -> Configuration:
        """The comparison of which this is one run."""
        from eddygrad.fitting.recipe import validation_interval
        from eddygrad.studies.unrolling.config import Configuration

        shared = {k: getattr(self, k) for k in _SHARED}
        if self.validate_every is None:
            shared["validate_every"] = validation_interval(self.steps, 250)
        return Configuration(tasks=(self.task,), unroll=(self.unroll,), lr=(self.lr,), schedule=(self.schedule,), **shared)

    def bench(self) -> Bench:
        """Data and solvers."""
        from eddygrad.datasets.dataset import open
        from eddygrad.studies.unrolling.study import Bench

        return Bench(self.configuration(), None if self.data is None else open(self.data))


_SHARED = (
    "recipe", "network", "width", "depth", "seeds", "steps", "batch", "curriculum", "curriculum_rates", "clip", "outlier", "frames", "val",
    "validate_every", "checkpoint_every", "dtype", "device",
)  # fmt: skip


def load(folder: Path) -> tuple[Train, dict[str, Any]]:
    """Options and record of a trained folder. Raises ValueError if it is none."""
    from eddygrad.cli import options_file

    for name in (OPTIONS, RECORD, "weights.safetensors"):
        if not (folder / name).is_file():
            raise ValueError(f"{folder}: expected a folder of eddygrad train with {name}, got none; train first, or finish it by the same command")
    values = json.loads((folder / OPTIONS).read_text())
    given = {k: v for k, v in values.items() if v is not None}
    return Train(**options_file.checked(Train, given, str(folder / OPTIONS))), json.loads((folder / RECORD).read_text())
