"""What the schemes on a staggered grid share: where they act, what they transport, which bodies stand in the flow."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from eddygrad.solver.equations.equation import VelocityEquation
from eddygrad.solver.grid import Grid
from eddygrad.solver.schemes.scheme import check_names, per_sample
from eddygrad.solver.staggered.advection import WIDTH, Advection
from eddygrad.solver.staggered.bodies import Body
from eddygrad.solver.staggered.faces import Faces
from eddygrad.solver.staggered.momentum import Momentum
from eddygrad.solver.staggered.sides import PERIODIC, Prescribed, Side, Sides, sides_of
from eddygrad.solver.step import Observer, Params, Step


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
                    told "force", (B, bodies, 2), on each body per density, the mean over dt [m^3/s^2 for the plane's unit depth].
    """

    equation: VelocityEquation
    grid: Grid
    dt: float
    boundaries: Side | Sequence[Side | Sequence[Side]] = PERIODIC
    substeps: int = 1
    advection: Advection = "central"
    bodies: tuple[Body, ...] = ()

    def __post_init__(self) -> None:
        name = type(self).__name__
        if not self.dt > 0 or self.substeps < 1 or self.substeps != int(self.substeps):
            raise ValueError(f"{name}: dt must be positive and substeps a whole number of at least 1, got dt={self.dt}, substeps={self.substeps}")
        if self.grid.ndim != self.equation.ndim:
            raise ValueError(f"{name}: {self.equation.name} lives in {self.equation.ndim}-D, got a grid of shape {self.grid.shape}")
        if not hasattr(self.equation, "local"):
            raise ValueError(f"{name}: {self.equation.name} has no velocity; use its velocity form")
        if self.advection not in WIDTH:
            raise ValueError(f"{name}: advection must be one of {', '.join(WIDTH)}, got {self.advection!r}")
        if self.bodies and self.grid.ndim != 2:
            raise ValueError(f"{name}: bodies stand in two dimensions, got a grid of shape {self.grid.shape}")
        object.__setattr__(self, "bodies", tuple(self.bodies))
        object.__setattr__(self, "boundaries", sides_of(self.boundaries, self.grid.ndim))

    @property
    def sides(self) -> Sides:
        return self.boundaries  # type: ignore[return-value]

    @property
    def differentiable(self) -> bool:
        return True

    @property
    def substep(self) -> float:
        """h = dt / substeps [s]."""
        return self.dt / self.substeps

    @property
    def channels(self) -> int:
        """Of the state."""
        return self.grid.ndim

    @abc.abstractmethod
    def step(self, momentum: Momentum, observe: Observer | None) -> Step:
        """The step of a flow that is bound to its parameters."""

    def at(self, params: Params, like: Tensor, observe: Observer | None = None) -> Step:
        """Bind to `params`: the step for states like `like` (B, D, *grid).

        Raises: ValueError for a state of another shape or precision, a misspelt parameter, "length" (the grid has it), a side's missing parameter.
        """
        return self.step(self.momentum(params, like), observe)

    def momentum(self, params: Params, like: Tensor) -> Momentum:
        """The balance of momentum, bound to `params`."""
        self.grid.check(like)
        if like.dtype not in (torch.float32, torch.float64):
            raise ValueError(f"state: expected float32 or float64, got {str(like.dtype).removeprefix('torch.')}")
        if like.shape[-self.grid.ndim - 1] != self.channels:
            expected = f"one face velocity per axis ({self.grid.ndim})" if self.channels == self.grid.ndim else f"{self.channels} channels"
            raise ValueError(f"state: expected {expected}, got {like.shape[-self.grid.ndim - 1]} channels")
        if "length" in params:
            raise ValueError("params: a staggered grid has its own length; build the stepper on another Grid and leave 'length' out")
        check_names({name: value for name, value in params.items() if name not in self._named}, self.equation)  # type: ignore[arg-type]
        names = [name for name in self.equation.parameters if name != "forcing"]
        own = {name: getattr(self.equation, name) for name in names if hasattr(self.equation, name)}
        given = {name: per_sample(name, params[name], like, self.grid.ndim) for name in names if name in params}
        return Momentum(self.equation, {**own, **given}, self.grid, self.sides, self.advection, self.bodies, params, like)

    @property
    def _named(self) -> set[str]:
        """Parameters of sides and bodies, those that stand by their name."""
        velocities = [side.velocity for pair in self.sides for side in pair if isinstance(side, Prescribed)]
        given = [v for velocity in velocities for v in (velocity if isinstance(velocity, tuple) else (velocity,))]
        return {v for v in (*given, *(c for body in self.bodies for c in (*body.centre, body.angle))) if isinstance(v, str)}


class StaggeredStep(abc.ABC):
    """A bound step of `substeps` substeps; holds no state."""

    def __init__(self, scheme: StaggeredScheme, momentum: Momentum, observe: Observer | None) -> None:
        self.scheme, self.momentum, self.observe = scheme, momentum, observe

    def __call__(self, u: Tensor, k: int = 0) -> Tensor:
        scheme, t = self.scheme, self.momentum.start + k * self.scheme.dt
        state = list(u.reshape(-1, *u.shape[-scheme.grid.ndim - 1 :]).unbind(1))
        taken: list[Tensor] = []
        for i in range(scheme.substeps):
            state = self.substep(state, t + i * scheme.substep, taken)
        if self.observe is not None and taken:
            self.observe("force", torch.stack(taken).sum(0) / scheme.dt)
        return torch.stack(state, 1).reshape(u.shape)

    @abc.abstractmethod
    def substep(self, u: list[Tensor], t: Tensor | float, taken: list[Tensor]) -> list[Tensor]:
        """The channels (B, *grid) h after time t; what bodies took from the flow meanwhile is appended to `taken`, (B, bodies, 2) [m^3/s]."""

    def constrained(self, u: list[Tensor], faces: Faces, t: Tensor | float, taken: list[Tensor]) -> list[Tensor]:
        """u without divergence and with the bodies' velocities at time t."""
        held = self.momentum.constrained(u, faces, t)
        if held.impulse is not None:
            taken.append(held.impulse)
        return held.u
