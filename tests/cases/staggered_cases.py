"""Flows and sides that the tests of the staggered grid share."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from eddygrad.solver.grid import Grid
from eddygrad.solver.staggered.boundary_conditions import FreeSlip, Inflow, Outflow, Periodic, Wall, points_of

Field = Callable[[int, Tensor, Tensor, float], Tensor]

SIDES: dict[str, Any] = {
    "periodic": Periodic(),
    "walls": Wall(),
    "slip": FreeSlip(),
    "channel": (Periodic(), Wall()),
    "cavity": (Wall(), (Wall(), Wall((1.0, 0.0)))),
    "convective": ((Inflow((1.0, 0.0)), Outflow()), FreeSlip()),
    "do-nothing": ((Inflow((1.0, 0.2)), Outflow("do-nothing")), (Wall(), FreeSlip())),
}
CLOSED = ["periodic", "walls", "slip", "channel", "cavity"]


def at_faces(grid: Grid, field: Field, t: float = 0.0) -> Tensor:
    """(1, 2, nx, ny), component d of `field(d, x, y, t)` on the upper faces along d, float64."""
    return torch.stack([torch.broadcast_to(field(d, *points_of(grid, d), t), grid.shape) for d in range(2)])[None]


def taylor_green(nu: float) -> Field:
    """u = sin x cos y, v = -cos x sin y, decaying by exp(-2 nu t): periodic on 2 pi, free slip on pi."""

    def field(d: int, x: Tensor, y: Tensor, t: float) -> Tensor:
        return (torch.sin(x) * torch.cos(y) if d == 0 else -torch.cos(x) * torch.sin(y)) * math.exp(-2 * nu * t)

    return field


def noise(grid: Grid, batch: int = 2, seed: int = 0) -> Tensor:
    return torch.randn(batch, grid.ndim, *grid.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def rms(x: Tensor) -> float:
    return float(x.square().mean().sqrt())


def orders(errors: list[float]) -> list[float]:
    return [math.log2(a / b) for a, b in pairwise(errors)]
