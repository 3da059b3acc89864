"""`eddygrad train`."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from eddygrad.cli.base import Command, Outcome, Say, set_up_process
from eddygrad.fitting.recipe import TrainingSettings, validation_interval

if TYPE_CHECKING:
    from eddygrad.fitting.recipe import TrainingRecipe
    from eddygrad.fitting.trained import Trained
    from eddygrad.studies.unrolling.config import UnrollingConfiguration
    from eddygrad.studies.unrolling.workbench import Bench

OPTIONS, RECORD = "train.json", "run.json"


@dataclass(frozen=True, kw_only=True)
class Train(TrainingSettings, Command):
    """Train a network that corrects a solver, or replaces it; all seeds side by side in one program.

    Writes weights.safetensors with a description as JSON, metrics.jsonl, curve.png and a checkpoint to --out. After an interruption the same command
    resumes and ends with the same weights. Then: eddygrad evaluate FOLDER.

    example: eddygrad train --unroll nog:3 --seeds 8 --steps 2000 --out runs/mine
    """

    recipe: tyro.conf.Positional[str] = "kuramoto-sivashinsky"
    """Data, solver and features; eddygrad info lists them."""
    data: Path | None = None
    """Train on this data set instead of the recipe's."""
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
    """Number of networks that are trained at once."""
    seed: int = 0
    """Seed of the first; the others have the following numbers."""
    lr: float = 1e-3
    """Learning rate at the start."""
    schedule: Literal["constant", "exponential", "cosine", "plateau"] = "cosine"
    """Course of the learning rate."""
    frames: int = 1000
    """Training frames per trajectory."""
    val: float = 0.12
    """Share of the trajectories for validation."""
    validate_every: int | None = None
    """Updates between validations; by default 250, or fewer so that a short training has five."""
    validation_horizon: int = 12
    """Frames of a validation."""
    out: Path | None = None
    """Folder to write to; by default runs/TASK-UNROLL."""
    dtype: Literal["float32", "float64"] = "float32"
    """Floating point type."""
    device: str = "cpu"
    """cpu, cuda, ..."""

    def run(self, say: Say) -> Outcome:
        """Train the networks, or resume. Raises: ValueError for an option out of range, or a folder of another run."""
        from eddygrad.fitting.corrector import fit_stepper, prepare
        from eddygrad.runtime.files import write_atomically

        self._check()
        set_up_process(self.threads, self.device)
        recipe = self.training_recipe()
        folder = self.out or Path("runs") / f"{self.task}-{self.unroll.replace(':', '').replace('/', '-')}"
        bench, seeds = self.bench(), range(self.seed, self.seed + self.seeds)
        stepper = bench.stepper(self.task, seeds)
        prepare(stepper, bench.data, recipe)  # raises before a folder is made
        values = {k: str(v) if isinstance(v, Path) else v for k, v in asdict(self).items() if k not in ("config", "json", "out", "threads")}
        options = (json.dumps(values, indent=1) + "\n").encode()
        if not (folder / "checkpoint.pt").exists():  # else `fit_stepper` checks first that the checkpoint is of this run
            write_atomically(folder / OPTIONS, options)
        trained = fit_stepper(stepper, bench.data, recipe, folder=folder, threads=None, progress=not self.json)
        write_atomically(folder / OPTIONS, options)
        write_atomically(folder / RECORD, (json.dumps({**trained.describe(), **trained.as_json()}) + "\n").encode())
        return self._report(trained, folder, seeds, say)

    def _report(self, trained: Trained, folder: Path, seeds: range, say: Say) -> Outcome:
        """Draw the curve and print errors and files."""
        from eddygrad.cli.pictures import curves, save

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
        """Raise ValueError, one line, for a number out of range that would fail later or with another message."""
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
            raise ValueError("train: --schedule plateau needs a validation error, got --val 0; keep a share, or take another schedule")

    def _check_unroll(self) -> None:
        from eddygrad.training.objectives.unrolled import Unrolling

        horizon = Unrolling.parse(self.unroll).horizon
        if horizon + 1 > self.frames:
            raise ValueError(f"train: --unroll {self.unroll} needs {horizon + 1} frames, got --frames {self.frames}; take more or unroll less")

    def training_recipe(self) -> TrainingRecipe:
        """Return how the network is trained."""
        recipe = self.configuration().recipe_of(self.unroll, self.lr, self.schedule)
        return replace(recipe, validation_horizon=self.validation_horizon)

    def configuration(self) -> UnrollingConfiguration:
        """Return the comparison that has this training as its only run."""
        from eddygrad.studies.unrolling.config import UnrollingConfiguration

        shared = {name: getattr(self, name) for name in (*(f.name for f in fields(TrainingSettings)), *_SHARED)}
        if self.validate_every is None:
            shared["validate_every"] = validation_interval(self.steps, 250)
        return UnrollingConfiguration(tasks=(self.task,), unroll=(self.unroll,), lr=(self.lr,), schedule=(self.schedule,), **shared)

    def bench(self) -> Bench:
        """Return data and solvers."""
        from eddygrad.datasets.dataset import open
        from eddygrad.studies.unrolling.workbench import Bench

        return Bench(self.configuration(), None if self.data is None else open(self.data))


_SHARED = ("recipe", "network", "width", "depth", "seeds", "frames", "val", "dtype", "device")


def load(folder: Path) -> tuple[Train, dict[str, Any]]:
    """Read options and record of a folder of `eddygrad train`. Raises: ValueError for a folder without them."""
    from eddygrad.cli import options_file

    for name in (OPTIONS, RECORD, "weights.safetensors"):
        if not (folder / name).is_file():
            raise ValueError(f"{folder}: expected a folder of eddygrad train with {name}, got none; train first, or finish it by the same command")
    values = json.loads((folder / OPTIONS).read_text())
    given = {k: v for k, v in values.items() if v is not None}
    return Train(**options_file.checked(Train, given, str(folder / OPTIONS))), json.loads((folder / RECORD).read_text())
