"""Points, modes and wavenumbers, and what a grid refuses."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from eddygrad.solver.grid import Grid, parameter


def test_points_stand_at_i_h_and_centres_half_a_cell_further() -> None:
    grid = Grid((4, 5), (2.0, 1.0))
    x, y = grid.points()
    i, j = np.indices((4, 5))
    np.testing.assert_allclose(x, i * 0.5)
    np.testing.assert_allclose(y, j * 0.2)
    np.testing.assert_allclose(grid.points(centred=True)[1], (j + 0.5) * 0.2)
    assert grid.spacing == (0.5, 0.2)


@pytest.mark.parametrize("shape", [(8,), (7,), (6, 5), (5, 6), (4, 6, 7)])
def test_modes_are_those_of_the_real_transform(shape: tuple[int, ...]) -> None:
    """A wave of mode m has its only peaks where the grid says m."""
    grid = Grid(shape, tuple(1.0 + a for a in range(len(shape))))
    mode = tuple(n // 3 for n in shape)
    phase = sum(2 * math.pi * m * x / l for m, x, l in zip(mode, grid.points(), grid.lengths))
    power = torch.fft.rfftn(torch.cos(phase)).abs()
    modes = torch.broadcast_tensors(*grid.modes())
    assert power.shape == grid.spectrum_shape == modes[0].shape
    peak = power > 1e-9
    assert all({abs(float(m)) for m in axis[peak]} == {float(own)} for axis, own in zip(modes, mode))


def test_wavenumbers_follow_the_length_of_each_sample() -> None:
    grid = Grid((8,), 3.0)
    lengths = torch.tensor([3.0, 6.0], dtype=torch.float32).reshape(2, 1, 1)
    (k,) = grid.wavenumbers(lengths)
    assert k.shape == (2, 1, 5) and k.dtype == torch.float64
    torch.testing.assert_close(k[0, 0], grid.wavenumbers()[0], rtol=1e-15, atol=0)
    torch.testing.assert_close(k[0], 2 * k[1], rtol=1e-15, atol=0)


def test_equal_grids_are_one_key() -> None:
    assert hash(Grid((48,), 2)) == hash(Grid((48,), (2.0,))) and Grid((48,), 2) == Grid((48,), (2.0,))


@pytest.mark.parametrize(
    "shape, length, message", [((1,), 1.0, "two points"), ((), 1.0, "two points"), ((4,), -1.0, "positive"), ((4, 4), (1.0,), "per axis")]
)
def test_bad_grids_are_named(shape: tuple[int, ...], length: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Grid(shape, length)


def test_a_missing_parameter_names_owner_and_what_was_given() -> None:
    assert parameter({"length": 2.0}, "length", "KS") == 2.0
    with pytest.raises(ValueError, match=r"params: KS needs 'length', got \['viscosity'\]"):
        parameter({"viscosity": 1.0}, "length", "KS")
