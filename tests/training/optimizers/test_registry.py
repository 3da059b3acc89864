"""Optimisers by name: rates, options, tensors of a seed by themselves, searches along lines that go on bitwise."""

from __future__ import annotations

import math
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from cases.oscillator import known, oscillator

from eddygrad.pinn.points import PointBatches
from eddygrad.training.loop import Loop, train
from eddygrad.training.optimizers.polish import Polish
from eddygrad.training.optimizers.registry import OPTIMIZERS, find_optimizer
from eddygrad.training.training_config import TrainingConfig
from eddygrad.training.weighting import GradNorm, Homoscedastic, InverseDirichlet, SoftAdapt

soap = pytest.mark.skipif(find_spec("pytorch_optimizer") is None, reason="pytorch-optimizer is an extra that is not installed")


def trained(name: str, seeds: Any, stops: list[int], folder: Path | None = None, **options: Any) -> torch.Tensor:
    make, rate = find_optimizer(name, options)
    for steps in stops:
        problem = oscillator(seeds=seeds)
        plan = TrainingConfig(steps=steps, lr=rate, optimizer=make, weighting=InverseDirichlet("data", every=3), checkpoint_every=4)
        train(problem, problem.losses, PointBatches(known()), plan, folder)
    return torch.cat([p.detach().reshape(problem.network.weights[0].shape[0], -1) for p in problem.parameters()], 1)


@pytest.mark.parametrize("name", ["adam", "rmsprop", "adagrad"])
def test_a_stack_does_what_its_seeds_do_alone(name: str) -> None:
    stack = trained(name, (3, 4), [12])
    for row, seed in zip(stack, (3, 4)):
        torch.testing.assert_close(row, trained(name, seed, [12])[0], rtol=1e-9, atol=1e-11)


