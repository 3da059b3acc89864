"""The Poisson benchmark: published sizes, points and right-hand side, and the solution of a small case."""

from __future__ import annotations

import math

import pytest
import torch

from eddygrad.pinn.problems import poisson
from eddygrad.training.loop import train
from eddygrad.training.training_config import TrainingConfig
from eddygrad.training.weighting import InverseDirichlet


def test_the_right_hand_side_belongs_to_the_solution() -> None:
    case = poisson(k=3, dtype=torch.float64)
    interior = case.batches.sets["interior"]
    x = interior.x.clone().requires_grad_()
    w = 3 * math.pi
    u = torch.cos(w * x[:, 0]) * torch.sin(w * x[:, 1])
    (g,) = torch.autograd.grad(u.sum(), x, create_graph=True)
    lap = sum(torch.autograd.grad(g[:, i].sum(), x, retain_graph=True)[0][:, i] for i in range(2))
    assert isinstance(lap, torch.Tensor)
    torch.testing.assert_close(lap, interior.known["f"])
    rim = case.batches.sets["boundary"]
    torch.testing.assert_close(rim.known["u"], torch.cos(w * rim.x[:, 0]) * torch.sin(w * rim.x[:, 1]))
    assert rim.parts == (100,) * 4 and bool(((rim.x == 0) | (rim.x == 1)).any(1).all())
    assert len(interior) == 2500 and len(interior.x.unique(dim=0)) == 2500 and bool(((interior.x > 0) & (interior.x < 1)).all())


def test_network_weights_and_error_are_the_published_ones() -> None:
    case = poisson(k=6, seeds=(1, 2))
    assert case.problem.network.parameter_count() == 10_401
    assert case.optimal is not None and case.optimal["boundary"] / case.optimal["pde"] == pytest.approx((6 * math.pi) ** 4)
    with torch.no_grad():
        for p in case.problem.network.parameters():
            p.zero_()
    assert case.errors(case.problem)["error"].tolist() == pytest.approx([1.0, 1.0])
    own = case.batches.sets["interior"].x
    assert own.shape == (2, 2500, 2) and not torch.equal(own[0], own[1])
    assert torch.equal(own[1], poisson(k=6, seeds=2).batches.sets["interior"].x)


def test_points_in_batches() -> None:
    case = poisson(k=2, seeds=(1, 2), interior=20_000, sobol=True, batch=2500)
    own = case.batches.sets["interior"].x
    assert own.shape == (2, 20_000, 2) and not torch.equal(own[0], own[1]) and not case.published
    assert torch.equal(own[1], poisson(k=2, seeds=2, interior=20_000, sobol=True).batches.sets["interior"].x)
    epoch = torch.cat([case.batches(step)[1]["interior"].x for step in range(8)], 1)
    assert torch.equal(epoch[0].unique(dim=0), own[0].unique(dim=0)) and torch.equal(epoch[1].unique(dim=0), own[1].unique(dim=0))
    points = case.batches(3)[1]["interior"]
    x, y = (2 * math.pi * points.x[..., i].double() for i in (0, 1))
    torch.testing.assert_close(points.known["f"].double(), -2 * (2 * math.pi) ** 2 * x.cos() * y.sin(), atol=1e-4, rtol=0)
    with pytest.raises(ValueError, match="at most 20 points of 'interior', got 30"):
        poisson(interior=20, batch=30)


def test_a_small_case_is_solved() -> None:
    case = poisson(k=1, interior=200, width=20, depth=2)
    train(case.problem, case.problem.losses, case.batches, TrainingConfig(steps=600, lr=5e-3, weighting=InverseDirichlet(case.reference, every=5)))
    assert float(case.errors(case.problem)["error"]) < 0.1


def test_wrong_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="k of at least 1 and 1 to 9604 interior points"):
        poisson(k=0)
