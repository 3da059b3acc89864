"""The configuration of a comparison of unrolling modalities, fixed before it starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

from eddygrad.fitting.recipe import TrainingRecipe, TrainingSettings
from eddygrad.studies.shared.presets import names, read, repeated
from eddygrad.studies.unrolling.networks import check_network, network_slug
from eddygrad.studies.unrolling.settings import setting
from eddygrad.training.curriculum import Curriculum
from eddygrad.training.objectives.unrolled import Unrolling
from eddygrad.training.schedule import schedule

TASKS = ("correct", "predict")
PRESETS = Path(__file__).parent / "presets"


@dataclass(frozen=True)
class UnrollingConfiguration(TrainingSettings):
    """A comparison: every pair of `tasks` and `unroll` is trained, all seeds of a run in one program. `study.json` keeps it.

    Raises: ValueError, one line, for a value out of range.
    """

    name: str = "comparison"
    """Name of the study."""
    recipe: str = "kuramoto-sivashinsky"
    """Data, solvers and the network's input: see `eddygrad info`."""
    tasks: tuple[str, ...] = TASKS
    """correct: the network corrects the solver. predict: it replaces it."""
    unroll: tuple[str, ...] = ("one", "nog:3", "wig:3")
    """Modalities: one, nog:M, wig:M, wig:M/J (cut every J frames), push:M/W (W frames of warm-up); M in frames."""
    network: str = "resnet"
    """resnet (width and depth), or encoder-decoder:SIZE with 32k, 116k, 461k or 1.08M parameters."""
    width: int = 16
    """Channels of the residual network."""
    depth: int = 4
    """Blocks of the residual network."""
    seeds: int = 16
    """Number of seeds: 0 .. seeds - 1."""
    seeds_per_run: int | None = None
    """Seeds trained in one run; by default all. Smaller runs use more cores and finish sooner; the report merges them."""
    steps: int = 20_000
    """Updates."""
    lr: tuple[float, ...] = (1e-3,)
    """Learning rates; from several, each run takes the one with the best median validation error of short runs."""
    tune_steps: int = 1500
    """Updates of a short run that chooses a learning rate."""
    tune_seeds: int = 3
    """Seeds of such a run, other than those of the study."""
    schedule: tuple[str, ...] = ("cosine",)
    """Schedules of the learning rate: constant, exponential, cosine, plateau; chosen like lr."""
    frames: int = 1000
    """Training frames per trajectory."""
    val: float = 0.12
    """Share of the trajectories kept for validation; kolmogorov has separate validation data and trains on all."""
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
    dtype: str = "float32"
    """Floating point type of the runs: float32 or float64."""
    device: str = "cpu"
    """Device of the runs, e.g. cpu or cuda."""

    def __post_init__(self) -> None:
        for field in ("tasks", "unroll", "lr", "schedule"):
            value = getattr(self, field)
            several = tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else (value,)
            object.__setattr__(self, field, tuple(v.name if isinstance(v, Unrolling) else v for v in several))
            if not getattr(self, field):
                raise ValueError(f"compare: {field}: expected at least one value, got none")
        for field in ("curriculum", "curriculum_rates"):
            object.__setattr__(self, field, tuple(getattr(self, field)))
        unknown = [t for t in self.tasks if t not in TASKS]
        if unknown:
            raise ValueError(f"compare: tasks: expected some of {', '.join(TASKS)}, got {unknown[0]!r}")
        if self.budget + 1 > self.frames:
            raise ValueError(f"compare: horizon {self.budget} needs {self.budget + 1} frames, got frames={self.frames}; generate more or unroll less")
        if self.seeds < 1 or self.long_horizon < self.horizon:
            raise ValueError(f"compare: seeds >= 1 and long_horizon >= horizon expected, got {self.seeds}, {self.long_horizon} < {self.horizon}")
        if self.dtype not in ("float32", "float64"):
            raise ValueError(f"compare: dtype must be 'float32' or 'float64', got {self.dtype!r}")
        if self.seeds_per_run is not None and self.seeds_per_run < 1:
            raise ValueError(f"compare: seeds_per_run must be at least one, got {self.seeds_per_run}")
        check_network(self.network)
        self._check_candidates()

    def _check_candidates(self) -> None:
        """Raise ValueError if a schedule or curriculum cannot be trained, or if there are no validation data to choose among candidates."""
        for name in self.schedule:
            if not isinstance(name, str):
                raise ValueError(f"compare: schedule: expected names, which study.json keeps, got {name!r}; eg.fit takes objects")
            schedule(name)
        several = len(self.candidates) > 1
        if several and not (self.val > 0 or setting(self.recipe).validation):
            raise ValueError(f"compare: {len(self.candidates)} learning rates and schedules to choose from need validation data, got val={self.val}")
        setting(self.recipe)
        for unroll, candidate in product(self.unroll, self.candidates):
            recipe = self.recipe_of(unroll, *candidate)
            _ = recipe.rate_schedule, [stage.windows_per_update for stage in recipe.stages]
            if isinstance(recipe.rate_schedule, Curriculum):
                _ = [recipe.rate_schedule.starts(steps) for steps in ((self.steps, self.tune_steps) if several else (self.steps,))]

    @property
    def budget(self) -> int:
        """The longest horizon: every update sees batch * budget frames."""
        return max(Unrolling.parse(u).horizon for u in self.unroll)

    @property
    def candidates(self) -> list[tuple[float, str]]:
        """Learning rates and schedules from which a run chooses on validation data."""
        return [(lr, name) for name in self.schedule for lr in self.lr]

    @property
    def planned(self) -> list[PlannedUnrollingRun]:
        """The runs."""
        size = self.seeds_per_run or self.seeds
        parts = [range(a, min(a + size, self.seeds)) for a in range(0, self.seeds, size)]
        return [PlannedUnrollingRun(self, task, unroll, seeds) for task in self.tasks for unroll in self.unroll for seeds in parts]

    def recipe_of(self, unroll: str, lr: float, schedule: str) -> TrainingRecipe:
        """Return the recipe of one training.

        Args: unroll: modality. lr: learning rate. schedule: its course.
        """
        longest = Unrolling.parse(unroll).horizon
        curriculum = tuple(min(h, longest) for h in self.curriculum)
        return self.recipe_with(unroll=unroll, budget=self.budget, lr=lr, schedule=schedule, curriculum=curriculum, validation_horizon=self.horizon)


