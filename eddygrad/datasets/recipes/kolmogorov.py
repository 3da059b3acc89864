"""Kolmogorov flow of the unrolling paper, and the same flow without forcing: a fine solver whose states are stored on a coarse grid.

List, Chen, Bali and Thuerey 2024 (arXiv 2402.12971): two-dimensional Navier-Stokes on (2 pi)^2, nu = 1 / Re, force sin(6 y), no drag; reference grid
128^2, coarse grid 32^2, a frame is .02. The paper uses a PISO scheme. This recipe is pseudo-spectral: ETDRK4 on both grids, with four substeps of
.005 on the fine grid and one of .02 on the coarse grid. Stored are the modes that the dealiased coarse solver resolves, up to 10 of 16. Kinetic
energy, enstrophy and greatest speed are computed from all modes of the fine grid.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from eddygrad.datasets.frame_diagnostics import Diagnose, FlowDiagnostics
from eddygrad.datasets.kept_fields import Downsampled, Stored
from eddygrad.datasets.recipes.recipe import DatasetRecipe, Group
from eddygrad.solver.equations.navier_stokes import NavierStokesVelocity
from eddygrad.solver.equations.smagorinsky import SmagorinskyVelocity
from eddygrad.solver.finer_grid import Refined
from eddygrad.solver.grid import Grid
from eddygrad.solver.initial import random_fourier
from eddygrad.solver.schemes.spectral.etdrk import ETDRK
from eddygrad.solver.step import Stepper
from eddygrad.solver.vector_calculus import velocity

FINE, COARSE = 128, 32
FRAME = 0.02
FORCING_MODE = 6
TRAINING_REYNOLDS = (300.0, 400.0, 500.0, 700.0, 800.0, 900.0)
INTERPOLATION, EXTRAPOLATION = (600.0,), (1000.0,)
WARMUP = 500
CHANNELS = ("velocity_x", "velocity_y")
FINE_GRID = Grid((FINE, FINE))


def _solver(points: int, substeps: int, forced: bool) -> ETDRK:
    equation = NavierStokesVelocity(forcing_amplitude=1.0 if forced else 0.0, forcing_mode=FORCING_MODE)
    return ETDRK(equation, Grid((points, points)), dt=FRAME, substeps=substeps, order=4)


def reference(forced: bool = True) -> ETDRK:
    """Return the 128^2 solver with four substeps of .005 per frame, forced or not."""
    return _solver(FINE, 4, forced)


def coarse(forced: bool = True) -> ETDRK:
    """Return the 32^2 solver with one step of .02 per frame, forced or not: the solver to be corrected."""
    return _solver(COARSE, 1, forced)


def finer(points: int) -> Refined:
    """Return a solver on `points`^2 that steps states of the coarse solver; it takes two substeps per frame from 64^2 on.

    The modes of the coarse state are copied to the finer grid once, at the first step.
    """
    return Refined(_solver(points, 1 if points < 2 * COARSE else 2, forced=True), Grid((COARSE, COARSE)), modes=COARSE // 3)


def smagorinsky(constant: float) -> ETDRK:
    """Return the coarse solver with Smagorinsky's eddy viscosity of mixing length C_s dx, where C_s is `constant`."""
    equation = SmagorinskyVelocity(forcing_amplitude=1.0, forcing_mode=FORCING_MODE, mixing_length=constant * 2 * math.pi / COARSE)
    return ETDRK(equation, Grid((COARSE, COARSE)), dt=FRAME, order=4)


@dataclass(frozen=True)
class Flow:
    """The parts of the Kolmogorov recipes that depend on the solver.

    Args:
        name:      prefix of the recipes' names.
        reference: forced or not -> the solver that makes the data.
        state:     vorticity at the grid's points (1, *grid) -> initial state (C, *grid).
        stored:    maps a state to the fields that are stored.
        diagnose:  maps a state to numbers that are recorded per frame.
    """

    name: str
    reference: Callable[[bool], Stepper]
    state: Callable[[Tensor], Tensor]
    stored: Stored
    diagnose: Diagnose

    def recipe(self, name: str, groups: Sequence[Group], frames: int, warmup: int, seed: int, forced: bool = True) -> DatasetRecipe:
        """Return the recipe of these groups, started from random vorticity of rms 3 in modes up to 8.

        Args:
            name:   of the recipe.
            groups: trajectories by Reynolds number.
            frames: frames kept per trajectory.
            warmup: steps dropped at the start.
            seed:   of the initial vorticity.
            forced: whether the force sin(6 y) drives the flow.
        """

        def state(group: Group, index: int, seed: int) -> Tensor:
            return self.state(random_fourier(FINE_GRID, 1, bandlimit=8, rms=3.0, seed=seed, purpose=f"{name} {group.name}", start=index)[0])

        stepper = self.reference(forced)
        return DatasetRecipe(name, stepper, tuple(groups), state, frames, warmup, seed=seed, stored=self.stored, diagnose=self.diagnose)


