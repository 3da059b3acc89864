"""Immersed boundaries: forces at the markers of bodies give the flow their velocity and keep it divergence-free."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from eddygrad.runtime.memory import ordinary_tensors
from eddygrad.solver.grid import Grid
from eddygrad.solver.staggered.bodies import Body
from eddygrad.solver.staggered.boundary_conditions import Periodic, Sides

# The projection: u -> P u and phi with u = P u + grad phi.
Project = Callable[[Sequence[Tensor]], tuple[list[Tensor], Tensor]]
MARKER_DISTANCE = 1.5  # in cells: closer markers worsen the condition of the capacity matrix and do not improve the flow
_FORCES_AT_ONCE = 64  # unit forces that are projected together while the capacity matrix is built


class Reach(NamedTuple):
    """The faces near every marker: their indices in a flattened component (M, 9) and weights (M, 9), which sum to one."""

    places: Tensor
    weights: Tensor


@dataclass(frozen=True)
class Immersed:
    """Markers at X_m with velocities V_m, and the forces that give the flow these velocities.

        E u = sum_i u_i phi((x_i - X)/h) phi((y_i - Y)/h),   P: projection onto divergence-free fields
        u = P (u* - E^T f),   (E P E^T) f = E P u* - V                                     Taira and Colonius 2007, solved directly
        phi(r) = (1 + sqrt(1 - 3 r^2))/3 for |r| <= 1/2, (5 - 3|r| - sqrt(1 - 3(1 - |r|)^2))/6 to 3/2       Roma, Peskin, Berger 1999
    u is divergence-free and has the markers' velocities, both to round-off. E P E^T is symmetric, (2 M)^2, and computed once for bodies at rest.

    Args:
        grid:       grid of the flow.
        sides:      boundary conditions (low, high) per axis.
        points:     positions of the markers (M, 2), float64 [m].
        velocities: velocities of the markers (M, 2), float64 [m/s].
    Raises: ValueError for a marker closer than two cells to a side that is not periodic.
    """

    grid: Grid
    sides: Sides
    points: Tensor
    velocities: Tensor
    reaches: tuple[Reach, ...] = field(init=False, repr=False)  # one per component

    def __post_init__(self) -> None:
        object.__setattr__(self, "reaches", tuple(self._reach(d) for d in range(self.grid.ndim)))

    def _reach(self, d: int) -> Reach:
        places, weights = [], []
        for axis, (n, h, (low, _)) in enumerate(zip(self.grid.shape, self.grid.spacing, self.sides)):
            s = self.points[:, axis] / h - (1.0 if axis == d else 0.5)
            near = s.detach().round().long().unsqueeze(1) + torch.arange(-1, 2, device=s.device)
            if not isinstance(low, Periodic) and bool(((near < 0) | (near > n - 2)).any()):
                x = self.points[:, axis].detach()
                raise ValueError(
                    f"bodies: expected markers at least two cells of {h:.3g} m inside the sides at 0 and {n * h:.3g} m, "
                    f"got {float(x.min()):.3g} to {float(x.max()):.3g} m along {'xyz'[axis]}; move the body or refine the grid"
                )
            places.append(near % n)
            weights.append(_roma(s.unsqueeze(1) - near))
        stride = self.grid.shape[1]
        return Reach(
            (places[0].unsqueeze(2) * stride + places[1].unsqueeze(1)).flatten(1),
            (weights[0].unsqueeze(2) * weights[1].unsqueeze(1)).flatten(1),
        )

    def interpolated(self, u: Sequence[Tensor]) -> Tensor:
        """Return E u: components (B, *grid) -> (B, 2 M) in float64."""
        rows = []
        for component, reach in zip(u, self.reaches):
            values = component.flatten(1)[:, reach.places.flatten()].unflatten(1, reach.places.shape)
            rows.append((values * reach.weights).sum(2))
        return torch.cat(rows, 1)

    def spread(self, f: Tensor, like: Tensor) -> list[Tensor]:
        """Return E^T f: (B, 2 M) -> components (B, *grid) in the dtype of `like`."""
        out = []
        for force, reach in zip(f.chunk(self.grid.ndim, 1), self.reaches):
            amounts = (force.unsqueeze(2) * reach.weights).flatten(1)
            flat = amounts.new_zeros(len(f), self.grid.shape[0] * self.grid.shape[1]).index_add(1, reach.places.flatten(), amounts)
            out.append(flat.unflatten(1, self.grid.shape).to(like.dtype))
        return out

    def capacity(self, project: Project) -> Tensor:
        """Return the inverse of E P E^T, (2 M, 2 M) in float64, with gradients with respect to the markers' positions.

        A force that acts like a pressure, such as the constant normal force of a closed outline, has almost no effect and is left out.
        """
        unit = torch.eye(2 * len(self.points), dtype=torch.float64, device=self.points.device)
        like = unit.new_zeros(())
        columns = [self.interpolated(project(self.spread(part, like))[0]) for part in unit.split(_FORCES_AT_ONCE)]
        matrix = torch.cat(columns)
        return torch.linalg.pinv(0.5 * (matrix + matrix.mT), rtol=1e-9, hermitian=True)

    def held(self, u: list[Tensor], inverse: Tensor, project: Project) -> tuple[list[Tensor], Tensor, Tensor]:
        """Give a divergence-free flow the markers' velocities.

        Args:
            u:       components (B, *grid) [m/s].
            inverse: result of `capacity`.
            project: projection.
        Returns: the flow, the potential of the correction, and f (B, 2 M), what the bodies take from the flow per cell [m/s].
        """
        f = (self.interpolated(u) - self.velocities.mT.flatten()) @ inverse
        push, phi = project(self.spread(f, u[0]))
        return [own - p for own, p in zip(u, push)], -phi, f


class Placed(NamedTuple):
    """Bodies at a time: their markers, the inverse capacity matrix, and the markers' positions relative to their body's centre (M, 2) [m]."""

    immersed: Immersed
    inverse: Tensor
    arms: Tensor


class Obstacles:
    """Bodies bound to a flow.

    Args:
        bodies:  bodies.
        grid:    grid of the flow.
        sides:   boundary conditions (low, high) per axis.
        params:  physical parameters.
        project: projection in the precision of the state.
        exact:   projection in float64.
        t:       time at which bodies at rest are placed [s].
        device:  device of the states.
    Raises: ValueError for a body thinner than a cell, outside the box or too close to a side.
    """

    def __init__(
        self,
        bodies: tuple[Body, ...],
        grid: Grid,
        sides: Sides,
        params: Mapping[str, Any],
        project: Project,
        exact: Project,
        t: float | Tensor = 0.0,
        device: torch.device | str = "cpu",
    ) -> None:
        self.bodies, self.grid, self.sides, self.params = bodies, grid, sides, params
        self.project, self.exact, self.device = project, exact, device
        self.moving = any(body.moves for body in bodies)
        for body in bodies:
            if body.thickness < max(grid.spacing):
                raise ValueError(f"bodies: {type(body).__name__} is {body.thickness:.3g} m thick, a cell {max(grid.spacing):.3g} m; refine the grid")
        self.counts = [len(body.outline(self._distance)) for body in bodies]  # number of markers per body
        self._still = None if self.moving else self._placed(t)

    def held(self, u: list[Tensor], t: Tensor | float) -> tuple[list[Tensor], Tensor, Tensor]:
        """Give a divergence-free flow the bodies' velocities at time t.

        Returns: the flow, the potential of the correction, and what each body takes, (B, bodies, 3): momentum along x and y [m^3/s], and angular
                 momentum about its centre [m^4/s].
        """
        placed = self._still or self._placed(t)
        u, phi, f = placed.immersed.held(u, placed.inverse, self.project)
        return u, phi, self._on_each(f, placed.arms)

    def resisted(self, a: list[Tensor]) -> tuple[list[Tensor], Tensor]:
        """Return the forces that keep bodies at rest under a divergence-free acceleration.

        Returns: the spread forces (B, *grid) each [m/s^2], and the loads on each body, (B, bodies, 3): force along x and y [m^3/s^2], and torque
                 about its centre [m^4/s^2].
        """
        placed = self._still or self._placed(0.0)
        f = placed.immersed.interpolated(a) @ placed.inverse
        return placed.immersed.spread(f, a[0]), self._on_each(f, placed.arms)

    def _on_each(self, f: Tensor, arms: Tensor) -> Tensor:
        cell = self.grid.spacing[0] * self.grid.spacing[1]
        along, across = f.unflatten(1, (2, -1)).unbind(1)
        turning = arms[:, 0] * across - arms[:, 1] * along
        each = torch.stack([along, across, turning], 1).split(self.counts, 2)
        return cell * torch.stack([part.sum(2) for part in each], 1)

    @property
    def _distance(self) -> float:
        return MARKER_DISTANCE * max(self.grid.spacing)

    def _placed(self, t: Tensor | float) -> Placed:
        placed = [body.markers(self._distance, t, self.params) for body in self.bodies]
        points, velocities = (torch.cat(parts).to(self.device) for parts in zip(*placed))
        for (own, _), body in zip(placed, self.bodies):
            middle = own.detach().mean(0).tolist()
            inside = (isinstance(low, Periodic) or 0 <= x <= length for x, length, (low, _) in zip(middle, self.grid.lengths, self.sides))
            if not all(inside):  # along a periodic axis a body may leave: its image enters at the other side
                where = ", ".join(f"{x:.3g}" for x in middle)
                raise ValueError(
                    f"bodies: expected {type(body).__name__} inside the box {self.grid.lengths} m, got it near ({where}) m; move it inside"
                )
        immersed = Immersed(self.grid, self.sides, points, velocities)
        pivots = [body.pivot(t, self.params).expand(count, 2) for body, count in zip(self.bodies, self.counts)]
        arms = points - torch.cat(pivots).to(self.device)
        if all(body.fixed for body in self.bodies):
            return Placed(immersed, _kept_capacity(self.grid, self.sides, self.bodies, immersed, self.exact), arms)
        return Placed(immersed, immersed.capacity(self.exact), arms)


_capacities: OrderedDict[tuple[object, ...], Tensor] = OrderedDict()


def _kept_capacity(grid: Grid, sides: Sides, bodies: tuple[Body, ...], immersed: Immersed, exact: Project) -> Tensor:
    """Return the cached inverse capacity matrix of bodies at rest: it depends on bodies and boundary conditions, not on parameters of the flow."""
    key = (grid, sides, bodies, immersed.points.device)
    if key not in _capacities:
        while len(_capacities) >= 16:
            _capacities.popitem(last=False)
        with ordinary_tensors():
            _capacities[key] = immersed.capacity(exact)
    return _capacities[key]


def _roma(r: Tensor) -> Tensor:
    a = r.abs()
    # Outside its own branch each square root has a positive argument, so that no gradient is 0 times infinity.
    inner = (1 + torch.sqrt(1 - 3 * torch.where(a <= 0.5, a, 0.0) ** 2)) / 3
    outer = (5 - 3 * a - torch.sqrt(1 - 3 * (1 - torch.where(a > 0.5, a, 1.0)) ** 2)) / 6
    return torch.where(a <= 0.5, inner, torch.where(a < 1.5, outer, 0.0))
