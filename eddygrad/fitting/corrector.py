"""Train a composed stepper on a data set in one call, and score what came of it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from eddygrad.correctors.compose import Corrected
from eddygrad.datasets.dataset import Dataset, Split
from eddygrad.evaluation import metrics
from eddygrad.evaluation.evaluate import evaluate
from eddygrad.fitting.compatibility import check_fits, check_precision
from eddygrad.fitting.test_result import Tested, describe_network, steppers
from eddygrad.runtime.code_digest import code_digest
from eddygrad.runtime.specs import Spelled
from eddygrad.runtime.threads import threads as number_of_threads
from eddygrad.solver.rollout import BatchAt, trajectory
from eddygrad.solver.step import Stepper, free_values
from eddygrad.training.curriculum import Curriculum
from eddygrad.training.guard import Guard
from eddygrad.training.loop import Fit, Loop
from eddygrad.training.loop import fit as train
from eddygrad.training.objectives.unrolled import LossTerm, Unrolled, Unrolling
from eddygrad.training.refinement import Refinement, refine_pressure
from eddygrad.training.schedule import Schedule, schedule
from eddygrad.training.training_config import Training
from eddygrad.training.weighting.custom import as_weighting, known_as
from eddygrad.training.weighting.registry import weighting as weighting_named

# Where a solver is tested, one of numpy that blows up is counted; its warnings would come by the thousand.
_counted_not_warned_of = np.errstate(over="ignore", invalid="ignore", divide="ignore")


@dataclass(frozen=True)
class Recipe:
    """How a network is trained; defaults are for small networks on Kuramoto-Sivashinsky.

    Args:
        unroll:         'one', 'nog:M', 'wig:M', 'wig:M/J', 'push:M/W'.
        steps:          updates.
        batch:          windows per update and seed.
        budget:         a horizon: an update then sees batch * budget frames whatever is unrolled, so ONE takes batch * budget windows and nog:m
                        batch * budget / m. None switches the rule off: batch windows of any horizon, so that ONE sees 1/m of the frames
                        of nog:m; set it where modalities are compared (`eg.compare` does). `frames_per_update` tells.
        lr, schedule:   base learning rate and its course: 'constant', 'exponential', 'cosine', 'plateau', or a Schedule.
        curriculum:     horizons of stages of equal length, the last one that of `unroll`, e.g. (1, 2, 4) for 'nog:4'; the optimiser begins anew in
                        each. curriculum_rates: factors of lr per stage; left out, each is a tenth of the one before.
        clip, outlier:  gradient norm at which an update is scaled, and the multiple of its moving average at which it is skipped, per seed.
        validate_every: updates between validations; by default 1000, or fewer so that a short training has five.
        validation_horizon: frames that are compared there, fewer where the data hold fewer.
        refinement:     of a solver with pressure=Krylov(..): few iterations first, more where the validation error stalls (PRDP).
        terms:          losses of the predicted frames beside the squared error "data": {"divergence": Divergence(grid)}, see `Unrolled`.
        weighting:      of the losses: a name, "inverse-dirichlet:every=1" say (the weight of "data" then stays 1), or a weighting.
    """

    unroll: str = "nog:3"
    steps: int = 2000
    batch: int = 16
    budget: int | None = None
    lr: float = 1e-3
    schedule: str | Schedule = "cosine"
    curriculum: tuple[int, ...] = ()
    curriculum_rates: tuple[float, ...] = ()
    clip: float | None = None
    outlier: float | None = None
    validate_every: int | None = None
    validation_horizon: int = 12
    checkpoint_every: int = 1000
    # A run's description holds these where they are given.
    refinement: Refinement | None = field(default=None, repr=False)
    terms: Mapping[str, LossTerm] | None = field(default=None, repr=False, hash=False)
    weighting: Any = field(default="uniform", repr=False)

    @property
    def unrolling(self) -> Unrolling:
        return Unrolling.parse(self.unroll)

    @property
    def validation_interval(self) -> int:
        """Updates between validations."""
        return validation_interval(self.steps, 1000) if self.validate_every is None else self.validate_every

    @property
    def balance(self) -> Any:
        """The weighting. Raises: ValueError for an unknown name or option."""
        if not isinstance(self.weighting, str):
            return as_weighting(self.weighting)
        spelled = Spelled.parse(self.weighting, "weighting")
        return weighting_named(spelled.name, spelled.options, reference="data", every=5)

    @property
    def losses(self) -> dict[str, Any]:
        """What a description tells of terms and weighting, nothing where there is but the squared error, its weight 1."""
        terms = {"terms": {name: f"{_called(term)} {code_digest(term)}" for name, term in self.terms.items()}} if self.terms else {}
        return {**terms, **({} if self.weighting == "uniform" else {"weighting": known_as(self.balance)})}

    @property
    def course(self) -> Schedule:
        """Learning rate over the training; with a curriculum, a `Curriculum`.

        Raises: ValueError if its last horizon is not that of `unroll`.
        """
        plan = schedule(self.schedule) if isinstance(self.schedule, str) else self.schedule
        if not self.curriculum:
            return plan
        if self.curriculum[-1] != self.unrolling.horizon or max(self.curriculum) > self.unrolling.horizon or self.unrolling.policy == "first":
            raise ValueError(
                f"recipe: a curriculum climbs to the horizon of one, nog or wig, expected {self.unrolling.horizon} last, got {self.curriculum}"
            )
        return Curriculum(self.curriculum, self.curriculum_rates, plan)

    @property
    def stages(self) -> list[Recipe]:
        """Each stage of the curriculum by itself, as a recipe of its horizon."""
        whole = self.unrolling
        return [replace(self, curriculum=(), unroll=whole.shortened(h).name) for h in self.curriculum or (whole.horizon,)]

    @property
    def windows_per_update(self) -> int:
        """Windows of the full horizon per update and seed."""
        return self.windows_of(self.unrolling.horizon)

    def windows_of(self, horizon: int) -> int:
        """Windows per update and seed at this horizon."""
        if self.budget is None:
            return self.batch
        if self.batch * self.budget % horizon:
            raise ValueError(f"recipe: batch x budget = {self.batch} x {self.budget} windows do not divide by horizon {horizon}; change the batch")
        return self.batch * self.budget // horizon

    @property
    def frames_per_update(self) -> int:
        """Frames that an update of one seed is compared with; comparisons at equal updates want it equal."""
        return self.windows_per_update * self.unrolling.horizon


def _called(term: Any) -> str:
    return getattr(term, "__name__", type(term).__name__)


def validation_interval(steps: int, longest: int) -> int:
    """Updates between validations: `longest`, or fewer so that there are five of them."""
    return min(longest, max(1, steps // 5))


@dataclass
class Validation:
    """The paper's metric on trajectories kept from training: (S,), the mean over windows spread over each of them."""

    data: Dataset
    horizon: int
    windows: int = 4
    _window: Any = field(default=None, repr=False)

    def __call__(self, module: nn.Module) -> Tensor:
        stepper: Any = module
        return self.score(stepper)

    @torch.no_grad()
    @_counted_not_warned_of
    def score(self, stepper: Stepper) -> Tensor:
        if self._window is None:
            room = self.data.frames - self.horizon - 1
            starts = sorted({round(i * room / max(1, self.windows - 1)) for i in range(self.windows)})
            self._window = self.data.windows(self.horizon, starts)
        u, params = self._window.u, self._window.params
        like, seeds = u[:, 0], getattr(stepper, "seeds", None)
        start = like if seeds is None else like.expand(len(seeds), *like.shape)
        rolled = trajectory(stepper.at(params, like), start, self.horizon + 1, include_start=True, time_axis=1 if seeds is None else 2)
        return metrics.rellinf(rolled, u, self.data.grid.ndim, free_values(stepper, params, like)).mean(-1).reshape(-1)


