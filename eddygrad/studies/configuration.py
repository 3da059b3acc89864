"""A comparison, fixed before it starts."""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from eddygrad.studies.experiment import Recipe
from eddygrad.studies.settings import setting
from eddygrad.training.objectives.unrolled import Unrolling
from eddygrad.training.schedule import schedule

TASKS = ("correct", "predict")
PRESETS = Path(__file__).parent / "presets"


@dataclass(frozen=True)
class Configuration:
    """A comparison: every pair of `tasks` and `unroll` is a run, all seeds of a run are trained in one program. `study.json` keeps it.

    Raises: ValueError, one line, for a value out of range.
    """

    name: str = "comparison"
    """Name of the study."""
    recipe: str = "kuramoto-sivashinsky"
    """Data, solvers and features: see `eddygrad info`."""
    tasks: tuple[str, ...] = TASKS
    """correct: the network corrects the solver. predict: it replaces it."""
    unroll: tuple[str, ...] = ("one", "nog:3", "wig:3")
    """Modalities: one, nog:M, wig:M, wig:M/J (cut every J frames), push:M/W (W frames of warm-up); M in frames."""
    width: int = 16
    """Channels of the residual network."""
    depth: int = 4
    """Blocks of the residual network."""
    seeds: int = 16
    """Number of seeds: 0 .. seeds - 1."""
    steps: int = 20_000
    """Updates."""
    batch: int = 16
    """Windows per update and seed at the longest horizon M; an update sees batch * M frames whatever is unrolled, so ONE takes batch * M windows."""
    lr: tuple[float, ...] = (1e-3,)
    """Learning rates; from several, each run takes the one with the best median validation error of short runs."""
    tune_steps: int = 1500
    """Updates of such a short run."""
    tune_seeds: int = 3
    """Seeds of such a short run, other than those of the study."""
    schedule: tuple[str, ...] = ("cosine",)
    """Courses of the learning rate: constant, exponential, cosine, plateau; chosen like lr."""
    clip: float | None = None
    """Length at which a seed's gradient is clipped."""
    frames: int = 1000
    """Training frames per trajectory."""
    val: float = 0.12
    """Share of the trajectories kept for validation."""
    starts: int = 10
    """Test states per test set."""
    horizon: int = 12
    """Frames of the endpoint."""
    long_horizon: int = 100
    """Frames for stability, spectra and pictures."""
    test_seed: int = 0
    """Seed from which the test states are drawn."""
    validate_every: int = 1000
    """Updates between validations."""
    checkpoint_every: int = 500
    """Updates between checkpoints."""
    dtype: str = "float32"
    """Floating point type of the runs: float32 or float64."""
    device: str = "cpu"
    """Device of the runs, e.g. cpu or cuda."""

    def __post_init__(self) -> None:
        for field in ("tasks", "unroll", "lr", "schedule"):
            value = getattr(self, field)
            object.__setattr__(self, field, (value,) if isinstance(value, (str, int, float)) else tuple(value))
            if not getattr(self, field):
                raise ValueError(f"compare: {field}: expected at least one value, got none")
        unknown = [t for t in self.tasks if t not in TASKS]
        if unknown:
            raise ValueError(f"compare: tasks: expected some of {', '.join(TASKS)}, got {unknown[0]!r}")
        for name in self.schedule:
            schedule(name)
        longest = max(Unrolling.parse(u).horizon for u in self.unroll)
        if longest + 1 > self.frames:
            raise ValueError(f"compare: horizon {longest} needs {longest + 1} frames, got frames={self.frames}; generate more or unroll less")
        if self.seeds < 1 or self.long_horizon < self.horizon:
            raise ValueError(f"compare: seeds >= 1 and long_horizon >= horizon expected, got {self.seeds}, {self.long_horizon} < {self.horizon}")
        if self.dtype not in ("float32", "float64"):
            raise ValueError(f"compare: dtype must be 'float32' or 'float64', got {self.dtype!r}")
        if len(self.candidates) > 1 and not self.val > 0:
            raise ValueError(f"compare: {len(self.candidates)} learning rates and schedules to choose from need validation data, got val={self.val}")
        setting(self.recipe)
        for unroll in self.unroll:
            _ = self.recipe_of(unroll, *self.candidates[0]).windows_per_update

    @property
    def budget(self) -> int:
        """The longest horizon: every update sees batch * budget frames."""
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


def describe(c: Configuration) -> dict[str, Any]:
    """What is fixed beforehand: `study.json`."""
    values = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(c).items()}
    endpoint = {
        "metric": "rellinf",
        "horizon": c.horizon,
        "comparison": "ratio, paired by seed on the log scale, 95 % t-interval, Holm in each family",
    }
    return {**values, "endpoint": endpoint, "seeds_used": list(range(c.seeds)), "frames_per_update": c.batch * c.budget}


def command(config: Mapping[str, Any], folder: Path) -> str | None:
    """The `eddygrad compare ...` that makes the study of this `study.json` again: a preset and what differs from it; None if it is no comparison."""
    if not {"name", "tasks", "unroll"} <= set(config):
        return None
    name = str(config["name"])
    given = name in preset_names()
    default = describe(Configuration(**preset(name)) if given else Configuration())
    words = ["eddygrad", "compare", *(["--preset", name] if given else [])]
    for field in Configuration.__dataclass_fields__:
        value = config.get(field, default[field])
        if value != default[field]:
            words += [f"--{field.replace('_', '-')}", *map(str, value if isinstance(value, list) else [value])]
    return shlex.join(words if folder == Path("runs") / name else [*words, "--folder", str(folder)])


def preset_names() -> list[str]:
    """Comparisons that come with the package."""
    return sorted(path.stem for path in PRESETS.glob("*.toml"))


def preset(name: str) -> dict[str, Any]:
    """Fields of a comparison that comes with the package. Raises ValueError for another name."""
    if name not in preset_names():
        raise ValueError(f"preset: expected one of {preset_names()}, got {name!r}; or write your own file and pass it as --config")
    return tomllib.loads((PRESETS / f"{name}.toml").read_text(encoding="utf-8"))
