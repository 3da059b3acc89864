"""Weighted gradients combined by an aggregator: per seed, from a stream of its own, without the coefficients of an equation."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from cases.oscillator import known, oscillator
from cases.weighting_cases import P, drawn, flat, trained_by_aggregator
from torch import Tensor, nn

from eddygrad.pinn.points import PointBatches
from eddygrad.training.loop import Loop
from eddygrad.training.training_config import TrainingConfig
from eddygrad.training.weighting import (
    Aggregated,
    InverseDirichlet,
    NeuralTangentKernel,
)
from eddygrad.training.weighting.registry import weighting


def test_an_aggregator_comes_first_and_seeds_that_diverged_do_not_reach_it() -> None:
    seen = []
    given = Aggregated(lambda rows: seen.append(rows) or rows.sum(0), NeuralTangentKernel())
    assert given.needs == "probes" and given.due and not given.frozen
    given.frozen = True
    assert given.weighting.frozen and not given.due
    rows = torch.ones(2, 2, 3)
    rows[1, 0, 0] = math.nan
    found = given.combine(rows)
    assert len(seen) == 1 and torch.equal(found[0], torch.full((3,), 2.0)) and bool(found[1, 0].isnan())
    for wrong in (InverseDirichlet("a"), 3):
        with pytest.raises(TypeError, match="an aggregator first"):
            Aggregated(wrong, "ConFIG")


def test_an_aggregator_does_not_see_coefficients() -> None:
    """Their unit would turn the rows: what it makes of the network's gradients is the same with and without them; they have the weighted sum."""
    seen: list[Tensor] = []

    def first(rows: Tensor) -> Tensor:
        seen.append(rows)
        return rows[0]

    problem = oscillator()
    loop = Loop(problem, problem.losses, PointBatches(known()), TrainingConfig(1, lr=1e-3, weighting=Aggregated(first)))
    losses = problem.losses(loop.batch_at(0, 1))
    _, grad = loop.balance(losses, loop.batch_at(0, 1))
    count = sum(p.numel() for p in problem.parameters())
    place = loop.stack.columns([i for i, p in enumerate(loop.stack.params) if p is problem.unknown["k"]])
    assert seen[0].shape == (2, count - 1) and int(place.sum()) == 1
    again = problem.losses(loop.batch_at(0, 1))
    by_k = sum(torch.autograd.grad(loss, problem.unknown["k"], retain_graph=True, allow_unused=True)[0] or 0.0 for loss in again.values())
    torch.testing.assert_close(grad[0, place], torch.as_tensor(by_k).reshape(1))
    torch.testing.assert_close(grad[0, ~place], seen[0][0])


def test_conflicting_gradients_are_resolved_by_an_aggregator() -> None:
    _, grads = drawn(1.0, 30.0, -1.0)
    rows = torch.stack([flat(g) for g in grads.values()]).unsqueeze(0)
    for name in ("ConFIG", "PCGrad", "UPGrad", "mgda", "AlignedMTL"):
        update = Aggregated(name).combine(rows)
        assert update.shape == (1, P) and bool(((rows[0] @ update[0]) > 0).all() if name in ("ConFIG", "UPGrad") else update.isfinite().all())
    assert bool((rows[0] @ rows[0].sum(0) < 0).any())  # their sum would make one of them worse
    for name, said in (("NoSuchThing", "expected one of .*ConFIG"), ("Krum", "Krum cannot be made by its name alone .*n_byzantine")):
        with pytest.raises(ValueError, match=said):
            Aggregated(name)


def test_an_aggregator_that_draws_goes_on_bitwise_and_knows_no_other_seed(tmp_path: Any) -> None:
    torch.manual_seed(0)
    whole = trained_by_aggregator((3, 8), 20)
    before = torch.get_rng_state()
    trained_by_aggregator((3, 8), 10, tmp_path)
    torch.manual_seed(1)
    assert torch.equal(trained_by_aggregator((3, 8), 20, tmp_path), whole)
    assert all(torch.equal(trained_by_aggregator((seed,), 20)[0], whole[place]) for place, seed in enumerate((3, 8)))
    torch.manual_seed(0)
    assert torch.equal(torch.get_rng_state(), before)  # nobody else's draws are taken
    assert not torch.equal(trained_by_aggregator((3, 8), 20, aggregator="Mean"), whole)


def test_the_name_of_an_aggregated_weighting_has_no_address() -> None:
    for aggregator in ("GradDrop", lambda rows: rows.sum(0), nn.Linear(2, 2)):
        assert " at 0x" not in repr(Aggregated(aggregator))
    one, two = (Aggregated(f) for f in (lambda rows: rows.sum(0), lambda rows: rows.mean(0)))
    assert repr(one) != repr(two)


def test_an_aggregator_may_follow_any_weighting_by_name() -> None:
    made = weighting("inverse-dirichlet", {"aggregate": "config", "average": 0.1}, reference="a")
    assert isinstance(made, Aggregated) and repr(made).startswith("Aggregated(ConFIG(") and made.weighting.options["average"] == 0.1


def test_an_aggregator_that_is_left_out_is_told() -> None:
    losses, grads = drawn(1.0, 30.0)
    own = Aggregated("ConFIG")
    for _ in range(2):
        weights = own(losses, grads)
        own.combine(torch.stack([weights[n] * flat(g) for n, g in grads.items()]).unsqueeze(0))
    own(losses, grads)
    with pytest.raises(ValueError, match=r"the last update was made without it; .*combine"):
        own(losses, grads)
