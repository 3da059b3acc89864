"""Turbulence problems: reference data, points of a region, and the published network."""

from __future__ import annotations

import math

import pytest
from torch import Tensor

from eddygrad.pinn.problems import problem
from eddygrad.pinn.problems.turbulence import window


def test_reference_data_satisfy_their_derivatives() -> None:
    """Central differences of velocity and pressure equal the stored vorticity and pressure gradient; snapshots are 0.01 apart."""
    flow = window("square", 2, 3, 420)
    h = float(flow.x[0, 1, 0, 0] - flow.x[0, 0, 0, 0])
    assert h == pytest.approx(2 * math.pi / 128) and float(flow.x[1, 0, 0, 2] - flow.x[0, 0, 0, 2]) == pytest.approx(0.01)
    assert float(flow.x[0, 0, 0, 0]) == pytest.approx(math.pi / 2) and flow.x.shape == (3, 32, 32, 3)
    u, v, w, p, p_x, p_y = flow.fields[..., :6].unbind(-1)

    def slope(f: Tensor, axis: int) -> Tensor:
        wide = (f.roll(-2, axis) - f.roll(2, axis)) / (4 * h)
        return ((4 * (f.roll(-1, axis) - f.roll(1, axis)) / (2 * h) - wide) / 3)[:, 2:-2, 2:-2]

    inner = (slice(None), slice(2, -2), slice(2, -2))
    for found, exact in ((slope(v, 1) - slope(u, 2), w), (slope(p, 1), p_x), (slope(p, 2), p_y)):
        # Fourth order at the fastest growing mode: (k h)^4 / 30 = 1 %.
        assert float((found - exact[inner]).norm() / exact[inner].norm()) < 0.05


@pytest.mark.parametrize("region, inside, rim", [("square", 30 * 30, 4 * 31), ("annulus", 804, 134)])
def test_number_of_points_of_a_region(region: str, inside: int, rim: int) -> None:
    case = problem("turbulence", {"region": region, "snapshots": 2, "batch": 50}, (0,))
    sets = case.batches.sets
    assert len(sets["interior"]) == 2 * inside and len(sets["boundary"]) == 2 * rim and len(sets["initial"]) == inside + rim


def test_size_of_the_published_network() -> None:
    case = problem("turbulence", {"stride": 1, "snapshots": 2, "width": 100, "depth": 7, "batch": 4000}, (0,))
    assert case.problem.network.parameter_count() == 61_202 and len(case.batches.sets["interior"]) == 2 * 62 * 62 and not case.published
