"""Stream functions of face velocities, and their interpolation to another grid."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from eddygrad.solver.downsample import downsample
from eddygrad.solver.grid import Grid
from eddygrad.solver.stream_function import face_velocities, remapped, resampled, stream_function

BOX = Grid((48, 24), (2.0, 1.0))


def swirl(x: Tensor, y: Tensor) -> Tensor:
    """A stream function that gains .7 over the period in y, and is not periodic in x."""
    return 0.7 * y + torch.sin(2 * math.pi * y) * torch.exp(0.5 * x) + 0.3 * torch.cos(2 * x + 4 * math.pi * y)


def at_corners(grid: Grid) -> Tensor:
    x, y = (torch.linspace(0, length, n + 1, dtype=torch.float64) for n, length in zip(grid.shape, grid.lengths))
    return swirl(x[:, None], y[None])[None]


def all_faces(psi: Tensor, grid: Grid) -> list[Tensor]:
    hx, hy = grid.spacing
    return [psi.diff(dim=-1) / hy, -psi.diff(dim=-2) / hx]


def test_the_stream_function_gives_its_velocities_back() -> None:
    psi = at_corners(BOX)
    found = stream_function(all_faces(psi, BOX), BOX)
    torch.testing.assert_close(found, psi - psi[:, :1, :1], rtol=0, atol=1e-13)
    expected = torch.stack([part[:, -48:, -24:] for part in all_faces(psi, BOX)], 1)
    torch.testing.assert_close(face_velocities(found, BOX), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("shape", [(96, 48), (72, 36), (36, 16)])
def test_another_grid_sees_the_same_flow_to_fourth_order(shape: tuple[int, int]) -> None:
    errors = []
    for factor in (1, 2):
        coarse, other = (Grid((factor * n, factor * m), BOX.lengths) for n, m in (BOX.shape, shape))
        found = resampled(at_corners(coarse), other.shape, (False, True))
        errors.append(float((found - at_corners(other)).abs().max()))
    assert errors[0] / errors[1] > 12  # 16 for order four


def test_whole_factors_keep_whole_fluxes() -> None:
    fine = Grid((96, 48), BOX.lengths)
    psi = at_corners(fine)
    u = face_velocities(psi, fine)
    torch.testing.assert_close(face_velocities(resampled(psi, (48, 24), (False, True)), BOX), downsample(u, fine, (48, 24), "staggered"))
    p = torch.randn(2, 96, 48, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(remapped(p, (48, 24), (False, True)), downsample(p, fine, (48, 24), "box"), rtol=0, atol=1e-12)
    finer = remapped(p, (144, 60), (True, True))
    torch.testing.assert_close(finer.mean((1, 2)), p.mean((1, 2)), rtol=0, atol=1e-12)
