"""Points of a loss with known values, and the batches of points that every update takes from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from eddygrad.runtime.randomness import generator


@dataclass(frozen=True)
class Points:
    """Points of a loss, with known values there.

    Args:
        x:       (N, inputs), or (S, N, inputs) if each seed has its own.
        known:   name -> values (N,), (S, N) or one number, measured or prescribed; a residual reads them as d["known_u"].
        parts:   number of points on each side of a box, in order, if the loss is a sum of means over sides.
        numbers: indices of the points in the larger set that they were drawn from, (N,).
    Raises: ValueError for shapes that do not fit.
    """

    x: Tensor
    known: Mapping[str, Tensor] = field(default_factory=dict)
    parts: tuple[int, ...] = ()
    numbers: Tensor | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "x", torch.as_tensor(self.x))
        known = {name: torch.as_tensor(value) for name, value in self.known.items()}
        known = {name: value if value.ndim else value.repeat(self.x.shape[:-1]) for name, value in known.items()}
        object.__setattr__(self, "known", known)
        if self.x.ndim not in (2, 3) or not len(self):
            raise ValueError(f"pinn.Points: expected points ([seeds,] N, inputs), got {tuple(self.x.shape)}")
        wrong = [name for name, value in self.known.items() if value.shape not in (self.x.shape[:-1], self.x.shape[-2:-1])]
        if wrong:
            raise ValueError(f"pinn.Points: {wrong[0]!r} has {tuple(self.known[wrong[0]].shape)} values, expected ({len(self)},), one per point")
        if self.parts and sum(self.parts) != len(self):
            raise ValueError(f"pinn.Points: expected parts that add up to {len(self)} points, got {sum(self.parts)}")

    def __len__(self) -> int:
        return int(self.x.shape[-2]) if self.x.ndim > 1 else 0

    def to(self, device: torch.device | str) -> Points:
        """Return the points on a device."""
        return replace(self, x=self.x.to(device), known={name: value.to(device) for name, value in self.known.items()})

    def at(self, chosen: Tensor) -> Points:
        """Return the points with these indices."""
        return Points(self.x[..., chosen, :], {name: value[..., chosen] for name, value in self.known.items()}, numbers=chosen)


@dataclass(frozen=True)
class PointBatches:
    """Batches of points: whole sets, or parts of a set without repetition within an epoch; an incomplete last part is dropped.

    Args:
        sets:  sets of points by name.
        sizes: points per update; sets not named are taken as a whole.
        seed:  seed of the shuffles.
    Raises: ValueError for a size larger than its set, or of a set with parts.
    """

    sets: Mapping[str, Points]
    sizes: Mapping[str, int] = field(default_factory=dict)
    seed: int = 0
    _orders: dict[str, tuple[int, Tensor]] = field(default_factory=dict, init=False, repr=False, compare=False)  # epoch and order by set

    def __post_init__(self) -> None:
        for name, size in self.sizes.items():
            if name not in self.sets or not 1 <= size <= len(self.sets[name]) or self.sets[name].parts:
                have = len(self.sets[name]) if name in self.sets else 0
                raise ValueError(f"pinn: expected a batch of at most {have} points of {name!r}, got {size}; a set with parts is always used whole")

    @property
    def full(self) -> bool:
        """Whether every update takes all points of all sets."""
        return all(size == len(self.sets[name]) for name, size in self.sizes.items())

    def to(self, device: torch.device | str) -> PointBatches:
        """Return the batches on a device; the drawn points do not depend on it."""
        return replace(self, sets={name: points.to(device) for name, points in self.sets.items()})

    def __call__(self, step: int, horizon: int = 1) -> tuple[int, dict[str, Points]]:
        """Return the update and its points by name, which depend on (seed, step) alone; `horizon` has no effect."""
        return step, {name: self._drawn(name, points, step) for name, points in self.sets.items()}

    def _drawn(self, name: str, points: Points, step: int) -> Points:
        size = self.sizes.get(name, len(points))
        if size == len(points):
            return points
        epoch, place = divmod(step, len(points) // size)
        if self._orders.get(name, (-1, None))[0] != epoch:
            order = torch.randperm(len(points), generator=generator(self.seed, f"points/{name}", epoch))
            self._orders[name] = epoch, order.to(points.x.device)
        return points.at(self._orders[name][1][place * size : (place + 1) * size])
