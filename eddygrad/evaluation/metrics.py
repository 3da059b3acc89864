"""Errors of a prediction against its reference: the metrics of the paper, and those that are usual elsewhere.

Arguments of all metrics: `u` is the prediction (..., B, T, C, *grid), `reference` (B, T, C, *grid), `ndim` the number of grid axes, and `free` a mask
(1, C, *grid) of the values that boundary conditions and bodies leave free, see `eddygrad.solver.step.FreeMask`: means are over free values; None
means that all are free.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

# A diverged run counts as this in the paper's metric; it is never dropped.
CLIPPED_ERROR = 30.0


def _grid_mean(x: Tensor, ndim: int, free: Tensor | None = None) -> Tensor:
    """Return the mean over channel and grid axes."""
    return x.flatten(-ndim - 1).mean(-1) if free is None else (x * free).flatten(-ndim - 1).mean(-1) / free.mean()


def error_over_time(u: Tensor, reference: Tensor, ndim: int = 1, free: Tensor | None = None) -> Tensor:
    """Return the paper's error of each frame, clipped at 30; NaN and Inf count as 30.

        e(t) = mean_x (u - u_ref)^2 / max_{t,x} u_ref^2                     List et al. 2024
    Args:
        u:         prediction (..., B, T, C, *grid), frames t = 0 .. H.
        reference: (B, T, C, *grid).
        ndim:      number of grid axes.
        free:      mask of the free values (1, C, *grid).
    Returns: (..., B, T).
    """
    scale = _largest_square(reference, ndim, free).unsqueeze(-1)
    error = _grid_mean((u - reference).square(), ndim, free) / scale
    return torch.nan_to_num(error, nan=CLIPPED_ERROR, posinf=CLIPPED_ERROR).clamp(max=CLIPPED_ERROR)


def _largest_square(reference: Tensor, ndim: int, free: Tensor | None) -> Tensor:
    """Return max_{t,x} u_ref^2, (B,)."""
    return (reference if free is None else reference * free).square().flatten(-ndim - 2).amax(-1)


def rellinf(u: Tensor, reference: Tensor, ndim: int = 1, free: Tensor | None = None) -> Tensor:
    """Return the mean of e(t) over the window t = 0 .. H, (..., B). Args: as for `error_over_time`."""
    return error_over_time(u, reference, ndim, free).mean(-1)


def mse(u: Tensor, reference: Tensor, ndim: int = 1, free: Tensor | None = None) -> Tensor:
    """Return the mean squared error over all frames but the first, each clipped as e(t) is, (..., B) [u^2]. Args: as for `error_over_time`."""
    return error_over_time(u, reference, ndim, free)[..., 1:].mean(-1) * _largest_square(reference, ndim, free)


def nrmse(u: Tensor, reference: Tensor, ndim: int = 1, free: Tensor | None = None) -> Tensor:
    """Return |u - u_ref| / |u_ref| per frame, (..., B, T). Args: as for `error_over_time`."""
    return (_grid_mean((u - reference).square(), ndim, free) / _grid_mean(reference.square(), ndim, free)).sqrt()


def vrmse(u: Tensor, reference: Tensor, ndim: int = 1, free: Tensor | None = None) -> Tensor:
    """Return the root of the mean squared error over the variance of the reference per frame, (..., B, T).

    The variance is about the mean of each channel. Args: as for `error_over_time`.
    """
    if free is None:
        mean = reference.flatten(-ndim).mean(-1)
    else:
        mean = (reference * free).flatten(-ndim).sum(-1) / free.flatten(-ndim).sum(-1).clamp_min(1)
    centred = reference - mean[(...,) + (None,) * ndim]
    return (_grid_mean((u - reference).square(), ndim, free) / _grid_mean(centred.square(), ndim, free)).sqrt()


def correlation(u: Tensor, reference: Tensor, ndim: int = 1, free: Tensor | None = None) -> Tensor:
    """Return the Pearson correlation per frame, (..., B, T). Args: as for `error_over_time`."""

    def standard(x: Tensor) -> Tensor:
        x = x - _grid_mean(x, ndim, free)[(...,) + (None,) * (ndim + 1)]
        return x / _grid_mean(x.square(), ndim, free)[(...,) + (None,) * (ndim + 1)].sqrt()

    return torch.nan_to_num(_grid_mean(standard(u) * standard(reference), ndim, free), nan=0.0)


def correlation_time(rho: Tensor, threshold: float = 0.2, run: int = 8) -> Tensor:
    """Return the frame at which the correlation is lost: the first of at least `run` frames in a row below `threshold`; H if it is never lost.

    A run that reaches the last frame may be shorter.

    Args:
        rho:       correlation (..., T), t = 0 .. H.
        threshold: correlation below which a frame counts.
        run:       length of the run; 1 returns the first frame below.
    Returns: (...), float64, in frames.
    """
    below = rho < threshold
    frames = rho.shape[-1]
    ahead = torch.zeros_like(rho, dtype=torch.int64)
    count = torch.zeros(rho.shape[:-1], dtype=torch.int64, device=rho.device)
    reaches = torch.zeros_like(below)
    to_end = torch.ones_like(count, dtype=torch.bool)
    for t in reversed(range(frames)):
        count = torch.where(below[..., t], count + 1, torch.zeros_like(count))
        to_end = to_end & below[..., t]
        ahead[..., t], reaches[..., t] = count, to_end
    lost = (ahead >= run) | reaches
    index = lost.to(torch.int64).argmax(-1)
    return torch.where(lost.any(-1), index, torch.full_like(index, frames - 1)).to(torch.float64)


def divergence_time(u: Tensor, next_reference: Tensor, limit: float = 500.0) -> Tensor:
    """Return the first t with sum_x r_t^2 > limit, r_t = u_{t+1} - P_ref(u_t); H if there is none.                     List et al. 2024

    Args:
        u:              prediction (..., T, C, x) on a line, t = 0 .. H.
        next_reference: reference step P_ref of the frames 0 .. H - 1, (..., T - 1, C, x).
        limit:          of the squared residual.
    Returns: (...), float64, in frames.
    """
    residual = torch.nan_to_num((u[..., 1:, :, :] - next_reference).square().sum((-1, -2)), nan=float("inf"))
    over = residual > limit
    index = over.to(torch.int64).argmax(-1)
    return torch.where(over.any(-1), index, torch.full_like(index, u.shape[-3] - 1)).to(torch.float64)


def h1(u: Tensor, reference: Tensor, length: Tensor | float) -> Tensor:
    """Return the relative Sobolev error |e|_H1 / |u_ref|_H1 per frame on a periodic line, |e|^2 = sum_k (1 + k^2) |e_k|^2, (..., B, T).

    Args:
        u:         prediction (..., B, T, C, x).
        reference: (B, T, C, x).
        length:    length of the domain [m], a number or (B, 1, 1).
    """
    weight = 1 + (2 * torch.pi * _modes(u) / _as_line(length, u)) ** 2
    return ((weight * _power(u - reference)).sum((-1, -2)) / (weight * _power(reference)).sum((-1, -2))).sqrt()


def band_errors(u: Tensor, reference: Tensor, bands: tuple[float, ...] = (0.0, 1 / 3, 2 / 3, 1.0)) -> Tensor:
    """Return the root mean squared error in bands of the modes of a line, relative to the root mean square of the reference, (..., B, T, bands).

    Args:
        u:         prediction (..., B, T, C, x).
        reference: (B, T, C, x).
        bands:     limits of the bands as fractions of the highest resolved mode.
    """
    total = _power(reference).sum((-1, -2))
    fraction = _modes(u) / (u.shape[-1] // 2)
    error = _power(u - reference).sum(-2)
    parts = []
    for low, high in pairwise(bands):
        inside = (fraction >= low) & ((fraction < high) | ((high == bands[-1]) & (fraction <= high)))
        parts.append((error * inside).sum(-1) / total)
    return torch.stack(parts, -1).sqrt()


def spectrum_error(u: Tensor, reference: Tensor, floor: float = 1e-12) -> Tensor:
    """Return the root mean square over modes m >= 1 of log10 of the ratio of time-averaged spectra of a line, clipped at 30, (..., B).

    Args:
        u:         prediction (..., B, T, C, x).
        reference: (B, T, C, x).
        floor:     added to both spectra.
    """
    ratio = (_power(u).sum(-2).mean(-2) + floor) / (_power(reference).sum(-2).mean(-2) + floor)
    error = ratio.log10()[..., 1:].square().mean(-1).sqrt()
    return torch.nan_to_num(error, nan=CLIPPED_ERROR, posinf=CLIPPED_ERROR).clamp(max=CLIPPED_ERROR)


def _modes(u: Tensor) -> Tensor:
    n = u.shape[-1]
    return torch.fft.rfftfreq(n, 1 / n, dtype=u.dtype, device=u.device)


def _power(u: Tensor) -> Tensor:
    """Return |u_k|^2 for both signs of k together, normalised so that the sum over modes is the mean square."""
    n = u.shape[-1]
    power = torch.fft.rfft(u).abs().square() / n**2
    both = torch.full((n // 2 + 1,), 2.0, dtype=u.dtype, device=u.device)
    both[0] = 1
    if n % 2 == 0:
        both[-1] = 1
    return power * both


def _as_line(length: Tensor | float, u: Tensor) -> Tensor:
    return length.to(u).reshape(-1, 1, 1, 1) if isinstance(length, Tensor) else torch.tensor(length, dtype=torch.float64).to(u)
