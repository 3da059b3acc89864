"""A training that ends with L-BFGS: what rests, what goes on, what is refused."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from cases.oscillator import known, oscillator

from eddygrad.pinn.adaptive_sampling import Resampled
from eddygrad.pinn.point_weights import Causal, ResidualAttention, SelfAdaptive
from eddygrad.pinn.points import PointBatches
from eddygrad.training.checkpoint import save_state
from eddygrad.training.freezing import frozen
from eddygrad.training.loop import Loop, train
from eddygrad.training.optimizers.polish import Polish
from eddygrad.training.optimizers.registry import find_optimizer
from eddygrad.training.run_log import MetricsLog
from eddygrad.training.training_config import TrainingConfig
from eddygrad.training.weighting import Aggregated, InverseDirichlet, Uniform


def training(steps: int, **options: Any) -> TrainingConfig:
    return TrainingConfig(steps=steps, lr=1e-2, weighting=InverseDirichlet("data", every=2), **options)


def test_it_goes_further_down_than_adam_does_in_as_many_updates() -> None:
    totals = []
    for polish in (None, Polish(150)):
        problem = oscillator()
        train(problem, problem.losses, PointBatches(known()), TrainingConfig(steps=300, lr=1e-2, polish=polish))
        totals.append(float(sum(loss.detach() for loss in problem.losses(PointBatches(known())(300)).values())))
    assert totals[1] < 0.1 * totals[0]


def test_weights_of_terms_and_points_and_drawn_points_rest() -> None:
    problem = oscillator(pointwise=ResidualAttention())
    loop = Loop(problem, problem.losses, PointBatches(known()), training(8, polish=Polish(3)))
    seen = []
    for _ in range(8):
        loop.update()
        weights = {name: pair["weight"].clone() for name, pair in loop.balance.terms.items()}
        points = [part.state_dict()["kept"].clone() for part in loop.stateful.values()]
        seen.append((weights, points, type(loop.optimizer).__name__, loop.optimizer.param_groups[0]["lr"]))
    assert [name for _, _, name, _ in seen] == ["Adam"] * 5 + ["LBFGS"] * 3 and seen[-1][3] == 1.0
    moved = [not all(torch.equal(a[0][n], b[0][n]) for n in a[0]) for a, b in pairwise(seen)]
    assert any(moved[:4]) and not any(moved[4:])
    moved = [not torch.equal(a[1][0], b[1][0]) for a, b in pairwise(seen)]
    assert all(moved[:4]) and not any(moved[4:])
    drawn = Resampled(PointBatches(known()), oscillator(), "pde", known()["all"], size=3, every=1)
    first = drawn(0)[1]["all"].x
    drawn.frozen = True
    assert torch.equal(drawn(1)[1]["all"].x, first)
    drawn.frozen = False
    assert not torch.equal(drawn(2)[1]["all"].x, first)


def test_points_move_once_an_update_however_long_a_line_is_searched() -> None:
    """w <- w + rate w r^2 / mean(w r^2) min(1, mean r^2 / mean r_0^2), once an update."""
    make, rate = find_optimizer("lbfgs")
    problem, expected, first = oscillator(pointwise=SelfAdaptive(rate=0.1)), None, torch.ones(())
    loop = Loop(problem, problem.losses, PointBatches(known()), TrainingConfig(steps=4, lr=rate, optimizer=make))
    for step in range(4):
        ((name, rule),) = problem.stateful().items()
        square = problem.residuals(PointBatches(known())(step))[name][0].detach().square()
        expected = torch.ones_like(square) if expected is None else expected
        first = square.mean() if step == 0 else first
        expected = expected + 0.1 * expected * square / (expected * square).mean() * (square.mean() / first).clamp(max=1)
        loop.update()
        torch.testing.assert_close(rule.state_dict()["kept"], expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("rule", [ResidualAttention, lambda: Causal(0, (0.0, 3.0), chunks=4, tolerance=0.5)], ids=["residual attention", "causal"])
@pytest.mark.parametrize("stops", [[5, 12], [8, 12], [9, 12], [10, 12]], ids=str)
def test_it_goes_on_bitwise(stops: list[int], rule: Any, tmp_path: Path) -> None:
    """Stopped before, at the beginning and in the midst of its polish."""
    ends = []
    for folder in (None, tmp_path):
        for stop in stops if folder else [12]:
            problem = oscillator(pointwise=rule())
            loop_training = training(12, polish=Polish(4), checkpoint_every=1)
            if stop < 12:  # killed there
                loop = Loop(problem, problem.losses, PointBatches(known()), loop_training)
                _until(loop, stop, tmp_path)
            else:
                train(problem, problem.losses, PointBatches(known()), loop_training, folder)
        ends.append([p.detach().clone() for p in problem.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*ends))


def _until(loop: Loop, stop: int, folder: Path) -> None:
    log = MetricsLog(folder / "metrics.jsonl", 0)
    while loop.step < stop:
        loop.update()
    save_state(folder / "checkpoint.pt", {**loop.state(), "log": log.position(), "description": json.dumps({})})
    log.close()


def test_the_size_of_a_loss_does_not_end_it() -> None:
    """Of a loss 1e-6 times as large every step is the same, to round-off; torch's own tolerances would not let it begin."""
    ends = []
    for factor in (1.0, 1e-6):
        problem = oscillator()
        sized = lambda batch: {name: factor * loss for name, loss in problem.losses(batch).items()}  # noqa: B023, E731
        train(problem, sized, PointBatches(known()), TrainingConfig(steps=30, optimizer=find_optimizer("lbfgs")[0], lr=1.0))
        ends.append(torch.cat([p.detach().flatten() for p in problem.parameters()]))
    torch.testing.assert_close(*ends, rtol=1e-6, atol=1e-9)
    assert not torch.equal(ends[0], torch.cat([p.detach().flatten() for p in oscillator().parameters()]))


