"""Laplace's equation on the unit square, the smallest problem of a user."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

import eddygrad as eg


def exact(x: Tensor) -> Tensor:
    return torch.sin(x[:, 0]) * torch.exp(-x[:, 1])


def laplace(**options: Any) -> eg.pinn.Problem:
    settings = {"width": 16, "depth": 2, "points": 200, "rim": 80, **options}
    return eg.pinn.Problem(lambda d, p: {"pde": d.u_lap}, eg.pinn.Box(0, 1), boundary=exact, **settings)


def small_laplace(**options: Any) -> Any:
    """Return a problem whose training takes a moment; typed `Any`, so that tests may read what is optional."""
    usual = {"boundary": lambda x: x[:, 0] * x[:, 1], "points": 40, "rim": 40, "width": 6, "depth": 2}
    return eg.pinn.Problem(lambda d, p: {"pde": d.u_lap}, eg.pinn.Box(0, 1), **{**usual, **options})
