"""Points of domains: inside, on the rim, evenly distributed, and determined by the seed."""

from __future__ import annotations

import math

import pytest
import torch

from eddygrad.pinn.domains import Annulus, Box, PolygonDomain, Region

SHAPES = {
    "box": (Box((0.0, -1.0), (2.0, 1.0)), 4.0),
    "annulus": (Annulus((0.5, -0.2), 0.3, 1.0), math.pi * (1 - 0.09)),
    "disc": (Annulus((0.0, 0.0), 0.0, 2.0), 4 * math.pi),
    "notched": (PolygonDomain(((0, 0), (2, 0), (2, 2), (1, 0.5), (0, 2))), 2.5),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_points_fill_a_domain_evenly(shape: str) -> None:
    """The domain has its area, and the left part of its bounding box has its share of the points."""
    domain, area = SHAPES[shape]
    x = domain.interior(4000, seed=3)
    low, high = (torch.tensor(corner) for corner in domain.bounds)
    box = torch.rand(200_000, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * (high - low) + low
    inside = domain.inside(box)
    assert bool(domain.inside(x).all()) and len(x) == 4000
    assert float(inside.double().mean() * math.prod((high - low).tolist())) == pytest.approx(area, rel=0.01)
    left = x[:, 0] < low[0] + 0.4 * (high - low)[0]
    expected = (inside & (box[:, 0] < low[0] + 0.4 * (high - low)[0])).sum() / inside.sum()
    assert float(left.double().mean()) == pytest.approx(float(expected), abs=0.01)  # 1 / sqrt(200,000) of the counting, and less of the points


@pytest.mark.parametrize("shape", SHAPES)
def test_the_rim_separates_inside_from_outside(shape: str) -> None:
    domain, _ = SHAPES[shape]
    x = domain.rim(60, seed=1)
    near = (x.unsqueeze(1) + 1e-6 * torch.tensor([[1, 0.3], [-1, -0.3], [0.3, 1], [-0.3, -1]], dtype=torch.float64)).reshape(-1, 2)
    inside = domain.inside(near).reshape(-1, 4)
    assert x.shape == (60, 2) and bool((inside.any(1) & ~inside.all(1)).all())


def test_sobol_points_are_more_even_than_independent_ones() -> None:
    """The error of a smooth integral by 1024 points is a tenth."""
    errors = {}
    for how in ("sobol", "uniform"):
        found = [float(torch.exp(Box(0, 1).interior(1024, seed, how).sum(1)).mean()) for seed in range(8)]  # type: ignore[arg-type]
        errors[how] = sum(abs(f - (math.e - 1) ** 2) for f in found) / 8
    assert errors["sobol"] < 0.1 * errors["uniform"]


def test_start_points_lie_at_the_first_time() -> None:
    domain = Annulus((0, 0), 0.5, 1.0).over(1.0, 3.0)
    start, inside, rim = domain.start(100), domain.interior(500), domain.rim(300)
    assert bool((start[:, 2] == 1.0).all()) and bool(domain.inside(inside).all()) and start.shape == (100, 3)
    r = torch.linalg.vector_norm(rim[:, :2], dim=1)
    assert bool(((r - 0.5).abs() < 1e-12).logical_or((r - 1.0).abs() < 1e-12).all()) and float((r < 0.75).double().mean()) == pytest.approx(1 / 3)
    # Times do not go with places: the mean time of a quarter of the outer circle is that of all.
    assert float(rim[(rim[:, 0] > 0) & (rim[:, 1] > 0), 2].mean()) == pytest.approx(2.0, abs=0.25)


def test_points_depend_on_the_seed_alone() -> None:
    domain: Region = SHAPES["annulus"][0]
    assert torch.equal(domain.interior(50, 4), domain.interior(50, 4)) and not torch.equal(domain.interior(50, 4), domain.interior(50, 5))


def test_wrong_domains_are_refused() -> None:
    for make, message in (
        (lambda: Box((0, 1), (1, 1)), "lower < upper"),
        (lambda: Annulus((0, 0), 1, 1), "0 <= inner < outer"),
        (lambda: PolygonDomain(((0, 0), (1, 1))), "at least three corners"),
        (lambda: Box(0, 1).over(2, 1), "needs start < end"),
        (lambda: Box(0, 1, 3).sides(4), "needs two axes, got 3"),
        (lambda: Box(0, 1).interior(4, how="halton"), "'sobol' or 'uniform'"),  # type: ignore[arg-type]
        (lambda: PolygonDomain(((0, 0), (1, 0), (2, 0))), "enclose no area"),
        (lambda: PolygonDomain(((0, 0), (1, 1), (1, 0), (0, 1))), "enclose no area|crosses itself"),
        (lambda: PolygonDomain(((0, 0), (2, 2), (2, 0), (0, 1))), "crosses itself: the edges from corners 0 and 2"),
        (lambda: PolygonDomain(((0, 0), (math.nan, 1), (1, 0))), "expected finite corners"),
        (lambda: Box(0, math.inf), "lower < upper on every axis"),
        (lambda: Annulus((math.nan, 0.0), 0.1, 1.0), "expected a centre"),
    ):
        with pytest.raises(ValueError, match=message):
            make()
