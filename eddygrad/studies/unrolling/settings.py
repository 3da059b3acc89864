"""The settings that a comparison can run on: data, solvers and the place of the network, one entry per recipe."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from eddygrad.correctors.compose import Mode
from eddygrad.correctors.features import Features, Geometry, Pressure, domain_size
from eddygrad.datasets.recipes import kolmogorov, kolmogorov_piso, wake
from eddygrad.datasets.recipes import kuramoto_sivashinsky as ks
from eddygrad.datasets.recipes.recipe import DatasetRecipe
from eddygrad.solver.step import Stepper


@dataclass(frozen=True)
class Setting:
    """The setting of a published experiment.

    Args:
        name:           of the recipe.
        training:       frames -> recipe of the training data, from which validation trajectories are split if `validation` is None.
        testing:        (starts per test set, frames after the first, seed) -> recipe of the test data; its groups are the test sets.
        coarse:         the solver to correct. reference: the solver of the data on the grid of the states, None if it has another grid.
        baselines:      further steppers that are scored.
        mode:           how the network corrects. features: its input.
        ndim:           dimensions of the grid. state_channels: of the states.
        validation:     recipe of separate validation data; None takes a share of the training trajectories.
        tuned:          name -> candidates, of which the best on validation data is scored too.
        metric:         the endpoint, a metric of `evaluate`.
        written:        channels that the network corrects; None for all.
        padding:        padding of its convolutions, "circular" or "zeros", one for all axes or one for each.
    """

    name: str
    training: Callable[[int], DatasetRecipe]
    testing: Callable[[int, int, int], DatasetRecipe]
    coarse: Stepper
    reference: Stepper | None
    baselines: Mapping[str, Stepper]
    mode: Mode
    features: Features
    ndim: int
    state_channels: int
    validation: Callable[[], DatasetRecipe] | None = None
    tuned: Mapping[str, Sequence[Stepper]] = field(default_factory=dict)
    metric: str = "rellinf"
    written: tuple[int, ...] | None = None
    padding: str | tuple[str, ...] = "circular"


def _kuramoto_sivashinsky() -> Setting:
    coarse = ks.coarse()
    finer = {f"ETD1, dt/{n}": replace(coarse, substeps=coarse.substeps * n) for n in (2, 8, 32)}
    return Setting(
        name="kuramoto-sivashinsky",
        training=ks.training,
        testing=lambda starts, horizon, seed: ks.testing(starts, horizon, seed=seed),
        coarse=coarse,
        reference=ks.reference(),
        baselines={"ETD1 (solver alone)": coarse, **finer, "ETDRK2 (the reference)": ks.reference()},
        mode="parallel",
        features=domain_size(),
        ndim=1,
        state_channels=1,
    )


def _data(recipe: Any) -> dict[str, Any]:
    """Return the fields for training, testing and validation data from the module of a recipe."""
    return {
        "training": recipe.training,
        "testing": lambda starts, horizon, seed: recipe.testing(starts, horizon, seed=seed),
        "validation": recipe.validation,
    }


def _kolmogorov() -> Setting:
    """Return the setting of List et al. 2024: input [u, v, p, .001 Re], correction of (u, v) after the solver, mean squared error of (u, v)."""
    coarse = kolmogorov.coarse()
    return Setting(
        name="kolmogorov",
        **_data(kolmogorov),
        coarse=coarse,
        reference=None,
        baselines={"32^2 (solver alone)": coarse, **{f"{n}^2": kolmogorov.finer(n) for n in (48, 64, 96, 128)}},
        tuned={"Smagorinsky, tuned": [kolmogorov.smagorinsky(c) for c in (0.05, 0.1, 0.15, 0.2, 0.25, 0.3)]},
        mode="sequential",
        features=Features(fields=(Pressure(coarse.grid),), reciprocals={"viscosity": 0.001}),
        ndim=2,
        state_channels=2,
        metric="mse",
    )


def _kolmogorov_piso() -> Setting:
    """Return the same with the paper's scheme: the state is (u, v, p), of which u and v are corrected and scored."""
    coarse = kolmogorov_piso.coarse()
    return Setting(
        name="kolmogorov-piso",
        **_data(kolmogorov_piso),
        coarse=coarse,
        reference=None,
        baselines={"32^2 (solver alone)": coarse, **{f"{n}^2": kolmogorov_piso.finer(n) for n in (48, 64, 96, 128)}},
        mode="sequential",
        features=Features(reciprocals={"viscosity": 0.001}),
        ndim=2,
        state_channels=3,
        metric="mse",
        written=(0, 1),
    )


def _wake() -> Setting:
    """Return the wake: input [u, v, the cylinder's geometry, Re / 1000], correction of (u, v) after the solver, periodic across the flow only."""
    coarse = wake.coarse()
    return Setting(
        name="wake",
        **_data(wake),
        coarse=coarse,
        reference=None,
        baselines={"64 x 32 (solver alone)": coarse, **{f"{n} x {n // 2}": wake.finer(n) for n in (96, 128, 192, 256)}},
        mode="sequential",
        features=Features(fields=(Geometry(coarse),), reciprocals={"viscosity": 0.001 * wake.SPEED * wake.DIAMETER}),
        ndim=2,
        state_channels=2,
        metric="mse",
        padding=("zeros", "circular"),
    )


SETTINGS: Mapping[str, Callable[[], Setting]] = {
    "kuramoto-sivashinsky": _kuramoto_sivashinsky,
    "kolmogorov": _kolmogorov,
    "kolmogorov-piso": _kolmogorov_piso,
    "wake": _wake,
}


def setting(name: str) -> Setting:
    """Return the setting of a recipe. Raises: ValueError for an unknown name."""
    if name not in SETTINGS:
        raise ValueError(f"recipe: expected one of {sorted(SETTINGS)}, got {name!r}")
    return SETTINGS[name]()
