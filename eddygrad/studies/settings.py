"""The settings that a study can run on: data, solvers and how a network enters, one entry per recipe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from eddygrad.correctors.compose import Mode
from eddygrad.correctors.features import Features, domain_size
from eddygrad.datasets.dataset import Dataset
from eddygrad.datasets.recipes import kuramoto_sivashinsky as ks
from eddygrad.solver.step import Stepper


@dataclass(frozen=True)
class Setting:
    """A paper's setting.

    Args:
        training:  frames -> data for training and validation (trajectories, split later).
        testing:   (starts per test set, frames after the first, seed) -> test data; its attrs["sets"] name the sets, in order of samples.
        coarse:    the solver to be corrected. reference: the truth.
        baselines: further steppers that are scored at their own cost.
        mode:      how the network corrects. features: what it is shown.
    """

    name: str
    training: Callable[[int], Dataset]
    testing: Callable[[int, int, int], Dataset]
    coarse: Stepper
    reference: Stepper
    baselines: Mapping[str, Stepper]
    mode: Mode
    features: Features
    ndim: int
    state_channels: int


def _kuramoto_sivashinsky() -> Setting:
    coarse = ks.coarse()
    finer = {f"ETD1, dt/{n}": replace(coarse, substeps=coarse.substeps * n) for n in (2, 8, 32)}
    return Setting(
        name="kuramoto-sivashinsky",
        training=lambda frames: ks.training(frames).generate(None, progress=False),
        testing=lambda starts, horizon, seed: ks.testing(starts, horizon, seed=seed).generate(None, progress=False),
        coarse=coarse,
        reference=ks.reference(),
        baselines={"ETD1 (solver alone)": coarse, **finer, "ETDRK2 (the reference)": ks.reference()},
        mode="parallel",
        features=domain_size(),
        ndim=1,
        state_channels=1,
    )


SETTINGS: Mapping[str, Callable[[], Setting]] = {"kuramoto-sivashinsky": _kuramoto_sivashinsky}


def setting(name: str) -> Setting:
    """The setting of a recipe. Raises ValueError for an unknown name."""
    if name not in SETTINGS:
        raise ValueError(f"recipe: expected one of {sorted(SETTINGS)}, got {name!r}")
    return SETTINGS[name]()
