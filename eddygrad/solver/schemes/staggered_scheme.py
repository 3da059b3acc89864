"""What the schemes on a staggered grid share: where they act, what they transport, which bodies stand in the flow."""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any
from weakref import WeakSet

import torch
from torch import Tensor
from torch._C._functorch import is_functorch_wrapped_tensor

from eddygrad.runtime.memory import ordinary_tensors
from eddygrad.solver.equations.equation import VelocityEquation
from eddygrad.solver.grid import Grid
from eddygrad.solver.linear_solvers import Krylov
from eddygrad.solver.schemes.spectral.spectral_scheme import check_names, per_sample
from eddygrad.solver.schemes.stability import warn_of_courant, warn_of_diffusion
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
from eddygrad.solver.staggered.compiled_substep import Substep, compiled_substep, plain_substep
from eddygrad.solver.staggered.faces import Faces
from eddygrad.solver.staggered.momentum import Momentum
from eddygrad.solver.step import Observer, Params, Step, StepperInfo, merge_seeds

_WARNED: WeakSet[StaggeredScheme] = WeakSet()  # a training binds a scheme anew at every update, and is warned once


@dataclass(frozen=True)
class StaggeredScheme(abc.ABC):
    """An incompressible flow by finite volumes, its velocities on the faces of the cells.

    State: face velocities (B, D, *grid) [m/s], component d at [i] on the upper face of cell i along d. Parameters: the equation's, those that sides
    and bodies name, "t0" [s], and "forcing" (1 or B, D, *grid), a force at the faces [m/s^2].

    Args:
        equation:   NavierStokesVelocity or ActiveTurbulenceVelocity.
        grid:       where; uniform spacing per axis.
        dt:         time between returned states [s].
        boundaries: a side for all, one per axis, or (low, high) per axis: Periodic, Wall, FreeSlip, Inflow, Outflow.
        substeps:   inner steps per dt.
        advection:  "central", "upwind1", "upwind3" or "van-leer"; see `staggered.advection`.
        bodies:     Cylinder, Polygon, rectangle(..), aerofoil(..) in two dimensions, at rest or moving; see `staggered.immersed`. The observer is
                    told means over dt of what the flow does to each body, per density and unit depth: "force", (B, bodies, 2) [m^3/s^2], and
                    "torque" about its centre, anticlockwise, (B, bodies) [m^4/s^2].
        compiled:   fuse a substep's loops by torch.compile: the first step of every shape takes up to a minute and needs a C++ compiler, later ones
                    are several times faster; states agree to round-off, which the first one is checked for.
        pressure:   None solves for the pressure directly, to round-off; a `Krylov` method does it by iterations, of which the observer is told.
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
            raise ValueError(f"{name}: {self.equation.name} has no velocity; use its velocity form")
        if self.advection not in WIDTH:
            raise ValueError(f"{name}: advection must be one of {', '.join(WIDTH)}, got {self.advection!r}")
        if self.bodies and self.grid.ndim != 2:
            raise ValueError(f"{name}: bodies stand in two dimensions, got a grid of shape {self.grid.shape}")
        object.__setattr__(self, "bodies", (self.bodies,) if isinstance(self.bodies, Body) else tuple(self.bodies))
        object.__setattr__(self, "boundaries", sides_of(self.boundaries, self.grid.ndim))

    @property
    def sides(self) -> Sides:
        return self.boundaries  # type: ignore[return-value]

    @property
    def differentiable(self) -> bool:
        return True

    @property
    def steady(self) -> bool:
        """Whether sides and bodies are the same at every time."""
        return all_steady(self.sides) and not any(body.moves for body in self.bodies)

    @property
    def substep(self) -> float:
        """h = dt / substeps [s]."""
        return self.dt / self.substeps

    @property
    def channels(self) -> int:
        """Of the state."""
        return self.grid.ndim

    @property
    def courant_limit(self) -> float:
        """The greatest sum of Courant numbers over the axes that a substep is stable for; a state seen above it brings a warning."""
        return math.inf

    @property
    def diffusion_limit(self) -> float:
        """The greatest nu h sum_d 4 / h_d^2 that a substep is stable for."""
        return math.inf

    def info(self) -> StepperInfo:
        return StepperInfo(self.grid, self.equation, self.substep, self.steady, sides=self.sides, bodies=self.bodies)

    @abc.abstractmethod
    def step(self, momentum: Momentum, observe: Observer | None) -> Step:
        """The step of a flow that is bound to its parameters."""

    def at(self, params: Params, like: Tensor, observe: Observer | None = None) -> Step:
        """Bind to `params`: the step for states like `like` (B, D, *grid), or (S, B, D, *grid) with stacked seeds.

        Parameters per sample, (B, 1, *1), serve every seed; those of each seed and sample are (S, B, 1, *1).
        Raises: ValueError for a state of another shape or precision, a misspelt parameter, "length" (the grid has it), a side's missing parameter.
        """
        seeds = next((len(v) for v in params.values() if isinstance(v, Tensor) and v.ndim > like.ndim), None)
        if seeds is not None:
            params, like = merge_seeds(params, seeds, like), like.expand(seeds, *like.shape).flatten(0, 1)
        return self.step(self.momentum(params, like, observe), observe)

    def free(self, params: Params, like: Tensor) -> Tensor:
        """Which values of a state are free: 1, or 0 where a side or a body fixes them, (1, C, *grid) in like's dtype and on its device.

        Fixed are the faces on an upper side that says what goes through it (Wall, FreeSlip, Inflow), and the velocity inside a body, where it stands
        at "t0"; so is a pressure in the state, which follows from the velocity. The faces on lower sides are no part of a state.
        Raises: ValueError for a body's missing parameter, or one value per sample of it.
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
        """Where there is fluid: 1 at the centres of cells, or 0 inside a body, where it stands at "t0", (1, 1, *grid). Raises as `free` does."""
        return torch.where(self._covered(params, None), 0.0, 1.0)[None, None].to(like.device, like.dtype)

    def _covered(self, params: Params, d: int | None) -> Tensor:
        """Whether the points of component d, or the centres, lie inside a body at "t0", (*grid)."""
        if all(body.fixed for body in self.bodies):
            return _covered_for_good(self.bodies, self.grid, self.sides, d)
        return covered(self.bodies, points_of(self.grid, d), params.get("t0", 0.0), params, periods(self.grid, self.sides))

    def momentum(self, params: Params, like: Tensor, observe: Observer | None = None) -> Momentum:
        """The balance of momentum, bound to `params`."""
        self.grid.check(like)
        if like.dtype not in (torch.float32, torch.float64):
            raise ValueError(f"state: expected float32 or float64, got {str(like.dtype).removeprefix('torch.')}")
        if like.shape[-self.grid.ndim - 1] != self.channels:
            expected = f"one face velocity per axis ({self.grid.ndim})" if self.channels == self.grid.ndim else f"{self.channels} channels"
            raise ValueError(f"state: expected {expected}, got {like.shape[-self.grid.ndim - 1]} channels")
        if "length" in params:
            raise ValueError("params: a staggered grid has its own length; build the stepper on another Grid and leave 'length' out")
        unnamed = {name: value for name, value in params.items() if name not in self._given}
        check_names(unnamed, self.equation, any(callable(value) for value in self._given))  # type: ignore[arg-type]
        names = [name for name in self.equation.parameters if name != "forcing"]
        own = {name: getattr(self.equation, name) for name in names if hasattr(self.equation, name)}
        given = {name: per_sample(name, params[name], like, self.grid.ndim) for name in names if name in params}
        return Momentum(self.equation, {**own, **given}, self.grid, self.sides, self.advection, self.bodies, params, like, self.pressure, observe)

    @property
    def _given(self) -> list[Any]:
        """Velocities of sides and coordinates of bodies: numbers, names of parameters, functions that may read any."""
        velocities = [side.velocity for pair in self.sides for side in pair if isinstance(side, Prescribed)]
        given = [v for velocity in velocities for v in (velocity if isinstance(velocity, tuple) else (velocity,))]
        return [*given, *(c for body in self.bodies for c in (*body.centre, body.angle))]


