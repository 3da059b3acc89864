"""Face velocities and their stream function at the corners of the cells: interpolation that creates no divergence."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from scipy.interpolate import CubicSpline
from torch import Tensor

from eddygrad.runtime.memory import ordinary_tensors
from eddygrad.solver.grid import Grid
from eddygrad.solver.transforms import fft, ifft


def stream_function(u: Sequence[Tensor], grid: Grid) -> Tensor:
    """Return the stream function psi of a plane flow at the corners of the cells, 0 at the origin.

        u = d psi / d y, v = -d psi / d x:   psi = int_0^y u(x, y') dy' - int_0^x v(x', 0) dx'
    Args:
        u:    velocities on all faces, those at the lower ends included: (B, nx + 1, ny) and (B, nx, ny + 1) [m/s].
        grid: grid of the cells.
    Returns: (B, nx + 1, ny + 1) [m^2/s]; `face_velocities` returns u from it, and v where the flow has no divergence.
    """
    (hx, hy), (along, across) = grid.spacing, u
    return _from_zero(hy * along, -1) - _from_zero(hx * across[..., :1], -2)


def periodic_stream_function(w: Tensor, grid: Grid) -> Tensor:
    """Return the stream function of a vorticity at the corners of the cells of a periodic box, -lap psi = w - <w>, by its Fourier series.

    Args:
        w:    vorticity (B, *grid) at x_i = i L / N [1/s].
        grid: grid of w.
    Returns: (B, nx + 1, ny + 1) [m^2/s].
    """
    k2 = torch.stack(torch.broadcast_tensors(*grid.wavenumbers(device=w.device))).square().sum(0)
    psi = ifft(fft(w, grid) * torch.where(k2 > 0, 1 / k2.clamp_min(1e-300), 0.0), grid)
    psi = torch.cat([psi, psi[..., :1]], -1)
    return torch.cat([psi, psi[..., :1, :]], -2)


def face_velocities(psi: Tensor, grid: Grid) -> Tensor:
    """Return the velocities (B, 2, nx, ny) [m/s] on the upper faces from psi (B, nx + 1, ny + 1) [m^2/s]; divergence-free to round-off."""
    hx, hy = grid.spacing
    return torch.stack([psi[:, 1:].diff(dim=-1) / hy, -psi[..., 1:].diff(dim=-2) / hx], 1)


def resampled(psi: Tensor, shape: Sequence[int], periodic: Sequence[bool]) -> Tensor:
    """Interpolate a stream function to the corners of other cells of the same box, by cubic splines along each axis.

    Values at corners that coincide are kept, and with them the fluxes between them. Along a periodic axis the increase of psi over a period (the
    flux through the box) is interpolated linearly and the rest by a periodic spline.

    Args:
        psi:      (B, nx + 1, ny + 1).
        shape:    cells per axis of the result.
        periodic: per axis, whether it is periodic.
    Returns: (B, mx + 1, my + 1).
    """
    for axis, (m, period) in enumerate(zip(shape, periodic), -2):
        n = psi.shape[axis] - 1
        if n != m:
            matrix = _spline(n, m, period).to(psi.device, psi.dtype)
            psi = torch.movedim(torch.movedim(psi, axis, -1) @ matrix.mT, -1, axis)
    return psi


def remapped(p: Tensor, shape: Sequence[int], periodic: Sequence[bool]) -> Tensor:
    """Convert cell means to other cells of the same box. The mean over the box is kept; a whole factor down gives the "box" `downsample`.

    Args:
        p:        cell means (B, nx, ny).
        shape:    cells per axis of the result.
        periodic: per axis, whether it is periodic.
    Returns: (B, mx, my).
    """
    total = resampled(_from_zero(_from_zero(p, -1), -2), shape, periodic)
    cells = p.shape[-2] * p.shape[-1] / (shape[0] * shape[1])
    return total.diff(dim=-1).diff(dim=-2) / cells


def _from_zero(x: Tensor, dim: int) -> Tensor:
    """Return the cumulative sums along an axis with a zero before them."""
    return torch.cat([torch.zeros_like(x.narrow(dim, 0, 1)), x.cumsum(dim)], dim)


@lru_cache(maxsize=32)
def _spline(n: int, m: int, periodic: bool) -> Tensor:
    """Return the matrix (m + 1, n + 1) that evaluates a cubic spline through n + 1 equidistant points at m + 1 equidistant points, float64."""
    known, wanted, unit = np.linspace(0, 1, n + 1), np.linspace(0, 1, m + 1), np.eye(n + 1)
    rise = unit[-1] - unit[0] if periodic else 0 * unit[0]
    wave = unit - np.outer(known, rise)
    if periodic:
        wave[-1] = wave[0]
    values = CubicSpline(known, wave, bc_type="periodic" if periodic else "not-a-knot")(wanted) + np.outer(wanted, rise)
    shared = np.gcd(n, m)
    values[:: m // shared] = unit[:: n // shared]  # coinciding points keep their values exactly
    with ordinary_tensors():
        return torch.from_numpy(values)
