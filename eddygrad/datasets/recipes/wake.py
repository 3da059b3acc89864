"""Wake of a cylinder for the unrolling paper: a fine solver whose face velocities are kept on a coarse grid.

List, Chen, Bali and Thuerey 2024 (arXiv 2402.12971) do not print the set-up in full; box, cylinder, resolutions, frame and Reynolds numbers are those
of the group's earlier wake: 200 x 100, a cylinder of radius 10 at (50, 50), inflow 1, reference 256 x 128, coarse 64 x 32, a frame is 1. Which
length their Reynolds numbers have is not known; here it is the diameter D = 20, nu = U D / Re. Inflow at the left, a convective outflow at the right,
periodic in y, so that the cylinder blocks a fifth of the width. Ours is a projection scheme, Runge-Kutta 3 and third-order upwind transport on both
grids, with four substeps of .25 on the fine one and one of 1 on the coarse one.

The warm-up is measured by the lift that `eddygrad generate wake/training --reynolds 73.2 585.9 4687.5 --warmup 0 --frames 1200` records. Its largest
size within 60 frames is within 5 % of that at the end from frame 720, 360, 780 on, within 2 % from 900, 480, 840 on; in the last 300 frames it is
C_L = .253, 1.40, 1.15, St = f D / U = .190, .255, .301, mean C_D = 1.97, 1.77, .93.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from eddygrad.datasets.forces import WithForces
from eddygrad.datasets.frame_diagnostics import FaceDiagnostics
from eddygrad.datasets.kept_fields import Downsampled
from eddygrad.datasets.recipes.recipe import Group, Recipe
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
EXTRAPOLATION = (73.2, 4687.5)  # 1.5 to the next power of two, as the others; ours, the earlier work tests between its training numbers only
WARMUP = 900
_CHANNELS = ("velocity_x", "velocity_y")


def solver(shape: tuple[int, int], substeps: int) -> Projection:
    """The scheme on any grid of the box."""
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
    """256 x 128, four substeps of .25 a frame."""
    return solver(FINE, 4)


def coarse() -> Projection:
    """64 x 32, one step of 1 a frame: the solver to be corrected."""
    return solver(COARSE, 1)


def finer(points: int) -> RefinedFaces:
    """The coarse solver's states stepped on `points` x `points` / 2 cells, to which their stream function is handed once.

    As many substeps as cells are shorter: 2 up to twice the coarse solver's points, then 3 and 4.
    """
    return RefinedFaces(solver((points, points // 2), -(-points // COARSE[0])), Grid(COARSE, BOX))


def viscosity(re: float) -> float:
    """nu = U D / Re, D the diameter.

    Raises: ValueError for a number that is not positive.
    """
    if not re > 0:
        raise ValueError(f"wake: a Reynolds number is positive, got {re}")
    return SPEED * DIAMETER / re


def _group(re: float, kind: str, samples: int) -> Group:
    return Group(f"Re={re:g}", kind, {"viscosity": viscosity(re)}, samples)


def _recipe(name: str, groups: Sequence[Group], frames: int, warmup: int, seed: int) -> Recipe:
    stepper = reference()
    x, y = stepper.grid.points(centred=True)

    def state(group: Group, index: int, seed: int) -> Tensor:
        """The inflow's speed everywhere and a gust across it behind the cylinder, up or down, .2 to .4 at its middle."""
        draw = torch.rand(2, generator=generator(seed, f"{name} {group.name}", index), dtype=torch.float64)
        strength = (0.2 + 0.2 * draw[0]) * (1 if draw[1] < 0.5 else -1)
        across = strength * torch.exp(-((x - CENTRE[0] - DIAMETER) ** 2 + (y - CENTRE[1]) ** 2) / (2 * (DIAMETER / 2) ** 2))
        return SPEED * torch.stack([torch.ones_like(x), across])

    kept = Downsampled(stepper.grid, COARSE, _CHANNELS, "staggered")
    diagnose = FaceDiagnostics(stepper.grid, (False, True))
    return Recipe(name, WithForces(stepper, SPEED, DIAMETER), tuple(groups), state, frames, warmup, seed=seed, stored=kept, diagnose=diagnose)


def training(frames: int = 500, reynolds: Sequence[float] = TRAINING_REYNOLDS, samples: int = 1, warmup: int = WARMUP, seed: int = 0) -> Recipe:
    """Six Reynolds numbers, 500 frames each by default, five to eight periods of the shedding."""
    return _recipe("wake/training", [_group(re, "training", samples) for re in reynolds], frames, warmup, seed)


def validation(frames: int = 300, reynolds: Sequence[float] = TRAINING_REYNOLDS, warmup: int = WARMUP, seed: int = 0) -> Recipe:
    """Another start at each of the training's Reynolds numbers, for learning rates and curves."""
    return _recipe("wake/validation", [_group(re, "validation", 1) for re in reynolds], frames, warmup, seed)


def testing(starts: int = 1, horizon: int = 250, warmup: int = WARMUP, seed: int = 0) -> Recipe:
    """Five Reynolds numbers between those of the training, one below and one above."""
    groups = [_group(re, "interpolation", starts) for re in INTERPOLATION] + [_group(re, "extrapolation", starts) for re in EXTRAPOLATION]
    return _recipe("wake/testing", groups, horizon + 1, warmup, seed)
