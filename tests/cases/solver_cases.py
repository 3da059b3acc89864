"""What the solver's tests share: the paper's Kuramoto-Sivashinsky set-up and smooth states."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from eddygrad.solver.equations.kuramoto_sivashinsky import KuramotoSivashinsky
from eddygrad.solver.grid import Grid
from eddygrad.solver.schemes.spectral.etdrk import ETDRK
from eddygrad.solver.transforms import derivative

LENGTH = 2 * math.pi * 8
GRID = Grid((48,), LENGTH)
SCHEMES = [(order, realisation) for order in (1, 2, 3, 4) for realisation in ("dense", "spectral")]


def scheme(order: int = 2, realisation: str = "auto", dt: float = 1.0, substeps: int = 2, grid: Grid = GRID) -> ETDRK:
    return ETDRK(KuramotoSivashinsky(), grid, dt=dt, order=order, substeps=substeps, realisation=realisation)  # type: ignore[arg-type]


def smooth(batch: int = 3, grid: Grid = GRID, seed: int = 0, mean: float = 0.0, modes: int = 5) -> Tensor:
    """Random Fourier series of a few modes, amplitudes of order one, the same function on every grid: (batch, 1, N) in float64."""
    generator = torch.Generator().manual_seed(seed)
    x = 2 * math.pi * torch.arange(grid.shape[0], dtype=torch.float64) / grid.shape[0]
    m = torch.arange(1, modes + 1, dtype=torch.float64)[:, None]
    a, b = torch.randn(2, batch, modes, generator=generator, dtype=torch.float64) / modes**0.5
    return (a @ torch.cos(m * x) + b @ torch.sin(m * x) + mean)[:, None]


def laplacian(u: Tensor, grid: Grid) -> Tensor:
    """Spectral, by one axis after the other."""
    return derivative(u, grid, (2, 0)) + derivative(u, grid, (0, 2))
