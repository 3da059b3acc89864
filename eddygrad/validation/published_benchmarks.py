"""Published benchmarks of walls and bodies: the lid-driven cavity, the channel with a cylinder, the wake of a cylinder. Minutes each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from eddygrad.datasets.published.ghia_cavity import midlines
from eddygrad.solver.equations.navier_stokes import NavierStokesVelocity
from eddygrad.solver.grid import Grid
from eddygrad.solver.schemes.projection import Projection
from eddygrad.solver.staggered.bodies import Cylinder
from eddygrad.solver.staggered.boundary_conditions import FreeSlip, Inflow, Outflow, Wall
from eddygrad.solver.staggered.probes import strouhal, surface_pressure
from eddygrad.solver.unroll import repeat
from eddygrad.validation.check import Finding, order_of
from eddygrad.validation.walls_and_bodies import CLOSED, velocity_at


def cavity(seed: int, cells: int = 128, end: float = 25.0) -> Iterator[Finding]:
    """Lid-driven cavity at Re 100, from rest to t = 25 (lengths over lid speed), against Ghia, Ghia and Shin (1982).

    Args:
        seed:  not used; the flow starts from rest.
        cells: cells per side.
        end:   end time [length / lid speed].
    """
    nu, grid = 0.01, Grid((cells, cells), 1.0)
    dt = 0.8 * grid.spacing[0] ** 2 / (4 * nu)
    u = torch.zeros(1, 2, *grid.shape, dtype=torch.float64)
    step = Projection(NavierStokesVelocity(viscosity=nu), grid, dt, CLOSED["cavity"], order=1).at({}, u)
    u = repeat(step, u, round(end / dt))
    yield Finding("cavity, Re 100: largest rate of change at the end", 0.0, float((step(u) - u).abs().max()) / dt, 1e-4)
    for d, (name, (points, published)) in enumerate(zip(("u(.5, y)", "v(x, .5)"), midlines())):
        off = velocity_at(u, grid, d, points)[0] - published
        yield Finding(f"cavity, Re 100: {name} against Ghia et al., largest", 0.0, float(off.abs().max()), 0.01)


class Channel(NamedTuple):
    """Steady state of the channel benchmark: drag and lift coefficient, pressure difference front to back [m^2/s^2], velocity."""

    drag: float
    lift: float
    pressure: float
    state: Tensor


def parabola(points: tuple[Tensor, ...], t: Any, params: Any) -> Tensor:
    """Return the inflow profile of the benchmark, 0.3 m/s in the middle of 0.41 m.

    Args:
        points: coordinates per axis [m].
        t:      time, not used.
        params: parameters, not used.
    """
    return 4 * 0.3 * points[1] * (0.41 - points[1]) / 0.41**2


def channel_with_cylinder(cells: int, end: float, start: Tensor | None = None, **changes: Any) -> Channel:
    """Simulate DFG 2D-1: a cylinder of 0.1 m at (0.2, 0.2) in a channel of 2.2 x 0.41 m at Re 20 (Schaefer, Turek 1996), in float32.

    Args:
        cells:   cells per diameter.
        end:     end time [s].
        start:   initial state on another grid; None is the inflow profile everywhere.
        changes: fields of the scheme to replace.
    """
    nu, grid = 1e-3, Grid((22 * cells, round(4.1 * cells)), (2.2, 0.41))
    h = grid.spacing[0]
    u = torch.zeros(1, 2, *grid.shape)
    u[:, 0] = parabola((torch.empty(0), grid.points(torch.float32, centred=True)[1]), 0.0, {})
    u = u if start is None else torch.nn.functional.interpolate(start, grid.shape, mode="bilinear")
    scheme = Projection(
        NavierStokesVelocity(viscosity=nu),
        grid,
        min(0.2 * h**2 / nu, nu / 0.3**2),  # stability limits of Euler steps: diffusion, and central advection with 2 nu / |u|^2
        ((Inflow((parabola, 0.0)), Outflow("do-nothing")), Wall()),
        bodies=(Cylinder((0.2, 0.2), radius=0.05),),
        order=1,
    )
    scheme = replace(scheme, **changes)
    u = repeat(scheme.at({}, u), u, round(end / scheme.dt))
    loads = scheme.momentum({}, u).loads(u)
    assert loads.force is not None
    drag, lift = (2 * loads.force[0, 0] / (0.2**2 * 0.1)).tolist()
    ends, outwards = torch.tensor([[0.15, 0.2], [0.25, 0.2]]), torch.tensor([[-1.0, 0.0], [1.0, 0.0]])
    front, back = surface_pressure(loads.pressure, grid, ends, outwards)[0].tolist()
    return Channel(drag, lift, front - back, u)


def channel(seed: int) -> Iterator[Finding]:
    """Channel with a cylinder at Re 20 (DFG 2D-1) at 10, 20 and 40 cells per diameter, each started from the result before."""
    state, drags = None, []
    for cells, end, tolerance in ((10, 10.0, 0.15), (20, 4.0, 0.06), (40, 3.0, 0.03)):
        found = channel_with_cylinder(cells, end, state)
        state = found.state
        drags.append(abs(found.drag - 5.5795))
        yield Finding(f"channel with a cylinder, {cells} cells: Cd", 5.5795, found.drag, tolerance * 5.5795)
        yield Finding(f"channel with a cylinder, {cells} cells: dp", 0.11752, found.pressure, 0.04 * 0.11752)
    yield Finding("channel with a cylinder: order of Cd, 20 to 40 cells, at least first", 1.5, order_of(drags), 0.7)


class Wake(NamedTuple):
    """A vortex-shedding wake: Strouhal number f D / U, mean drag coefficient and lift amplitude over whole periods, their number, the last state."""

    strouhal: float
    drag: float
    lift: float
    periods: int
    state: Tensor


def wake_of_cylinder(
    cells: int, settle: float, span: float, start: Tensor | None = None, box: tuple[float, float] = (30.0, 30.0), at: float = 10.0, **changes: Any
) -> Wake:
    """Simulate a cylinder of diameter D = 1 in a stream of U = 1 at Re 100, between slip sides, in float32.

    Args:
        cells:   cells per diameter.
        settle:  time before the measurement [D/U].
        span:    time of the measurement [D/U].
        start:   initial state on another grid; None is the stream with a swirl behind the cylinder, which starts the shedding.
        box:     length and width [D].
        at:      distance of the cylinder from the inflow [D]; it stands in the middle between the sides.
        changes: fields of the scheme to replace.
    """
    grid = Grid((round(box[0] * cells), round(box[1] * cells)), box)
    u = _swirl_behind(grid, box, at) if start is None else torch.nn.functional.interpolate(start, grid.shape, mode="bilinear")
    scheme = Projection(
        NavierStokesVelocity(viscosity=0.01),
        grid,
        0.6 * grid.spacing[0],
        ((Inflow((1.0, 0.0)), Outflow()), FreeSlip()),
        bodies=(Cylinder((at, 0.5 * box[1]), radius=0.5),),
    )
    scheme = replace(scheme, **changes)
    forces: list[Tensor] = []
    step = scheme.at({}, u, lambda name, value: forces.append(value[0, 0].detach()) if name == "force" else None)
    u = repeat(step, u, round((settle + span) / scheme.dt))
    drag, lift = (2 * torch.stack(forces)[round(settle / scheme.dt) :].double()).unbind(1)
    (rises,) = torch.nonzero((lift[:-1] < 0) & (lift[1:] >= 0), as_tuple=True)
    whole = slice(int(rises[0]) + 1, int(rises[-1]) + 1) if len(rises) > 1 else slice(None)
    return Wake(strouhal(lift, scheme.dt, 1.0, 1.0), float(drag[whole].mean()), float(lift[whole].abs().max()), len(rises) - 1, u)


def _swirl_behind(grid: Grid, box: tuple[float, float], at: float) -> Tensor:
    u = torch.zeros(1, 2, *grid.shape)
    x, y = (p - c for p, c in zip(grid.points(torch.float32, centred=True), (at + 1.5, 0.5 * box[1])))
    u[:, 0], u[:, 1] = 1.0, torch.exp(-(x**2) - y**2)
    return u


def wake(seed: int) -> Iterator[Finding]:
    """Unconfined cylinder at Re 100: 20 cells per diameter, 30 x 30 diameters with slip sides (blockage 1/30), started from 10 cells."""
    begun = wake_of_cylinder(10, 80.0, 30.0)
    found = wake_of_cylinder(20, 15.0, 45.0, begun.state)
    yield Finding(f"wake at Re 100, {found.periods} periods: St, published .164 to .166 (2 %)", 0.165, found.strouhal, 0.0043)
    yield Finding(f"wake at Re 100, {found.periods} periods: mean Cd, published 1.33 to 1.35 (4 %)", 1.34, found.drag, 0.0636)
