"""Sides of a box."""

from __future__ import annotations

import pytest
import torch

from eddygrad.pinn.domains import Annulus, Box


def test_sides_of_a_rectangle_in_order() -> None:
    sides = Box((0.0, 0.0), (1.0, 2.0)).sides(5)
    assert [float(s[:, axis].unique()) for s, axis in zip(sides, (1, 1, 0, 0))] == [0.0, 2.0, 0.0, 1.0]


@pytest.mark.parametrize("axes", [2, 3])
def test_every_side_of_a_thin_domain_has_points(axes: int) -> None:
    box = Box((0.0,) * axes, (2000.0, *[1.0] * (axes - 1)))
    x = box.rim(400)
    low, high = (torch.tensor(corner) for corner in box.bounds)
    for end in (low, high):
        assert bool(((x == end).sum(0) >= 4).all())
    hole = Annulus((0.0, 0.0), 1e-3, 1.0).rim(400)
    assert int((hole.norm(dim=1) < 0.01).sum()) == 16
    square = Box(0, 1).rim(400)  # evenly by length, where no side is short
    assert [int((square[:, axis] == end).sum()) for axis in (0, 1) for end in (0.0, 1.0)] == [100] * 4
