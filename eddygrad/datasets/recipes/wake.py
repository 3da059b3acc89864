"""Wake of a cylinder for the unrolling paper: a fine solver whose face velocities are stored on a coarse grid.

List, Chen, Bali and Thuerey 2024 (arXiv 2402.12971) do not print the set-up in full. Box, cylinder, resolutions, frame and Reynolds numbers are those
of the group's earlier wake: a box of 200 x 100, a cylinder of radius 10 at (50, 50), inflow speed 1, reference grid 256 x 128, coarse grid 64 x 32,
a frame is 1. The reference length of their Reynolds numbers is not known; this recipe takes the diameter D = 20, so that nu = U D / Re. The left side
is an inflow, the right side a convective outflow, and y is periodic, so the cylinder blocks a fifth of the width. The solver is a projection scheme
with Runge-Kutta 3 and third-order upwind advection on both grids, with four substeps of .25 on the fine grid and one of 1 on the coarse grid.

The default warm-up of 900 frames follows from the lift that
`eddygrad generate wake/training --reynolds 73.2 585.9 4687.5 --warmup 0 --frames 1200` records. The table gives the first frame from which the
largest lift within 60 frames stays within 5 % and 2 % of its final value, and the coefficients of the last 300 frames (St = f D / U):

    Re        5 %   2 %   largest C_L   St     mean C_D
    73.2      720   900   .253          .190   1.97
    585.9     360   480   1.40          .255   1.77
    4687.5    780   840   1.15          .301   .93
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from eddygrad.datasets.forces import WithForces
from eddygrad.datasets.frame_diagnostics import FaceDiagnostics
from eddygrad.datasets.kept_fields import Downsampled
from eddygrad.datasets.recipes.recipe import DatasetRecipe, Group
from eddygrad.runtime.randomness import generator
from eddygrad.solver.equations.navier_stokes import NavierStokesVelocity
from eddygrad.solver.finer_grid import RefinedFaces
from eddygrad.solver.grid import Grid
from eddygrad.solver.schemes.projection import Projection
from eddygrad.solver.staggered.bodies import Cylinder
from eddygrad.solver.staggered.boundary_conditions import PERIODIC, Inflow, Outflow

BOX = (200.0, 100.0)
CENTRE, DIAMETER = (50.0, 50.0), 20.0
SPEED = 1.0
FINE, COARSE = (256, 128), (64, 32)
FRAME = 1.0
TRAINING_REYNOLDS = (97.7, 195.3, 390.6, 781.25, 1562.5, 3125.0)
INTERPOLATION = (146.5, 293.0, 585.9, 1171.9, 2343.75)
EXTRAPOLATION = (73.2, 4687.5)  # spaced as the others; our choice, the earlier work tests only between its training numbers
WARMUP = 900
_CHANNELS = ("velocity_x", "velocity_y")


def solver(shape: tuple[int, int], substeps: int) -> Projection:
    """Return the scheme on `shape` cells of the box with `substeps` substeps per frame."""
    return Projection(
        NavierStokesVelocity(),
        Grid(shape, BOX),
        dt=FRAME,
        boundaries=((Inflow((SPEED, 0.0)), Outflow()), PERIODIC),
        substeps=substeps,
        advection="upwind3",
        bodies=(Cylinder(CENTRE, radius=DIAMETER / 2),),
        order=3,
    )


def reference() -> Projection:
    """Return the solver on 256 x 128 cells with four substeps of .25 per frame."""
    return solver(FINE, 4)


def coarse() -> Projection:
    """Return the solver on 64 x 32 cells with one step of 1 per frame: the solver to be corrected."""
    return solver(COARSE, 1)


def finer(points: int) -> RefinedFaces:
    """Return a solver on `points` x `points` / 2 cells that steps states of the coarse solver.

    The stream function of the coarse state is interpolated to the finer grid once, at the first step. The number of substeps is the ratio of the cell
    sizes, rounded up.
    """
    return RefinedFaces(solver((points, points // 2), -(-points // COARSE[0])), Grid(COARSE, BOX))


def viscosity(re: float) -> float:
    """Return nu = U D / Re, where D is the diameter.

    Raises: ValueError for a Reynolds number that is not positive.
    """
    if not re > 0:
        raise ValueError(f"wake: expected positive Reynolds numbers, got {re}")
    return SPEED * DIAMETER / re


def _group(re: float, kind: str, samples: int) -> Group:
    return Group(f"Re={re:g}", kind, {"viscosity": viscosity(re)}, samples)


def _recipe(name: str, groups: Sequence[Group], frames: int, warmup: int, seed: int) -> DatasetRecipe:
    stepper = reference()
    x, y = stepper.grid.points(centred=True)

    def state(group: Group, index: int, seed: int) -> Tensor:
        """Return the inflow speed everywhere plus a crosswise gust behind the cylinder, up or down, of .2 to .4 at its centre."""
        draw = torch.rand(2, generator=generator(seed, f"{name} {group.name}", index), dtype=torch.float64)
        strength = (0.2 + 0.2 * draw[0]) * (1 if draw[1] < 0.5 else -1)
        across = strength * torch.exp(-((x - CENTRE[0] - DIAMETER) ** 2 + (y - CENTRE[1]) ** 2) / (2 * (DIAMETER / 2) ** 2))
        return SPEED * torch.stack([torch.ones_like(x), across])

    kept = Downsampled(stepper.grid, COARSE, _CHANNELS, "staggered")
    diagnose = FaceDiagnostics(stepper.grid, (False, True))
    return DatasetRecipe(name, WithForces(stepper, SPEED, DIAMETER), tuple(groups), state, frames, warmup, seed=seed, stored=kept, diagnose=diagnose)


def training(
    frames: int = 500, reynolds: Sequence[float] = TRAINING_REYNOLDS, samples: int = 1, warmup: int = WARMUP, seed: int = 0
) -> DatasetRecipe:
    """Return the recipe of the training set: six Reynolds numbers, by default 500 frames each, which are five to eight shedding periods.

    Args:
        frames:   frames kept per trajectory.
        reynolds: Reynolds numbers U D / nu.
        samples:  trajectories per Reynolds number.
        warmup:   frames dropped at the start.
        seed:     of the initial gust.
    """
    return _recipe("wake/training", [_group(re, "training", samples) for re in reynolds], frames, warmup, seed)


def validation(frames: int = 300, reynolds: Sequence[float] = TRAINING_REYNOLDS, warmup: int = WARMUP, seed: int = 0) -> DatasetRecipe:
    """Return the recipe of a validation set: another initial state at each Reynolds number of the training set.

    It serves to choose learning rates and to draw validation curves.

    Args:
        frames:   frames kept per trajectory.
        reynolds: Reynolds numbers U D / nu.
        warmup:   frames dropped at the start.
        seed:     of the initial gust.
    """
    return _recipe("wake/validation", [_group(re, "validation", 1) for re in reynolds], frames, warmup, seed)


def testing(starts: int = 1, horizon: int = 250, warmup: int = WARMUP, seed: int = 0) -> DatasetRecipe:
    """Return the recipe of the test set: five Reynolds numbers between those of the training set, one below and one above.

    Args:
        starts:  initial states per Reynolds number.
        horizon: frames after the first; horizon + 1 frames are kept.
        warmup:  frames dropped at the start.
        seed:    of the initial gust.
    """
    groups = [_group(re, "interpolation", starts) for re in INTERPOLATION] + [_group(re, "extrapolation", starts) for re in EXTRAPOLATION]
    return _recipe("wake/testing", groups, horizon + 1, warmup, seed)