# A study's own fields come first, then the settings of every training.
_FIELDS = tuple({**UnrollingConfiguration.__annotations__, **UnrollingConfiguration.__dataclass_fields__})


@dataclass(frozen=True)
class PlannedUnrollingRun:
    """One run of a comparison: a task and a modality, with some or all seeds."""

    configuration: UnrollingConfiguration
    task: str
    unroll: str
    seeds: range

    @property
    def pair(self) -> str:
        """Name of the task and modality, without seeds."""
        return f"{self.task}-{self.unroll.replace(':', '').replace('/', '-')}-{network_slug(self.configuration)}"

    @property
    def name(self) -> str:
        """Name of the run and of its files."""
        whole = len(self.seeds) == self.configuration.seeds
        return self.pair if whole else f"{self.pair}-s{self.seeds[0]}-{self.seeds[-1]}"

    @property
    def tunes(self) -> bool:
        """Whether a learning rate must be chosen and this is the first run of its task and modality."""
        return len(self.configuration.candidates) > 1 and self.seeds.start == 0


def describe(c: UnrollingConfiguration) -> dict[str, Any]:
    """Return the content of `study.json`."""
    fields = asdict(c)
    values = {k: list(fields[k]) if isinstance(fields[k], tuple) else fields[k] for k in _FIELDS}
    endpoint = {
        "metric": setting(c.recipe).metric,
        "horizon": c.horizon,
        "comparison": "ratio, paired by seed on the log scale, 95 % t-interval, Holm in each family",
    }
    return {**values, "endpoint": endpoint, "seeds_used": list(range(c.seeds)), "frames_per_update": c.batch * c.budget}


def command(config: Mapping[str, Any], folder: Path) -> str | None:
    """Return the `eddygrad compare ...` that makes a study again: a preset, and the options that differ from it.

    Args:    config: content of `study.json`. folder: of the study.
    Returns: None for another kind of study.
    """
    if not {"name", "tasks", "unroll"} <= set(config):
        return None
    name = str(config["name"])
    default = describe(UnrollingConfiguration(**preset(name)) if name in preset_names() else UnrollingConfiguration())
    return repeated("compare", config, {field: default[field] for field in _FIELDS}, folder, name in preset_names())


def preset_names() -> list[str]:
    """Return the names of the comparisons that come with the package."""
    return names(PRESETS)


def preset(name: str) -> dict[str, Any]:
    """Return the fields of a comparison that comes with the package. Raises: ValueError for another name."""
    return read(PRESETS, name)
