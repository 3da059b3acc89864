"""Solid bodies in the flow: outlines, positions over time, points that they cover."""

from __future__ import annotations

import abc
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import torch
from torch import Tensor

from eddygrad.solver.staggered.body_motion import Coordinate, coordinate_and_rate, coordinate_at, rotated, time_of

Periods = Sequence[float | None]  # period per axis [m]; None for an axis that is not periodic


@dataclass(frozen=True)
class Body(abc.ABC):
    """A closed outline, rotated by `angle` about its own origin and placed at `centre`.

    Position and angle are numbers, names of parameters, or functions of (t, params) for a moving body; parameters get gradients through them. One
    pose holds for the whole batch.

    Args:
        centre: (x, y) [m].
        angle:  anticlockwise [rad].
        hollow: the fluid is inside the outline, as in a vessel. The flow outside is computed too but has no meaning.
    """

    centre: tuple[Coordinate, Coordinate]
    angle: Coordinate = 0.0
    hollow: bool = field(default=False, kw_only=True)

    @abc.abstractmethod
    def outline(self, spacing: float) -> Tensor:
        """Return markers along the outline, about `spacing` apart, anticlockwise, (M, 2) in the body's own frame, float64 [m]."""

    @abc.abstractmethod
    def covers(self, x: Tensor, y: Tensor) -> Tensor:
        """Return whether points of the body's own frame lie inside the outline."""

    @property
    @abc.abstractmethod
    def thickness(self) -> float:
        """The smallest distance between two parallel lines that enclose the body [m]."""

    @property
    def moves(self) -> bool:
        """Whether position or angle depends on time."""
        return any(callable(c) for c in (*self.centre, self.angle))

    @property
    def fixed(self) -> bool:
        """Whether position and angle are numbers."""
        return not any(callable(c) or isinstance(c, str) for c in (*self.centre, self.angle))

    def markers(self, spacing: float, t: Tensor | float, params: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
        """Return positions [m] and velocities [m/s] of the markers at a time, (M, 2) each.

        Args:
            spacing: distance of the markers [m].
            t:       time [s].
            params:  physical parameters.
        """
        own, time = self.outline(spacing), time_of(t)
        (x, u), (y, v), (angle, spin) = (coordinate_and_rate(c, time, params) for c in (*self.centre, self.angle))
        arm = rotated(own, angle)
        return torch.stack([x, y]) + arm, torch.stack([u - spin * arm[:, 1], v + spin * arm[:, 0]], 1)

    def pivot(self, t: Tensor | float, params: Mapping[str, Any]) -> Tensor:
        """Return the centre at time t, about which the body rotates, (2,) [m]."""
        time = time_of(t)
        return torch.stack([coordinate_at(c, time, params) for c in self.centre])

    def pose(self, t: Tensor | float, params: Mapping[str, Any]) -> list[float]:
        """Return centre [m] and angle [rad] at time t, (x, y, angle)."""
        time = time_of(t)
        return [float(coordinate_at(c, time, params).detach()) for c in (*self.centre, self.angle)]

    def inside(self, points: tuple[Tensor, ...], t: Tensor | float, params: Mapping[str, Any], periods: Periods = (None, None)) -> Tensor:
        """Return which points the body or a periodic image covers at a time; a hollow body covers the points outside its outline.

        Args:
            points:  coordinates (x, y) that broadcast [m].
            t:       time [s].
            params:  physical parameters.
            periods: period per axis [m], None for an axis that is not periodic.
        """
        time = time_of(t)
        x, y, angle = (coordinate_at(c, time, params).detach().to(points[0].device) for c in (*self.centre, self.angle))
        c, s = torch.cos(angle), torch.sin(angle)
        inside = torch.zeros((), dtype=torch.bool, device=points[0].device)
        for dx, dy in product(*(_images(p - own, period) for p, own, period in zip(points, (x, y), periods))):
            inside = inside | self.covers(c * dx + s * dy, c * dy - s * dx)
        return ~inside if self.hollow else inside


@dataclass(frozen=True)
class Cylinder(Body):
    """A circular cylinder.

    Args:
        centre, angle, hollow: see `Body`.
        radius: radius [m].
    """

    radius: float = 0.5

    def __post_init__(self) -> None:
        if not isinstance(self.radius, int | float) or not self.radius > 0:
            raise ValueError(f"Cylinder: radius must be a positive number, got {self.radius!r}; only position and angle may be parameters")

    def outline(self, spacing: float) -> Tensor:
        """Return equally spaced markers on the circle, see `Body.outline`."""
        count = max(4, round(2 * math.pi * self.radius / spacing))
        a = 2 * math.pi * torch.arange(count, dtype=torch.float64) / count
        return self.radius * torch.stack([torch.cos(a), torch.sin(a)], 1)

    def covers(self, x: Tensor, y: Tensor) -> Tensor:
        """Return whether points lie inside the circle."""
        return x**2 + y**2 < self.radius**2

    @property
    def thickness(self) -> float:
        return 2 * self.radius


@dataclass(frozen=True)
class Polygon(Body):
    """A polygonal body; `rectangle` and `aerofoil` make common ones.

    Args:
        centre, angle, hollow: see `Body`.
        corners: corners in the body's own frame, anticlockwise [m].
    """

    corners: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        if len(self.corners) < 3:
            raise ValueError(f"Polygon: expected at least three corners, got {len(self.corners)}")
        if self.area <= 0:
            raise ValueError("Polygon: corners must be anticlockwise; reverse them")

    @property
    def area(self) -> float:
        """Enclosed area, positive for anticlockwise corners [m^2]."""
        ahead = (*self.corners[1:], self.corners[0])
        return 0.5 * sum(x * b - a * y for (x, y), (a, b) in zip(self.corners, ahead))

    def outline(self, spacing: float) -> Tensor:
        """Return equally spaced markers along the edges, see `Body.outline`."""
        corners = torch.tensor(self.corners, dtype=torch.float64)
        ahead = corners.roll(-1, 0)
        reach = torch.cat([torch.zeros(1, dtype=torch.float64), (ahead - corners).norm(dim=1).cumsum(0)])
        count = max(4, round(float(reach[-1]) / spacing))
        at = (torch.arange(count, dtype=torch.float64) + 0.5) * reach[-1] / count  # markers need not lie on corners
        edge = torch.searchsorted(reach, at, right=True) - 1
        part = ((at - reach[edge]) / (reach[edge + 1] - reach[edge])).unsqueeze(1)
        return corners[edge] + part * (ahead[edge] - corners[edge])

    @property
    def thickness(self) -> float:
        corners = torch.tensor(self.corners, dtype=torch.float64)
        across = corners.unsqueeze(1) - corners  # one line of the narrowest pair contains two corners
        pairs = across.norm(dim=2) > 0
        normals = torch.stack([-across[pairs][:, 1], across[pairs][:, 0]], 1) / across[pairs].norm(dim=1, keepdim=True)
        reach = corners @ normals.mT
        return float((reach.amax(0) - reach.amin(0)).amin())

    def covers(self, x: Tensor, y: Tensor) -> Tensor:
        """Return whether points lie inside the polygon, by counting crossings of its edges."""
        crossings = torch.zeros(torch.broadcast_shapes(x.shape, y.shape), dtype=torch.bool)
        for (x0, y0), (x1, y1) in zip(self.corners, (*self.corners[1:], self.corners[0])):
            if y0 != y1:
                crossings = crossings ^ (((y0 > y) != (y1 > y)) & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0)))
        return crossings


