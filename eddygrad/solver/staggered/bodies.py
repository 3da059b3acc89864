"""Solid bodies in the flow: outlines, where they are at a time, which points they cover."""

from __future__ import annotations

import abc
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from eddygrad.solver.staggered.boundary_conditions import asked

# A coordinate of a body [m], or its angle [rad]: a number, the name of a parameter, or a function of (t, params).
Coordinate = float | str | Callable[[Tensor, Mapping[str, Any]], Any]
Periods = Sequence[float | None]  # per axis [m]; None where it does not repeat


@dataclass(frozen=True)
class Body(abc.ABC):
    """A closed outline, turned by `angle` about its own origin and set down at `centre`.

    Args: centre: (x, y) [m]. angle: anticlockwise [rad]. Numbers, parameters by name, or functions of (t, params) for a body that moves; what they
          depend on has a gradient. One pose serves the whole batch.
          hollow: the fluid is within the outline, as in a vessel; beyond it stands solid, where the flow means nothing though it is stepped.
    """

    centre: tuple[Coordinate, Coordinate]
    angle: Coordinate = 0.0
    hollow: bool = field(default=False, kw_only=True)

    @abc.abstractmethod
    def outline(self, spacing: float) -> Tensor:
        """Markers along the outline at distances of about `spacing`, (M, 2) in the body's own frame, anticlockwise, float64 [m]."""

    @abc.abstractmethod
    def covers(self, x: Tensor, y: Tensor) -> Tensor:
        """Whether points of the body's own frame lie within the outline."""

    @property
    @abc.abstractmethod
    def thickness(self) -> float:
        """The smallest distance of two parallel lines that hold the body between them [m]."""

    @property
    def moves(self) -> bool:
        return any(callable(c) for c in (*self.centre, self.angle))

    @property
    def fixed(self) -> bool:
        """Whether it stands where numbers say."""
        return not any(callable(c) or isinstance(c, str) for c in (*self.centre, self.angle))

    def markers(self, spacing: float, t: Tensor | float, params: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
        """Positions and velocities of the markers at time t, (M, 2) each [m], [m/s]."""
        own, time = self.outline(spacing), _time(t)
        (x, u), (y, v), (angle, spin) = (_moving(c, time, params) for c in (*self.centre, self.angle))
        arm = _turned(own, angle)
        return torch.stack([x, y]) + arm, torch.stack([u - spin * arm[:, 1], v + spin * arm[:, 0]], 1)

    def pivot(self, t: Tensor | float, params: Mapping[str, Any]) -> Tensor:
        """The body's centre at time t, about which it turns, (2,) [m]."""
        time = _time(t)
        return torch.stack([_at(c, time, params) for c in self.centre])

    def pose(self, t: Tensor | float, params: Mapping[str, Any]) -> list[float]:
        """Its centre [m] and angle [rad] at time t, (x, y, angle)."""
        time = _time(t)
        return [float(_at(c, time, params).detach()) for c in (*self.centre, self.angle)]

    def inside(self, points: tuple[Tensor, ...], t: Tensor | float, params: Mapping[str, Any], periods: Periods = (None, None)) -> Tensor:
        """Which of the points (coordinates that broadcast) the body or its image a period away covers at time t; a hollow one covers the others."""
        time = _time(t)
        x, y, angle = (_at(c, time, params).detach().to(points[0].device) for c in (*self.centre, self.angle))
        c, s = torch.cos(angle), torch.sin(angle)
        inside = torch.zeros((), dtype=torch.bool, device=points[0].device)
        for dx, dy in product(*(_images(p - own, period) for p, own, period in zip(points, (x, y), periods))):
            inside = inside | self.covers(c * dx + s * dy, c * dy - s * dx)
        return ~inside if self.hollow else inside


@dataclass(frozen=True)
class Cylinder(Body):
    """A circle. Args: radius [m]."""

    radius: float = 0.5

    def __post_init__(self) -> None:
        if not isinstance(self.radius, int | float) or not self.radius > 0:
            raise ValueError(f"Cylinder: radius must be a positive number, got {self.radius!r}; places and angles have gradients, sizes have none")

    def outline(self, spacing: float) -> Tensor:
        count = max(4, round(2 * math.pi * self.radius / spacing))
        a = 2 * math.pi * torch.arange(count, dtype=torch.float64) / count
        return self.radius * torch.stack([torch.cos(a), torch.sin(a)], 1)

    def covers(self, x: Tensor, y: Tensor) -> Tensor:
        return x**2 + y**2 < self.radius**2

    @property
    def thickness(self) -> float:
        return 2 * self.radius


@dataclass(frozen=True)
class Polygon(Body):
    """A polygon by its corners in its own frame, anticlockwise [m]; `rectangle` and `aerofoil` make some."""

    corners: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        if len(self.corners) < 3:
            raise ValueError(f"Polygon: expected three corners at least, got {len(self.corners)}")
        if self.area <= 0:
            raise ValueError("Polygon: corners must go anticlockwise; reverse them")

    @property
    def area(self) -> float:
        """[m^2]"""
        ahead = (*self.corners[1:], self.corners[0])
        return 0.5 * sum(x * b - a * y for (x, y), (a, b) in zip(self.corners, ahead))

    def outline(self, spacing: float) -> Tensor:
        corners = torch.tensor(self.corners, dtype=torch.float64)
        ahead = corners.roll(-1, 0)
        reach = torch.cat([torch.zeros(1, dtype=torch.float64), (ahead - corners).norm(dim=1).cumsum(0)])
        count = max(4, round(float(reach[-1]) / spacing))
        at = (torch.arange(count, dtype=torch.float64) + 0.5) * reach[-1] / count  # between the corners, which no marker need touch
        edge = torch.searchsorted(reach, at, right=True) - 1
        part = ((at - reach[edge]) / (reach[edge + 1] - reach[edge])).unsqueeze(1)
        return corners[edge] + part * (ahead[edge] - corners[edge])

    @property
    def thickness(self) -> float:
        corners = torch.tensor(self.corners, dtype=torch.float64)
        across = corners.unsqueeze(1) - corners  # some pair of corners lies along the narrowest pair of lines
        pairs = across.norm(dim=2) > 0
        normals = torch.stack([-across[pairs][:, 1], across[pairs][:, 0]], 1) / across[pairs].norm(dim=1, keepdim=True)
        reach = corners @ normals.mT
        return float((reach.amax(0) - reach.amin(0)).amin())

    def covers(self, x: Tensor, y: Tensor) -> Tensor:
        crossings = torch.zeros(torch.broadcast_shapes(x.shape, y.shape), dtype=torch.bool)
        for (x0, y0), (x1, y1) in zip(self.corners, (*self.corners[1:], self.corners[0])):
            if y0 != y1:
                crossings = crossings ^ (((y0 > y) != (y1 > y)) & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0)))
        return crossings


