"""Face velocities and their stream function at the corners of the cells: changes of grid that leave no divergence behind."""

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
    """psi at the corners of the cells of a plane flow, 0 at the origin.

        u = d psi / d y, v = -d psi / d x:   psi = int_0^y u(x, y') dy' - int_0^x v(x', 0) dx'
    Args:    u: (B, nx + 1, ny) and (B, nx, ny + 1), the velocities on all faces, those at the lower ends included [m/s].
    Returns: (B, nx + 1, ny + 1) [m^2/s]; `face_velocities` gives u back, and v where nothing diverges.
    """
    (hx, hy), (along, across) = grid.spacing, u
    return _from_zero(hy * along, -1) - _from_zero(hx * across[..., :1], -2)


def periodic_stream_function(w: Tensor, grid: Grid) -> Tensor:
    """psi of a vorticity at the corners of the cells of a periodic box, -lap psi = w - <w>, by its Fourier series.

    Args: w: (B, *grid) at x_i = i L / N [1/s]. Returns: (B, nx + 1, ny + 1) [m^2/s].
    """
    k2 = torch.stack(torch.broadcast_tensors(*grid.wavenumbers(device=w.device))).square().sum(0)
    psi = ifft(fft(w, grid) * torch.where(k2 > 0, 1 / k2.clamp_min(1e-300), 0.0), grid)
    psi = torch.cat([psi, psi[..., :1]], -1)
    return torch.cat([psi, psi[..., :1, :]], -2)


def face_velocities(psi: Tensor, grid: Grid) -> Tensor:
    """(B, nx + 1, ny + 1) at the corners [m^2/s] -> (B, 2, nx, ny), on the upper faces of the cells [m/s]; free of divergence to round-off."""
    hx, hy = grid.spacing
    return torch.stack([psi[:, 1:].diff(dim=-1) / hy, -psi[..., 1:].diff(dim=-2) / hx], 1)


def resampled(psi: Tensor, shape: Sequence[int], periodic: Sequence[bool]) -> Tensor:
    """A field at the corners of other cells of the same box, (B, nx + 1, ny + 1) -> (B, mx + 1, my + 1), by cubic splines along each axis.

    Where corners coincide the values are kept: of velocities, whole fluxes. Along a periodic axis what psi gains over a period, the flux through the
    box, is a straight line beneath a periodic spline.
    """
    for axis, (m, period) in enumerate(zip(shape, periodic), -2):
        n = psi.shape[axis] - 1
        if n != m:
            matrix = _spline(n, m, period).to(psi.device, psi.dtype)
            psi = torch.movedim(torch.movedim(psi, axis, -1) @ matrix.mT, -1, axis)
    return psi


def remapped(p: Tensor, shape: Sequence[int], periodic: Sequence[bool]) -> Tensor:
    """Cell means on other cells of the same box, (B, nx, ny) -> (B, mx, my); the mean of the box is kept, and at a whole factor down it is `box`."""
    total = resampled(_from_zero(_from_zero(p, -1), -2), shape, periodic)
    cells = p.shape[-2] * p.shape[-1] / (shape[0] * shape[1])
    return total.diff(dim=-1).diff(dim=-2) / cells


def _from_zero(x: Tensor, dim: int) -> Tensor:
    """Sums from the lower end on, with a zero before them."""
    return torch.cat([torch.zeros_like(x.narrow(dim, 0, 1)), x.cumsum(dim)], dim)


@lru_cache(maxsize=32)
def _spline(n: int, m: int, periodic: bool) -> Tensor:
    """The values of a cubic spline through n + 1 even points at m + 1 even points, (m + 1, n + 1), float64."""
    known, wanted, unit = np.linspace(0, 1, n + 1), np.linspace(0, 1, m + 1), np.eye(n + 1)
    rise = unit[-1] - unit[0] if periodic else 0 * unit[0]
    wave = unit - np.outer(known, rise)
    if periodic:
        wave[-1] = wave[0]
    values = CubicSpline(known, wave, bc_type="periodic" if periodic else "not-a-knot")(wanted) + np.outer(wanted, rise)
    shared = np.gcd(n, m)
    values[:: m // shared] = unit[:: n // shared]  # exactly
    with ordinary_tensors():
        return torch.from_numpy(values)