@soap
def test_an_optimiser_of_matrices_sees_those_of_every_seed() -> None:
    """A stack of matrices and vectors goes where torch's own tensors go, one seed after the other. (Of networks only to the round-off that this
    optimiser blows up: it divides by squares of gradients in directions that have none.)"""
    make, rate = find_optimizer("soap")
    target = torch.randn(2, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def module(seeds: list[int]) -> Any:
        made: Any = torch.nn.ParameterDict({"w": torch.zeros(len(seeds), 4, 3, dtype=torch.float64), "b": torch.ones(len(seeds), 1, 3).double()})
        made.seeds = tuple(seeds)
        return made

    def ended(which: list[int]) -> torch.Tensor:
        net = module(which)
        loss = lambda window: {"fit": ((net["w"] - target[which]).square() + (net["b"] * target[which]).square()).sum((1, 2))}  # noqa: E731
        batch: Any = lambda step, horizon: None  # noqa: E731
        train(net, loss, batch, TrainingConfig(steps=15, lr=rate, optimizer=make))
        return torch.cat([net["w"].detach().flatten(1), net["b"].detach().flatten(1)], 1)

    w, b = torch.nn.Parameter(torch.zeros(4, 3, dtype=torch.float64)), torch.nn.Parameter(torch.ones(3, dtype=torch.float64))
    own = make([{"params": [b, w], "lr": rate}])  # a dictionary's order
    for _ in range(15):
        own.zero_grad()
        ((w - target[1]).square() + (b * target[1]).square()).sum().backward()
        own.step()
    assert torch.equal(ended([0, 1])[1], ended([1])[0])
    torch.testing.assert_close(ended([1])[0], torch.cat([w.detach().flatten(), b.detach()]), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name, seeds", [("adagrad", (0, 1)), ("lbfgs", 0), pytest.param("soap", (0, 1), marks=soap)])
def test_every_optimiser_goes_on_bitwise(name: str, seeds: Any, tmp_path: Path) -> None:
    assert torch.equal(trained(name, seeds, [14]), trained(name, seeds, [4, 8, 14], tmp_path))


def test_lbfgs_goes_down_a_quadratic_in_a_few_lines() -> None:
    """Of condition 100 in 10 dimensions, where 25 exact lines of steepest descent leave 4e-3; about two losses a line."""
    scale = torch.logspace(0, 2, 10, dtype=torch.float64)
    module = torch.nn.Linear(10, 1, bias=False).double()
    torch.nn.init.ones_(module.weight)  # a start of its own: from forty drawn ones the same lines left 1e-13 to 3e-10 of the loss
    asked = []

    def objective(window: Any) -> dict[str, torch.Tensor]:
        asked.append(1)
        return {"square": (scale * module.weight[0].square()).sum()}

    make, rate = find_optimizer("lbfgs")
    batch: Any = lambda step, horizon: None  # noqa: E731
    train(module, objective, batch, TrainingConfig(steps=25, lr=rate, optimizer=make))
    assert float(objective(None)["square"].detach()) < 1e-10 * float(scale.sum()) and len(asked) < 80


def test_weights_rest_while_lines_are_searched() -> None:
    """One look serves the whole search, however often the loss is asked for: what was learned of its curvature is of that loss."""
    calls = []

    class Counting(InverseDirichlet):
        def proposed(self, terms: Any) -> torch.Tensor:
            calls.append(1)
            return super().proposed(terms)

    problem, (make, rate) = oscillator(), find_optimizer("lbfgs")
    train(problem, problem.losses, PointBatches(known()), TrainingConfig(steps=5, lr=rate, optimizer=make, weighting=Counting("data")))
    assert len(calls) == 1


def test_a_search_looks_anew_where_a_term_joins() -> None:
    """Then it begins anew too; weights that were at rest from the first stay there."""
    problem = oscillator(begins=4)
    make, rate = find_optimizer("lbfgs")
    for held in (False, True):
        weighting = InverseDirichlet("data", every=2)
        weighting.frozen = held
        loop = Loop(problem, problem.losses, PointBatches(known()), TrainingConfig(8, lr=rate, optimizer=make, weighting=weighting, restarts=(4,)))
        seen = []
        for _ in range(8):
            loop.update()
            seen.append((loop.optimizer, float(loop.weighting.weight("pde", torch.ones(())))))
        assert [a[0] is b[0] for a, b in pairwise(seen)] == [True, True, True, False, True, True, True]
        assert {w for _, w in seen[:4]} == {1.0} and len({w for _, w in seen[4:]}) == 1 and (seen[-1][1] == 1.0) is held


def test_one_look_counts_whole_and_what_needs_many_is_refused() -> None:
    make, rate = find_optimizer("lbfgs")
    looks = []
    for average in (1.0, 0.2):
        problem = oscillator()
        loop = Loop(
            problem,
            problem.losses,
            PointBatches(known()),
            TrainingConfig(4, lr=rate, optimizer=make, weighting=InverseDirichlet("data", average=average)),
        )
        loop.update()
        looks.append(float(loop.weighting.weight("pde", torch.ones(()))))
    assert looks[0] == pytest.approx(looks[1]) and abs(looks[0] - 1) > 0.1
    for rule in (SoftAdapt(), GradNorm(), Homoscedastic()):
        with pytest.raises(ValueError, match="changes its weights from update to update; end with a polish"):
            train(problem, problem.losses, PointBatches(known()), TrainingConfig(4, lr=rate, optimizer=make, weighting=rule))
        train(problem, problem.losses, PointBatches(known()), TrainingConfig(4, lr=1e-3, weighting=rule, polish=Polish(2)))


def test_a_search_begins_anew_where_the_loss_is_another_one() -> None:
    """A term that joins without a restart, one that leaves, one that joins in the warm-up."""
    make, rate = find_optimizer("lbfgs")
    for options, weighting in (({"begins": 4}, {}), ({"ends": 4}, {}), ({"ends": 4}, {"every": 3}), ({"begins": 2}, {"warmup": 4})):
        problem = oscillator(**options)
        plan = TrainingConfig(8, lr=rate, optimizer=make, weighting=InverseDirichlet("data", average=1.0, **weighting))
        loop = Loop(problem, problem.losses, PointBatches(known()), plan)
        searches, weights = [], []
        for _ in range(8):
            loop.update()
            searches.append(loop.optimizer)
            weights.append(float(loop.weighting.weight("pde", torch.ones(()))))
        assert searches[3] is not searches[4] and searches[4] is searches[7], options
        assert "ends" in options or (weights[3] == 1.0 and weights[4] != 1.0 and len(set(weights[4:])) == 1)


def test_what_an_optimiser_cannot_do_is_said() -> None:
    with pytest.raises(ValueError, match="got 2 stacked seeds"):
        trained("lbfgs", (0, 1), [2])
    with pytest.raises(ValueError, match="expected one of adam, rmsprop"):
        find_optimizer("sgdd")
    with pytest.raises((ValueError, TypeError), match="warmth"):
        find_optimizer("adam", {"warmth": 3})
    assert find_optimizer("adam", {"lr": 0.5})[1] == 0.5 and find_optimizer("adagrad")[1] == OPTIMIZERS["adagrad"][1] == 1e-2


def test_a_search_learns_on_however_far_the_loss_has_come() -> None:
    """torch's takes in no curvature where y . s is below 1e-10: in units of the first loss it ended here at 3,400, the steepest learned alone."""
    module: Any = torch.nn.ParameterDict({"w": torch.ones(20, dtype=torch.float64)})
    steep = torch.logspace(0, 10, 20, dtype=torch.float64)
    make, rate = find_optimizer("lbfgs")
    batch: Any = lambda step, horizon: None  # noqa: E731
    loop = Loop(module, lambda window: {"a": (steep * module["w"].square()).sum()}, batch, TrainingConfig(200, lr=rate, optimizer=make))
    losses = [float(loop.update()) for _ in range(200)]
    assert losses[0] > 1e10 and losses[-1] < 100


@pytest.mark.parametrize("steepness", [1e2, 1e4, 1e6])
def test_a_search_may_begin_at_a_steep_place_in_single_precision(steepness: float) -> None:
    """|grad L| / L, as where a training by another optimiser has left it: its square, squared, must not overflow."""
    module: Any = torch.nn.ParameterDict({"w": torch.full((5000,), 1e-5)})
    make, rate = find_optimizer("lbfgs")
    batch: Any = lambda step, horizon: None  # noqa: E731
    scale = steepness * 1e-5 / 2 / math.sqrt(5000) / 1e-5  # so that the gradient is that many times the loss of 1e-5 and more
    loop = Loop(module, lambda window: {"a": 1e-5 + scale * module["w"].sum().square()}, batch, TrainingConfig(5, lr=rate, optimizer=make))
    losses = [float(loop.update()) for _ in range(5)]
    assert all(map(math.isfinite, losses)) and losses[-1] <= losses[0] and bool(module["w"].isfinite().all())