@dataclass
class Trained:
    """A trained stepper with the story of its training; `test` scores it."""

    stepper: Corrected
    fit: Fit
    recipe: Recipe
    data: Split
    megabytes: float
    seconds: float
    threads: int

    @_counted_not_warned_of
    def test(self, data: Dataset | None = None, horizon: int = 12, baselines: Sequence[str] | Mapping[str, Stepper] = ()) -> Tested:
        """Score every seed on the test part of the data, or on other data, over `horizon` frames.

        Args:   baselines: "persistence", "coarse" (the solver alone), "coarse:dt/2" (twice its substeps), or name -> stepper.
        Returns: scores with `.table()` and `.report(path)`.
        Raises: ValueError for an unknown baseline, no test data, or data shorter than the horizon; before anything is computed.
        """
        data, others = self.data.test if data is None else data, steppers(baselines, self.stepper)
        if data.samples == 0:
            raise ValueError("test: expected at least one trajectory, got an empty test part; split with test > 0 or pass data")
        if horizon + 1 > data.frames:
            raise ValueError(
                f"test: horizon {horizon} needs {horizon + 1} frames, got {data.frames} in a trajectory; pass horizon={data.frames - 1} or more"
            )
        scores = {name: evaluate(stepper, data, horizon, domain=self.stepper) for name, stepper in others.items()}
        return Tested(evaluate(self.stepper, data, horizon), scores, {**self.describe(), **self.as_json()})

    def describe(self) -> dict[str, Any]:
        """The head of a run's JSON."""
        task = "predict" if self.stepper.solver is None else "correct"
        return {
            "name": f"{task}-{self.recipe.unroll.replace(':', '').replace('/', '-')}",
            "kind": "model",
            "task": task,
            "unroll": self.recipe.unrolling.name,
            "network": describe_network(self.stepper.network),
            "seeds": list(self.stepper.seeds or (0,)),
        }

    def as_json(self) -> dict[str, Any]:
        """The `training` and `curve` parts of a run's JSON."""
        recipe, curve = self.recipe, self.fit.curve
        calls = recipe.frames_per_update if self.stepper.solver is not None else 0
        return {
            "training": {
                "updates": recipe.steps,
                **({} if self.fit.steps == recipe.steps else {"updates_until_all_diverged": self.fit.steps}),
                "batch": recipe.windows_per_update,
                "frames_per_update": recipe.frames_per_update,
                "learning_rate": recipe.lr,
                "schedule": recipe.schedule if isinstance(recipe.schedule, str) else repr(recipe.schedule),
                "seconds": self.fit.seconds,
                "seconds_per_update": self.fit.seconds / self.fit.steps,
                "peak_memory_mb": self.megabytes,
                "solver_calls_per_update": calls,
                "threads": self.threads,
                "diverged": self.fit.diverged,
                "skipped_updates": self.fit.skipped,
                **({} if recipe.refinement is None else {"refinement": repr(recipe.refinement)}),
                **recipe.losses,
            },
            "curve": {
                "step": [record["step"] for record in curve],
                "loss": [[x if math.isfinite(x) else None for x in record["loss"]] for record in curve],
                "validation": [record["validation"] for record in curve],
                **({} if recipe.refinement is None else {"iterations": [record["iterations"] for record in curve]}),
            },
        }