SPECTRAL = Flow(
    "kolmogorov",
    reference,
    lambda w: velocity(w.unsqueeze(0), FINE_GRID)[0],
    Downsampled(FINE_GRID, (COARSE, COARSE), CHANNELS, modes=COARSE // 3),
    FlowDiagnostics(FINE_GRID),
)


def group(re: float, kind: str, samples: int) -> Group:
    """Return a group of trajectories at one Reynolds number.

    Args:
        re:      Reynolds number 1 / nu.
        kind:    purpose of the trajectories.
        samples: number of trajectories.
    Raises: ValueError for a Reynolds number that is not positive.
    """
    if not re > 0:
        raise ValueError(f"kolmogorov: expected positive Reynolds numbers, got {re}")
    return Group(f"Re={re:g}", kind, {"viscosity": 1 / re}, samples)


def training(
    frames: int = 6000,
    reynolds: Sequence[float] = TRAINING_REYNOLDS,
    samples: int = 1,
    warmup: int = WARMUP,
    seed: int = 0,
    flow: Flow = SPECTRAL,
) -> DatasetRecipe:
    """Return the recipe of the training set: the paper's six Reynolds numbers, 6000 frames each by default.

    Args:
        frames:   frames kept per trajectory.
        reynolds: Reynolds numbers.
        samples:  trajectories per Reynolds number.
        warmup:   steps dropped at the start; by default t = 10, in which the random initial state becomes turbulent.
        seed:     of the initial states.
        flow:     the solver that makes the data.
    """
    return flow.recipe(f"{flow.name}/training", [group(re, "training", samples) for re in reynolds], frames, warmup, seed)


def validation(
    frames: int = 502, reynolds: Sequence[float] = TRAINING_REYNOLDS, warmup: int = WARMUP, seed: int = 0, flow: Flow = SPECTRAL
) -> DatasetRecipe:
    """Return the recipe of a validation set: one more initial state at each Reynolds number of the training set.

    It serves to choose learning rates and to draw validation curves; the paper's training set has no part to spare.

    Args:
        frames:   frames kept per trajectory; the default holds two windows of the test horizon, 250 frames.
        reynolds: Reynolds numbers.
        warmup:   steps dropped at the start.
        seed:     of the initial states.
        flow:     the solver that makes the data.
    """
    return flow.recipe(f"{flow.name}/validation", [group(re, "validation", 1) for re in reynolds], frames, warmup, seed)


def testing(starts: int = 6, horizon: int = 250, warmup: int = WARMUP, seed: int = 0, flow: Flow = SPECTRAL) -> DatasetRecipe:
    """Return the recipe of the test set: Re 600 (interpolation) and Re 1000 (extrapolation).

    Args:
        starts:  initial states per Reynolds number, six in the paper.
        horizon: frames after the first, 250 in the paper; horizon + 1 frames are kept.
        warmup:  steps dropped at the start.
        seed:    of the initial states.
        flow:    the solver that makes the data.
    """
    groups = [group(re, "interpolation", starts) for re in INTERPOLATION] + [group(re, "extrapolation", starts) for re in EXTRAPOLATION]
    return flow.recipe(f"{flow.name}/testing", groups, horizon + 1, warmup, seed)


def decaying(frames: int = 500, reynolds: Sequence[float] = (1000.0,), samples: int = 8, warmup: int = 50, seed: int = 0) -> DatasetRecipe:
    """Return the recipe of decaying two-dimensional turbulence: the same flow without its force.

    Args:
        frames:   frames kept per trajectory.
        reynolds: Reynolds numbers 1 / nu.
        samples:  trajectories per Reynolds number.
        warmup:   steps dropped at the start.
        seed:     of the initial states.
    """
    return SPECTRAL.recipe("decaying-turbulence", [group(re, "decaying", samples) for re in reynolds], frames, warmup, seed, forced=False)
