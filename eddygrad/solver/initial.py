"""Initial states: the Kuramoto-Sivashinsky states of the unrolling paper, and random Fourier series in one to three dimensions."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from eddygrad.runtime.randomness import generator
from eddygrad.solver.grid import Grid

# Amplitudes (a, b) of the paper's six training states.
KS_TRAINING_AMPLITUDES = ((0.1, 0.1), (0.1, -0.1), (-0.2, 0.3), (-0.2, -0.3), (0.3, 0.5), (0.3, -0.5))


def _positions(D: float, n: int) -> Tensor:
    if not D > 0 or n < 2:
        raise ValueError(f"initial state: the domain D must be positive and have at least 2 points, got D={D}, n={n}")
    return D * torch.arange(n, dtype=torch.float64) / n


def kuramoto_sivashinsky_training(D: float, a: float, b: float, n: int = 48) -> Tensor:
    """Return a training state of the unrolling paper.

        u_i = cos(2 pi x_i) + a cos(2 pi x_i / D) (1 + b sin(2 pi x_i / D)),  x_i = D i / n        List et al. 2024, authors' code
    Args:
        D:    domain size L / (2 pi) [-].
        a, b: amplitudes, see KS_TRAINING_AMPLITUDES.
        n:    number of points.
    Returns: (1, n), float64. cos(2 pi x) is periodic for integer D only; otherwise the state has a jump at the end, as in the paper.
    """
    x = _positions(D, n)
    theta = 2 * math.pi * x / D
    return (torch.cos(2 * math.pi * x) + a * torch.cos(theta) * (1 + b * torch.sin(theta))).unsqueeze(0)


def kuramoto_sivashinsky_test(D: float, c: float, s: float, n: int = 48) -> Tensor:
    """Return a test state of the unrolling paper.

        u_i = cos(pi x_i) + c cos(2 pi x_i / D) (1 - s sin(2 pi x_i / D)),  x_i = D i / n          List et al. 2024, authors' code
    Args:
        D:    domain size L / (2 pi) [-].
        c, s: amplitudes, see `draw_test_amplitudes`.
        n:    number of points.
    Returns: (1, n), float64.
    """
    x = _positions(D, n)
    theta = 2 * math.pi * x / D
    return (torch.cos(math.pi * x) + c * torch.cos(theta) * (1 - s * torch.sin(theta))).unsqueeze(0)


def draw_test_amplitudes(random: torch.Generator) -> tuple[float, float]:
    """Draw the amplitudes c ~ U(-0.1, 0.1) and s ~ U(-2, 2) of a test state, in this order."""
    draw = torch.rand(2, generator=random, dtype=torch.float64)
    return float(-0.1 + 0.2 * draw[0]), float(-2 + 4 * draw[1])


def random_fourier(
    grid: Grid,
    samples: int,
    channels: int = 1,
    bandlimit: int = 5,
    decay: float = 0.0,
    rms: float = 1.0,
    seed: int = 0,
    purpose: str = "random fourier",
    start: int = 0,
) -> Tensor:
    """Draw random Fourier series with zero mean. A sample is the same function on every grid that resolves it.

        u(x) = sum_{0 < |m| <= M} |m|^-decay (a_m cos(2 pi m.x/L) + b_m sin(2 pi m.x/L)),  a_m, b_m ~ N(0, 1),  scaled to the given rms
    Args:
        grid:      grid of the fields.
        samples:   number of samples.
        channels:  channels of a sample; each is drawn independently.
        bandlimit: M, the largest |m| (Euclidean), below N/2 on every axis.
        decay:     exponent by which amplitudes fall with |m|.
        rms:       root mean square of each channel over the domain, exact.
        seed, purpose, start: sample i is drawn from (seed, purpose, start + i), whatever the batch.
    Returns: (samples, channels, *grid), float64.
    Raises:  ValueError if the grid does not resolve the band, or a count is below one.
    """
    _check_band(grid, samples, channels, bandlimit, rms)
    amplitude = _amplitudes(bandlimit, decay, grid.ndim)
    axes = tuple(range(-grid.ndim, 0))
    out = torch.empty(samples, channels, *grid.shape, dtype=torch.float64)
    for i in range(samples):
        ab = torch.randn(2, channels, *amplitude.shape, generator=generator(seed, purpose, start + i), dtype=torch.float64) * amplitude
        c = torch.complex(ab[0], -ab[1])
        h = (c + c.flip(axes).conj()) / 2  # spectrum of the real part, so that Parseval's theorem gives the rms
        h = h * (rms / (h.abs() ** 2).sum(axes, keepdim=True).sqrt())
        out[i] = torch.fft.ifftn(_on_grid(h, grid), dim=axes, norm="forward").real
    return out


def _check_band(grid: Grid, samples: int, channels: int, bandlimit: int, rms: float) -> None:
    if samples < 0 or channels < 1 or not rms > 0:
        raise ValueError(f"random_fourier: needs samples >= 0, channels >= 1 and rms > 0, got {samples}, {channels}, {rms}")
    if bandlimit < 1 or any(2 * bandlimit >= n for n in grid.shape):
        raise ValueError(
            f"random_fourier: bandlimit must be at least 1 and below N/2 on every axis, got {bandlimit} on {grid.shape}; refine the grid"
        )


def _amplitudes(bandlimit: int, decay: float, ndim: int) -> Tensor:
    """|m|^-decay of the modes m = -M .. M per axis, (2 M + 1,) * ndim; 0 for the mean and beyond the band."""
    m = torch.arange(2 * bandlimit + 1, dtype=torch.float64) - bandlimit
    norm = torch.stack(torch.meshgrid(*[m] * ndim, indexing="ij")).square().sum(0).sqrt()
    inside = (norm > 0) & (norm <= bandlimit)
    return torch.where(inside, norm.clamp_min(1) ** -decay, 0.0)


def _on_grid(modes: Tensor, grid: Grid) -> Tensor:
    """Put modes -M .. M per axis at their places in the full spectrum of the grid."""
    side, spectrum = modes.shape[-1], modes
    for axis, n in enumerate(grid.shape):
        padded = torch.zeros(*spectrum.shape[: axis + 1], n, *spectrum.shape[axis + 2 :], dtype=modes.dtype)
        spectrum = padded.index_copy(axis + 1, (torch.arange(side) - side // 2) % n, spectrum)
    return spectrum