def prepare(stepper: Corrected, data: Split, recipe: Recipe) -> tuple[Unrolled, Any, Training]:
    """Objective, batches and training of a recipe: what `fit` runs and what a benchmark times.

    Raises: ValueError for data of another dt, grid, dtype or device than the stepper's, or a weighting of an unknown name.
    """
    for part in (data.train, data.val):
        if part.samples:
            check_fits(stepper, part)
            check_precision(stepper, part)
    if recipe.refinement is not None and not data.val.samples:
        raise ValueError("fit: refinement watches a validation error, got no validation data; split the data with val > 0")
    unrolling, plan = recipe.unrolling, recipe.course
    staged = isinstance(plan, Curriculum)
    training = Training(
        steps=recipe.steps,
        lr=recipe.lr,
        schedule=plan,
        horizon=(lambda step: plan.horizon(step, recipe.steps)) if isinstance(plan, Curriculum) else unrolling.horizon,
        restarts=plan.starts(recipe.steps)[1:] if isinstance(plan, Curriculum) else (),
        guard=Guard(clip=recipe.clip, outlier=recipe.outlier),
        validate=Validation(data.val, min(recipe.validation_horizon, data.val.frames - 2)) if data.val.samples else None,
        validate_every=recipe.validation_interval,
        checkpoint_every=recipe.checkpoint_every,
        refinement=recipe.refinement,
        weighting=recipe.balance,
    )
    own = getattr(stepper.network, "seeds", (0,))
    by_horizon = {h: data.train.batches(recipe.windows_of(h), stepper.seeds or own[0]) for h in {*recipe.curriculum, unrolling.horizon}}
    batch_at: BatchAt = by_horizon[unrolling.horizon] if not staged else lambda step, horizon: by_horizon[horizon](step, horizon)
    return Unrolled(stepper, unrolling, recipe.terms), batch_at, training


