"""Base class of domains, its extension by a time interval, and the draw of points inside."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.quasirandom import SobolEngine

from eddygrad.runtime.randomness import generator

Method = Literal["sobol", "uniform"]
End = Literal["lower", "upper"]


class Region(abc.ABC):
    """Base class of domains in space, or in space and time.

    Points are float64 and depend on the seed alone. A domain of your own implements `bounds`, `inside` and `rim`.
    """

    @property
    @abc.abstractmethod
    def bounds(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Lower and upper corner of the bounding box, one number per axis."""

    @abc.abstractmethod
    def inside(self, x: Tensor) -> Tensor:
        """Return a mask (N,) of the points x (N, axes) that lie inside; points on the rim do not."""

    @abc.abstractmethod
    def rim(self, count: int, seed: int = 0) -> Tensor:
        """Return `count` points on the rim (the boundary), (count, axes), with equal density per length or area."""

    def interior(self, count: int, seed: int = 0, how: Method = "sobol") -> Tensor:
        """Return points inside, (count, axes), by rejection from the bounding box.

        Args:
            count: number of points.
            seed:  seed of the draw.
            how:   "sobol" for scrambled Sobol points, "uniform" for independent ones.
        Raises: ValueError if the domain is empty, or for another `how`.
        """
        low, high = (torch.tensor(corner, dtype=torch.float64) for corner in self.bounds)
        draw = point_stream(len(low), seed, how)
        accepted, have = [], 0
        for _ in range(1000):
            x = low + (high - low) * draw(max(64, 2 * (count - have)))
            x = x[self.inside(x)]
            accepted.append(x[: count - have])
            have += len(accepted[-1])
            if have == count:
                return torch.cat(accepted)
        raise ValueError(f"pinn.{type(self).__name__}: found {have} of {count} points inside; is the domain empty?")

    def side(self, axis: int | str, end: End, count: int, seed: int = 0) -> Tensor:
        """Return points on one side; only a Box has sides with names.

        Args:
            axis:  axis that is constant on the side, by name or number.
            end:   "lower" or "upper" end of that axis.
            count: number of points.
            seed:  seed of the draw.
        Raises: ValueError for a domain that is no Box, an unknown axis or end.
        """
        raise ValueError(f"pinn: side() needs a Box, got a {type(self).__name__}; use points of rim()")

    def over(self, start: float, end: float) -> SpaceTime:
        """Return this domain extended by the time interval from `start` to `end`; time becomes the last coordinate."""
        return SpaceTime(self, (start, end))


@dataclass(frozen=True)
class SpaceTime(Region):
    """Domain extended by a time interval; time is the last coordinate.

    The rim is that of the spatial domain at all times; the first and last moment do not belong to it.

    Args:
        base: spatial domain.
        span: first and last time.
    Raises: ValueError unless the first time is before the last.
    """

    base: Region
    span: tuple[float, float]

    def __post_init__(self) -> None:
        if not self.span[0] < self.span[1]:
            raise ValueError(f"pinn: a time interval needs start < end, got over{tuple(self.span)}")

    @property
    def bounds(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        low, high = self.base.bounds
        return (*low, self.span[0]), (*high, self.span[1])

    def inside(self, x: Tensor) -> Tensor:
        return self.base.inside(x[..., :-1]) & (x[..., -1] > self.span[0]) & (x[..., -1] < self.span[1])

    def rim(self, count: int, seed: int = 0, axes: Sequence[int] | None = None) -> Tensor:
        """Return points on the rim of the spatial domain at all times, (count, axes + 1).

        Args:
            count: number of points.
            seed:  seed of the draw.
            axes:  of a Box, only sides at the ends of these axes; None for all sides.
        """
        return self._at_times(self.base.rim(count, seed, **({} if axes is None else {"axes": axes})), seed)

    def side(self, axis: int | str, end: End, count: int, seed: int = 0) -> Tensor:
        """Return points on one side of a Box at all times, (count, axes + 1).

        Args:
            axis:  axis that is constant on the side, by name or number.
            end:   "lower" or "upper" end of that axis.
            count: number of points.
            seed:  seed of the draw.
        Raises: ValueError for a domain that is no Box, an unknown axis or end.
        """
        return self._at_times(self.base.side(axis, end, count, seed), seed)

    def _at_times(self, x: Tensor, seed: int) -> Tensor:
        shuffled = torch.randperm(len(x), generator=generator(seed, "times of the rim"))
        t = self.span[0] + (self.span[1] - self.span[0]) * (torch.arange(len(x), dtype=torch.float64) + 0.5) / len(x)
        return torch.cat([x, t[shuffled].unsqueeze(1)], 1)

    def start(self, count: int, seed: int = 0, how: Method = "sobol") -> Tensor:
        """Return points of the spatial domain at the first time, (count, axes + 1).

        Args:
            count: number of points.
            seed:  seed of the draw.
            how:   "sobol" for scrambled Sobol points, "uniform" for independent ones.
        """
        x = self.base.interior(count, seed, how)
        return torch.cat([x, torch.full((count, 1), self.span[0], dtype=torch.float64)], 1)


def point_stream(axes: int, seed: int, how: Method) -> Callable[[int], Tensor]:
    """Return a function that draws the next `count` points of [0, 1)^axes.

    Args:
        axes: number of coordinates.
        seed: seed of the draw.
        how:  "sobol" for scrambled Sobol points, "uniform" for independent ones.
    Raises: ValueError for another `how`.
    """
    if how == "sobol":
        engine = SobolEngine(axes, scramble=True, seed=int(torch.randint(2**31, (), generator=generator(seed, "sobol"))))
        return lambda count: engine.draw(count, dtype=torch.float64)
    if how == "uniform":
        source = generator(seed, "points")
        return lambda count: torch.rand(count, axes, generator=source, dtype=torch.float64)
    raise ValueError(f"pinn: how expects 'sobol' or 'uniform', got {how!r}")


def mean_and_std(*points: Tensor) -> tuple[Sequence[float], Sequence[float]]:
    """Return mean and standard deviation of each coordinate over all points, by which a coordinate network standardises."""
    every = torch.cat([p.reshape(-1, p.shape[-1]) for p in points])
    return every.mean(0).tolist(), every.std(0).tolist()
