"""A weighting of one's own: a function of losses, of losses and gradients, or a subclass."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from cases.oscillator import known, oscillator
from torch import Tensor

import eddygrad as eg
from eddygrad.pinn.points import PointBatches
from eddygrad.training.loop import Loop, train
from eddygrad.training.optimizers.polish import Polish
from eddygrad.training.training_config import TrainingConfig


def relative(losses: Any) -> dict[str, Any]:
    return {name: 1 / loss.detach() for name, loss in losses.items()}


def by_length(losses: Any, grads: Any) -> dict[str, Any]:
    """Of every seed: the length of all its gradients, of which none is a coefficient's."""
    assert all(len(parts) == 6 for parts in grads.values()), "weights and biases of three layers"
    return {name: 1 / sum(g.reshape(len(g), -1).square().sum(1) for g in parts if g is not None).sqrt() for name, parts in grads.items()}


class Halving(eg.weightings.AveragedWeighting):
    """Looks at losses alone; what it says is averaged and looked at as in every other."""

    needs = "losses"

    def proposed(self, terms: eg.weightings.Terms) -> Tensor:
        return terms.weights / 2


class Plain:
    """Nothing but a call, and no word of itself."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def __call__(self, losses: Any) -> dict[str, float]:
        return dict.fromkeys(losses, self.factor)


def sum_of_rows(rows: Tensor) -> Tensor:
    return rows.sum(0)


def test_a_function_weighs_every_seed_by_itself() -> None:
    for rule in (relative, by_length):
        problem = oscillator(seeds=(3, 4))
        loop = Loop(problem, problem.losses, PointBatches(known()), TrainingConfig(4, lr=1e-3, weighting=rule))
        for _ in range(3):
            loop.update()
        weights = torch.stack([pair["weight"] for pair in loop.balance.terms.values()])
        losses = torch.stack([pair["loss"] for pair in loop.balance.terms.values()])
        assert weights.shape == (2, 2) and bool((weights[:, 0] != weights[:, 1]).all())
        assert rule is by_length or torch.allclose(weights * losses, torch.ones_like(weights))


def test_a_subclass_is_looked_at_like_the_others() -> None:
    problem = oscillator()
    loop = Loop(problem, problem.losses, PointBatches(known()), TrainingConfig(6, lr=1e-3, weighting=Halving(average=1.0, every=2)))
    seen = []
    for _ in range(6):
        loop.update()
        seen.append(float(loop.balance.terms["pde"]["weight"]))
    assert seen == [0.5, 0.5, 0.25, 0.25, 0.125, 0.125]


RULES: list[Any] = [relative, by_length, Halving(), Plain(2.0), eg.weightings.Aggregated(sum_of_rows, Plain(2.0))]


@pytest.mark.parametrize("rule", RULES)
def test_a_run_goes_on_whatever_the_weighting_says_of_itself(rule: Any, tmp_path: Path) -> None:
    """Made again in another process it lies elsewhere in memory; another rule is another run."""
    problem = eg.pinn.Problem(lambda d, p: {"pde": d.u_lap}, eg.pinn.Box(0, 1), lambda x: x[:, 0], width=4, depth=2, points=20, rim=8)
    for made in (rule, deepcopy(rule)):
        kept = eg.fit(problem, steps=3, weighting=made, folder=tmp_path, progress=False)
    assert kept.fit is not None and kept.fit.steps == 3
    with pytest.raises(ValueError, match="another configuration: weighting"):
        eg.fit(problem, steps=3, weighting=Plain(3.0), folder=tmp_path, progress=False)


def test_weights_have_no_gradient() -> None:
    """Forgotten detach or not: the same training. A second argument with a default is one."""
    ends = []
    for rule in (
        relative,
        lambda losses: {n: 1 / loss for n, loss in losses.items()},
        lambda losses, grads=None: {n: 1 / loss for n, loss in losses.items() if grads},
    ):
        problem = oscillator()
        train(problem, problem.losses, PointBatches(known()), TrainingConfig(5, lr=1e-2, weighting=rule))
        ends.append(torch.cat([p.detach().flatten() for p in problem.parameters()]))
    torch.testing.assert_close(ends[0], ends[1])
    torch.testing.assert_close(ends[0], ends[2])
    assert not torch.equal(ends[0], torch.cat([p.detach().flatten() for p in oscillator().parameters()]))


def test_a_function_rests_while_its_loss_is_polished() -> None:
    problem = oscillator()
    loop = Loop(problem, problem.losses, PointBatches(known()), TrainingConfig(8, lr=1e-3, weighting=relative, polish=Polish(4)))
    seen = []
    for _ in range(8):
        loop.update()
        seen.append(float(loop.balance.terms["pde"]["weight"]))
    assert len(set(seen[:4])) == 4 and set(seen[3:]) == {seen[3]}
    again = Loop(problem, problem.losses, PointBatches(known()), TrainingConfig(8, lr=1e-3, weighting=relative, polish=Polish(4)))
    again.weighting.load_state_dict(loop.weighting.state_dict())
    assert again.weighting.frozen and {n: float(w) for n, w in again.weighting(problem.losses(PointBatches(known())(0))).items()}["pde"] == seen[3]


def test_what_is_no_rule_is_said() -> None:
    problem = oscillator()
    for rule, error, said in (
        (lambda losses, grads, more: {}, TypeError, r"takes \(losses\) or \(losses, grads\), got losses, grads, more"),
        (lambda *, also: {}, TypeError, "got none"),
        (lambda losses: {"data": 1.0}, ValueError, r"a weight for each of \['data', 'pde'\], got \['data'\]"),
        (lambda losses: 1.0, ValueError, "got float"),
    ):
        with pytest.raises(error, match=said):
            train(problem, problem.losses, PointBatches(known()), TrainingConfig(2, lr=1e-3, weighting=rule))
