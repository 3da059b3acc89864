"""The momentum balance on a staggered grid, bound to parameters: accelerations, projection, loads on bodies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch._C._functorch import is_functorch_wrapped_tensor

from eddygrad.solver.equations.equation import VelocityEquation
from eddygrad.solver.grid import Grid
from eddygrad.solver.linear_solvers import Krylov
from eddygrad.solver.staggered.advection import Advection, advection
from eddygrad.solver.staggered.bodies import Body
from eddygrad.solver.staggered.boundary_conditions import Inflow, Outflow, Sides
from eddygrad.solver.staggered.faces import Components, Faces, known_values
from eddygrad.solver.staggered.fast_diagonalisation import Separable, pressure_lines, velocity_lines
from eddygrad.solver.staggered.immersed import Obstacles
from eddygrad.solver.staggered.iterative_pressure import Poisson
from eddygrad.solver.staggered.laplacian import bilaplacian, laplacian
from eddygrad.solver.step import Observer, Params


class Loads(NamedTuple):
    """Pressure over density at the cell centres (B, *grid) [m^2/s^2], and the loads on each body: force (B, bodies, 2) [m^3/s^2] and torque about its
    centre, anticlockwise, (B, bodies) [m^4/s^2]."""

    pressure: Tensor
    force: Tensor | None
    torque: Tensor | None = None


class ProjectedVelocity(NamedTuple):
    """The projected velocity u = u* - grad phi - E^T f, phi (B, *grid) [m^2/s], and the impulse that each body takes, see `Obstacles.held`."""

    u: list[Tensor]
    phi: Tensor
    impulse: Tensor | None


class Momentum:
    """u_t = F(u) - grad p with div u = 0 and the bodies' velocities at their markers, without state.

    Args:
        equation: equation.
        values:   its parameters in float64.
        grid:     grid of the flow.
        sides:    boundary conditions (low, high) per axis.
        scheme:   advection scheme.
        bodies:   bodies in the flow.
        params:   all physical parameters.
        like:     an example state; gives dtype and device.
        pressure: an iterative pressure solver; None solves directly.
        observe:  receives its iterations.
    """

    def __init__(
        self,
        equation: VelocityEquation,
        values: Mapping[str, Any],
        grid: Grid,
        sides: Sides,
        scheme: Advection,
        bodies: tuple[Body, ...],
        params: Params,
        like: Tensor,
        pressure: Krylov | None = None,
        observe: Observer | None = None,
    ) -> None:
        self.grid, self.sides, self.scheme, self.params, self.like = grid, sides, scheme, params, like
        self.local = equation.local(values)
        self.start = params.get("t0", 0.0)
        self.faces = Faces(grid, sides, known_values(grid, sides, self.start, params, like))
        self._check_inflow(self.faces)
        self.force = _force(equation, grid, values, params, like)
        self.direct = Separable(pressure_lines(grid, sides), (0.0, 1.0), like.dtype, like.device)
        self.pressure: Callable[[Tensor], Tensor] = self.direct if pressure is None else Poisson(self.faces, pressure, observe)
        self.obstacles = self._obstacles(bodies) if bodies else None

    def _check_inflow(self, faces: Faces) -> None:
        """Raise ValueError if the net inflow is not zero and there is no Outflow."""
        sides = [(axis, end) for axis, pair in enumerate(self.sides) for end, side in enumerate(pair) if isinstance(side, Inflow)]
        if not sides or any(isinstance(high, Outflow) for _, high in self.sides):
            return
        through = [(1 - 2 * end) * faces.known[axis, end][axis].detach().double() / self.grid.spacing[axis] for axis, end in sides]
        net, gross = (sum(v.flatten(1).sum(1) for v in parts) for parts in (through, [v.abs() for v in through]))
        assert isinstance(net, Tensor) and isinstance(gross, Tensor)
        if not is_functorch_wrapped_tensor(net) and bool((net.abs() > 1e-5 * gross).any()):
            share = float((net / gross).abs().amax())
            raise ValueError(
                f"boundaries: expected balanced inflows without an Outflow, got a net inflow of {100 * share:.3g} % of the flux through the sides; "
                "balance the inflows or open a side"
            )

    def _obstacles(self, bodies: tuple[Body, ...]) -> Obstacles:
        still = self.faces.homogeneous()
        exact = Separable(pressure_lines(self.grid, self.sides), (0.0, 1.0), torch.float64, self.like.device)
        zero = torch.zeros((), dtype=torch.float64, device=self.like.device)
        precise = replace(still, known={side: tuple(v.detach().to(zero) for v in values) for side, values in still.known.items()})
        return Obstacles(
            bodies,
            self.grid,
            self.sides,
            self.params,
            lambda u: projected(u, still, self.direct),  # also with an iterative pressure: forces that act like a pressure must cancel exactly
            lambda u: projected(u, precise, exact),
            self.start,
            self.like.device,
        )

    def at(self, t: Tensor | float) -> Faces:
        """Return the operators with the boundary values at time t [s]."""
        faces = self.faces.at(t, self.params, self.like)
        if faces.unsteady and not torch.compiler.is_compiling():
            self._check_inflow(faces)
        return faces

    def rate(self, u: Components, faces: Faces, carried: bool = True, spread: bool = True) -> list[Tensor]:
        """Return F(u), all accelerations except the pressure gradient, (B, *grid) each [m/s^2].

        Args:
            u:       components (B, *grid) [m/s].
            faces:   operators at this time.
            carried: include advection.
            spread:  include the diffusion L u.
        """
        c = self.local
        out = advection(u, faces, self.scheme) if carried else [torch.zeros_like(v) for v in u]
        if carried and not is_number(c.transport, 1.0):
            out = [times(c.transport, a) for a in out]
        if spread and not (is_number(c.viscosity, 0.0) and is_number(c.stiffness, 0.0)):
            out = [a + s for a, s in zip(out, self.spread(u, faces))]
        if not is_number(c.damping, 0.0):
            out = [a + times(c.damping, v) for a, v in zip(out, u)]
        if not is_number(c.cubic, 0.0):
            out = [a - times(c.cubic, s * v) for a, s, v in zip(out, faces.speed_squared(u), u)]
        if self.force is not None:
            out = [a + f for a, f in zip(out, self.force)]
        return [self._leaving(a, u[d], d) for d, a in enumerate(out)] if carried else out

    def spread(self, u: Components, faces: Faces) -> list[Tensor]:
        """Return L u = viscosity lap u + stiffness lap^2 u [m/s^2]; zero on the faces of a convective outflow, which advects only."""
        c, lap = self.local, laplacian(u, faces)
        out = [times(c.viscosity, l) for l in lap]
        if not is_number(c.stiffness, 0.0):
            out = [a + times(c.stiffness, b) for a, b in zip(out, bilaplacian(lap, faces))]
        return [self._with_last(l, l.new_zeros(()), d) if self._convective(d) else l for d, l in enumerate(out)]

    def diffusion_solvers(self, mu: float) -> list[Separable]:
        """Return the solvers of 1 - mu L per component; mu in [s]."""
        powers = (1.0, -mu * self.local.viscosity, -mu * self.local.stiffness)
        lines = [velocity_lines(self.grid, self.sides, d) for d in range(self.grid.ndim)]
        return [Separable(own, powers, self.like.dtype, self.like.device) for own in lines]

    def diffused(self, u: Components, before: Faces, moved: Components, now: Faces, mu: float, solvers: Sequence[Separable]) -> list[Tensor]:
        """Solve (1 - mu L) u* = moved + mu L u for the difference of u* from u, which vanishes on the sides once u has their new values.

        Args:
            u:       components before the explicit part (B, *grid) [m/s].
            before:  operators at the old time.
            moved:   components after the explicit part.
            now:     operators at the new time.
            mu:      factor [s].
            solvers: solvers of 1 - mu L, see `diffusion_solvers`.
        """
        begin = now.with_fixed(u, moved)
        out = []
        for own, target, old, new, solver in zip(begin, moved, self.spread(u, before), self.spread(begin, now), solvers):
            out.append(own + solver(target - own + mu * (old + new)))
        return now.with_fixed(out, moved)

    def left(self, u: Components, h: float) -> list[Tensor]:
        """Advance the faces of a convective outflow by h [s]."""
        return [own + h * self._leaving(torch.zeros_like(own), own, d) if self._convective(d) else own for d, own in enumerate(u)]

    def _leaving(self, change: Tensor, u: Tensor, d: int) -> Tensor:
        """Set the rate on the faces of a convective outflow: -U (u[n-1] - u[n-2]) / h with the mean outflow speed U."""
        if not self._convective(d):
            return change
        dim = self.faces.dim(d)
        n, h = u.shape[dim], self.grid.spacing[d]
        last = u.narrow(dim, n - 1, 1)
        speed = last.mean(tuple(range(-self.grid.ndim, 0)), keepdim=True)
        return self._with_last(change, -speed * (last - u.narrow(dim, n - 2, 1)) / h, d)

    def _convective(self, d: int) -> bool:
        side = self.sides[d][1]
        return isinstance(side, Outflow) and side.kind == "convective"

    def _with_last(self, x: Tensor, last: Tensor, d: int) -> Tensor:
        """Replace the values on the upper faces along d."""
        dim = self.faces.dim(d)
        inner = x.narrow(dim, 0, x.shape[dim] - 1)
        return torch.cat([inner, last.expand_as(x.narrow(dim, 0, 1))], dim)

    def constrained(self, u: Components, faces: Faces, t: Tensor | float) -> ProjectedVelocity:
        """Project a velocity: no divergence, and the bodies' velocities at time t.

        Args:
            u:     components (B, *grid) [m/s].
            faces: operators at time t.
            t:     time [s].
        """
        free, phi = projected(u, faces, self.pressure)
        if self.obstacles is None:
            return ProjectedVelocity(free, phi, None)
        held, more, impulse = self.obstacles.held(free, t)
        return ProjectedVelocity(held, phi + more, impulse)

    def loads(self, u: Tensor, k_dt: float = 0.0) -> Loads:
        """Return pressure and loads of a state, from the constraints on its acceleration; no time step is involved.

            a = F(u) - grad p - E^T f,   div a = 0,   E a = 0
        The pressure is zero at a do-nothing side; without one its mean is zero.

        Args:
            u:    velocity (B, D, *grid) [m/s].
            k_dt: time since "t0" [s].
        Raises: ValueError for bodies that move, and boundary conditions that change with time.
        """
        if self.faces.unsteady:
            raise ValueError("loads: expected steady boundary conditions, got ones that change with time; use a step's observed 'force'")
        if self.obstacles is not None and self.obstacles.moving:
            raise ValueError("loads: expected bodies at rest, got a moving one, which carries the fluid inside it; use a step's observed 'force'")
        p, _, load = self._resisted(u.unbind(1), self.at(self.start + k_dt))
        return Loads(p, None) if load is None else Loads(p, load[..., :2], load[..., 2])

    def resistance(self, u: Components, faces: Faces) -> list[Tensor] | None:
        """Return E^T f of `loads`, the acceleration that bodies at rest cancel, (B, *grid) each [m/s^2]; None without such bodies."""
        if self.obstacles is None or self.obstacles.moving:
            return None
        return self._resisted(u, faces)[1]

    def _resisted(self, u: Components, faces: Faces) -> tuple[Tensor, list[Tensor] | None, Tensor | None]:
        still = faces.homogeneous()
        free, p = projected(still.imposed(self.rate(u, faces)), still, self.pressure)
        if self.obstacles is None:
            return p, None, None
        f, load = self.obstacles.resisted(free)
        return p - self.pressure(still.divergence(f)), f, load


def projected(u: Components, faces: Faces, pressure: Callable[[Tensor], Tensor]) -> tuple[list[Tensor], Tensor]:
    """Return u - grad phi with lap phi = div u, and phi (B, *grid) [m^2/s].

    Args:
        u:        components (B, *grid) [m/s].
        faces:    operators.
        pressure: solver of lap phi = y.
    """
    phi = pressure(faces.divergence(u))
    return [own - slope for own, slope in zip(u, faces.gradient(phi))], phi


def is_number(value: Tensor | float, number: float) -> bool:
    """Return whether a coefficient is this very number, not a tensor."""
    return not isinstance(value, Tensor) and value == number


def times(factor: Tensor | float, x: Tensor) -> Tensor:
    """Return factor * x in the dtype of x."""
    return (factor.to(x.dtype) if isinstance(factor, Tensor) else factor) * x


def _force(equation: VelocityEquation, grid: Grid, values: Mapping[str, Any], params: Params, like: Tensor) -> list[Tensor] | None:
    """Return the equation's forcing plus params["forcing"] at the faces, (1 or B, *grid) per component; None without any."""
    total: dict[int, Tensor] = {}
    for c, own in equation.forcing((), values).items():
        for mode, amplitude in own.items():
            value = torch.as_tensor(amplitude, dtype=torch.complex128, device=like.device).reshape(-1, *[1] * grid.ndim)
            wave = (value * _wave(grid, c, mode).to(like.device)).real * (1.0 if mode[-1] == 0 else 2.0)  # the equation gives half of the spectrum
            total[c] = total[c] + wave if c in total else wave
    given = params.get("forcing")
    if given is not None:
        if not isinstance(given, Tensor) or given.shape[-grid.ndim - 1 :] != (grid.ndim, *grid.shape):
            got = tuple(given.shape) if isinstance(given, Tensor) else given
            raise ValueError(f"params: 'forcing' must be a field at the faces ([batch,] {grid.ndim}, {', '.join(map(str, grid.shape))}), got {got}")
        for c, f in enumerate(given.to(like.device, torch.float64).reshape(-1, grid.ndim, *grid.shape).unbind(1)):
            total[c] = total[c] + f if c in total else f
    if not total:
        return None
    zero = torch.zeros(1, *grid.shape, dtype=like.dtype, device=like.device)
    return [total[c].to(like.dtype) if c in total else zero for c in range(grid.ndim)]


def _wave(grid: Grid, d: int, mode: Sequence[int]) -> Tensor:
    """Return e^(i k.x) at the points of component d, (*grid), complex128."""
    phase = torch.zeros((), dtype=torch.float64)
    for a, (n, m) in enumerate(zip(grid.shape, mode)):
        x = (torch.arange(n, dtype=torch.float64) + (1.0 if a == d else 0.5)) / n
        phase = phase + (2 * torch.pi * m * x).reshape([-1 if b == a else 1 for b in range(grid.ndim)])
    return torch.exp(1j * phase)
