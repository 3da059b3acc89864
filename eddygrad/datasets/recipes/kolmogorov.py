"""Kolmogorov flow of the unrolling paper, and the same flow unforced: a fine solver whose states are kept on a coarse grid.

List, Chen, Bali and Thuerey 2024 (arXiv 2402.12971): two-dimensional Navier-Stokes on (2 pi)^2, nu = 1 / Re, force sin(6 y), no drag; reference
128^2, coarse 32^2, a frame is .02. Their solver is a PISO scheme; ours is pseudo-spectral, ETDRK4 on both grids, with four substeps of .005 on the
fine one and one of .02 on the coarse one. What is kept of a state are the modes that the coarse solver has, up to 10 of 16; its kinetic energy,
enstrophy and greatest speed are those of all modes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from eddygrad.datasets.diagnostics import FlowDiagnostics
from eddygrad.datasets.recipes.recipe import Group, Recipe
from eddygrad.datasets.stored import Downsampled
from eddygrad.solver.equations.navier_stokes import NavierStokesVelocity
from eddygrad.solver.equations.smagorinsky import SmagorinskyVelocity
from eddygrad.solver.grid import Grid
from eddygrad.solver.initial import random_fourier
from eddygrad.solver.refined import Refined
from eddygrad.solver.schemes.etdrk import ETDRK
from eddygrad.solver.vector_calculus import velocity

FINE, COARSE = 128, 32
FRAME = 0.02
FORCING_MODE = 6
TRAINING_REYNOLDS = (300.0, 400.0, 500.0, 700.0, 800.0, 900.0)
INTERPOLATION, EXTRAPOLATION = (600.0,), (1000.0,)
_CHANNELS = ("velocity_x", "velocity_y")


def _solver(points: int, substeps: int, forced: bool) -> ETDRK:
    equation = NavierStokesVelocity(forcing_amplitude=1.0 if forced else 0.0, forcing_mode=FORCING_MODE)
    return ETDRK(equation, Grid((points, points)), dt=FRAME, substeps=substeps, order=4)


def reference(forced: bool = True) -> ETDRK:
    """128^2, four substeps of .005 a frame."""
    return _solver(FINE, 4, forced)


def coarse(forced: bool = True) -> ETDRK:
    """32^2, one step of .02 a frame: the solver to be corrected."""
    return _solver(COARSE, 1, forced)


def finer(points: int) -> Refined:
    """The coarse solver's states stepped on more points, to which their modes are handed once; at 64^2 and above two substeps a frame."""
    return Refined(_solver(points, 1 if points < 2 * COARSE else 2, forced=True), Grid((COARSE, COARSE)), modes=COARSE // 3)


def smagorinsky(constant: float) -> ETDRK:
    """The coarse solver with Smagorinsky's eddy viscosity of mixing length C_s dx."""
    equation = SmagorinskyVelocity(forcing_amplitude=1.0, forcing_mode=FORCING_MODE, mixing_length=constant * 2 * math.pi / COARSE)
    return ETDRK(equation, Grid((COARSE, COARSE)), dt=FRAME, order=4)


def _group(re: float, kind: str, samples: int) -> Group:
    if not re > 0:
        raise ValueError(f"kolmogorov: a Reynolds number is positive, got {re}")
    return Group(f"Re={re:g}", kind, {"viscosity": 1 / re}, samples)


def _recipe(name: str, groups: Sequence[Group], frames: int, warmup: int, seed: int, forced: bool) -> Recipe:
    stepper = reference(forced)

    def state(group: Group, index: int, seed: int) -> Tensor:
        """Random vorticity in modes up to 8, rms 3."""
        w = random_fourier(stepper.grid, 1, bandlimit=8, rms=3.0, seed=seed, purpose=f"{name} {group.name}", start=index)
        return velocity(w, stepper.grid)[0]

    kept = Downsampled(stepper.grid, (COARSE, COARSE), _CHANNELS, modes=COARSE // 3)
    return Recipe(name, stepper, tuple(groups), state, frames, warmup, seed=seed, stored=kept, diagnose=FlowDiagnostics(stepper.grid))


def training(frames: int = 6000, reynolds: Sequence[float] = TRAINING_REYNOLDS, samples: int = 1, warmup: int = 500, seed: int = 0) -> Recipe:
    """The paper's six Reynolds numbers, 6000 frames each by default; t = 10 dropped, in which the random start becomes turbulence."""
    return _recipe("kolmogorov/training", [_group(re, "training", samples) for re in reynolds], frames, warmup, seed, forced=True)


def validation(frames: int = 502, reynolds: Sequence[float] = TRAINING_REYNOLDS, warmup: int = 500, seed: int = 0) -> Recipe:
    """One more start at each of the training's Reynolds numbers, for learning rates and curves: the paper's training has no part to spare.

    Long enough for several windows of the tests' 250 frames.
    """
    return _recipe("kolmogorov/validation", [_group(re, "validation", 1) for re in reynolds], frames, warmup, seed, forced=True)


def testing(starts: int = 6, horizon: int = 250, warmup: int = 500, seed: int = 0) -> Recipe:
    """Re 600 (interpolation) and 1000 (extrapolation), six starts each, 251 frames in the paper."""
    groups = [_group(re, "interpolation", starts) for re in INTERPOLATION] + [_group(re, "extrapolation", starts) for re in EXTRAPOLATION]
    return _recipe("kolmogorov/testing", groups, horizon + 1, warmup, seed, forced=True)


def decaying(frames: int = 500, reynolds: Sequence[float] = (1000.0,), samples: int = 8, warmup: int = 50, seed: int = 0) -> Recipe:
    """Decaying two-dimensional turbulence: the same flow without its force."""
    return _recipe("decaying-turbulence", [_group(re, "decaying", samples) for re in reynolds], frames, warmup, seed, forced=False)
