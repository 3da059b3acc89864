"""Train a composed stepper on a data set: `eg.fit(stepper, data, ...)`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from eddygrad.correctors.compose import Corrected
from eddygrad.correctors.seeded_network import SeedNetwork
from eddygrad.datasets.dataset import Dataset, Split
from eddygrad.evaluation.cost import saved_megabytes
from eddygrad.fitting.compatibility import check_fits, check_precision
from eddygrad.fitting.recipe import TrainingRecipe
from eddygrad.fitting.trained import Trained
from eddygrad.fitting.validation import Validation
from eddygrad.runtime.threads import threads as number_of_threads
from eddygrad.solver.unroll import BatchAt
from eddygrad.training.curriculum import Curriculum
from eddygrad.training.guard import Guard
from eddygrad.training.loop import Fit, train
from eddygrad.training.objectives.unrolled import Unrolled
from eddygrad.training.refinement import refine_pressure
from eddygrad.training.training_config import TrainingConfig


def fit_stepper(
    stepper: Corrected,
    data: Split | Dataset,
    recipe: TrainingRecipe | None = None,
    *,
    seeds: int | Sequence[int] | None = None,
    folder: str | Path | None = None,
    threads: int | None = 1,
    progress: bool = True,
    **options: Any,
) -> Trained:
    """Train a composed stepper, all seeds in one program; called by `eg.fit`.

    Args:
        stepper:  made by `correct`, `predict` or `transition`.
        data:     a Split, or a Dataset that is split here (.1 validation, .2 test).
        recipe:   settings of the training; or its fields as `options`.
        seeds, folder, threads, progress, and what it raises: see `eg.fit`.
    Raises: ValueError, FloatingPointError.
    """
    if not isinstance(stepper, Corrected) or not isinstance(data, Split | Dataset):
        got = f"{type(stepper).__name__} and {type(data).__name__}"
        raise ValueError(f"fit: expected a stepper made by correct, predict or transition and a Dataset or Split, or a pinn.Problem, got {got}")
    recipe = _recipe(recipe, options)
    split = data if isinstance(data, Split) else data.split(val=0.1, test=0.2)
    stepper = stepper.sized(len(split.train.channels), split.train.grid.ndim)
    if seeds is not None:
        stepper = stepper.with_seeds(tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds))
    with number_of_threads(threads) as used:
        if recipe.refinement is not None:  # the loop changes the solver of the stepper that it trains: leave the user's own as it is
            stepper = stepper.with_network(stepper.network)
            refine_pressure(stepper, recipe.refinement.iterations)
        objective, batch_at, training = prepare(stepper, split, recipe)
        megabytes = saved_megabytes(stepper, objective, batch_at, recipe.unrolling.horizon)
        begin = time.perf_counter()
        title = f"fit {recipe.unrolling.name}, {recipe.frames_per_update} frames per update"
        description = _description(stepper, split, recipe)
        result: Fit = train(stepper, objective, batch_at, training, folder, progress=progress, title=title, description=description)
    return Trained(stepper, result, recipe, split, megabytes, time.perf_counter() - begin, used)


def _recipe(recipe: TrainingRecipe | None, options: dict[str, Any]) -> TrainingRecipe:
    known = TrainingRecipe.__dataclass_fields__
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise ValueError(f"fit: unknown options {unknown}; expected some of {sorted(known)}")
    if recipe is not None and options:
        raise ValueError(f"fit: expected a recipe or its fields, got both, {sorted(options)}; use dataclasses.replace(recipe, ...)")
    return TrainingRecipe(**options) if recipe is None else recipe


def prepare(stepper: Corrected, data: Split, recipe: TrainingRecipe) -> tuple[Unrolled, BatchAt, TrainingConfig]:
    """Return what the training loop takes: the objective, the batches and the plan.

    Args:
        stepper: the stepper that is trained.
        data:    training data, and validation data where the part is not empty.
        recipe:  settings of the training.
    Raises: ValueError for data of another dt, grid, dtype or device than the stepper's, refinement without validation data, or a weighting of an
            unknown name.
    """
    for part in (data.train, data.val):
        if part.samples:
            check_fits(stepper, part)
            check_precision(stepper, part)
    if recipe.refinement is not None and not data.val.samples:
        raise ValueError("fit: refinement watches a validation error, got no validation data; split the data with val > 0")
    return Unrolled(stepper, recipe.unrolling, recipe.terms), _batches(stepper, data.train, recipe), _plan(data.val, recipe)


def _plan(validation: Dataset, recipe: TrainingRecipe) -> TrainingConfig:
    """Return the loop's configuration."""
    schedule = recipe.rate_schedule
    horizon: int | Callable[[int], int] = recipe.unrolling.horizon
    if isinstance(schedule, Curriculum):
        horizon = lambda step: schedule.horizon(step, recipe.steps)  # noqa: E731
    return TrainingConfig(
        steps=recipe.steps,
        lr=recipe.lr,
        schedule=schedule,
        horizon=horizon,
        restarts=schedule.starts(recipe.steps)[1:] if isinstance(schedule, Curriculum) else (),
        guard=Guard(clip=recipe.clip, outlier=recipe.outlier),
        validate=Validation(validation, min(recipe.validation_horizon, validation.frames - 2)) if validation.samples else None,
        validate_every=recipe.validation_interval,
        checkpoint_every=recipe.checkpoint_every,
        refinement=recipe.refinement,
        weighting=recipe.loss_weighting,
    )


def _batches(stepper: Corrected, data: Dataset, recipe: TrainingRecipe) -> BatchAt:
    """Return (step, horizon) -> windows; one stream of windows per horizon of the curriculum."""
    network = stepper.network
    own = network.seeds if isinstance(network, SeedNetwork) else (0,)
    schedule, horizon = recipe.rate_schedule, recipe.unrolling.horizon
    horizons = {*schedule.horizons, horizon} if isinstance(schedule, Curriculum) else {horizon}
    by_horizon = {h: data.batches(recipe.windows_of(h), stepper.seeds or own[0]) for h in horizons}
    return (lambda step, horizon: by_horizon[horizon](step, horizon)) if len(horizons) > 1 else by_horizon[horizon]


def _description(stepper: Corrected, data: Split, recipe: TrainingRecipe) -> dict[str, Any]:
    """Return what identifies a run: a folder that holds a run of another description is refused."""
    refinement = {} if recipe.refinement is None else {"refinement": repr(recipe.refinement)}
    fixed: dict[str, Any] = {"recipe": repr(recipe), "seeds": stepper.seeds, "stepper": repr(stepper), "data": data.train.fingerprint}
    return {**fixed, **recipe.loss_description, **refinement}


__all__ = ["fit_stepper", "prepare"]
