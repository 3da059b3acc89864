"""Real Fourier transforms over the grid axes, derivatives, dealiasing and resampling. `_hat` is the rfft (norm "backward")."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from eddygrad.solver.grid import Grid


def fft(u: Tensor, grid: Grid) -> Tensor:
    """Return the half spectrum of a real field: (..., *grid) -> (..., *grid.spectrum_shape)."""
    if grid.ndim == 1:
        return torch.fft.rfft(u)
    return torch.fft.rfftn(u, dim=tuple(range(-grid.ndim, 0)))


def ifft(u_hat: Tensor, grid: Grid) -> Tensor:
    """Return the real field of a half spectrum: (..., *grid.spectrum_shape) -> (..., *grid)."""
    if grid.ndim == 1:
        return torch.fft.irfft(u_hat, n=grid.shape[0])
    return torch.fft.irfftn(u_hat, s=grid.shape, dim=tuple(range(-grid.ndim, 0)))


def nyquist_free(grid: Grid, axis: int, device: torch.device | str | None = None) -> Tensor:
    """Return 0 at the Nyquist mode of an even axis, whose odd derivatives are not real fields, and 1 at the other modes.

    Args:
        grid:   grid of the field.
        axis:   axis of the derivative.
        device: device of the result.
    """
    mode = grid.modes(device)[axis]
    n = grid.shape[axis]
    return torch.ones_like(mode) if n % 2 else (mode.abs() < n // 2).to(mode.dtype)


def derivative(u: Tensor, grid: Grid, order: Sequence[int] | int = 1, length: Tensor | None = None) -> Tensor:
    """Return a derivative by Fourier transform, exact for resolved modes.

        d^a u = F^-1 (i k)^a F u                                      Trefethen 2000, ch. 3
    Args:
        u:      (..., *grid).
        grid:   grid of u.
        order:  order of the derivative per axis; in 1-D a number.
        length: length per sample (..., *1) [m], replaces the grid's.
    Returns: same shape, [u / m^|a|].
    Raises:  ValueError if `order` does not name every axis.
    """
    orders = (order,) if isinstance(order, int) else tuple(order)
    if len(orders) != grid.ndim or any(a < 0 for a in orders):
        raise ValueError(f"derivative: order needs one non-negative integer per axis ({grid.ndim}), got {order}")
    u_hat = fft(u, grid)
    factor: Tensor | complex = 1.0
    for axis, (k, a) in enumerate(zip(grid.wavenumbers(length, u.device), orders)):
        if a % 2:
            k = k * nyquist_free(grid, axis, u.device)
        if a:
            factor = factor * (1j) ** a * k**a
    return ifft(u_hat * factor, grid).to(u.dtype)


def dealias_mask(grid: Grid, fraction: float, device: torch.device | str | None = None) -> Tensor:
    """Return 1 for modes |m| < fraction * N/2 on every axis and 0 for others (float64, `spectrum_shape`).

    Args:
        grid:     grid of the spectrum.
        fraction: 2/3 removes the aliases of quadratic terms, 1/2 those of cubic ones.
        device:   device of the result.
    Raises: ValueError if the fraction is not in (0, 1].
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"dealias_mask: fraction must be in (0, 1], got {fraction}; use 2/3 for a quadratic term, 1/2 for a cubic one")
    mask = torch.ones(grid.spectrum_shape, dtype=torch.float64, device=device)
    for n, m in zip(grid.shape, grid.modes(device)):
        mask = mask * (m.abs() < fraction * n / 2 + (fraction == 1) * 0.5)
    return mask


def resample(u: Tensor, grid: Grid, shape: Sequence[int]) -> Tensor:
    """Evaluate the Fourier series of a field on another number of points, by truncation or zero padding; the mean is unchanged.

    Args:
        u:     (..., *grid).
        grid:  grid of u.
        shape: points per axis of the result.
    Returns: (..., *shape). The Nyquist mode of a coarser even axis keeps its cosine part, as sampling would.
    Raises:  ValueError if `shape` has another number of axes.
    """
    shape = tuple(shape)
    if len(shape) != grid.ndim:
        raise ValueError(f"resample: shape needs {grid.ndim} axes, got {shape}")
    spectrum = torch.fft.fftn(u, dim=tuple(range(-grid.ndim, 0)))
    for axis, (n, m) in enumerate(zip(grid.shape, shape)):
        spectrum = _resize_axis(spectrum, axis - grid.ndim, n, m)
    scale = 1.0
    for n, m in zip(grid.shape, shape):
        scale *= m / n
    return torch.fft.ifftn(spectrum * scale, dim=tuple(range(-grid.ndim, 0))).real.to(u.dtype)


def limited(u: Tensor, grid: Grid, modes: int, shape: Sequence[int]) -> Tensor:
    """Evaluate the Fourier series of a field up to a largest mode, which is what a dealiased solver on the coarser grid holds.

    Args:
        u:     (..., *grid).
        grid:  grid of u.
        modes: largest mode per axis.
        shape: points per axis of the result.
    Returns: (..., *shape).
    """
    band = Grid((2 * modes + 1,) * grid.ndim, grid.length)
    return resample(resample(u, grid, band.shape), band, shape)


def _resize_axis(spectrum: Tensor, axis: int, n: int, m: int) -> Tensor:
    if n == m:
        return spectrum
    small = min(n, m)
    half = (small - 1) // 2
    positive, negative = spectrum.narrow(axis, 0, half + 1), spectrum.narrow(axis, n - half, half) if half else None
    parts = [positive]
    zeros = list(spectrum.shape)
    nyquist = None
    if small % 2 == 0:
        at = spectrum.narrow(axis, small // 2, 1)
        # To more points: the Nyquist mode is divided between +N/2 and -N/2. To fewer: both are aliased onto it.
        nyquist = 0.5 * at if m > n else at + spectrum.narrow(axis, n - small // 2, 1)
    gap = m - (2 * half + 1)
    if nyquist is None:
        zeros[axis] = gap
        parts.append(spectrum.new_zeros(zeros))
    elif m > n:
        zeros[axis] = gap - 2
        parts += [nyquist, spectrum.new_zeros(zeros), nyquist]
    else:
        parts.append(nyquist)
    if negative is not None:
        parts.append(negative)
    return torch.cat(parts, dim=axis)
