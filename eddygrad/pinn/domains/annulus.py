"""Annuli and discs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from eddygrad.pinn.domains.box import SMALLEST_SHARE
from eddygrad.pinn.domains.region import Region


@dataclass(frozen=True)
class Annulus(Region):
    """Annulus inner < |x - centre| < outer in the plane; a disc with inner = 0.

    Args:
        centre: (x, y).
        inner:  inner radius, 0 for a disc.
        outer:  outer radius.
    Raises: ValueError unless 0 <= inner < outer, all finite.
    """

    centre: tuple[float, float]
    inner: float
    outer: float

    def __post_init__(self) -> None:
        if not 0 <= self.inner < self.outer < math.inf or not all(map(math.isfinite, self.centre)):
            raise ValueError(f"pinn.Annulus: expected a centre (x, y) and 0 <= inner < outer, got {self.centre}, {self.inner} and {self.outer}")

    @property
    def bounds(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        x, y = self.centre
        return (x - self.outer, y - self.outer), (x + self.outer, y + self.outer)

    def inside(self, x: Tensor) -> Tensor:
        r = torch.linalg.vector_norm(x - torch.tensor(self.centre, dtype=x.dtype), dim=-1)
        return (r > self.inner) & (r < self.outer)

    def rim(self, count: int, seed: int = 0) -> Tensor:
        on_inner = round(count * max(self.inner / (self.inner + self.outer), 2 * SMALLEST_SHARE if self.inner else 0.0))
        circles = []
        for radius, n in ((self.inner, on_inner), (self.outer, count - on_inner)):
            angle = 2 * math.pi * (torch.arange(n, dtype=torch.float64) + 0.5) / max(n, 1)
            circles.append(radius * torch.stack([angle.cos(), angle.sin()], 1))
        return torch.cat(circles) + torch.tensor(self.centre, dtype=torch.float64)
