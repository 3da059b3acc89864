"""Classic flows between walls: lid-driven cavity, cylinder in a channel, backward-facing step.

The default resolutions are coarse, for pictures and first experiments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from eddygrad.datasets.forces import WithForces
from eddygrad.datasets.frame_diagnostics import FaceDiagnostics
from eddygrad.datasets.recipes.recipe import DatasetRecipe, Group
from eddygrad.runtime.randomness import generator
from eddygrad.solver.equations.navier_stokes import NavierStokesVelocity
from eddygrad.solver.grid import Grid
from eddygrad.solver.schemes.projection import Projection
from eddygrad.solver.staggered.bodies import Cylinder
from eddygrad.solver.staggered.boundary_conditions import Inflow, Outflow, Wall
from eddygrad.solver.step import Params

CAVITY_REYNOLDS = (100.0, 400.0, 1000.0)
CHANNEL_REYNOLDS = (100.0,)
STEP_REYNOLDS = (100.0, 200.0, 400.0)
CHANNEL_LENGTH, CHANNEL_HEIGHT, CHANNEL_DIAMETER, CHANNEL_CENTRE = 2.2, 0.41, 0.1, (0.2, 0.2)  # [m]
CHANNEL_FRAME, STEP_FRAME, CAVITY_FRAME = 0.01, 0.25, 0.25
STEP_LENGTH = 12.0  # length of the channel behind the step, in channel heights


@dataclass(frozen=True)
class Parabola:
    """Parabolic inflow profile on a side x = const of a plane [m/s].

        u(y) = 6 mean (y - low) (high - y) / (high - low)^2   for low < y < high,   0 elsewhere

    Args:
        low, high: positions of the two walls [m].
        mean:      mean speed between the walls [m/s].
    """

    low: float
    high: float
    mean: float = 1.0

    def __call__(self, points: Sequence[Tensor], t: Tensor | float = 0.0, params: Params | None = None) -> Tensor:
        """Return u(y) at `points` (x, y) [m]; the profile is steady and has no parameters."""
        y = points[1]
        return 6 * self.mean * ((y - self.low) * (self.high - y)).clamp_min(0) / (self.high - self.low) ** 2


def cavity_solver(points: int = 64) -> Projection:
    """Return a projection scheme for a unit square with `points`^2 cells whose lid slides at speed 1.

    A frame is .25; the number of substeps keeps advection and, at Re 100, explicit diffusion stable.
    """
    substeps = max(round(CAVITY_FRAME * points / 0.8), round(CAVITY_FRAME * 8 * points**2 / (100 * 2.0)))
    sides = (Wall(), (Wall(), Wall((1.0, 0.0))))
    return Projection(NavierStokesVelocity(), Grid((points, points), 1.0), dt=CAVITY_FRAME, boundaries=sides, substeps=substeps)


def cavity(frames: int = 100, reynolds: Sequence[float] = CAVITY_REYNOLDS, warmup: int = 0, points: int = 64) -> DatasetRecipe:
    """Return the recipe of the lid-driven cavity, started from rest, a frame every .25; Ghia, Ghia and Shin 1982.

    Args:
        frames:   frames per trajectory.
        reynolds: Reynolds numbers Re = 1 / nu, one trajectory each.
        warmup:   frames dropped at the start.
        points:   cells per side.
    Raises: ValueError for a Reynolds number below 100, for which explicit diffusion would need more substeps.
    """
    _require_stable_diffusion("cavity", reynolds, 100.0)
    groups = [Group(f"Re={re:g}", "cavity", {"viscosity": 1 / re}, 1) for re in reynolds]
    stepper, rest = cavity_solver(points), torch.zeros(2, points, points, dtype=torch.float64)
    diagnose = FaceDiagnostics(stepper.grid, (False, False))
    return DatasetRecipe("cavity", stepper, tuple(groups), lambda group, index, seed: rest, frames, warmup, diagnose=diagnose)


def channel_solver(cells: int = 12) -> Projection:
    """Return a projection scheme for the DFG benchmark 2D-2 with `cells` cells per cylinder diameter.

    The channel is 2.2 m long and .41 m high. A cylinder of diameter .1 m is centred at (.2, .2) m. The inflow is a parabola of mean speed 1 m/s.
    """
    shape = (round(CHANNEL_LENGTH / CHANNEL_DIAMETER * cells), round(CHANNEL_HEIGHT / CHANNEL_DIAMETER * cells))
    return Projection(
        NavierStokesVelocity(),
        Grid(shape, (CHANNEL_LENGTH, CHANNEL_HEIGHT)),
        dt=CHANNEL_FRAME,
        boundaries=((Inflow((Parabola(0.0, CHANNEL_HEIGHT), 0.0)), Outflow("do-nothing")), Wall()),
        substeps=max(2, round(cells / 2.5)),
        bodies=(Cylinder(CHANNEL_CENTRE, radius=CHANNEL_DIAMETER / 2),),
    )


def channel_cylinder(
    frames: int = 120, reynolds: Sequence[float] = CHANNEL_REYNOLDS, warmup: int = 600, seed: int = 0, cells: int = 12
) -> DatasetRecipe:
    """Return the recipe of vortex shedding behind a cylinder in a channel, a frame every .01 s; Schaefer and Turek 1996.

    The paper's case is Re 100. Its largest drag coefficient is 3.22 to 3.24, its largest lift coefficient .99 to 1.01, and f D / U = .295 to .305.
    Below about Re 50 the flow is steady.

    Args:
        frames:   frames per trajectory.
        reynolds: Reynolds numbers Re = U D / nu with U = 1 m/s and D = .1 m, one trajectory each.
        warmup:   frames dropped at the start.
        seed:     of the initial gust behind the cylinder.
        cells:    cells per diameter.
    Raises: ValueError for a Reynolds number that is not positive, or so small that explicit diffusion would need more substeps.
    """
    stepper = channel_solver(cells)
    lowest = 8 * CHANNEL_DIAMETER * stepper.substep / (2.0 * min(stepper.grid.spacing) ** 2)
    _require_stable_diffusion("channel-cylinder", reynolds, lowest)
    groups = [Group(f"Re={re:g}", "channel", {"viscosity": CHANNEL_DIAMETER / re}, 1) for re in reynolds]
    x, y = stepper.grid.points(centred=True)

    def state(group: Group, index: int, seed: int) -> Tensor:
        """Return the parabola plus a crosswise gust behind the cylinder, up or down, of .2 to .4 m/s."""
        draw = torch.rand(2, generator=generator(seed, f"channel-cylinder {group.name}", index), dtype=torch.float64)
        strength = (0.2 + 0.2 * draw[0]) * (1 if draw[1] < 0.5 else -1)
        behind = (x - CHANNEL_CENTRE[0] - CHANNEL_DIAMETER) ** 2 + (y - CHANNEL_CENTRE[1]) ** 2
        return torch.stack([Parabola(0.0, CHANNEL_HEIGHT)((x, y)), strength * torch.exp(-behind / (2 * (CHANNEL_DIAMETER / 2) ** 2))])

    with_forces, diagnose = WithForces(stepper, 1.0, CHANNEL_DIAMETER), FaceDiagnostics(stepper.grid, (False, False))
    return DatasetRecipe("channel-cylinder", with_forces, tuple(groups), state, frames, warmup, seed=seed, diagnose=diagnose)


def step_solver(cells: int = 24) -> Projection:
    """Return a projection scheme for a channel of height 1 and length 12 with `cells` cells over its height.

    The fluid enters through the upper half of the left side at mean speed 1.
    """
    return Projection(
        NavierStokesVelocity(),
        Grid((round(STEP_LENGTH * cells), cells), (STEP_LENGTH, 1.0)),
        dt=STEP_FRAME,
        boundaries=((Inflow((Parabola(0.5, 1.0), 0.0)), Outflow("do-nothing")), Wall()),
        substeps=round(STEP_FRAME * cells / 0.6),
    )


def backward_step(frames: int = 240, reynolds: Sequence[float] = STEP_REYNOLDS, warmup: int = 0, cells: int = 24) -> DatasetRecipe:
    """Return the recipe of the flow over a backward-facing step with expansion ratio 2; Gartling 1990.

    The step itself lies outside the box: at x = 0 the fluid enters above y = .5 with a parabolic profile, and below is a wall.

    Args:
        frames:   frames per trajectory, one every .25.
        reynolds: Reynolds numbers Re = U H / nu with the mean inflow speed U = 1 and the channel height H = 1, one trajectory each.
        warmup:   frames dropped at the start.
        cells:    cells over the channel height, even.
    Raises: ValueError for an odd number of cells, or a Reynolds number for which explicit diffusion would need more substeps.
    """
    if cells % 2:
        raise ValueError(f"backward-step: expected an even number of cells, so that the step's edge lies on a cell face, got {cells}")
    stepper = step_solver(cells)
    _require_stable_diffusion("backward-step", reynolds, 8 * stepper.substep * cells**2 / 2.0)
    groups = [Group(f"Re={re:g}", "step", {"viscosity": 1 / re}, 1) for re in reynolds]
    x, y = stepper.grid.points(centred=True)

    def state(group: Group, index: int, seed: int) -> Tensor:
        """Return the inflow profile continued along the whole channel."""
        u = Parabola(0.5, 1.0)((x, y))
        return torch.stack([u, torch.zeros_like(u)])

    return DatasetRecipe("backward-step", stepper, tuple(groups), state, frames, warmup, diagnose=FaceDiagnostics(stepper.grid, (False, False)))


def _require_stable_diffusion(name: str, reynolds: Sequence[float], lowest: float) -> None:
    too_low = [re for re in reynolds if not re >= lowest]
    if too_low:
        raise ValueError(f"{name}: expected Re >= {lowest:.3g}, below which diffusion is unstable here, got {too_low[0]:g}; take fewer cells")
