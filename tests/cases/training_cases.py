"""What the tests of training share: a small Kuramoto-Sivashinsky problem, its windows, and derivatives by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from eddygrad.correctors.compose import Corrected, correct
from eddygrad.correctors.features import domain_size
from eddygrad.correctors.resnet import ResNet
from eddygrad.correctors.seeded_network import seed_options
from eddygrad.datasets.dataset import Dataset
from eddygrad.solver.equations.kuramoto_sivashinsky import KuramotoSivashinsky
from eddygrad.solver.grid import Grid
from eddygrad.solver.schemes.spectral.etdrk import ETDRK
from eddygrad.solver.unroll import Window, trajectory

GRID = Grid((16,), 2 * math.pi * 2.5)
LENGTHS = (14.0, 15.0, 16.0, 17.0)


def solver(order: int = 1) -> ETDRK:
    return ETDRK(KuramotoSivashinsky(), GRID, dt=0.5, order=order, substeps=2)


def states(batch: int = 4, seed: int = 0) -> Tensor:
    """Random Fourier series of three modes: (batch, 1, 16), float64."""
    source = torch.Generator().manual_seed(seed)
    x = 2 * math.pi * torch.arange(16, dtype=torch.float64) / 16
    m = torch.arange(1, 4, dtype=torch.float64)[:, None]
    a, b = torch.randn(2, batch, 3, generator=source, dtype=torch.float64)
    return (a @ torch.cos(m * x) + b @ torch.sin(m * x))[:, None]


def lengths(batch: int = 4) -> Tensor:
    return torch.tensor(LENGTHS[:batch], dtype=torch.float64).reshape(-1, 1, 1)


def window(horizon: int, start: Tensor | None = None, length: Tensor | None = None) -> Window:
    """Reference frames behind `start`; gradients with respect to start and length stay possible."""
    u = states() if start is None else start
    known = lengths(len(u)) if length is None else length
    after = trajectory(solver(2).at({"length": known.detach()}, u.detach()), u.detach(), horizon)
    return Window(torch.cat([u.unsqueeze(1), after], 1), {"length": known})


def corrected(
    seeds: int | Sequence[int] = 0, mode: Any = "parallel", dtype: torch.dtype = torch.float64, width: int = 4, **options: Any
) -> Corrected:
    network = ResNet(width, 1, **seed_options(seeds)).to(dtype)
    return correct(solver(), network, mode, features=domain_size(), **options)


def dataset(frames: int = 24, dtype: torch.dtype = torch.float64) -> Dataset:
    u = trajectory(solver(2).at({"length": lengths()}, states()), states(), frames, warmup=10)
    return Dataset.from_tensor(u.to(dtype), {"length": lengths()}, GRID, dt=0.5, units={"length": "m"})


def batches_of(data: Dataset, batch: int, seed: int) -> Callable[[int, int], Window]:
    """What a single network of this seed is given: the seed's entry of a stacked batch."""
    stacked = data.batches(batch, [seed])

    def batch_at(step: int, horizon: int) -> Window:
        w = stacked(step, horizon)
        return Window(w.u[0], {name: value[0] for name, value in w.params.items()}, 1)

    return batch_at


def flat(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([t.detach().reshape(-1) for t in tensors])


def distance(a: Tensor, b: Tensor) -> float:
    """|a - b| / |b|."""
    return ((a - b).norm() / b.norm()).item()
