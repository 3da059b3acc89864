"""Point weights: closed forms, batches of points, and resumed runs."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from cases.oscillator import known, oscillator
from torch import Tensor

from eddygrad.pinn.point_weights import Causal, PointWeights, ResidualAttention, SelfAdaptive
from eddygrad.pinn.points import PointBatches, Points
from eddygrad.training.loop import train
from eddygrad.training.training_config import TrainingConfig


def mean(rule: PointWeights, square: Tensor, x: Tensor) -> Tensor:
    return (rule.weights(square.detach(), x, None) * square).mean(-1)


def test_causal_weights_follow_the_formula() -> None:
    t = torch.tensor([[0.1], [0.2], [1.1], [2.9], [2.5]], dtype=torch.float64)
    square = torch.tensor([1.0, 3.0, 0.5, 4.0, 2.0], dtype=torch.float64, requires_grad=True)
    loss = mean(Causal(0, (0.0, 3.0), chunks=3, tolerance=0.7), square, t)
    means = [2.0, 0.5, 3.0]
    weights = [1.0, math.exp(-0.7 * 2.0), math.exp(-0.7 * 2.5)]
    assert float(loss.detach()) == pytest.approx(sum(w * m for w, m in zip(weights, means)) / 3)
    (slope,) = torch.autograd.grad(loss, square)  # the weights themselves are held
    assert slope.tolist() == pytest.approx([w / n / 3 for w, n in zip([weights[0]] * 2 + [weights[1]] + [weights[2]] * 2, (2, 2, 1, 2, 2))])


def test_causal_weights_are_per_seed_and_skip_empty_chunks() -> None:
    t = torch.tensor([[0.1], [2.9]], dtype=torch.float64)
    square = torch.tensor([[1.0, 3.0], [5.0, 0.0]], dtype=torch.float64)
    loss = mean(Causal(0, (0.0, 3.0), chunks=3), square, t)
    assert loss.tolist() == pytest.approx([(1 + 3 * math.exp(-1)) / 2, 2.5])


def test_residual_attention_tends_to_its_bound_at_the_largest_residual() -> None:
    rule = ResidualAttention(decay=0.9, rate=0.05)
    square, x = torch.tensor([4.0, 1.0], dtype=torch.float64), torch.zeros(2, 1)
    loss = mean(rule, square, x)
    w = [0.9 + 0.05, 0.9 + 0.05 * 0.5]
    assert float(loss) == pytest.approx((w[0] ** 2 * 4 + w[1] ** 2) / 2)
    for _ in range(300):
        loss = mean(rule, square, x)
    assert float(loss) == pytest.approx((0.5**2 * 4 + 0.25**2) / 2)


def test_self_adaptive_weights_grow_with_the_residual() -> None:
    """First by 4 and 1 over their mean 2.5, then by w r^2 over its mean, times the residual relative to the first; in any unit of the residual."""
    x, start = torch.zeros(2, 1), torch.tensor([4.0, 1.0], dtype=torch.float64)
    for unit in (1.0, 1e-8):
        rule, square = SelfAdaptive(rate=0.1, most=1.4), unit * start
        w = [1 + 0.1 * 4 / 2.5, 1 + 0.1 / 2.5]
        assert float(mean(rule, square, x)) == pytest.approx(unit * (w[0] ** 2 * 4 + w[1] ** 2) / 2)
        for share in (0.5, 3.0):  # half of what it was at first; more than that counts as that
            ascent = (w[0] * 4 + w[1]) / 2
            w = [w[0] + 0.1 * min(share, 1) * w[0] * 4 / ascent, w[1] + 0.1 * min(share, 1) * w[1] / ascent]
            assert float(mean(rule, share * square, x)) == pytest.approx(share * unit * (min(w[0], 1.4) ** 2 * 4 + w[1] ** 2) / 2)
            w[0] = min(w[0], 1.4)  # the bound
        assert w[0] == 1.4
    assert float(mean(SelfAdaptive(), torch.zeros(2), x)) == 0.0
    with torch.no_grad():
        before = rule.state_dict()["kept"]
        mean(rule, square, x)
        assert torch.equal(rule.state_dict()["kept"], before)


def test_weights_belong_to_points_by_index() -> None:
    rule, x = ResidualAttention(decay=0.5, rate=1.0), torch.zeros(2, 1)
    rule.weights(torch.tensor([9.0, 0.0]), x, torch.tensor([3, 1]))
    assert rule.state_dict()["kept"].tolist() == [1.0, 0.5, 1.0, 1.5]


@pytest.mark.parametrize("rule", [ResidualAttention, SelfAdaptive])
def test_a_resumed_run_is_bitwise_equal(rule: type[PointWeights], tmp_path: Path) -> None:
    ends = []
    for stops, folder in (([12], None), ([4, 12], tmp_path)):
        for stop in stops:
            problem = oscillator(seeds=(0, 1), pointwise=rule())
            train(problem, problem.losses, PointBatches(known(), {"all": 5}), TrainingConfig(steps=stop, lr=1e-2, checkpoint_every=4), folder)
        ends.append([p.detach().clone() for p in problem.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*ends))


def test_weights_apply_within_each_part_of_the_points() -> None:
    x = torch.linspace(0, 3, 6, dtype=torch.float64).unsqueeze(1)
    points = {"all": Points(x, {"u": torch.zeros(6, dtype=torch.float64)}, parts=(2, 4))}
    rule = SelfAdaptive(rate=0.1)
    problem, plain = oscillator(pointwise=rule), oscillator()
    square = plain.residuals((0, points))["pde"][0].square()
    weighted = (1 + 0.1 * square / square.mean()).square() * square
    torch.testing.assert_close(problem.losses((0, points))["pde"], weighted[:2].mean() + weighted[2:].mean())


def test_causal_weights_refuse_points_with_parts() -> None:
    points = {"all": Points(torch.linspace(0, 3, 6, dtype=torch.float64).unsqueeze(1), {"u": torch.zeros(6, dtype=torch.float64)}, parts=(2, 4))}
    with pytest.raises(ValueError, match="have parts, the sides of a box; Causal needs points without parts"):
        oscillator(pointwise=Causal(0, (0.0, 3.0))).losses((0, points))


def test_self_adaptive_weights_of_a_falling_residual_grow_less() -> None:
    """The mean weight grows by the rate for a constant residual, and hardly at all for a falling one of the same shape."""
    x, square = torch.zeros(2, 1), torch.tensor([4.0, 1.0], dtype=torch.float64)
    stays, falls = SelfAdaptive(rate=0.01), SelfAdaptive(rate=0.01)
    for step in range(200):
        stays.weights(square, x, None)
        falls.weights(square * 0.5**step, x, None)
    grown = [float(rule.state_dict()["kept"].mean()) - 1 for rule in (stays, falls)]
    assert grown[0] == pytest.approx(2.0) and grown[1] == pytest.approx(0.02)


def test_wrong_options_are_refused() -> None:
    with pytest.raises(ValueError, match="span start < end"):
        Causal(0, (1.0, 1.0))
    with pytest.raises(ValueError, match="decay between 0 and 1"):
        ResidualAttention(decay=1.0)
    with pytest.raises(ValueError, match="rate above 0"):
        SelfAdaptive(rate=0)


def test_a_chunk_without_points_keeps_its_last_mean() -> None:
    """Also after a checkpoint; small means are not lost next to large ones."""
    rule, again = Causal(0, (0.0, 3.0), chunks=3, tolerance=0.1), Causal(0, (0.0, 3.0), chunks=3, tolerance=0.1)
    t = torch.tensor([[0.5], [1.5], [2.5]])
    rule.weights(torch.tensor([2.0, 3.0, 1.0]), t, None)
    again.load_state_dict(rule.state_dict())
    for one in (rule, again):
        late = one.weights(torch.tensor([1.0]), t[2:], torch.tensor([2]))
        assert float(late) == pytest.approx(math.exp(-0.5))
    far = Causal(0, (0.0, 3.0), chunks=3, tolerance=0.1).weights(torch.tensor([5.0, 1e8, 1.0]), t, None)
    assert far.tolist() == pytest.approx([1.0, math.exp(-0.5), 0.0])