def test_what_rested_moves_again_afterwards() -> None:
    problem, rule = oscillator(pointwise=ResidualAttention()), None
    for polish in (Polish(2), None):
        train(problem, problem.losses, PointBatches(known()), training(5, polish=polish))
        ((_, rule),) = problem.stateful().items()
        before = rule.state_dict()["kept"].clone()
    train(problem, problem.losses, PointBatches(known()), training(2))
    assert not rule.frozen and not torch.equal(rule.state_dict()["kept"], before)


def test_causal_weights_rest_along_a_line() -> None:
    """The gradient is that of the loss that the search sees: by central differences along itself."""
    problem = oscillator(pointwise=Causal(0, (0.0, 3.0), chunks=4, tolerance=0.5))
    loop = Loop(problem, problem.losses, PointBatches(known()), TrainingConfig(steps=3, optimizer=find_optimizer("lbfgs")[0], lr=1.0))
    window = loop.batch_at(0, 1)
    _, grad = loop.balance(problem.losses(window), window, False)
    values, h, start = [], 1e-6, loop.stack.buffer.clone()
    with frozen(*loop.stateful.values()):
        for side in (1, -1):
            loop.stack.buffer.copy_(start + side * h * grad)
            values.append(float(loop.balance.again(problem.losses(window))[0]))
    assert (values[0] - values[1]) / (2 * h) == pytest.approx(float(grad.square().sum()), rel=1e-5)


def test_coefficients_alone_are_trained() -> None:
    problem = oscillator()
    for p in problem.network.parameters():
        p.requires_grad_(False)
    train(problem, lambda batch: {"pde": problem.losses(batch)["pde"]}, PointBatches(known()), TrainingConfig(steps=2, lr=1e-2))
    assert float(problem.values()["k"].detach()) != 0.5


def test_what_cannot_be_polished_is_said() -> None:
    with pytest.raises(ValueError, match="polish of 12 updates leaves none of 12"):
        training(12, polish=Polish(12))
    with pytest.raises(ValueError, match="steps of at least 1"):
        Polish(0)
    asked: list[int] = []
    for seeds, weighting, said in (((0, 1), Uniform(), "got 2 stacked seeds"), (0, Aggregated(lambda rows: rows.sum(0)), "needs one loss")):
        problem = oscillator(seeds=seeds)
        counted = lambda batch: asked.append(1) or problem.losses(batch)  # noqa: B023, E731
        with pytest.raises(ValueError, match=said):
            train(problem, counted, PointBatches(known()), TrainingConfig(steps=4, polish=Polish(2), weighting=weighting))
    assert not asked  # before anything is trained
    for options in ({"begins": 9}, {"ends": 9}):
        problem = oscillator(**options)
        with pytest.raises(ValueError, match="joins or leaves at update 9"):
            Loop(problem, problem.losses, PointBatches(known()), training(12, polish=Polish(4)))
        Loop(problem, problem.losses, PointBatches(known()), training(12, polish=Polish(2)))


def test_a_weighting_needs_the_parameters_that_are_selected() -> None:
    found = []
    for select in (None, lambda name: name == "network.weights.1"):
        problem = oscillator()
        loop = Loop(problem, problem.losses, PointBatches(known()), training(1, select=select))
        loop.update()
        found.append({name: float(pair["weight"].detach()) for name, pair in loop.balance.terms.items()})
    assert found[0] != found[1]
    problem = oscillator()
    grads = {
        name: torch.autograd.grad(loss.sum(), problem.network.weights[1], retain_graph=True)[0].std()
        for name, loss in problem.losses(PointBatches(known())(0)).items()
    }
    for name, value in found[1].items():
        assert value == pytest.approx(0.5 + 0.5 * float(grads["data"] / grads[name]), rel=1e-9)
    with pytest.raises(ValueError, match="select leaves no parameter"):
        Loop(problem, problem.losses, PointBatches(known()), training(1, select=lambda name: False))
