"""Incompressible flow on a staggered grid: explicit or half-implicit stages, each made free of divergence by a direct pressure solve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor

from eddygrad.solver.equations.equation import VelocityEquation
from eddygrad.solver.grid import Grid
from eddygrad.solver.schemes.scheme import check_names, per_sample
from eddygrad.solver.schemes.tableau import LOW_STORAGE
from eddygrad.solver.staggered.advection import WIDTH, Advection, advection
from eddygrad.solver.staggered.bodies import Body
from eddygrad.solver.staggered.faces import Components, Faces, known_values
from eddygrad.solver.staggered.immersed import Obstacles
from eddygrad.solver.staggered.laplacian import bilaplacian, laplacian
from eddygrad.solver.staggered.separable import Separable, pressure_lines, velocity_lines
from eddygrad.solver.staggered.sides import PERIODIC, Outflow, Prescribed, Side, Sides, sides_of
from eddygrad.solver.step import Observer, Params, Step


@dataclass(frozen=True)
class Projection:
    """Finite volumes on a staggered grid with a pressure that leaves no divergence after any stage.

        g <- F(u) + beta_k g,   u* = u + gamma_k h g,   lap phi = div u*,   u <- u* - grad phi            Chorin 1968; Sanderse, Koren 2012
        diffusion="implicit":   (1 - mu_k L) u* = (1 + mu_k L) u + gamma_k h g,  L = nu lap [+ Gamma lap^2],  mu_k = h (alpha_{k+1} - alpha_k) / 2
    Order of the explicit part: 1 Euler, 2 Heun, 3 Williamson, 4 Carpenter and Kennedy (`tableau.LOW_STORAGE`). With implicit diffusion the order in
    time is 2 on periodic and slip sides, 1 at walls, where diffusion and projection do not commute. Space: second order, see `advection`.

    State: face velocities (B, D, *grid) [m/s], component d at [i] on the upper face of cell i along d. Parameters: the equation's, those that sides
    name, "t0" [s], and "forcing" (1 or B, D, *grid), a force at the faces [m/s^2].

    Args:
        equation:   NavierStokesVelocity or ActiveTurbulenceVelocity.
        grid:       where; uniform spacing per axis.
        dt:         time between returned states [s].
        boundaries: a side for all, one per axis, or (low, high) per axis: Periodic, Wall, FreeSlip, Inflow, Outflow.
        substeps:   inner steps per dt.
        order:      of the explicit part.
        advection:  "central", "upwind1", "upwind3" or "van-leer".
        diffusion:  "explicit", stable for nu h (4 / dx^2 + 4 / dy^2) of about 2 and less, or "implicit".
        bodies:     Cylinder, Polygon, rectangle(..), aerofoil(..) in two dimensions, at rest or moving; see `staggered.immersed`. The observer is
                    told "force", (B, bodies, 2), on each body per density, the mean over dt [m^3/s^2 for the plane's unit depth].
    """

    equation: VelocityEquation
    grid: Grid
    dt: float
    boundaries: Side | Sequence[Side | Sequence[Side]] = PERIODIC
    substeps: int = 1
    order: Literal[1, 2, 3, 4] = 3
    advection: Advection = "central"
    diffusion: Literal["explicit", "implicit"] = "explicit"
    bodies: tuple[Body, ...] = ()

    def __post_init__(self) -> None:
        if not self.dt > 0 or self.substeps < 1 or self.substeps != int(self.substeps):
            raise ValueError(f"Projection: dt must be positive and substeps a whole number of at least 1, got dt={self.dt}, substeps={self.substeps}")
        if self.grid.ndim != self.equation.ndim:
            raise ValueError(f"Projection: {self.equation.name} lives in {self.equation.ndim}-D, got a grid of shape {self.grid.shape}")
        if not hasattr(self.equation, "local"):
            raise ValueError(f"Projection: {self.equation.name} has no velocity; use its velocity form")
        for name, value, known in (("order", self.order, LOW_STORAGE), ("advection", self.advection, WIDTH)):
            if value not in known:
                raise ValueError(f"Projection: {name} must be one of {', '.join(map(str, known))}, got {value!r}")
        if self.diffusion not in ("explicit", "implicit"):
            raise ValueError(f"Projection: diffusion must be 'explicit' or 'implicit', got {self.diffusion!r}")
        if self.bodies and self.grid.ndim != 2:
            raise ValueError(f"Projection: bodies stand in two dimensions, got a grid of shape {self.grid.shape}")
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
    def _named(self) -> set[str]:
        """Parameters of sides and bodies, those that stand by their name."""
        velocities = [side.velocity for pair in self.sides for side in pair if isinstance(side, Prescribed)]
        given = [v for velocity in velocities for v in (velocity if isinstance(velocity, tuple) else (velocity,))]
        return {v for v in (*given, *(c for body in self.bodies for c in (*body.centre, body.angle))) if isinstance(v, str)}

    def at(self, params: Params, like: Tensor, observe: Observer | None = None) -> Step:
        """Bind to `params`: the step for states like `like` (B, D, *grid).

        Raises: ValueError for a state of another shape or precision, a misspelt parameter, "length" (the grid has it), a side's missing parameter.
        """
        self.grid.check(like)
        if like.dtype not in (torch.float32, torch.float64):
            raise ValueError(f"state: expected float32 or float64, got {str(like.dtype).removeprefix('torch.')}")
        if like.shape[-self.grid.ndim - 1] != self.grid.ndim:
            raise ValueError(f"state: expected one face velocity per axis ({self.grid.ndim}), got {like.shape[-self.grid.ndim - 1]} channels")
        if "length" in params:
            raise ValueError("params: a staggered grid has its own length; build the stepper on another Grid and leave 'length' out")
        check_names({name: value for name, value in params.items() if name not in self._named}, self.equation)  # type: ignore[arg-type]
        return ProjectionStep(self, params, like, observe)


class ProjectionStep:
    """The bound step; holds no state."""

    def __init__(self, scheme: Projection, params: Params, like: Tensor, observe: Observer | None = None) -> None:
        self.scheme, self.params, self.like, self.observe = scheme, params, like, observe
        equation, grid = scheme.equation, scheme.grid
        own = {name: getattr(equation, name) for name in equation.parameters if hasattr(equation, name)}
        given = {name: per_sample(name, params[name], like, grid.ndim) for name in equation.parameters if name in params and name != "forcing"}
        values = {**own, **given}
        self.local = equation.local(values)
        self.start = params.get("t0", 0.0)
        known = known_values(grid, scheme.sides, self.start, params, like)
        self.faces = Faces(grid, scheme.sides, known)
        self.force = _force(scheme, values, params, like)
        self.pressure = Separable(pressure_lines(grid, scheme.sides), (0.0, 1.0), like.dtype, like.device)
        self.obstacles = self._obstacles() if scheme.bodies else None
        self._stages = self._plan()

    def _obstacles(self) -> Obstacles:
        scheme, still = self.scheme, self.faces.homogeneous()
        exact = Separable(pressure_lines(scheme.grid, scheme.sides), (0.0, 1.0), torch.float64, self.like.device)
        zero = torch.zeros((), dtype=torch.float64, device=self.like.device)
        precise = replace(still, known={side: tuple(v.detach().to(zero) for v in values) for side, values in still.known.items()})
        return Obstacles(
            scheme.bodies,
            scheme.grid,
            scheme.sides,
            self.params,
            lambda u: projected(list(u), still, self.pressure)[0],
            lambda u: projected(list(u), precise, exact)[0],
            self.start,
        )

    def _plan(self) -> list[tuple[float, float, float, float, list[Separable] | None]]:
        """(time, beta, gamma h, mu, solvers of 1 - mu L per component) of every stage."""
        scheme, h = self.scheme, self.scheme.substep
        alpha, beta, gamma = LOW_STORAGE[scheme.order]
        plan = []
        for (a, b), memory, weight in zip(pairwise(alpha), beta, gamma):
            mu, solvers = 0.5 * h * (b - a), None
            if scheme.diffusion == "implicit":
                powers = (1.0, -mu * self.local.viscosity, -mu * self.local.stiffness)
                lines = [velocity_lines(scheme.grid, scheme.sides, d) for d in range(scheme.grid.ndim)]
                solvers = [Separable(own, powers, self.like.dtype, self.like.device) for own in lines]
            plan.append((h * b, memory, weight * h, mu, solvers))
        return plan

    def __call__(self, u: Tensor, k: int = 0) -> Tensor:
        grid, t = self.scheme.grid, self.start + k * self.scheme.dt
        state = list(u.reshape(-1, grid.ndim, *grid.shape).unbind(1))
        taken: list[Tensor] = []
        for i in range(self.scheme.substeps):
            state = self._substep(state, t + i * self.scheme.substep, taken)
        if self.observe is not None and taken:
            self.observe("force", torch.stack(taken).sum(0) / self.scheme.dt)
        return torch.stack(state, 1).reshape(u.shape)

    def _substep(self, u: list[Tensor], t: Tensor | float, taken: list[Tensor]) -> list[Tensor]:
        g: list[Tensor] | None = None
        now = self.faces.at(t, self.params, self.like)
        for time, beta, gamma, mu, solvers in self._stages:
            f = self._tendency(u, now)
            g = f if g is None else [own + beta * before for own, before in zip(f, g)]
            before, now = now, self.faces.at(t + time, self.params, self.like)
            moved = now.imposed([own + gamma * change for own, change in zip(u, g)])
            if solvers is not None:
                moved = now.imposed(self._diffused(u, before, moved, now, mu, solvers))
            u = projected(moved, now, self.pressure)[0]
            if self.obstacles is not None:
                u, impulse = self.obstacles.held(u, t + time)
                taken.append(impulse)
        return u

    def _tendency(self, u: Components, faces: Faces) -> list[Tensor]:
        c, scheme = self.local, self.scheme
        out = advection(u, faces, scheme.advection)
        if not _is(c.transport, 1.0):
            out = [_times(c.transport, a) for a in out]
        if scheme.diffusion == "explicit":
            out = [a + s for a, s in zip(out, self._spread(u, faces))]
        if not _is(c.damping, 0.0):
            out = [a + _times(c.damping, v) for a, v in zip(out, u)]
        if not _is(c.cubic, 0.0):
            out = [a - _times(c.cubic, s * v) for a, s, v in zip(out, faces.speed_squared(u), u)]
        if self.force is not None:
            out = [a + f for a, f in zip(out, self.force)]
        return [self._leaving(a, u[d], d) for d, a in enumerate(out)]

    def _spread(self, u: Components, faces: Faces) -> list[Tensor]:
        """L u = viscosity lap u + stiffness lap^2 u"""
        c, lap = self.local, laplacian(u, faces)
        out = [_times(c.viscosity, l) for l in lap]
        if _is(c.stiffness, 0.0):
            return out
        return [a + _times(c.stiffness, b) for a, b in zip(out, bilaplacian(lap, faces))]

    def _leaving(self, change: Tensor, u: Tensor, d: int) -> Tensor:
        """The tendency with that of a convective outflow on its faces: -U (u[n-1] - u[n-2]) / h, U the mean speed out."""
        side = self.scheme.sides[d][1]
        if not isinstance(side, Outflow) or side.kind != "convective":
            return change
        dim = self.faces.dim(d)
        n, h = u.shape[dim], self.scheme.grid.spacing[d]
        last = u.narrow(dim, n - 1, 1)
        speed = last.mean(tuple(range(-self.scheme.grid.ndim, 0)), keepdim=True)
        return torch.cat([change.narrow(dim, 0, n - 1), -speed * (last - u.narrow(dim, n - 2, 1)) / h], dim)

    def _diffused(self, u: Components, before: Faces, moved: Components, now: Faces, mu: float, solvers: list[Separable]) -> list[Tensor]:
        """u* of (1 - mu L) u* = moved + mu L u by its difference from u, which vanishes on the sides once u has their new values."""
        begin = now.with_fixed(u, moved)
        out = []
        for own, target, old, new, solver in zip(begin, moved, self._spread(u, before), self._spread(begin, now), solvers):
            out.append(own + solver(target - own + mu * (old + new)))
        return now.with_fixed(out, moved)


def projected(u: Components, faces: Faces, pressure: Separable) -> tuple[list[Tensor], Tensor]:
    """u - grad phi with lap phi = div u, and phi [m^2/s]."""
    phi = pressure(faces.divergence(u))
    return [own - slope for own, slope in zip(u, faces.gradient(phi))], phi


def _is(value: Tensor | float, number: float) -> bool:
    return not isinstance(value, Tensor) and value == number


def _times(factor: Tensor | float, x: Tensor) -> Tensor:
    return (factor.to(x.dtype) if isinstance(factor, Tensor) else factor) * x


def _force(scheme: Projection, values: Mapping[str, Any], params: Params, like: Tensor) -> list[Tensor] | None:
    """The equation's forcing at the faces and the given one, (1 or B, *grid) per component; None without any."""
    grid = scheme.grid
    total: list[Tensor | None] = [None] * grid.ndim
    modes = scheme.equation.forcing((), values)
    for c, own in modes.items():
        for mode, amplitude in own.items():
            wave = _wave(grid, c, mode).to(like.device)
            weight = 1.0 if mode[-1] == 0 else 2.0
            value = weight * (torch.as_tensor(amplitude, dtype=torch.complex128, device=like.device).reshape(-1, *[1] * grid.ndim) * wave).real
            before = total[c]
            total[c] = value if before is None else before + value
    given = params.get("forcing")
    if given is not None:
        if not isinstance(given, Tensor) or given.shape[-grid.ndim - 1 :] != (grid.ndim, *grid.shape):
            got = tuple(given.shape) if isinstance(given, Tensor) else given
            raise ValueError(f"params: 'forcing' must be a field at the faces ([batch,] {grid.ndim}, {', '.join(map(str, grid.shape))}), got {got}")
        for c, f in enumerate(given.to(like.device, like.dtype).reshape(-1, grid.ndim, *grid.shape).unbind(1)):
            before = total[c]
            total[c] = f if before is None else before + f
    if all(f is None for f in total):
        return None
    return [torch.zeros(1, *grid.shape, dtype=like.dtype, device=like.device) if f is None else f.to(like.dtype) for f in total]


def _wave(grid: Grid, d: int, mode: Sequence[int]) -> Tensor:
    """e^(i k.x) at the points of component d, (*grid), complex128."""
    phase = torch.zeros((), dtype=torch.float64)
    for a, (n, m) in enumerate(zip(grid.shape, mode)):
        x = (torch.arange(n, dtype=torch.float64) + (1.0 if a == d else 0.5)) / n
        phase = phase + (2 * torch.pi * m * x).reshape([-1 if b == a else 1 for b in range(grid.ndim)])
    return torch.exp(1j * phase)
