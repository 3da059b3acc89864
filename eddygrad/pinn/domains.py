"""Where points are taken: boxes, annuli, polygons, and any of them over a span of time."""

from __future__ import annotations

import abc
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.quasirandom import SobolEngine

from eddygrad.runtime.randomness import generator

How = Literal["sobol", "uniform"]
End = Literal["lower", "upper"]
_LEAST = 0.02  # of the points of a rim, on each of its sides
_BLOCK = 256  # edges that are looked at together


class Region(abc.ABC):
    """A region of space, or of space and time: points in it and on its rim, float64, functions of the seed."""

    @property
    @abc.abstractmethod
    def bounds(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Lower and upper corner of the box around it."""

    @abc.abstractmethod
    def inside(self, x: Tensor) -> Tensor:
        """Which of the points (N, axes) lie in it, without its rim."""

    @abc.abstractmethod
    def rim(self, count: int, seed: int = 0) -> Tensor:
        """Points on its boundary, (count, axes), evenly by length."""

    def interior(self, count: int, seed: int = 0, how: How = "sobol") -> Tensor:
        """Points in it, (count, axes): scrambled Sobol points of the box around it, those outside left out, or independent ones."""
        low, high = (torch.tensor(corner, dtype=torch.float64) for corner in self.bounds)
        draw = _stream(len(low), seed, how)
        found, have = [], 0
        for _ in range(1000):
            x = low + (high - low) * draw(max(64, 2 * (count - have)))
            x = x[self.inside(x)]
            found.append(x[: count - have])
            have += len(found[-1])
            if have == count:
                return torch.cat(found)
        raise ValueError(f"{type(self).__name__}: found {have} of {count} points inside; is it empty?")

    def over(self, start: float, end: float) -> SpaceTime:
        """It through a span of time, the last axis."""
        return SpaceTime(self, (start, end))


@dataclass(frozen=True)
class Box(Region):
    """lower < x < upper on every axis; Box(0, 1) is a unit square.

    Args:   lower, upper: per axis, or one number for all of `axes`.
    Raises: ValueError for corners that are no box.
    """

    lower: float | tuple[float, ...]
    upper: float | tuple[float, ...]
    axes: int = 2

    def __post_init__(self) -> None:
        count = next((len(side) for side in (self.lower, self.upper) if not isinstance(side, int | float)), self.axes)
        for name in ("lower", "upper"):
            side = getattr(self, name)
            object.__setattr__(self, name, (float(side),) * count if isinstance(side, int | float) else tuple(float(s) for s in side))
        object.__setattr__(self, "axes", count)
        low, high = self.bounds
        if len(low) != len(high) or any(not -math.inf < a < b < math.inf for a, b in zip(low, high)):
            raise ValueError(f"Box: expected lower < upper on every axis, got {low} and {high}")

    @property
    def bounds(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        return self.lower, self.upper  # type: ignore[return-value]

    def inside(self, x: Tensor) -> Tensor:
        low, high = (torch.tensor(corner, dtype=x.dtype) for corner in self.bounds)
        return ((x > low) & (x < high)).all(-1)

    def sides(self, count: int) -> list[Tensor]:
        """Of a rectangle: `count` points on each side, ends included, in the order lower and upper of y, lower and upper of x."""
        if self.axes != 2:
            raise ValueError(f"Box: sides are those of a rectangle, this has {self.axes} axes")
        (a, b), (c, d) = self.bounds
        x, y = torch.linspace(a, c, count, dtype=torch.float64), torch.linspace(b, d, count, dtype=torch.float64)
        fixed = torch.ones(count, dtype=torch.float64)
        return [torch.stack(pair, 1) for pair in ((x, b * fixed), (x, d * fixed), (a * fixed, y), (c * fixed, y))]

    def rim(self, count: int, seed: int = 0, axes: Sequence[int] | None = None) -> Tensor:
        """Points on its sides, (count, axes), evenly by area, but a fiftieth of them at least on each; `axes`: only on those at the ends of these."""
        low, high = (torch.tensor(corner, dtype=torch.float64) for corner in self.bounds)
        areas = [math.prod(float(h - l) for i, (l, h) in enumerate(zip(low, high)) if i != axis) for axis in range(self.axes)]
        sizes = [area if axes is None or axis in axes else 0.0 for axis, area in enumerate(areas)]
        sizes = [max(size, 2 * _LEAST * sum(sizes)) if size else 0.0 for size in sizes]
        draw = _stream(self.axes + 1, seed, "sobol")(count)
        place = draw[:, 0] * 2 * sum(sizes)
        x, start = low + (high - low) * draw[:, 1:], 0.0
        for axis, size in enumerate(sizes):
            for end in (low, high):
                x[(place >= start) & (place < start + size), axis] = end[axis]
                start += size
        return x

    def side(self, axis: int | str, end: End, count: int, seed: int = 0) -> Tensor:
        """Points on one of its sides, (count, axes): side("x", "upper", 100). Raises ValueError for an axis or an end that there is not."""
        number = ("xyz".find(axis) if len(axis) == 1 else -1) if isinstance(axis, str) else axis
        if number not in range(self.axes) or end not in ("lower", "upper"):
            raise ValueError(f"Box: side is that of an axis of {'xyz'[: self.axes]} at its lower or upper end, got {axis!r} and {end!r}")
        x = self.rim(count, seed, [number])
        x[:, number] = self.bounds[end == "upper"][number]
        return x


@dataclass(frozen=True)
class Annulus(Region):
    """inner < |x - centre| < outer in the plane; inner = 0 is a disc. Raises ValueError for radii that are none."""

    centre: tuple[float, float]
    inner: float
    outer: float

    def __post_init__(self) -> None:
        if not 0 <= self.inner < self.outer < math.inf or not all(map(math.isfinite, self.centre)):
            raise ValueError(f"Annulus: expected a centre (x, y) and 0 <= inner < outer, got {self.centre}, {self.inner} and {self.outer}")

    @property
    def bounds(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        x, y = self.centre
        return (x - self.outer, y - self.outer), (x + self.outer, y + self.outer)

    def inside(self, x: Tensor) -> Tensor:
        r = torch.linalg.vector_norm(x - torch.tensor(self.centre, dtype=x.dtype), dim=-1)
        return (r > self.inner) & (r < self.outer)

    def rim(self, count: int, seed: int = 0) -> Tensor:
        own = round(count * max(self.inner / (self.inner + self.outer), 2 * _LEAST if self.inner else 0.0))
        circles = []
        for radius, n in ((self.inner, own), (self.outer, count - own)):
            angle = 2 * math.pi * (torch.arange(n, dtype=torch.float64) + 0.5) / max(n, 1)
            circles.append(radius * torch.stack([angle.cos(), angle.sin()], 1))
        return torch.cat(circles) + torch.tensor(self.centre, dtype=torch.float64)


@dataclass(frozen=True)
class PolygonDomain(Region):
    """Within a closed line of corners; a hole is reached by a slit, an edge that is gone both ways, which is no part of the rim.

    Raises: ValueError for fewer than three corners (x, y), corners on one line, and a line that crosses itself.
    """

    corners: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        if len(self.corners) < 3 or any(isinstance(corner, int | float) or len(corner) != 2 for corner in self.corners):
            raise ValueError(f"PolygonDomain: expected three corners (x, y) at least, got {self.corners!r}")
        object.__setattr__(self, "corners", tuple(tuple(c if type(c) is int else float(c) for c in corner) for corner in self.corners))
        if not all(math.isfinite(c) for corner in self.corners for c in corner):
            raise ValueError(f"PolygonDomain: expected corners (x, y) that are finite, got {self.corners!r}")
        start, end = self._edges
        area = 0.5 * abs(float((start[:, 0] * end[:, 1] - end[:, 0] * start[:, 1]).sum()))
        size = float((start.amax(0) - start.amin(0)).prod())
        if area <= 1e-12 * size or size == 0:
            raise ValueError("PolygonDomain: its corners enclose no area")
        pair = _crossing(start, end)
        if pair is not None:
            raise ValueError(f"PolygonDomain: its line crosses itself, the edge from corner {pair[0]} that from corner {pair[1]}")

    @property
    def _edges(self) -> tuple[Tensor, Tensor]:
        """Their first and last points, (corners, 2)."""
        corners = torch.tensor(self.corners, dtype=torch.float64)
        return corners, corners.roll(-1, 0)

    @property
    def bounds(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        xs, ys = zip(*self.corners)
        return (min(xs), min(ys)), (max(xs), max(ys))

    def inside(self, x: Tensor) -> Tensor:
        """A ray to the right crosses its edges an odd number of times."""
        corners = torch.tensor(self.corners, dtype=x.dtype)
        (x1, y1), (x2, y2) = corners.unbind(1), corners.roll(-1, 0).unbind(1)
        px, py = x[..., :1], x[..., 1:]
        straddles = (y1 > py) != (y2 > py)
        at = x1 + (py - y1) * (x2 - x1) / torch.where(y1 == y2, 1.0, y2 - y1)
        return (straddles & (px < at)).sum(-1) % 2 == 1

    def rim(self, count: int, seed: int = 0) -> Tensor:
        corners, last = self._edges
        gone = {(tuple(a), tuple(b)) for a, b in zip(corners.tolist(), last.tolist())}
        once = torch.tensor([(tuple(b), tuple(a)) not in gone for a, b in zip(corners.tolist(), last.tolist())])  # not the other way too
        corners, last = corners[once], last[once]
        edges = last - corners
        ends = torch.linalg.vector_norm(edges, dim=1).cumsum(0)
        place = (torch.arange(count, dtype=torch.float64) + 0.5) / count * ends[-1]
        edge = torch.searchsorted(ends, place).clamp(max=len(corners) - 1)
        lengths = torch.linalg.vector_norm(edges, dim=1)
        share = 1 - (ends[edge] - place) / lengths[edge]
        return corners[edge] + share.unsqueeze(1) * edges[edge]


@dataclass(frozen=True)
class SpaceTime(Region):
    """A domain through a span of time, the last axis; its rim is that of the domain at all times, without beginning and end."""

    base: Region
    span: tuple[float, float]

    def __post_init__(self) -> None:
        if not self.span[0] < self.span[1]:
            raise ValueError(f"SpaceTime: time goes forward, got {self.span}")

    @property
    def bounds(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        low, high = self.base.bounds
        return (*low, self.span[0]), (*high, self.span[1])

    def inside(self, x: Tensor) -> Tensor:
        return self.base.inside(x[..., :-1]) & (x[..., -1] > self.span[0]) & (x[..., -1] < self.span[1])

    def rim(self, count: int, seed: int = 0, axes: Sequence[int] | None = None) -> Tensor:
        return self._at_times(self.base.rim(count, seed, **({} if axes is None else {"axes": axes})), seed)

    def side(self, axis: int | str, end: End, count: int, seed: int = 0) -> Tensor:
        """Points on one side of a Box at all times, (count, axes + 1). Raises ValueError for another domain, an axis or an end that there is not."""
        if not isinstance(self.base, Box):
            raise ValueError(f"side: those of a Box have names, got a {type(self.base).__name__}; take points of rim()")
        return self._at_times(self.base.side(axis, end, count, seed), seed)

    def _at_times(self, x: Tensor, seed: int) -> Tensor:
        shuffled = torch.randperm(len(x), generator=generator(seed, "times of the rim"))
        t = self.span[0] + (self.span[1] - self.span[0]) * (torch.arange(len(x), dtype=torch.float64) + 0.5) / len(x)
        return torch.cat([x, t[shuffled].unsqueeze(1)], 1)

    def start(self, count: int, seed: int = 0, how: How = "sobol") -> Tensor:
        """Points of the domain at the first moment, (count, axes + 1)."""
        x = self.base.interior(count, seed, how)
        return torch.cat([x, torch.full((count, 1), self.span[0], dtype=torch.float64)], 1)


def _crossing(start: Tensor, end: Tensor) -> tuple[int, int] | None:
    """Two edges that cross within both, if any do: the ends of each lie on different sides of the other."""

    def side(first: Tensor, last: Tensor, point: Tensor) -> Tensor:
        a, b = (last - first)[:, None], point[None] - first[:, None]
        return (a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]).sign()

    for begin in range(0, len(start), _BLOCK):
        some = slice(begin, begin + _BLOCK)
        here = side(start[some], end[some], start) * side(start[some], end[some], end) < 0
        there = side(start, end, start[some]) * side(start, end, end[some]) < 0
        found = (here & there.T).nonzero()
        if len(found):
            return begin + int(found[0, 0]), int(found[0, 1])
    return None


def _stream(axes: int, seed: int, how: How) -> Callable[[int], Tensor]:
    """Numbers of [0, 1)^axes, ever more of them."""
    if how == "sobol":
        engine = SobolEngine(axes, scramble=True, seed=int(torch.randint(2**31, (), generator=generator(seed, "sobol"))))
        return lambda count: engine.draw(count, dtype=torch.float64)
    if how == "uniform":
        source = generator(seed, "points")
        return lambda count: torch.rand(count, axes, generator=source, dtype=torch.float64)
    raise ValueError(f"points: how is sobol or uniform, got {how!r}")


def mean_and_std(*points: Tensor) -> tuple[Sequence[float], Sequence[float]]:
    """Of all coordinates together, per axis: what a coordinate network standardises by."""
    every = torch.cat([p.reshape(-1, p.shape[-1]) for p in points])
    return every.mean(0).tolist(), every.std(0).tolist()
