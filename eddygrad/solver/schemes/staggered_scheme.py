"""Base of the schemes on a staggered grid: grid, boundary conditions, bodies, and their binding to parameters."""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from eddygrad.runtime.memory import ordinary_tensors
from eddygrad.solver.equations.equation import VelocityEquation
from eddygrad.solver.grid import Grid
from eddygrad.solver.linear_solvers import Krylov
from eddygrad.solver.schemes.parameters import check_names, per_sample
from eddygrad.solver.staggered.advection import WIDTH, Advection
from eddygrad.solver.staggered.bodies import Body, covered
from eddygrad.solver.staggered.boundary_conditions import (
    PERIODIC,
    Outflow,
    Periodic,
    Prescribed,
    Side,
    Sides,
    all_steady,
    periods,
    points_of,
    sides_of,
)
from eddygrad.solver.staggered.momentum import Momentum
from eddygrad.solver.step import Observer, Params, Step, StepperInfo, merge_seeds


@dataclass(frozen=True)
class StaggeredScheme(abc.ABC):
    """Incompressible flow by finite volumes, with velocities on the faces of the cells.

    State: face velocities (B, D, *grid) [m/s], component d at [i] on the upper face of cell i along d. Parameters: those of the equation, those that
    boundary conditions and bodies name, the start time "t0" [s], and "forcing" (1 or B, D, *grid), a force at the faces [m/s^2].

    Args:
        equation:   NavierStokesVelocity or ActiveTurbulenceVelocity.
        grid:       grid, with uniform spacing per axis.
        dt:         time between returned states [s].
        boundaries: a side for all, one per axis, or (low, high) per axis: Periodic, Wall, FreeSlip, Inflow, Outflow.
        substeps:   inner steps per dt.
        advection:  "central", "upwind1", "upwind3" or "van-leer"; see `staggered.advection`.
        bodies:     Cylinder, Polygon, rectangle(..), aerofoil(..) in two dimensions, at rest or moving; see `staggered.immersed`. The observer
                    receives the loads on each body, means over dt per density and unit depth: "force" (B, bodies, 2) [m^3/s^2], and "torque"
                    about its centre, anticlockwise, (B, bodies) [m^4/s^2].
        compiled:   fuse the loops of a substep by torch.compile: the first step of every shape takes up to a minute and needs a C++ compiler, later
                    ones are several times faster; states agree to round-off, which is checked on the first one.
        pressure:   None solves for the pressure directly, to round-off; a `Krylov` method iterates and reports to the observer.
    Raises: ValueError for values out of range, an equation of another dimension or without a velocity form, or bodies in three dimensions.
    """

    equation: VelocityEquation
    grid: Grid
    dt: float
    boundaries: Side | Sequence[Side | Sequence[Side]] = PERIODIC
    substeps: int = 1
    advection: Advection = "central"
    bodies: tuple[Body, ...] = ()
    compiled: bool = False
    pressure: Krylov | None = None

    def __post_init__(self) -> None:
        name = type(self).__name__
        if not self.dt > 0 or self.substeps < 1 or self.substeps != int(self.substeps):
            raise ValueError(f"{name}: dt must be positive and substeps a whole number of at least 1, got dt={self.dt}, substeps={self.substeps}")
        if self.grid.ndim != self.equation.ndim:
            raise ValueError(f"{name}: {self.equation.name} lives in {self.equation.ndim}-D, got a grid of shape {self.grid.shape}")
        if not isinstance(self.equation, VelocityEquation):
            raise ValueError(f"{name}: expected an equation in velocity form, got {self.equation.name}; use its velocity form")
        if self.advection not in WIDTH:
            raise ValueError(f"{name}: advection must be one of {', '.join(WIDTH)}, got {self.advection!r}")
        if self.bodies and self.grid.ndim != 2:
            raise ValueError(f"{name}: bodies need a two-dimensional grid, got one of shape {self.grid.shape}")
        object.__setattr__(self, "bodies", (self.bodies,) if isinstance(self.bodies, Body) else tuple(self.bodies))
        object.__setattr__(self, "boundaries", sides_of(self.boundaries, self.grid.ndim))

    @property
    def sides(self) -> Sides:
        """The boundary conditions (low, high) per axis."""
        return self.boundaries  # type: ignore[return-value]

    @property
    def differentiable(self) -> bool:
        return True

    @property
    def steady(self) -> bool:
        """Whether boundary conditions and bodies are constant in time."""
        return all_steady(self.sides) and not any(body.moves for body in self.bodies)

    @property
    def substep(self) -> float:
        """h = dt / substeps [s]."""
        return self.dt / self.substeps

    @property
    def channels(self) -> int:
        """Number of channels of the state."""
        return self.grid.ndim

    @property
    def courant_limit(self) -> float:
        """Largest sum of Courant numbers over the axes for which a substep is stable; a faster state causes a warning."""
        return math.inf

    @property
    def diffusion_limit(self) -> float:
        """Largest nu h sum_d 4 / h_d^2 for which a substep is stable."""
        return math.inf

    def info(self) -> StepperInfo:
        """Return grid, equation, substep, boundary conditions and bodies."""
        return StepperInfo(self.grid, self.equation, self.substep, self.steady, sides=self.sides, bodies=self.bodies)

    @abc.abstractmethod
    def step(self, momentum: Momentum, observe: Observer | None) -> Step:
        """Return the step of a bound flow."""

    def at(self, params: Params, like: Tensor, observe: Observer | None = None) -> Step:
        """Bind to physical parameters.

        Args:
            params:  values by name: numbers, one per sample (B, 1, *1), which serves every seed, or one per seed and sample (S, B, 1, *1).
            like:    an example state (B, D, *grid).
            observe: receives what the step reports, by name.
        Returns: the step for states (B, D, *grid), or (S, B, D, *grid) with stacked seeds.
        Raises:  ValueError for a state of another shape or precision, a misspelt parameter, "length" (the grid has it), or a missing parameter of
                 a boundary condition.
        """
        seeds = next((len(v) for v in params.values() if isinstance(v, Tensor) and v.ndim > like.ndim), None)
        if seeds is not None:
            params, like = merge_seeds(params, seeds, like), like.expand(seeds, *like.shape).flatten(0, 1)
        return self.step(self.momentum(params, like, observe), observe)

    def free(self, params: Params, like: Tensor) -> Tensor:
        """Return the mask of free values (1, C, *grid), dtype and device of `like`: 1, or 0 where a boundary or a body fixes the value.

        Fixed are the faces on an upper side that prescribes the flow through it (Wall, FreeSlip, Inflow), the velocity inside a body at its position
        at "t0", and a pressure in the state, which follows from the velocity. A state has no faces on lower sides.
        Raises: ValueError if a body's parameter is missing or differs between samples.
        """
        ndim = self.grid.ndim
        free = torch.zeros(self.channels, *self.grid.shape)
        for d in range(ndim):
            free[d] = torch.where(self._covered(params, d), 0.0, 1.0)
        for d, (_, high) in enumerate(self.sides):
            if not isinstance(high, Periodic | Outflow):
                free[d].select(d, -1).zero_()
        return free.unsqueeze(0).to(like.device, like.dtype)

    def fluid(self, params: Params, like: Tensor) -> Tensor:
        """Return the mask of fluid cells (1, 1, *grid): 1, or 0 for a cell centre inside a body at its position at "t0". Raises as `free`."""
        return torch.where(self._covered(params, None), 0.0, 1.0)[None, None].to(like.device, like.dtype)

    def _covered(self, params: Params, d: int | None) -> Tensor:
        """Return whether the points of component d (None: the cell centres) lie inside a body at "t0", (*grid)."""
        if all(body.fixed for body in self.bodies):
            return _covered_by_fixed(self.bodies, self.grid, self.sides, d)
        return covered(self.bodies, points_of(self.grid, d), params.get("t0", 0.0), params, periods(self.grid, self.sides))

    def momentum(self, params: Params, like: Tensor, observe: Observer | None = None) -> Momentum:
        """Return the momentum balance, bound to parameters.

        Args:
            params:  values by name.
            like:    an example state (B, D, *grid).
            observe: receives the iterations of an iterative pressure solver.
        Raises: ValueError as `at`.
        """
        self.grid.check(like)
        if like.dtype not in (torch.float32, torch.float64):
            raise ValueError(f"state: expected float32 or float64, got {str(like.dtype).removeprefix('torch.')}")
        if like.shape[-self.grid.ndim - 1] != self.channels:
            expected = f"one face velocity per axis ({self.grid.ndim})" if self.channels == self.grid.ndim else f"{self.channels} channels"
            raise ValueError(f"state: expected {expected}, got {like.shape[-self.grid.ndim - 1]} channels")
        if "length" in params:
            raise ValueError("params: a staggered grid has its own length; build the stepper on another Grid and leave 'length' out")
        unnamed = {name: value for name, value in params.items() if name not in self._given}
        check_names(unnamed, self.equation, any(callable(value) for value in self._given))
        names = [name for name in self.equation.parameters if name != "forcing"]
        own = {name: getattr(self.equation, name) for name in names if hasattr(self.equation, name)}
        given = {name: per_sample(name, params[name], like, self.grid.ndim) for name in names if name in params}
        return Momentum(self.equation, {**own, **given}, self.grid, self.sides, self.advection, self.bodies, params, like, self.pressure, observe)

    @property
    def _given(self) -> list[Any]:
        """Velocities of boundary conditions and coordinates of bodies: numbers, names of parameters, or functions that may read any parameter."""
        velocities = [side.velocity for pair in self.sides for side in pair if isinstance(side, Prescribed)]
        given = [v for velocity in velocities for v in (velocity if isinstance(velocity, tuple) else (velocity,))]
        return [*given, *(c for body in self.bodies for c in (*body.centre, body.angle))]


@lru_cache(maxsize=64)
def _covered_by_fixed(bodies: tuple[Body, ...], grid: Grid, sides: Sides, d: int | None) -> Tensor:
    """Return whether points lie inside bodies whose positions are numbers; cached."""
    with ordinary_tensors():
        return covered(bodies, points_of(grid, d), 0.0, {}, periods(grid, sides))