def rectangle(centre: tuple[Coordinate, Coordinate], width: float, height: float, angle: Coordinate = 0.0) -> Polygon:
    """Return a rectangle.

    Args:
        centre: its middle (x, y) [m], see `Body`.
        width:  length along x at angle 0 [m].
        height: length along y at angle 0 [m].
        angle:  anticlockwise [rad].
    """
    a, b = width / 2, height / 2
    return Polygon(centre, angle, ((-a, -b), (a, -b), (a, b), (-a, b)))


def aerofoil(code: str, centre: tuple[Coordinate, Coordinate], chord: float, angle: Coordinate = 0.0, corners: int = 200) -> Polygon:
    """Return a NACA four-digit aerofoil with its nose towards -x.

        y_t = 5 t (.2969 sqrt(x) - .1260 x - .3516 x^2 + .2843 x^3 - .1036 x^4)        Jacobs, Ward, Pinkerton 1933, with a closed trailing edge
    Args:
        code:    four digits, e.g. "0012".
        centre:  quarter-chord point (x, y) [m], see `Body`.
        chord:   chord length [m].
        angle:   anticlockwise [rad]; a positive angle of attack is a negative angle.
        corners: number of corners.
    Raises: ValueError for a code that is not four digits.
    """
    if len(code) != 4 or not code.isdigit():
        raise ValueError(f"aerofoil: expected four digits as in '0012', got {code!r}")
    m, p, thick = int(code[0]) / 100, int(code[1]) / 10, int(code[2:]) / 100
    half = corners // 2
    upper, lower = [], []
    for i in range(half + 1):
        x = 0.5 * (1 - math.cos(math.pi * i / half))
        y = 5 * thick * (0.2969 * math.sqrt(x) - 0.1260 * x - 0.3516 * x**2 + 0.2843 * x**3 - 0.1036 * x**4)
        camber, slope = _camber(x, m, p)
        s, c = math.sin(math.atan(slope)), math.cos(math.atan(slope))
        upper.append((x - y * s, camber + y * c))
        lower.append((x + y * s, camber - y * c))
    around = [*reversed(upper), *lower[1:-1]]  # anticlockwise: from the trailing edge along the upper side to the nose and back along the lower side
    return Polygon(centre, angle, tuple((chord * (x - 0.25), chord * y) for x, y in around))


def _camber(x: float, m: float, p: float) -> tuple[float, float]:
    """Return height and slope of the mean line."""
    if m == 0 or p == 0:
        return 0.0, 0.0
    scale = m / p**2 if x < p else m / (1 - p) ** 2
    offset = 0.0 if x < p else 1 - 2 * p
    return scale * (offset + 2 * p * x - x**2), 2 * scale * (p - x)


def covered(
    bodies: Sequence[Body], points: tuple[Tensor, ...], t: Tensor | float, params: Mapping[str, Any], periods: Periods = (None, None)
) -> Tensor:
    """Return which points lie inside a body at a time.

    Args:
        bodies:  bodies in the flow.
        points:  coordinates (x, y) that broadcast [m].
        t:       time [s].
        params:  physical parameters.
        periods: period per axis [m], None for an axis that is not periodic.
    """
    inside = torch.zeros(torch.broadcast_shapes(*(x.shape for x in points)), dtype=torch.bool, device=points[0].device)
    for body in bodies:
        inside = inside | body.inside(points, t, params, periods)
    return inside


def _images(distance: Tensor, period: float | None) -> list[Tensor]:
    """Return the distances from a body's centre and its nearest images; a body may extend more than half a period from its centre."""
    if period is None:
        return [distance]
    near = distance - period * (distance / period).round()
    return [near, near - period, near + period]