def rectangle(centre: tuple[Coordinate, Coordinate], width: float, height: float, angle: Coordinate = 0.0) -> Polygon:
    """A rectangle about its middle [m]."""
    a, b = width / 2, height / 2
    return Polygon(centre, angle, ((-a, -b), (a, -b), (a, b), (-a, b)))


def aerofoil(code: str, centre: tuple[Coordinate, Coordinate], chord: float, angle: Coordinate = 0.0, corners: int = 200) -> Polygon:
    """A NACA four-digit section about its quarter chord, nose first; a positive angle of attack is a negative `angle`.

        y_t = 5 t (.2969 sqrt(x) - .1260 x - .3516 x^2 + .2843 x^3 - .1036 x^4)        Jacobs, Ward, Pinkerton 1933, the trailing edge closed
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
    around = [*reversed(upper), *lower[1:-1]]  # from the trailing edge over the top to the nose and back below: anticlockwise
    return Polygon(centre, angle, tuple((chord * (x - 0.25), chord * y) for x, y in around))


def _camber(x: float, m: float, p: float) -> tuple[float, float]:
    """Height and slope of the mean line."""
    if m == 0 or p == 0:
        return 0.0, 0.0
    scale = m / p**2 if x < p else m / (1 - p) ** 2
    offset = 0.0 if x < p else 1 - 2 * p
    return scale * (offset + 2 * p * x - x**2), 2 * scale * (p - x)


def covered(
    bodies: Sequence[Body], points: tuple[Tensor, ...], t: Tensor | float, params: Mapping[str, Any], periods: Periods = (None, None)
) -> Tensor:
    """Which of the points (coordinates that broadcast) lie inside a body at time t."""
    inside = torch.zeros(torch.broadcast_shapes(*(x.shape for x in points)), dtype=torch.bool, device=points[0].device)
    for body in bodies:
        inside = inside | body.inside(points, t, params, periods)
    return inside


def _images(distance: Tensor, period: float | None) -> list[Tensor]:
    """The distance from a body's centre, and from its nearest images: a body may reach further than half a period from its own centre."""
    if period is None:
        return [distance]
    near = distance - period * (distance / period).round()
    return [near, near - period, near + period]


