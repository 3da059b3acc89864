"""Residual-based adaptive sampling: distribution of the points, independent seeds, and resumed runs."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from cases.oscillator import LINE, grid

from eddygrad.correctors.seeded_network import seed_options
from eddygrad.pinn.adaptive_sampling import Resampled
from eddygrad.pinn.collocation import Collocation, Term
from eddygrad.pinn.network.coordinate_network import CoordinateNetwork
from eddygrad.pinn.point_weights import ResidualAttention
from eddygrad.pinn.points import PointBatches, Points
from eddygrad.training.loop import train
from eddygrad.training.training_config import TrainingConfig


def problem(seeds: Any = (0, 1)) -> Collocation:
    """The residual is 1 left of x = 0.2 and almost zero right of it."""
    network = CoordinateNetwork(1, 6, 1, 1, "tanh", **seed_options(seeds)).double()
    return Collocation(network, LINE, {"pde": Term("in", lambda d, p: torch.where(d.x < 0.2, d.u - 5, 1e-3 * d.u), ("u",))})


def other() -> PointBatches:
    return PointBatches({"rim": Points(grid(3))})


def test_the_density_of_points_follows_the_formula() -> None:
    pool = Points(grid(1000))
    for floor in (0.0, 1.0):
        batches = Resampled(other(), problem(), "pde", pool, size=100, floor=floor)
        drawn = batches(0)[1]["in"].x
        assert drawn.shape == (2, 100, 1) and len(drawn[0].unique()) == 100
        shares = []
        for step in range(0, 40_000, 1000):
            shares.append((batches(step)[1]["in"].x < 0.2).double().flatten(1).mean(1))
        # A fifth of the pool has all of the residual: 1 of 1, or (5 + 1) .2 of 2; drawn without replacement, a little less of what is wanted.
        expected = 1.0 if floor == 0 else 0.6
        assert torch.stack(shares).mean(0).tolist() == pytest.approx([expected] * 2, abs=0.04)


def test_points_stay_between_draws_and_other_sets_are_passed_on() -> None:
    batches = Resampled(other(), problem(), "pde", Points(grid(50)), size=10, every=5)
    first, same, later = (batches(step)[1] for step in (0, 4, 5))
    assert torch.equal(first["in"].x, same["in"].x) and not torch.equal(first["in"].x, later["in"].x)
    assert torch.equal(first["rim"].x, grid(3)) and not torch.equal(first["in"].x[0], first["in"].x[1])


def test_a_seed_of_a_stack_draws_the_same_points_as_alone() -> None:
    pool = Points(grid(50))
    stacked = Resampled(other(), problem((3, 8)), "pde", pool, size=10)(0)[1]["in"].x
    for place, seed in enumerate((3, 8)):
        assert torch.equal(stacked[place], Resampled(other(), problem(seed), "pde", pool, size=10)(0)[1]["in"].x)
    assert not torch.equal(*stacked)


def test_known_values_belong_to_the_drawn_points() -> None:
    pool = Points(grid(50), {"u": 2 * grid(50)[:, 0]})
    drawn = Resampled(other(), problem(), "pde", pool, size=10)(0)[1]["in"]
    torch.testing.assert_close(drawn.known["u"], 2 * drawn.x[..., 0])
    single = Resampled(other(), problem(0), "pde", pool, size=10)(0)[1]["in"]
    assert single.x.shape == (10, 1) and single.known["u"].shape == (10,)


def test_a_diverged_seed_does_not_change_the_draws_of_others() -> None:
    whole, broken = problem(), problem()
    with torch.no_grad():
        broken.network.weights[0][1] = math.nan
    pool = Points(grid(50))
    good, spoiled = (Resampled(other(), case, "pde", pool, size=10)(0)[1]["in"].x for case in (whole, broken))
    assert torch.equal(good[0], spoiled[0]) and len(spoiled[1].unique()) == 10


def test_points_with_remembered_weights_are_refused() -> None:
    case = problem()
    case.terms["pde"] = replace(case.terms["pde"], pointwise=ResidualAttention())
    with pytest.raises(ValueError, match="have remembered weights"):
        Resampled(other(), case, "pde", Points(grid(50)), size=10)


def test_two_terms_are_resampled_by_nesting() -> None:
    case = problem()
    case.terms["second"] = replace(case.terms["pde"], at="too")
    inner = Resampled(other(), case, "pde", Points(grid(50)), size=10)
    outer = Resampled(inner, case, "second", Points(grid(40)), size=5)
    drawn = outer(0)[1]
    assert drawn["in"].x.shape[1:] == (10, 1) and drawn["too"].x.shape[1:] == (5, 1)
    assert outer.stateful() == {"resampled second": outer, "resampled pde": inner}


def test_a_resumed_run_is_bitwise_equal(tmp_path: Path) -> None:
    ends = []
    for stops, folder in (([13], None), ([7, 13], tmp_path)):
        for stop in stops:
            made = problem()
            batches: Any = Resampled(other(), made, "pde", Points(grid(50)), size=10, every=5)
            train(made, made.losses, batches, TrainingConfig(steps=stop, lr=1e-2, checkpoint_every=7), folder)
        ends.append([p.detach().clone() for p in made.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*ends))


def test_wrong_options_are_refused() -> None:
    with pytest.raises(ValueError, match="expected a term of pde, got 'ode'"):
        Resampled(other(), problem(), "ode", Points(grid(5)), 2)
    with pytest.raises(ValueError, match="size <= 5"):
        Resampled(other(), problem(), "pde", Points(grid(5)), 6)