@lru_cache(maxsize=64)
def _covered_for_good(bodies: tuple[Body, ...], grid: Grid, sides: Sides, d: int | None) -> Tensor:
    """Of bodies that stand where numbers say, or none."""
    with ordinary_tensors():
        return covered(bodies, points_of(grid, d), 0.0, {}, periods(grid, sides))


class StaggeredStep(abc.ABC):
    """A bound step of `substeps` substeps; holds no state but how often it was called, for its warning."""

    def __init__(self, scheme: StaggeredScheme, momentum: Momentum, observe: Observer | None) -> None:
        self.scheme, self.momentum, self.observe = scheme, momentum, observe
        self._calls = 0
        warn_of_diffusion(
            type(scheme).__name__, momentum.local.viscosity, momentum.local.stiffness, scheme.substep, scheme.grid, scheme.diffusion_limit
        )
        self._of_seeds: dict[int, Step] = {}
        self.programs: dict[tuple[Any, ...], Substep] = {}  # what `compiled_substep` uses by kind of state

    def __call__(self, u: Tensor, k: int = 0) -> Tensor:
        batch, rows = u.shape[: -self.scheme.grid.ndim - 1], self._rows
        if rows in (1, math.prod(batch)):
            return self._stepped(u, k)
        if len(batch) < 2 or rows != batch[-1]:
            raise ValueError(f"step: bound to parameters of {rows} samples, the state has {tuple(batch)}; bind it to those of this batch")
        return self._repeated(batch[0])(u, k)

    @cached_property
    def _rows(self) -> int:
        """Samples that the parameters tell apart; 1 if all have the same."""
        m = self.momentum
        return max((len(v) for v in m.params.values() if isinstance(v, Tensor) and v.ndim >= m.like.ndim), default=1)

    def _repeated(self, seeds: int) -> Step:
        """The step whose parameters serve every seed; kept unless they carry a graph."""
        m = self.momentum

        def bound() -> Step:
            like = m.like.expand(seeds, *m.like.shape).flatten(0, 1)
            return self.scheme.at(merge_seeds(m.params, seeds, m.like), like, self.observe)

        if any(isinstance(v, Tensor) and v.requires_grad for v in m.params.values()):
            return bound()
        if seeds not in self._of_seeds:
            with ordinary_tensors():
                self._of_seeds = {seeds: bound()}
        return self._of_seeds[seeds]

    def _stepped(self, u: Tensor, k: int) -> Tensor:
        self._watch(u, k)
        scheme, t = self.scheme, self.momentum.start + k * self.scheme.dt
        state = list(u.reshape(-1, *u.shape[-scheme.grid.ndim - 1 :]).unbind(1))
        taken: list[Tensor] = []
        substep = compiled_substep if scheme.compiled else plain_substep
        for i in range(scheme.substeps):
            state, more = substep(self, state, t + i * scheme.substep)
            taken += more
        if self.observe is not None and taken:
            load = (torch.stack(taken).sum(0) / scheme.dt).unflatten(0, u.shape[: -scheme.grid.ndim - 1])
            self.observe("force", load[..., :2])
            self.observe("torque", load[..., 2])
        return torch.stack(state, 1).reshape(u.shape)

    def _watch(self, u: Tensor, k: int) -> None:
        """Warn, once for a scheme, of a state that moves too fast for it: at calls 1, 2, 4, 8, ..., which costs nothing beside the steps."""
        scheme = self.scheme
        if scheme.courant_limit == math.inf or torch.compiler.is_compiling() or is_functorch_wrapped_tensor(u):
            return
        self._calls += 1
        if self._calls & (self._calls - 1) or scheme in _WARNED:
            return
        if warn_of_courant(type(scheme).__name__, u, scheme.substep, scheme.grid, scheme.courant_limit, k):
            _WARNED.add(scheme)

    @abc.abstractmethod
    def substep(self, u: list[Tensor], t: Tensor | float, taken: list[Tensor]) -> list[Tensor]:
        """The channels (B, *grid) h after time t; what bodies took from the flow meanwhile is appended to `taken`, see `Obstacles.held`."""

    def constrained(self, u: list[Tensor], faces: Faces, t: Tensor | float, taken: list[Tensor]) -> list[Tensor]:
        """u without divergence and with the bodies' velocities at time t."""
        held = self.momentum.constrained(u, faces, t)
        if held.impulse is not None:
            taken.append(held.impulse)
        return held.u
