"""Kolmogorov flow of the unrolling paper, and the same flow unforced: a fine solver whose states are kept on a coarse grid.

List, Chen, Bali and Thuerey 2024 (arXiv 2402.12971): two-dimensional Navier-Stokes on (2 pi)^2, nu = 1 / Re, force sin(6 y), no drag; reference
128^2, coarse 32^2, a frame is .02. Their solver is a PISO scheme; ours is pseudo-spectral, ETDRK4 on both grids, with four substeps of .005 on the
fine one and one of .02 on the coarse one. What is kept of a state are the modes that the coarse solver has, up to 10 of 16; its kinetic energy,
enstrophy and greatest speed are those of all modes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from eddygrad.datasets.frame_diagnostics import Diagnose, FlowDiagnostics
from eddygrad.datasets.kept_fields import Downsampled, Stored
from eddygrad.datasets.recipes.recipe import Group, Recipe
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


@dataclass(frozen=True)
class Flow:
    """Which solver makes the data: what differs between this flow's recipes.

    Args: name: of the recipes. reference: forced or not -> stepper. state: vorticity at the grid's points (1, *grid) -> first state (C, *grid).
          stored, diagnose: what is kept of a state, and numbers beside it.
    """

    name: str
    reference: Callable[[bool], Stepper]
    state: Callable[[Tensor], Tensor]
    stored: Stored
    diagnose: Diagnose

    def recipe(self, name: str, groups: Sequence[Group], frames: int, warmup: int, seed: int, forced: bool = True) -> Recipe:
        """Data of these groups, begun by random vorticity in modes up to 8, rms 3."""

        def state(group: Group, index: int, seed: int) -> Tensor:
            return self.state(random_fourier(FINE_GRID, 1, bandlimit=8, rms=3.0, seed=seed, purpose=f"{name} {group.name}", start=index)[0])

        stepper = self.reference(forced)
        return Recipe(name, stepper, tuple(groups), state, frames, warmup, seed=seed, stored=self.stored, diagnose=self.diagnose)


SPECTRAL = Flow(
    "kolmogorov",
    reference,
    lambda w: velocity(w.unsqueeze(0), FINE_GRID)[0],
    Downsampled(FINE_GRID, (COARSE, COARSE), CHANNELS, modes=COARSE // 3),
    FlowDiagnostics(FINE_GRID),
)


def group(re: float, kind: str, samples: int) -> Group:
    """Trajectories at one Reynolds number.

    Raises: ValueError for a number that is not positive.
    """
    if not re > 0:
        raise ValueError(f"kolmogorov: a Reynolds number is positive, got {re}")
    return Group(f"Re={re:g}", kind, {"viscosity": 1 / re}, samples)


def training(
    frames: int = 6000,
    reynolds: Sequence[float] = TRAINING_REYNOLDS,
    samples: int = 1,
    warmup: int = WARMUP,
    seed: int = 0,
    flow: Flow = SPECTRAL,
) -> Recipe:
    """The paper's six Reynolds numbers, 6000 frames each by default; t = 10 dropped, in which the random start becomes turbulence."""
    return flow.recipe(f"{flow.name}/training", [group(re, "training", samples) for re in reynolds], frames, warmup, seed)


def validation(
    frames: int = 502, reynolds: Sequence[float] = TRAINING_REYNOLDS, warmup: int = WARMUP, seed: int = 0, flow: Flow = SPECTRAL
) -> Recipe:
    """One more start at each of the training's Reynolds numbers, for learning rates and curves: the paper's training has no part to spare.

    Long enough for several windows of the tests' 250 frames.
    """
    return flow.recipe(f"{flow.name}/validation", [group(re, "validation", 1) for re in reynolds], frames, warmup, seed)


def testing(starts: int = 6, horizon: int = 250, warmup: int = WARMUP, seed: int = 0, flow: Flow = SPECTRAL) -> Recipe:
    """Re 600 (interpolation) and 1000 (extrapolation), six starts each, 251 frames in the paper."""
    groups = [group(re, "interpolation", starts) for re in INTERPOLATION] + [group(re, "extrapolation", starts) for re in EXTRAPOLATION]
    return flow.recipe(f"{flow.name}/testing", groups, horizon + 1, warmup, seed)


def decaying(frames: int = 500, reynolds: Sequence[float] = (1000.0,), samples: int = 8, warmup: int = 50, seed: int = 0) -> Recipe:
    """Decaying two-dimensional turbulence: the same flow without its force."""
    return SPECTRAL.recipe("decaying-turbulence", [group(re, "decaying", samples) for re in reynolds], frames, warmup, seed, forced=False)
