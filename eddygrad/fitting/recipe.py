"""Settings of a training: which unrolling, how many updates, at which learning rate, with which losses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from eddygrad.runtime.code_digest import code_digest
from eddygrad.training.curriculum import Curriculum
from eddygrad.training.objectives.unrolled import LossTerm, Unrolling
from eddygrad.training.refinement import Refinement
from eddygrad.training.schedule import Schedule, schedule
from eddygrad.training.weighting.custom import known_as
from eddygrad.training.weighting.registry import find_weighting


def validation_interval(steps: int, longest: int) -> int:
    """Return the updates between validations: `longest`, or fewer so that a training of `steps` updates has five."""
    return min(longest, max(1, steps // 5))


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """Settings that a training has wherever it is written down: in `eg.fit`, in a study's configuration or preset, on the command line."""

    steps: int = 2000
    """Updates."""
    batch: int = 16
    """Windows per update and seed; in a comparison those of the longest horizon M, so that an update sees batch * M frames whatever is unrolled."""
    curriculum: tuple[int, ...] = ()
    """Horizons of stages of equal length, e.g. 1 2 4; each stage begins with a new optimiser. In a comparison each is cut to the run's horizon."""
    curriculum_rates: tuple[float, ...] = ()
    """Factors of the learning rate per stage; by default each is a tenth of the one before."""
    clip: float | None = None
    """Norm above which a seed's gradient is scaled down to it."""
    outlier: float | None = None
    """Multiple of its moving average above which the norm of a seed's gradient makes this seed skip the update; above 1."""
    validate_every: int | None = None
    """Updates between validations; by default 1000, or fewer so that a short training has five."""
    checkpoint_every: int = 500
    """Updates between checkpoints."""

    def recipe_with(self, **others: Any) -> TrainingRecipe:
        """Return the recipe that has these settings. Args: others: further fields of the recipe, which override these."""
        return TrainingRecipe(**{**{f.name: getattr(self, f.name) for f in fields(TrainingSettings)}, **others})


@dataclass(frozen=True, kw_only=True)
class TrainingRecipe(TrainingSettings):
    """How `eg.fit` trains a stepper; the defaults are for small networks on Kuramoto-Sivashinsky.

    Args:
        unroll:         'one', 'nog:M', 'wig:M', 'wig:M/J', 'push:M/W', or an `Unrolling`.
        steps:          number of updates.
        batch:          windows per update and seed.
        budget:         horizon that fixes the frames of an update: with a budget an update sees batch * budget frames for every unrolling, so ONE
                        takes batch * budget windows and nog:m takes batch * budget / m. None: batch windows for every horizon, so ONE sees 1/m of
                        the frames of nog:m. Set it to compare modalities (`eg.compare` does). `frames_per_update` gives the number.
        lr, schedule:   base learning rate and its factor over the run: 'constant', 'exponential', 'cosine', 'plateau', or a `Schedule`.
        curriculum:     horizons of stages of equal length, e.g. (1, 2, 4); the last one is the horizon of `unroll`. Each stage begins with a new
                        optimiser. curriculum_rates: factors of lr per stage; by default each is a tenth of the one before.
        clip, outlier:  norm above which a seed's gradient is scaled down, and multiple of its moving average above which the seed skips the update.
        validate_every: updates between validations; by default 1000, or fewer so that a short training has five.
        validation_horizon: frames of a validation, fewer where the data have fewer.
        checkpoint_every: updates between checkpoints.
        refinement:     for a solver with pressure=Krylov(..): few iterations first, more where the validation error stalls (PRDP).
        terms:          further losses of the predicted frames by name, e.g. {"divergence": Divergence(grid)}, see `Unrolled`; the squared error to
                        the reference is the loss "data".
        weighting:      weighting of the losses: a name, e.g. "inverse-dirichlet:every=1" (the weight of "data" then stays 1), or a weighting.
    """

    unroll: str | Unrolling = "nog:3"
    budget: int | None = None
    lr: float = 1e-3
    schedule: str | Schedule = "cosine"
    validation_horizon: int = 12
    # The description of a run names these where they are given.
    refinement: Refinement | None = field(default=None, repr=False)
    terms: Mapping[str, LossTerm] | None = field(default=None, repr=False, hash=False)
    weighting: Any = field(default="uniform", repr=False)

    def __post_init__(self) -> None:
        if isinstance(self.unroll, Unrolling):
            object.__setattr__(self, "unroll", self.unroll.name)

    @property
    def unrolling(self) -> Unrolling:
        """Horizon and gradient policy. Raises: ValueError for an unknown name."""
        return Unrolling.parse(self.unroll)

    @property
    def validation_interval(self) -> int:
        """Updates between validations."""
        return validation_interval(self.steps, 1000) if self.validate_every is None else self.validate_every

    @property
    def loss_weighting(self) -> Any:
        """The weighting as an object. Raises: ValueError for an unknown name or option."""
        return find_weighting(self.weighting, reference="data", every=5)

    @property
    def loss_description(self) -> dict[str, Any]:
        """Further terms and weighting for a run's description; empty where the squared error is the only loss, with weight 1."""
        terms = {"terms": {name: f"{_name(term)} {code_digest(term)}" for name, term in self.terms.items()}} if self.terms else {}
        return {**terms, **({} if self.weighting == "uniform" else {"weighting": known_as(self.loss_weighting)})}

    @property
    def rate_schedule(self) -> Schedule:
        """Factor of the learning rate over the training; with a curriculum, a `Curriculum`.

        Raises: ValueError if the last horizon of the curriculum is not that of `unroll`.
        """
        plan = schedule(self.schedule)
        if not self.curriculum:
            return plan
        horizon = self.unrolling.horizon
        if self.curriculum[-1] != horizon or max(self.curriculum) > horizon or self.unrolling.policy == "first":
            raise ValueError(f"fit: curriculum: expected horizons up to that of one, nog or wig, {horizon} last, got {self.curriculum}")
        return Curriculum(self.curriculum, self.curriculum_rates, plan)

    @property
    def stages(self) -> list[TrainingRecipe]:
        """The stages of the curriculum, each as a recipe of one horizon."""
        whole = self.unrolling
        return [replace(self, curriculum=(), unroll=whole.shortened(h).name) for h in self.curriculum or (whole.horizon,)]

    @property
    def windows_per_update(self) -> int:
        """Windows of the full horizon per update and seed."""
        return self.windows_of(self.unrolling.horizon)

    def windows_of(self, horizon: int) -> int:
        """Return the windows of this horizon per update and seed. Raises: ValueError if batch * budget is no multiple of the horizon."""
        if self.budget is None:
            return self.batch
        if self.batch * self.budget % horizon:
            raise ValueError(f"fit: batch x budget = {self.batch} x {self.budget} frames are no multiple of the horizon {horizon}; change the batch")
        return self.batch * self.budget // horizon

    @property
    def frames_per_update(self) -> int:
        """Frames that an update compares per seed; make it equal in comparisons at equal updates."""
        return self.windows_per_update * self.unrolling.horizon


def _name(term: Any) -> str:
    return getattr(term, "__name__", type(term).__name__)
