"""Boxes in any number of dimensions, their rim and their sides."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from eddygrad.pinn.domains.region import End, Region, point_stream

SMALLEST_SHARE = 0.02  # smallest share of the rim points on one side


@dataclass(frozen=True)
class Box(Region):
    """Box lower < x < upper on every axis; Box(0, 1) is the unit square.

    Args:
        lower: lower end of each axis, or one number for all axes.
        upper: upper end of each axis, or one number for all axes.
        axes:  number of axes, if both ends are one number.
    Raises: ValueError unless lower < upper on every axis.
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
            raise ValueError(f"pinn.Box: expected lower < upper on every axis, got {low} and {high}")

    @property
    def bounds(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        return self.lower, self.upper  # type: ignore[return-value]

    def inside(self, x: Tensor) -> Tensor:
        low, high = (torch.tensor(corner, dtype=x.dtype) for corner in self.bounds)
        return ((x > low) & (x < high)).all(-1)

    def sides(self, count: int) -> list[Tensor]:
        """Return `count` equidistant points on each side of a rectangle, corners included: lower y, upper y, lower x, upper x.

        Raises: ValueError for a box that has not two axes.
        """
        if self.axes != 2:
            raise ValueError(f"pinn.Box: sides() needs two axes, got {self.axes}; use rim() or side()")
        (a, b), (c, d) = self.bounds
        x, y = torch.linspace(a, c, count, dtype=torch.float64), torch.linspace(b, d, count, dtype=torch.float64)
        fixed = torch.ones(count, dtype=torch.float64)
        return [torch.stack(pair, 1) for pair in ((x, b * fixed), (x, d * fixed), (a * fixed, y), (c * fixed, y))]

    def rim(self, count: int, seed: int = 0, axes: Sequence[int] | None = None) -> Tensor:
        """Return points on the sides, (count, axes), with equal density per area, but at least 2 % of them on each side.

        Args:
            count: number of points.
            seed:  seed of the draw.
            axes:  only sides at the ends of these axes; None for all sides.
        """
        low, high = (torch.tensor(corner, dtype=torch.float64) for corner in self.bounds)
        areas = [math.prod(float(h - l) for i, (l, h) in enumerate(zip(low, high)) if i != axis) for axis in range(self.axes)]
        sizes = [area if axes is None or axis in axes else 0.0 for axis, area in enumerate(areas)]
        sizes = [max(size, 2 * SMALLEST_SHARE * sum(sizes)) if size else 0.0 for size in sizes]
        draw = point_stream(self.axes + 1, seed, "sobol")(count)
        place = draw[:, 0] * 2 * sum(sizes)
        x, start = low + (high - low) * draw[:, 1:], 0.0
        for axis, size in enumerate(sizes):
            for end in (low, high):
                x[(place >= start) & (place < start + size), axis] = end[axis]
                start += size
        return x

    def side(self, axis: int | str, end: End, count: int, seed: int = 0) -> Tensor:
        """Return points on one side, (count, axes): side("x", "upper", 100).

        Args:
            axis:  axis that is constant on the side, by name or number.
            end:   "lower" or "upper" end of that axis.
            count: number of points.
            seed:  seed of the draw.
        Raises: ValueError for an unknown axis or end.
        """
        number = ("xyz".find(axis) if len(axis) == 1 else -1) if isinstance(axis, str) else axis
        if number not in range(self.axes) or end not in ("lower", "upper"):
            raise ValueError(f"pinn.Box: side() expects an axis of {'xyz'[: self.axes]} and its 'lower' or 'upper' end, got {axis!r} and {end!r}")
        x = self.rim(count, seed, [number])
        x[:, number] = self.bounds[end == "upper"][number]
        return x
