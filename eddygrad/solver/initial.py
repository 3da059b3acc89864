"""Initial states: those of the unrolling paper for Kuramoto-Sivashinsky, and random Fourier series in one to three dimensions."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from eddygrad.runtime.randomness import generator
from eddygrad.solver.grid import Grid

# (a, b) of the paper's six training states: each pair with both signs of b.
KS_TRAINING_AMPLITUDES = ((0.1, 0.1), (0.1, -0.1), (-0.2, 0.3), (-0.2, -0.3), (0.3, 0.5), (0.3, -0.5))


def _positions(D: float, n: int) -> Tensor:
    if not D > 0 or n < 2:
        raise ValueError(f"initial state: the domain D must be positive and have at least 2 points, got D={D}, n={n}")
    return D * torch.arange(n, dtype=torch.float64) / n


def kuramoto_sivashinsky_training(D: float, a: float, b: float, n: int = 48) -> Tensor:
    """A training state of the unrolling paper.

        u_i = cos(2 pi x_i) + a cos(2 pi x_i / D) (1 + b sin(2 pi x_i / D)),  x_i = D i / n        List et al. 2024, authors' code
    Args:    D: L / (2 pi) [-]. a, b: amplitudes, see KS_TRAINING_AMPLITUDES. n: points.
    Returns: (1, n), float64. cos(2 pi x) is periodic only for integer D; the jump at the end is the paper's.
    """
    x = _positions(D, n)
    theta = 2 * math.pi * x / D
    return (torch.cos(2 * math.pi * x) + a * torch.cos(theta) * (1 + b * torch.sin(theta))).unsqueeze(0)


def kuramoto_sivashinsky_test(D: float, c: float, s: float, n: int = 48) -> Tensor:
    """A test state of the unrolling paper.

        u_i = cos(pi x_i) + c cos(2 pi x_i / D) (1 - s sin(2 pi x_i / D)),  x_i = D i / n          List et al. 2024, authors' code
    Args:    D: L / (2 pi) [-]. c, s: amplitudes, see `draw_test_amplitudes`. n: points.
    Returns: (1, n), float64.
    """
    x = _positions(D, n)
    theta = 2 * math.pi * x / D
    return (torch.cos(math.pi * x) + c * torch.cos(theta) * (1 - s * torch.sin(theta))).unsqueeze(0)


def draw_test_amplitudes(random: torch.Generator) -> tuple[float, float]:
    """c ~ U(-.1, .1) and s ~ U(-2, 2) of a test state, in this order."""
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
    """Random Fourier series with zero mean; the same function on every grid that resolves it.

        u(x) = sum_{0 < |m| <= M} |m|^-decay (a_m cos(2 pi m.x/L) + b_m sin(2 pi m.x/L)),  a_m, b_m ~ N(0, 1),  scaled to the given rms
    Args:
        bandlimit: M, the largest |m| (Euclidean), below N/2 on every axis.
        decay:     exponent by which amplitudes fall with |m|.
        rms:       root mean square of each channel over the domain, exact.
        start:     index of the first sample: sample i draws from (seed, purpose, i), whatever the batch.
    Returns: (samples, channels, *grid), float64.
    Raises:  ValueError if the grid does not resolve the band, or a count is below one.
    """
    if samples < 0 or channels < 1 or not rms > 0:
        raise ValueError(f"random_fourier: needs samples >= 0, channels >= 1 and rms > 0, got {samples}, {channels}, {rms}")
    if bandlimit < 1 or any(2 * bandlimit >= n for n in grid.shape):
        raise ValueError(
            f"random_fourier: bandlimit must be at least 1 and below N/2 on every axis, got {bandlimit} on {grid.shape}; refine the grid"
        )
    side, ndim = 2 * bandlimit + 1, grid.ndim
    m = torch.arange(side, dtype=torch.float64) - bandlimit
    norm = torch.stack(torch.meshgrid(*[m] * ndim, indexing="ij")).square().sum(0).sqrt()
    inside = (norm > 0) & (norm <= bandlimit)
    amplitude = torch.where(inside, norm.clamp_min(1) ** -decay, 0.0)
    axes = tuple(range(-ndim, 0))
    shape = (channels,) + (side,) * ndim
    place = [(torch.arange(side) - bandlimit) % n for n in grid.shape]
    out = torch.empty(samples, channels, *grid.shape, dtype=torch.float64)
    for i in range(samples):
        ab = torch.randn(2, *shape, generator=generator(seed, purpose, start + i), dtype=torch.float64) * amplitude
        c = torch.complex(ab[0], -ab[1])
        h = (c + c.flip(axes).conj()) / 2  # spectrum of the real part, so that Parseval gives the rms
        h = h * (rms / (h.abs() ** 2).sum(axes, keepdim=True).sqrt())
        spectrum = h
        for axis, (n, at) in enumerate(zip(grid.shape, place)):
            padded = torch.zeros(*spectrum.shape[: axis + 1], n, *spectrum.shape[axis + 2 :], dtype=h.dtype)
            spectrum = padded.index_copy(axis + 1, at, spectrum)
        out[i] = torch.fft.ifftn(spectrum, dim=axes, norm="forward").real
    return out
