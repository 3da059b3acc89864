"""What a gauge in the flow reads: pressure at points and on bodies, the frequency of a signal."""

from __future__ import annotations

import torch
from torch import Tensor

from eddygrad.solver.grid import Grid

# Markers smear a body's surface over 1.5 cells: the pressure outside is read beyond that, at these distances in cells, and carried on to the surface.
_NEAR, _FAR = 2.0, 3.5


def at_points(p: Tensor, grid: Grid, points: Tensor) -> Tensor:
    """A centred field at points by bilinear interpolation, by its nearest line beyond the outer centres.

    Args:    p: (B, nx, ny). points: (K, 2) [m]. Returns: (B, K), differentiable in both.
    Raises:  ValueError for points outside the box.
    """
    for axis, length in enumerate(grid.lengths):
        if bool(((points[:, axis] < 0) | (points[:, axis] > length)).any()):
            raise ValueError(
                f"at_points: expected points inside the box {grid.lengths}, got {points[:, axis].min():.4g} to {points[:, axis].max():.4g}"
            )
    s = [points[:, a] / h - 0.5 for a, h in enumerate(grid.spacing)]
    low = [x.detach().floor().long().clamp(0, n - 2) for x, n in zip(s, grid.shape)]
    (fx, fy), (i, j) = [(x - k).to(p.dtype) for x, k in zip(s, low)], low
    below = p[:, i, j] * (1 - fy) + p[:, i, j + 1] * fy
    above = p[:, i + 1, j] * (1 - fy) + p[:, i + 1, j + 1] * fy
    return below * (1 - fx) + above * fx


def surface_pressure(p: Tensor, grid: Grid, points: Tensor, normals: Tensor) -> Tensor:
    """Pressure on a body's surface, from the line through two points outside along the normal.

    Args:    p: (B, nx, ny). points, normals: (K, 2), on the surface and out of the body [m], [1].
    Returns: (B, K), the unit of p.
    """
    h = max(grid.spacing)
    near, far = (at_points(p, grid, points + reach * h * normals) for reach in (_NEAR, _FAR))
    return near + (near - far) * _NEAR / (_FAR - _NEAR)


def strouhal(signal: Tensor, dt: float, speed: float, length: float) -> float:
    """Strouhal number f L / U of a periodic signal, its frequency f by the mean time between upward crossings of its mean.

    Args:   signal: (T,), e.g. the lift after the flow has settled. dt: [s]. speed U [m/s], length L [m].
    Raises: ValueError for fewer than three crossings.
    """
    x = signal.detach().to(torch.float64) - signal.detach().to(torch.float64).mean()
    (rise,) = torch.nonzero((x[:-1] < 0) & (x[1:] >= 0), as_tuple=True)
    if len(rise) < 3:
        raise ValueError(f"strouhal: expected two periods at least, got {max(0, len(rise) - 1)}; take a longer signal")
    exact = rise + x[rise] / (x[rise] - x[rise + 1])
    period = float(exact[-1] - exact[0]) / (len(rise) - 1) * dt
    return length / (period * speed)
