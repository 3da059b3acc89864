"""Flows between walls: a lid-driven cavity, a channel with a cylinder, a backward-facing step. Small ones, for pictures and first experiments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from eddygrad.datasets.forces import WithForces
from eddygrad.datasets.frame_diagnostics import FaceDiagnostics
from eddygrad.datasets.recipes.recipe import Group, Recipe
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
STEP_LENGTH = 12.0  # heights of the channel behind the step


@dataclass(frozen=True)
class Parabola:
    """u(y) = 6 mean (y - low) (high - y) / (high - low)^2 between two walls, 0 elsewhere [m/s]; for the sides x = const of a plane."""

    low: float
    high: float
    mean: float = 1.0

    def __call__(self, points: Sequence[Tensor], t: Tensor | float = 0.0, params: Params | None = None) -> Tensor:
        y = points[1]
        return 6 * self.mean * ((y - self.low) * (self.high - y)).clamp_min(0) / (self.high - self.low) ** 2


def cavity_solver(points: int = 64) -> Projection:
    """A unit square whose lid slides at speed 1: points^2 cells, central transport, as many substeps of a frame of .25 as Re 100 asks for."""
    substeps = max(round(CAVITY_FRAME * points / 0.8), round(CAVITY_FRAME * 8 * points**2 / (100 * 2.0)))
    sides = (Wall(), (Wall(), Wall((1.0, 0.0))))
    return Projection(NavierStokesVelocity(), Grid((points, points), 1.0), dt=CAVITY_FRAME, boundaries=sides, substeps=substeps)


def cavity(frames: int = 100, reynolds: Sequence[float] = CAVITY_REYNOLDS, warmup: int = 0, points: int = 64) -> Recipe:
    """The lid-driven cavity from rest, Re = 1 / nu, a frame every .25.                                             Ghia, Ghia, Shin 1982

    Args:   points: cells per side. Raises: ValueError for a Reynolds number below 100, at which explicit diffusion would need more substeps.
    """
    _check("cavity", reynolds, 100.0)
    groups = [Group(f"Re={re:g}", "cavity", {"viscosity": 1 / re}, 1) for re in reynolds]
    stepper, rest = cavity_solver(points), torch.zeros(2, points, points, dtype=torch.float64)
    diagnose = FaceDiagnostics(stepper.grid, (False, False))
    return Recipe("cavity", stepper, tuple(groups), lambda group, index, seed: rest, frames, warmup, diagnose=diagnose)


def channel_solver(cells: int = 12) -> Projection:
    """Benchmark DFG 2D-2 at `cells` cells per diameter: .41 m x 2.2 m, a cylinder of .1 m at (.2, .2), a parabola of mean 1 m/s comes in."""
    shape = (round(CHANNEL_LENGTH / CHANNEL_DIAMETER * cells), round(CHANNEL_HEIGHT / CHANNEL_DIAMETER * cells))
    return Projection(
        NavierStokesVelocity(),
        Grid(shape, (CHANNEL_LENGTH, CHANNEL_HEIGHT)),
        dt=CHANNEL_FRAME,
        boundaries=((Inflow((Parabola(0.0, CHANNEL_HEIGHT), 0.0)), Outflow("do-nothing")), Wall()),
        substeps=max(2, round(cells / 2.5)),
        bodies=(Cylinder(CHANNEL_CENTRE, radius=CHANNEL_DIAMETER / 2),),
    )


def channel_cylinder(frames: int = 120, reynolds: Sequence[float] = CHANNEL_REYNOLDS, warmup: int = 600, seed: int = 0, cells: int = 12) -> Recipe:
    """Vortex shedding behind a cylinder in a channel, Re = U D / nu with U = 1 m/s and D = .1 m, a frame every .01 s.    Schaefer, Turek 1996

    The paper's case is Re 100, its drag at most 3.22 to 3.24, its lift .99 to 1.01, f D / U = .295 to .305. Below about 50 the flow is steady.

    Args:   cells: per diameter. Raises: ValueError for a Reynolds number that is not positive, or so small that diffusion would need more substeps.
    """
    stepper = channel_solver(cells)
    slowest = 8 * CHANNEL_DIAMETER * stepper.substep / (2.0 * min(stepper.grid.spacing) ** 2)
    _check("channel-cylinder", reynolds, slowest)
    groups = [Group(f"Re={re:g}", "channel", {"viscosity": CHANNEL_DIAMETER / re}, 1) for re in reynolds]
    x, y = stepper.grid.points(centred=True)

    def state(group: Group, index: int, seed: int) -> Tensor:
        """The parabola, and a gust across it behind the cylinder, up or down, .2 to .4 m/s."""
        draw = torch.rand(2, generator=generator(seed, f"channel-cylinder {group.name}", index), dtype=torch.float64)
        strength = (0.2 + 0.2 * draw[0]) * (1 if draw[1] < 0.5 else -1)
        behind = (x - CHANNEL_CENTRE[0] - CHANNEL_DIAMETER) ** 2 + (y - CHANNEL_CENTRE[1]) ** 2
        return torch.stack([Parabola(0.0, CHANNEL_HEIGHT)((x, y)), strength * torch.exp(-behind / (2 * (CHANNEL_DIAMETER / 2) ** 2))])

    weighed, diagnose = WithForces(stepper, 1.0, CHANNEL_DIAMETER), FaceDiagnostics(stepper.grid, (False, False))
    return Recipe("channel-cylinder", weighed, tuple(groups), state, frames, warmup, seed=seed, diagnose=diagnose)


def step_solver(cells: int = 24) -> Projection:
    """A channel of height 1 with `cells` cells across, length 12; fluid enters through the upper half of its left side at mean speed 1."""
    return Projection(
        NavierStokesVelocity(),
        Grid((round(STEP_LENGTH * cells), cells), (STEP_LENGTH, 1.0)),
        dt=STEP_FRAME,
        boundaries=((Inflow((Parabola(0.5, 1.0), 0.0)), Outflow("do-nothing")), Wall()),
        substeps=round(STEP_FRAME * cells / 0.6),
    )


def backward_step(frames: int = 240, reynolds: Sequence[float] = STEP_REYNOLDS, warmup: int = 0, cells: int = 24) -> Recipe:
    """Flow over a backward-facing step, expansion ratio 2, Re = U H / nu with the mean speed U = 1 of what enters and the channel's height H = 1.

    The step is not part of the box: at x = 0 fluid enters above y = .5, a parabola, and a wall stands below.                       Gartling 1990

    Args:   cells: across the channel, even. Raises: ValueError for an odd number, or a Reynolds number at which diffusion would need more substeps.
    """
    if cells % 2:
        raise ValueError(f"backward-step: cells must be even for an edge in the middle, got {cells}")
    stepper = step_solver(cells)
    _check("backward-step", reynolds, 8 * stepper.substep * cells**2 / 2.0)
    groups = [Group(f"Re={re:g}", "step", {"viscosity": 1 / re}, 1) for re in reynolds]
    x, y = stepper.grid.points(centred=True)

    def state(group: Group, index: int, seed: int) -> Tensor:
        """What enters goes straight on."""
        u = Parabola(0.5, 1.0)((x, y))
        return torch.stack([u, torch.zeros_like(u)])

    return Recipe("backward-step", stepper, tuple(groups), state, frames, warmup, diagnose=FaceDiagnostics(stepper.grid, (False, False)))


def _check(name: str, reynolds: Sequence[float], lowest: float) -> None:
    small = [re for re in reynolds if not re >= lowest]
    if small:
        raise ValueError(f"{name}: diffusion at this resolution is stable from Re {lowest:.3g} on, got {small[0]:g}; take fewer cells")