def _check_rate(value: float, rate: float, at: Callable[[float], float]) -> None:
    """Raise ValueError where torch's rate is that of neither side: math.sin(t), say, hides the velocity from torch."""
    h = 1e-6
    sides = ((at(h) - value) / h, (value - at(-h)) / h)
    off = min(abs(side - rate) for side in sides)
    if off > 1e-3 * max(abs(side) for side in sides) + 1e-6 * (1 + abs(value)):
        raise ValueError(
            f"bodies: a coordinate changes by {sides[0]:.3g} a second, but by torch's derivative {rate:.3g}, which gives the velocity; "
            "write it with torch.sin, not math.sin"
        )


def _time(t: Tensor | float) -> Tensor:
    return _one(torch.as_tensor(t, dtype=torch.float64), "t0")


def _one(value: Tensor, name: object) -> Tensor:
    """The value that all samples share, on the CPU: poses are numbers, wherever the flow is. Raises ValueError where they differ."""
    if value.numel() > 1 and bool((value != value.flatten()[0]).any()):
        raise ValueError(f"params: a body has one pose for the whole batch, got {tuple(value.shape)} values for {name!r} that differ")
    return (value.reshape(()) if value.numel() == 1 else value.mean()).cpu()


def _turned(points: Tensor, angle: Tensor) -> Tensor:
    """Points (M, 2) turned about the origin, anticlockwise."""
    c, s = torch.cos(angle), torch.sin(angle)
    return torch.stack([c * points[:, 0] - s * points[:, 1], s * points[:, 0] + c * points[:, 1]], 1)


def _at(coordinate: Coordinate, t: Tensor, params: Mapping[str, Any]) -> Tensor:
    """The coordinate at time t, a number in float64.

    Raises: ValueError for a parameter that is not given, is not finite or differs between samples.
    """
    if isinstance(coordinate, str):
        if coordinate not in params:
            raise ValueError(f"params: a body's coordinate is named {coordinate!r}, got {sorted(params)}; pass it in the mapping")
        value: Any = params[coordinate]
    else:
        value = asked("a body's coordinate", params, lambda: coordinate(t, params)) if callable(coordinate) else coordinate
    tensor = torch.as_tensor(value, dtype=torch.float64)
    if not bool(tensor.isfinite().all()):
        raise ValueError(f"params: a body's coordinate {coordinate!r} must be finite, got {tensor.detach().flatten()[0]:.3g}")
    return _one(tensor, coordinate)


def _moving(coordinate: Coordinate, t: Tensor, params: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    """The coordinate and its rate of change at time t. Raises ValueError for a function of time that torch cannot differentiate."""
    if not callable(coordinate):
        value = _at(coordinate, t, params)
        return value, torch.zeros_like(value)
    wanted = torch.is_grad_enabled() and _at(coordinate, t, params).requires_grad
    # Hooks of its own: the derivative is taken at once, and within a checkpoint that would start the recomputation.
    with torch.inference_mode(False), torch.enable_grad(), saved_tensors_hooks(lambda x: x, lambda x: x):
        time = t if t.requires_grad else t.detach().clone().requires_grad_()
        value = _at(coordinate, time, params)
        (rate,) = torch.autograd.grad(value, time, create_graph=True, allow_unused=True) if value.requires_grad else (None,)
    rate = torch.zeros_like(value) if rate is None else rate
    _check_rate(float(value.detach()), float(rate.detach()), lambda later: float(_at(coordinate, t.detach() + later, params).detach()))
    return (value, rate) if wanted else (value.detach(), rate.detach())
