"""Spectral vector calculus on a periodic box: curl, divergence, velocity of a vorticity, Leray projection, pressure."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from eddygrad.solver.grid import Grid
from eddygrad.solver.transforms import derivative, fft, ifft, nyquist_free


def square(k: Sequence[Tensor]) -> Tensor:
    """Return |k|^2 from the wavenumbers per axis."""
    total = k[0] ** 2
    for axis in k[1:]:
        total = total + axis**2
    return total


def inverse_square(k: Sequence[Tensor]) -> Tensor:
    """Return 1 / |k|^2, and 0 for the mean: the inverse of -lap on fields without mean."""
    k2 = square(k)
    zero = k2 == 0
    return torch.where(zero, 0.0, 1 / torch.where(zero, 1.0, k2))


def projected(c: int, i: int, k: Sequence[Tensor]) -> Tensor:
    """Return the component P_ci = delta_ci - k_c k_i / |k|^2 of the Leray projection; for the mean the identity.

    Args:
        c, i: row and column.
        k:    wavenumbers per axis [1/m].
    """
    return float(c == i) - k[c] * k[i] * inverse_square(k)


def leray_table(k: Sequence[Tensor]) -> list[list[Tensor]]:
    """Return all components P_ci of the Leray projection, which maps a velocity spectrum to its divergence-free part."""
    return [[projected(c, i, k) for i in range(len(k))] for c in range(len(k))]


def _directed(grid: Grid, k: Sequence[Tensor]) -> list[Tensor]:
    return [axis * nyquist_free(grid, a, axis.device) for a, axis in enumerate(k)]


def leray(u: Tensor, grid: Grid) -> Tensor:
    """Project a velocity onto divergence-free fields.

        P u = u - grad lap^-1 div u                                 Canuto et al. 2007, sec. 3.2
    Args:    u: (..., D, *grid) [m/s].
    Returns: same shape; the mean flow is unchanged.
    Raises:  ValueError if the channel count is not the grid's dimension.
    """
    _check_vector(u, grid, "leray")
    u_hat = fft(u, grid)
    k = _directed(grid, grid.wavenumbers(device=u.device))
    dot = sum(axis * part for axis, part in zip(k, u_hat.unbind(-grid.ndim - 1)))
    potential = inverse_square(k) * dot
    return ifft(u_hat - torch.stack([axis * potential for axis in k], -grid.ndim - 1), grid).to(u.dtype)


def divergence(u: Tensor, grid: Grid) -> Tensor:
    """Return div u of a velocity (..., D, *grid), (..., 1, *grid) [1/s].

    Raises: ValueError if the channel count is not the grid's dimension.
    """
    _check_vector(u, grid, "divergence")
    parts = u.unbind(-grid.ndim - 1)
    total = sum(derivative(part, grid, [int(a == axis) for a in range(grid.ndim)]) for axis, part in enumerate(parts))
    assert isinstance(total, Tensor)
    return total.unsqueeze(-grid.ndim - 1)


def vorticity(u: Tensor, grid: Grid) -> Tensor:
    """Return the vorticity w = v_x - u_y of a plane velocity (..., 2, *grid), (..., 1, *grid) [1/s].

    Raises: ValueError unless the grid is two-dimensional.
    """
    if grid.ndim != 2:
        raise ValueError(f"vorticity: expected a plane, got a grid of shape {grid.shape}")
    _check_vector(u, grid, "vorticity")
    return (derivative(u[..., 1, :, :], grid, (1, 0)) - derivative(u[..., 0, :, :], grid, (0, 1))).unsqueeze(-3)


def velocity(w: Tensor, grid: Grid, mean: Sequence[float | Tensor] = (0.0, 0.0)) -> Tensor:
    """Return the plane velocity of a vorticity, (u, v) = (psi_y, -psi_x) + mean with -lap psi = w.

    Args:
        w:    vorticity (..., 1, *grid) [1/s].
        grid: grid of w.
        mean: mean flow per component [m/s], numbers or (...) tensors.
    Returns: (..., 2, *grid) [m/s].
    Raises:  ValueError unless the grid is two-dimensional.
    """
    if grid.ndim != 2 or w.shape[-3] != 1:
        raise ValueError(f"velocity: expected one channel of vorticity on a plane, got {tuple(w.shape)} on a grid of shape {grid.shape}")
    k = _directed(grid, grid.wavenumbers(device=w.device))
    psi = inverse_square(k) * fft(w[..., 0, :, :], grid)
    u = torch.stack([ifft(1j * k[1] * psi, grid), ifft(-1j * k[0] * psi, grid)], -3).to(w.dtype)
    shift = torch.stack([torch.as_tensor(m, dtype=w.dtype, device=w.device).expand(w.shape[:-3]) for m in mean], -1)
    return u + shift[..., None, None]


def pressure(u: Tensor, grid: Grid, advection: float | Tensor = 1.0, cubic: float | Tensor = 0.0) -> Tensor:
    """Return the kinematic pressure (per density) of a divergence-free velocity, with zero mean.

        lap p = div(-lambda (u . grad) u - beta |u|^2 u)        lambda = 1, beta = 0 for Navier-Stokes; Maddu et al. 2021 for active turbulence
    Args:
        u:         velocity (..., D, *grid) [m/s]; the grid must resolve its products, which are not dealiased.
        grid:      grid of u.
        advection: lambda [-], a number or a tensor that broadcasts to (..., *grid).
        cubic:     beta [s/m^2], likewise.
    Returns: (..., 1, *grid) [m^2/s^2].
    Raises:  ValueError if the channel count is not the grid's dimension.
    """
    _check_vector(u, grid, "pressure")
    k, parts = _directed(grid, grid.wavenumbers(device=u.device)), u.unbind(-grid.ndim - 1)
    inverse, speed2 = inverse_square(k), u.square().sum(-grid.ndim - 1)
    p_hat: Tensor | float = 0.0
    for i, a in enumerate(parts):
        p_hat = p_hat + 1j * k[i] * inverse * fft(cubic * speed2 * a, grid)
        for j, b in enumerate(parts):
            p_hat = p_hat - k[i] * k[j] * inverse * fft(advection * a * b, grid)
    assert isinstance(p_hat, Tensor)
    return ifft(p_hat, grid).to(u.dtype).unsqueeze(-grid.ndim - 1)


def _check_vector(u: Tensor, grid: Grid, name: str) -> None:
    if u.shape[-grid.ndim - 1] != grid.ndim:
        raise ValueError(f"{name}: expected {grid.ndim} velocity components on a grid of shape {grid.shape}, got {u.shape[-grid.ndim - 1]}")