def fit(
    stepper: Corrected,
    data: Split | Dataset,
    recipe: Recipe | None = None,
    *,
    seeds: int | Sequence[int] | None = None,
    folder: str | Path | None = None,
    threads: int | None = 1,
    progress: bool = True,
    **options: Any,
) -> Trained:
    """Train a composed stepper; all seeds in one program.

        run = eg.fit(eg.correct(solver, eg.nets.ResNet(26, 8)), data, unroll="nog:4", seeds=16, steps=20_000)
    Args:
        data:   a Split, or a Dataset that is split here (.1 validation, .2 test).
        recipe: or its fields by name as `options`.
        seeds:  16 draws and trains seeds 0 .. 15, a sequence those; None trains the network as it is, from the weights that it has.
        folder: where checkpoints go; a run there that was killed goes on.
        threads: that torch uses meanwhile. One is best for small networks: several mostly wait for each other, the more so when another process
                has a core. A large network or a big stack: threads=4, say. None leaves torch's number; afterwards it is as it was.
    A network made without `cin`, `cout` or `ndim` gets them from the data here. An update sees `recipe.frames_per_update` frames per seed, which
    without `budget` grow with the horizon: ONE sees 1/m of the frames of nog:m, no fair comparison at equal updates.

    Raises: ValueError for an unknown option, an impossible horizon, data that do not fit the stepper, seeds that would throw learned weights away,
            a solver without a gradient where one is needed. FloatingPointError if a single run diverges, or no seed can be updated at all.
    """
    unknown = set(options) - set(Recipe.__dataclass_fields__)
    if unknown:
        raise ValueError(f"fit: unknown options {sorted(unknown)}; expected some of {sorted(Recipe.__dataclass_fields__)}")
    recipe = Recipe(**options) if recipe is None else recipe
    split = data if isinstance(data, Split) else data.split(val=0.1, test=0.2)
    stepper = _sized(stepper, split.train)
    if seeds is not None:
        stepper = _with_seeds(stepper, tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds))
    with number_of_threads(threads) as used:
        if recipe.refinement is not None:  # what the solver had before plays no part, in the run's description either
            refine_pressure(stepper, recipe.refinement.iterations)
        objective, batch_at, training = prepare(stepper, split, recipe)
        megabytes = saved_megabytes(stepper, objective, batch_at, recipe.unrolling.horizon)
        begin = time.perf_counter()
        description = {"recipe": repr(recipe), "seeds": stepper.seeds, "stepper": repr(stepper), "data": split.train.fingerprint, **recipe.losses}
        if recipe.refinement is not None:
            description["refinement"] = repr(recipe.refinement)
        title = f"fit {recipe.unrolling.name}, {recipe.frames_per_update} frames per update"
        result = train(stepper, objective, batch_at, training, folder, progress=progress, title=title, description=description)
    return Trained(stepper, result, recipe, split, megabytes, time.perf_counter() - begin, used)


def _sized(stepper: Corrected, data: Dataset) -> Corrected:
    """The stepper with a network whose left out sizes are those of the data."""
    network: Any = stepper.network
    if not hasattr(network, "sized"):
        return stepper
    state = len(data.channels)
    written = state if stepper.channels is None else len(stepper.channels)
    sized = network.sized(state + stepper.features.extra_channels, written, data.grid.ndim)
    return stepper if sized is network else stepper.with_network(sized)


def _with_seeds(stepper: Corrected, seeds: tuple[int, ...]) -> Corrected:
    """The stepper with networks drawn from these seeds. Raises ValueError if that would throw weights away that are no fresh draw."""
    network: Any = stepper.network
    if not hasattr(network, "with_seeds"):
        raise ValueError(f"fit: {type(network).__name__} cannot be stacked over seeds; use eg.nets.stack(factory), or seeds=None")
    own = getattr(network, "seeds", None)
    if own is not None:
        fresh, state = network.with_seeds(own).state_dict(), network.state_dict()
        if not all(torch.equal(fresh[name].reshape(value.shape), value) for name, value in state.items()):
            raise ValueError(
                f"fit: seeds={list(seeds)} draws new networks, but this one has learned: its weights are not those of its seeds {list(own)}; "
                "pass seeds=None to go on from these weights"
            )
    return stepper.with_network(network.with_seeds(seeds))


def saved_megabytes(stepper: nn.Module, objective: Callable[..., Any], batch_at: Any, horizon: int, step: int = 0) -> float:
    """Bytes that an update's graph keeps for its backward pass, each storage once, parameters left out [MB]. Deterministic."""
    sizes: dict[int, int] = {}
    own = {p.untyped_storage().data_ptr() for p in stepper.parameters()}

    def keep(t: Tensor) -> Tensor:
        storage = t.untyped_storage()
        if storage.data_ptr() not in own:
            sizes[storage.data_ptr()] = storage.nbytes()
        return t

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        losses = objective(batch_at(step, horizon))
    del losses
    return sum(sizes.values()) / 1e6


__all__ = ["Loop", "Recipe", "Trained", "Validation", "fit", "prepare", "saved_megabytes", "validation_interval"]
