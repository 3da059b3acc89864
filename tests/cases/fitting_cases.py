"""Small data sets, networks and refusals for the tests of fitting."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from eddygrad.correctors.resnet import ResNet
from eddygrad.correctors.seeded_network import seed_options
from eddygrad.datasets.dataset import Dataset
from eddygrad.solver.grid import Grid

OPTIONS = {"unroll": "nog:2", "steps": 4, "batch": 2, "validate_every": 4, "validation_horizon": 3, "progress": False}


def data(scale: float = 1.0) -> Dataset:
    u = torch.randn(6, 12, 1, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return Dataset.from_tensor(scale * u, {}, Grid((8,), 2 * math.pi), dt=1.0)


def network(seeds: int | tuple[int, ...]) -> ResNet:
    return ResNet(3, 1, cin=1, **seed_options(seeds)).double()


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(ValueError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def line(points: int = 48, dt: float = 1.0, length: float = 16 * math.pi) -> Dataset:
    u = torch.randn(4, 6, 1, points, generator=torch.Generator().manual_seed(1))
    return Dataset.from_tensor(u, {}, Grid((points,), length), dt=dt)
