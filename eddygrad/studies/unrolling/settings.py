"""The settings that a study can run on: data, solvers and how a network enters, one entry per recipe."""

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
    """A paper's setting.

    Args:
        training:   frames -> data for training and, where there is no other, validation (trajectories, split later).
        testing:    (starts per test set, frames after the first, seed) -> test data; its groups are the test sets.
        validation: data of its own for it; None: a share of the training trajectories.
        coarse:     the solver to be corrected. reference: the truth on the states' own grid, None if it lives on another.
        baselines:  further steppers that are scored at their own cost.
        tuned:      name -> candidates, of which the best on validation data is scored too.
        mode:       how the network corrects. features: what it is shown. written: the channels that it corrects; None: all.
        padding:    what its convolutions see beyond the box, "circular" or "zeros", one for all axes or one for each.
        metric:     the endpoint, a metric of `evaluate`.
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
    """Training, testing and validation data of a recipe's module."""
    return {
        "training": recipe.training,
        "testing": lambda starts, horizon, seed: recipe.testing(starts, horizon, seed=seed),
        "validation": recipe.validation,
    }


def _kolmogorov() -> Setting:
    """Input [u, v, p, .001 Re], the correction of (u, v) behind the solver, mean squared error of (u, v): List et al. 2024."""
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
    """The same with the paper's scheme: u, v and p are the state, of which u and v are corrected and scored."""
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
    """Input [u, v, the cylinder's geometry, Re / 1000], the correction of (u, v) behind the solver; the box is periodic across the flow only."""
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
    """The setting of a recipe. Raises ValueError for an unknown name."""
    if name not in SETTINGS:
        raise ValueError(f"recipe: expected one of {sorted(SETTINGS)}, got {name!r}")
    return SETTINGS[name]()
