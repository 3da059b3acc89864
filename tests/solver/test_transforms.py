"""Derivatives, dealiasing and resampling are exact on resolved modes."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from eddygrad.solver.grid import Grid
from eddygrad.solver.transforms import dealias_mask, derivative, fft, ifft, nyquist_free, resample

GRIDS = [Grid((16,), 3.0), Grid((15,), 3.0), Grid((12, 9), (2.0, 5.0)), Grid((6, 8, 7), (1.0, 2.0, 3.0))]
EVERY = pytest.mark.parametrize("grid", GRIDS, ids=lambda g: "x".join(map(str, g.shape)))


def series(grid: Grid, seed: int = 0, top: int = 2) -> Tensor:
    """A random real Fourier series with |m| <= top per axis, the same function on every grid of these lengths."""
    generator = torch.Generator().manual_seed(seed)
    u = torch.zeros(2, 1, *grid.shape, dtype=torch.float64)
    for _ in range(6):
        m = torch.randint(-top, top + 1, (grid.ndim,), generator=generator)
        phase = sum(2 * math.pi * int(a) * x / l for a, x, l in zip(m, grid.points(), grid.lengths))
        a, b = torch.randn(2, 2, generator=generator, dtype=torch.float64)
        u = u + torch.stack([a[0] * torch.cos(phase) + b[0] * torch.sin(phase), a[1] * torch.cos(phase) + b[1] * torch.sin(phase)])[:, None]
    return u


@EVERY
def test_the_transform_and_its_inverse(grid: Grid) -> None:
    u = torch.randn(2, 3, *grid.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert fft(u, grid).shape[2:] == grid.spectrum_shape
    torch.testing.assert_close(ifft(fft(u, grid), grid), u, rtol=0, atol=1e-14)


@EVERY
@pytest.mark.parametrize("order", (1, 2, 3, 4))
def test_derivatives_of_modes_are_exact(grid: Grid, order: int) -> None:
    for axis in range(grid.ndim):
        k = 2 * math.pi * 2 / grid.lengths[axis]
        phase = k * grid.points()[axis] + 0.3
        orders = tuple(order if a == axis else 0 for a in range(grid.ndim))
        expected = k**order * torch.cos(phase + order * math.pi / 2)
        torch.testing.assert_close(derivative(torch.cos(phase), grid, orders), expected, rtol=0, atol=1e-12 * k**order)


def test_mixed_derivatives_multiply() -> None:
    grid = GRIDS[2]
    u = series(grid)
    step_by_step = derivative(derivative(u, grid, (0, 2)), grid, (1, 0))
    torch.testing.assert_close(derivative(u, grid, (1, 2)), step_by_step, rtol=1e-11, atol=1e-11)


@EVERY
def test_the_first_derivative_is_antisymmetric_and_the_second_symmetric(grid: Grid) -> None:
    u, v = torch.randn(2, *grid.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    one, two = (1,) + (0,) * (grid.ndim - 1), (2,) + (0,) * (grid.ndim - 1)
    scale = float((derivative(u, grid, two) * v).abs().sum())
    assert abs((derivative(u, grid, one) * v).sum() + (u * derivative(v, grid, one)).sum()) < 1e-14 * scale
    assert abs((derivative(u, grid, two) * v).sum() - (u * derivative(v, grid, two)).sum()) < 1e-14 * scale


def test_the_nyquist_mode_has_no_odd_derivative_but_an_even_one() -> None:
    grid = Grid((8,), 2 * math.pi)
    nyquist = torch.cos(4 * grid.points()[0])
    assert derivative(nyquist, grid, 1).abs().max() < 1e-14
    torch.testing.assert_close(derivative(nyquist, grid, 2), -16 * nyquist, rtol=0, atol=1e-12)
    assert nyquist_free(grid, 0).tolist() == [1, 1, 1, 1, 0]
    assert nyquist_free(Grid((7,)), 0).tolist() == [1, 1, 1, 1]


def test_axes_are_alike_for_rough_fields() -> None:
    """The halved axis of the real transform and the full one treat their Nyquist modes alike."""
    grid = Grid((8, 8), 3.0)
    u = torch.randn(8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    for a, b in ((1, 0), (2, 0), (1, 1), (3, 2)):
        torch.testing.assert_close(derivative(u.mT, grid, (b, a)).mT, derivative(u, grid, (a, b)), rtol=1e-12, atol=1e-9)


def test_derivatives_follow_the_length_of_each_sample() -> None:
    grid, lengths = Grid((16,), 1.0), torch.tensor([1.0, 4.0], dtype=torch.float64).reshape(2, 1, 1)
    u = series(grid)
    got = derivative(u, grid, 1, length=lengths)
    torch.testing.assert_close(got[1], derivative(u, grid, 1)[1] / 4, rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(got[0], derivative(u, grid, 1)[0], rtol=1e-13, atol=1e-13)


def test_derivatives_carry_gradients() -> None:
    grid = Grid((8,), 3.0)
    u = series(grid).requires_grad_()
    length = torch.full((2, 1, 1), 3.0, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda u, l: derivative(u, grid, 3, length=l), (u, length))


@EVERY
def test_resampling_is_exact_and_comes_back(grid: Grid) -> None:
    u = series(grid)
    for change in (1, 4, 7):
        finer = Grid(tuple(n + change + a for a, n in enumerate(grid.shape)), grid.lengths)
        up = resample(u, grid, finer.shape)
        torch.testing.assert_close(up, series(finer), rtol=0, atol=1e-12)
        torch.testing.assert_close(resample(up, finer, grid.shape), u, rtol=0, atol=1e-12)


@EVERY
def test_resampling_keeps_the_mean_and_refining_keeps_every_point(grid: Grid) -> None:
    u = torch.randn(1, 1, *grid.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    spatial = tuple(range(-grid.ndim, 0))
    for shape in (tuple(n + 1 for n in grid.shape), tuple(n - 1 for n in grid.shape), tuple(n // 2 for n in grid.shape)):
        torch.testing.assert_close(resample(u, grid, shape).mean(spatial), u.mean(spatial), rtol=0, atol=1e-14)
    doubled = resample(u, grid, tuple(2 * n for n in grid.shape))
    torch.testing.assert_close(doubled[(..., *[slice(None, None, 2)] * grid.ndim)], u, rtol=0, atol=1e-13)


def test_a_nyquist_cosine_survives_coarsening_as_samples_do() -> None:
    fine, coarse = Grid((16,), 2 * math.pi), Grid((8,), 2 * math.pi)
    for wave in (torch.cos, torch.sin):
        got = resample(wave(4 * fine.points()[0])[None], fine, (8,))
        torch.testing.assert_close(got[0], wave(4 * coarse.points()[0]), rtol=0, atol=1e-13)


@EVERY
@pytest.mark.parametrize("fraction", (1 / 2, 2 / 3, 1.0))
def test_the_mask_keeps_modes_below_the_fraction(grid: Grid, fraction: float) -> None:
    mask = dealias_mask(grid, fraction)
    kept = torch.ones(grid.spectrum_shape, dtype=torch.float64)
    for n, m in zip(grid.shape, grid.modes()):
        kept = kept * ((m.abs() < fraction * n / 2) | (fraction == 1.0))
    assert torch.equal(mask, kept)


def test_two_thirds_free_a_square_of_aliases() -> None:
    """Products of kept modes alias only onto modes that are dropped: the filtered square is that of a finer grid."""
    grid, fine = Grid((18,), 1.0), Grid((36,), 1.0)
    mask = dealias_mask(grid, 2 / 3)
    noise = torch.randn(1, 18, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    u = ifft(fft(noise, grid) * mask, grid)
    exact = resample(resample(u, grid, (36,)).square(), fine, (18,))
    aliased, truth = fft(u.square(), grid), fft(exact, grid)
    torch.testing.assert_close(aliased * mask, truth * mask, rtol=0, atol=1e-12)
    assert (aliased - truth).abs().max() > 1e-2


def test_bad_arguments_are_named() -> None:
    grid = Grid((8, 8))
    u = torch.zeros(8, 8)
    with pytest.raises(ValueError, match="per axis"):
        derivative(u, grid, 1)
    with pytest.raises(ValueError, match="needs 2 axes"):
        resample(u, grid, (4,))
    for fraction in (0.0, 1.2):
        with pytest.raises(ValueError, match=r"fraction must be in \(0, 1\]"):
            dealias_mask(grid, fraction)
