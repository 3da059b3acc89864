"""Polygons with a hole."""

from __future__ import annotations

import torch

from eddygrad.pinn.domains import PolygonDomain


def test_a_slit_to_a_hole_is_no_rim() -> None:
    ring = PolygonDomain(((0, 0), (4, 0), (4, 4), (0, 4), (0, 0), (1, 1), (1, 3), (3, 3), (3, 1), (1, 1)))
    assert bool(ring.inside(torch.tensor([[0.5, 2.0], [3.5, 0.5]])).all()) and not bool(ring.inside(torch.tensor([[2.0, 2.0]])).any())
    x = ring.rim(240)
    outer = ((x == 0) | (x == 4)).any(1)
    inner = ((x == 1) | (x == 3)).any(1) & (x >= 1).all(1) & (x <= 3).all(1)
    assert bool((outer | inner).all()) and int(outer.sum()) == 160 and int((inner & ~outer).sum()) == 80
    assert repr(PolygonDomain(torch.tensor([[0.0, 0], [1, 0], [1, 1 / 3]], dtype=torch.float64).numpy())) == repr(
        PolygonDomain(((0.0, 0.0), (1.0, 0.0), (1.0, 1 / 3)))
    )  # type: ignore[arg-type]
