"""Operators on face velocities with boundary conditions: ghost values, divergence, pressure gradient, values that sides fix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from eddygrad.solver.grid import Grid
from eddygrad.solver.staggered.boundary_conditions import Outflow, Periodic, Prescribed, Sides, all_steady, evaluate, plane
from eddygrad.solver.step import Params

Components = Sequence[Tensor]


@dataclass(frozen=True)
class Faces:
    """Operators on components u_d (B, *grid): value [i] is on the upper face of cell i along d and at cell centres along the other axes.

    Faces at the lower ends are not stored; a side or the period gives their values. Faces on upper sides are stored; `imposed` sets those that a side
    fixes.

    Args:
        grid:  grid of the flow.
        sides: boundary conditions (low, high) per axis.
        known: {(axis, end): a value per component (1 or B, *plane) [m/s]} of the sides that prescribe velocities.
    """

    grid: Grid
    sides: Sides
    known: dict[tuple[int, int], tuple[Tensor, ...]]

    def dim(self, axis: int) -> int:
        """Return the dimension of `axis` in a tensor (B, *grid)."""
        return axis - self.grid.ndim

    def periodic(self, axis: int) -> bool:
        """Return whether an axis is periodic."""
        return isinstance(self.sides[axis][0], Periodic)

    # Ghost values ----------------------------------------------------------------------------------------------------------------------------------

    def padded(self, u: Tensor, d: int, axis: int, width: int) -> Tensor:
        """Add ghost values at both ends of an axis.

        Args:
            u:     component d (B, *grid).
            d:     component.
            axis:  axis to extend.
            width: number of ghost values at each end.
        """
        dim = self.dim(axis)
        if self.periodic(axis):
            n = u.shape[dim]
            return torch.cat([u.narrow(dim, n - width, width), u, u.narrow(dim, 0, width)], dim)
        return torch.cat([*self._low(u, d, axis, width), u, *self._high(u, d, axis, width)], dim)

    def _low(self, u: Tensor, d: int, axis: int, width: int) -> list[Tensor]:
        """Return the ghost values at the lower end, the outermost first."""
        dim, value = self.dim(axis), self._value(u, d, axis, 0)
        mirror = [u.narrow(dim, j, 1) for j in range(width)]
        if d == axis:  # the innermost ghost is the face on the side
            ghosts = [value, *(2 * value - m for m in mirror[: width - 1])]
        elif isinstance(self.sides[axis][0], Prescribed):
            ghosts = [2 * value - m for m in mirror]
        else:
            ghosts = mirror
        return ghosts[::-1]

    def _high(self, u: Tensor, d: int, axis: int, width: int) -> list[Tensor]:
        dim, side, n = self.dim(axis), self.sides[axis][1], u.shape[self.dim(axis)]
        if isinstance(side, Outflow):
            last = u.narrow(dim, n - 1, 1)
            return [last] * width
        value = self._value(u, d, axis, 1)
        if d == axis:  # face n - 1 lies on the side
            return [2 * value - u.narrow(dim, n - 2 - j, 1) for j in range(width)]
        mirror = [u.narrow(dim, n - 1 - j, 1) for j in range(width)]
        return [2 * value - m for m in mirror] if isinstance(side, Prescribed) else mirror

    def _value(self, u: Tensor, d: int, axis: int, end: int) -> Tensor:
        """Return component d on a side that fixes it, (B, *plane); zero through a slip side."""
        known = self.known.get((axis, end))
        slab = u.narrow(self.dim(axis), 0, 1)
        return torch.zeros_like(slab) if known is None else known[d].expand_as(slab)

    def with_lower(self, u: Tensor, axis: int) -> Tensor:
        """Return component `axis` on all n + 1 faces along its own axis."""
        dim = self.dim(axis)
        first = u.narrow(dim, u.shape[dim] - 1, 1) if self.periodic(axis) else self._value(u, axis, axis, 0)
        return torch.cat([first, u], dim)

    def carrier(self, u: Components, d: int, axis: int) -> Tensor:
        """Return the velocity that advects component d along `axis`: n + 1 values between its points.

        Args:
            u:    components (B, *grid) [m/s].
            d:    component that is advected.
            axis: direction.
        """
        if d == axis:
            p = torch.cat([self.with_lower(u[d], d), self._beyond(u[d], d)], self.dim(d))
            return 0.5 * _sum_of_neighbours(p, self.dim(d))
        all_faces, dim = self.with_lower(u[axis], axis), self.dim(d)
        n = all_faces.shape[dim]
        if self.periodic(d):
            last = all_faces.narrow(dim, 0, 1)
        else:
            side, last = self.sides[d][1], all_faces.narrow(dim, n - 1, 1)
            if isinstance(side, Prescribed):  # so that the mean of the last pair is the value of the side
                value = self.known[d, 1][axis]
                value = value.expand(last.shape[0], *value.shape[1:])
                last = 2 * self.with_lower_plane(value, axis) - last
        return 0.5 * _sum_of_neighbours(torch.cat([all_faces, last], dim), dim)

    def with_lower_plane(self, value: Tensor, axis: int) -> Tensor:
        """Return a side's values of component `axis` with one more at the lower end: the periodic one, or the nearest."""
        dim = self.dim(axis)
        first = value.narrow(dim, value.shape[dim] - 1 if self.periodic(axis) else 0, 1)
        return torch.cat([first, value], dim)

    def _beyond(self, u: Tensor, d: int) -> Tensor:
        return u.narrow(self.dim(d), 0, 1) if self.periodic(d) else self._high(u, d, d, 1)[0]

    # Divergence and gradient -----------------------------------------------------------------------------------------------------------------------

    def divergence(self, u: Components) -> Tensor:
        """Return sum_d (u_d[i] - u_d[i-1]) / h_d at the cell centres, (B, *grid) [1/s]."""
        total: Tensor | None = None
        for d, (component, h) in enumerate(zip(u, self.grid.spacing)):
            dim = self.dim(d)
            change = torch.diff(self.with_lower(component, d), dim=dim) / h
            total = change if total is None else total + change
        assert total is not None
        return total

    def gradient(self, p: Tensor) -> list[Tensor]:
        """Return (p[i+1] - p[i]) / h_d on the stored faces, minus the transpose of the divergence.

        On an upper side it is 0 if the velocity is fixed, and -2 p / h_d at a do-nothing side, where p = 0 half a cell away.
        """
        out = []
        for d, h in enumerate(self.grid.spacing):
            dim, side = self.dim(d), self.sides[d][1]
            last = p.narrow(dim, p.shape[dim] - 1, 1)
            if isinstance(side, Periodic):
                beyond = p.narrow(dim, 0, 1)
            else:
                beyond = -last if isinstance(side, Outflow) and side.kind == "do-nothing" else last
            out.append(torch.diff(p, dim=dim, append=beyond) / h)
        return out

    # Values that sides fix ----------------------------------------------------------------------------------------------------------------------

    def imposed(self, u: Components) -> list[Tensor]:
        """Set the upper faces that a side fixes to its values, and shift a convective outflow so that it balances the inflow."""
        out = []
        for d, component in enumerate(u):
            side = self.sides[d][1]
            if not isinstance(side, Periodic | Outflow):
                dim = self.dim(d)
                inner = component.narrow(dim, 0, component.shape[dim] - 1)
                component = torch.cat([inner, self._value(component, d, d, 1)], dim)
            out.append(component)
        for d, (_, side) in enumerate(self.sides):
            if isinstance(side, Outflow) and side.kind == "convective":
                out[d] = self._balanced(out, d)
        return out

    def with_fixed(self, u: Components, source: Components) -> list[Tensor]:
        """Replace by those of `source` the upper faces that a side fixes or a convective outflow advances."""
        out = []
        for d, (own, other) in enumerate(zip(u, source)):
            side = self.sides[d][1]
            if not isinstance(side, Periodic) and not (isinstance(side, Outflow) and side.kind == "do-nothing"):
                dim = self.dim(d)
                n = own.shape[dim]
                own = torch.cat([own.narrow(dim, 0, n - 1), other.narrow(dim, n - 1, 1)], dim)
            out.append(own)
        return out

    def _balanced(self, u: Components, d: int) -> Tensor:
        dim, axes = self.dim(d), tuple(range(-self.grid.ndim, 0))
        excess = self.divergence(u).sum(axes, keepdim=True) * self.grid.spacing[d]  # the sum over the box is the net flux through its sides
        faces = u[d].narrow(dim, u[d].shape[dim] - 1, 1)
        inner = u[d].narrow(dim, 0, u[d].shape[dim] - 1)
        return torch.cat([inner, faces - excess / faces[0].numel()], dim)

    def at_points(self, u: Components, d: int) -> list[Tensor]:
        """Return all components at the points of component d, the others by the mean of four neighbours, (B, *grid) each [m/s]."""
        around = (u[d] if axis == d else self.carrier(u, d, axis) for axis in range(self.grid.ndim))
        return [own if axis == d else 0.5 * _sum_of_neighbours(own, self.dim(axis)) for axis, own in enumerate(around)]

    def speed_squared(self, u: Components) -> list[Tensor]:
        """Return |u|^2 at the points of every component, see `at_points`, (B, *grid) each [m^2/s^2]."""
        out = []
        for d, own in enumerate(u):
            total = own * own
            for axis, other in enumerate(self.at_points(u, d)):
                if axis != d:
                    total = total + other**2
            out.append(total)
        return out

    def homogeneous(self) -> Faces:
        """Return the operators with zero velocity on all sides."""
        return replace(self, known={side: tuple(torch.zeros_like(v[:1]) for v in values) for side, values in self.known.items()})

    @property
    def closed(self) -> bool:
        """Whether the pressure is determined up to a constant only: there is no do-nothing side."""
        return not any(isinstance(high, Outflow) and high.kind == "do-nothing" for _, high in self.sides)

    def at(self, t: Tensor | float, params: Params, like: Tensor) -> Faces:
        """Return the operators with the values of unsteady sides at time t.

        Args:
            t:      time [s].
            params: physical parameters.
            like:   gives dtype and device.
        """
        if not self.unsteady:
            return self
        return replace(self, known={**self.known, **known_values(self.grid, self.sides, t, params, like, steady=False)})

    @property
    def unsteady(self) -> bool:
        """Whether a side's velocity depends on time."""
        return not all_steady(self.sides)


def known_values(
    grid: Grid, sides: Sides, t: Tensor | float, params: Params, like: Tensor, steady: bool | None = None
) -> dict[tuple[int, int], tuple[Tensor, ...]]:
    """Return the velocities that sides prescribe, by (axis, end).

    Args:
        grid:   grid of the flow.
        sides:  boundary conditions (low, high) per axis.
        t:      time [s].
        params: physical parameters.
        like:   gives dtype and device.
        steady: True for the steady sides only, False for the unsteady ones only, None for all.
    """
    return {
        (axis, end): tuple(evaluate(side.component(d, grid.ndim), plane(grid, axis, end, d), t, params, like) for d in range(grid.ndim))
        for axis, pair in enumerate(sides)
        for end, side in enumerate(pair)
        if isinstance(side, Prescribed) and (steady is None or side.steady == steady)
    }


def _sum_of_neighbours(p: Tensor, dim: int) -> Tensor:
    n = p.shape[dim]
    return p.narrow(dim, 0, n - 1) + p.narrow(dim, 1, n - 1)
