"""Probes: fields at points, pressure on bodies, the frequency of a signal."""

from __future__ import annotations

import torch
from torch import Tensor

from eddygrad.solver.grid import Grid

# Markers smear a body's surface over 1.5 cells: the pressure is read at these distances in cells, beyond that, and extrapolated to the surface.
_NEAR, _FAR = 2.0, 3.5


def at_points(p: Tensor, grid: Grid, points: Tensor) -> Tensor:
    """Interpolate a cell-centred field bilinearly; beyond the outermost centres it is extrapolated.

    Args:
        p:      (B, nx, ny).
        grid:   grid of p.
        points: coordinates (K, 2) [m].
    Returns: (B, K), differentiable with respect to p and points.
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
    """Extrapolate the pressure linearly to a body's surface, from two points along the outward normal.

    Args:
        p:       pressure at the cell centres (B, nx, ny).
        grid:    grid of p.
        points:  points on the surface (K, 2) [m].
        normals: outward unit normals (K, 2).
    Returns: (B, K), in the unit of p.
    """
    h = max(grid.spacing)
    near, far = (at_points(p, grid, points + reach * h * normals) for reach in (_NEAR, _FAR))
    return near + (near - far) * _NEAR / (_FAR - _NEAR)


def strouhal(signal: Tensor, dt: float, speed: float, length: float) -> float:
    """Return the Strouhal number f L / U of a periodic signal; 1 / f is the mean time between upward crossings of its mean.

    Args:
        signal: (T,), e.g. the lift after the flow has settled.
        dt:     time between samples [s].
        speed:  U [m/s].
        length: L [m].
    Raises: ValueError for fewer than three crossings.
    """
    x = signal.detach().to(torch.float64) - signal.detach().to(torch.float64).mean()
    (rise,) = torch.nonzero((x[:-1] < 0) & (x[1:] >= 0), as_tuple=True)
    if len(rise) < 3:
        raise ValueError(f"strouhal: expected at least two periods, got {max(0, len(rise) - 1)}; take a longer signal")
    exact = rise + x[rise] / (x[rise] - x[rise + 1])
    period = float(exact[-1] - exact[0]) / (len(rise) - 1) * dt
    return length / (period * speed)
