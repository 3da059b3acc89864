"""Scores of steppers whose errors are known."""

import math

import pytest
import torch
from torch import nn

from eddygrad.correctors.compose import correct
from eddygrad.correctors.features import Features
from eddygrad.correctors.resnet import ResNet
from eddygrad.datasets.dataset import Dataset
from eddygrad.solver.grid import Grid
from eddygrad.solver.rollout import trajectory
from eddygrad.solver.step import wrap
from eddygrad.studies.evaluate import Persistence, evaluate
from eddygrad.training import metrics

FRAMES = 15
REFERENCE = wrap(lambda u, rate: rate * u.roll(1, -1), dt=0.5, differentiable=True)
PARAMS = {"rate": torch.tensor([0.9, 1.0, 1.1], dtype=torch.float64)}


@pytest.fixture
def data():
    u = torch.randn(3, 1, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    params = {"rate": PARAMS["rate"].reshape(-1, 1, 1)}
    frames = trajectory(REFERENCE.at(params, u), u, FRAMES, include_start=True)
    return Dataset.from_tensor(frames, PARAMS, Grid((12,)), dt=0.5)


def test_the_reference_has_no_error(data):
    score = evaluate(REFERENCE, data, 6, REFERENCE)
    assert score.metrics["rellinf"].shape == (1, 3) and score.metrics["rellinf"].abs().max() == 0
    assert score.metrics["correlation_time"].tolist() == [[7.0] * 3] == score.metrics["divergence_time"].tolist()
    assert score.diverged == [0] and torch.equal(score.prediction[0], data.all()) and score.seconds_per_frame > 0
    assert score.spectrum["model"].shape == (1, 7) and torch.equal(score.spectrum["model"][0], score.spectrum["reference"])


def test_persistence_by_hand(data):
    score, truth = evaluate(Persistence(0.5), data, 6), data.all()
    for s in range(3):
        expected = [((truth[s, 0] - truth[s, t]) ** 2).mean() / truth[s, :7].square().max() for t in range(7)]
        torch.testing.assert_close(score.metrics["rellinf"][0, s], torch.stack(expected).mean(), rtol=1e-12, atol=0)
    torch.testing.assert_close(score.error_over_time.mean(-1), score.metrics["rellinf"].mean(-1), rtol=1e-12, atol=0)
    torch.testing.assert_close(score.metrics["nrmse_final"][0], metrics.nrmse(truth[:, :1].expand_as(truth), truth)[:, 6], rtol=1e-12, atol=0)
    assert "divergence_time" not in score.metrics


@pytest.mark.parametrize("factor", [1e30, math.inf, math.nan])
def test_a_blown_up_stepper_is_counted_and_clipped(data, factor):
    score = evaluate(wrap(lambda u: factor * u, dt=0.5), data, 6, REFERENCE)
    assert score.diverged == [3] and score.error_over_time[0].tolist() == [0.0] + [30.0] * 6
    assert score.metrics["nrmse_final"].tolist() == [[30.0] * 3] and score.metrics["divergence_time"].tolist() == [[0.0] * 3]
    assert all(math.isfinite(v) for value in score.metrics.values() for v in value.flatten().tolist())


def test_entries_of_a_stack_score_as_single_networks(data):
    network = ResNet(3, 1, 1, 1, seeds=(4, 7)).double()
    stack = correct(REFERENCE, network, "parallel", scale=0.1, features=Features())
    both = evaluate(stack, data, 6, REFERENCE)
    for s in range(2):
        one = evaluate(stack.with_network(network.entry(s)), data, 6, REFERENCE)
        for name, value in one.metrics.items():
            torch.testing.assert_close(both.metrics[name][s], value[0], rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(both.spectrum["model"][s], one.spectrum["model"][0], rtol=1e-10, atol=1e-12)
    assert both.batch == 3 and len(both.as_json()["metrics"]["rellinf"]) == 2


def test_two_dimensions_and_a_horizon_too_long():
    u = torch.randn(2, 5, 1, 6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    plane = Dataset.from_tensor(u, {}, Grid((6, 4)))
    score = evaluate(Persistence(1.0), plane, 4)
    assert score.metrics["rellinf"].shape == (1, 2) and "spectrum_error" not in score.metrics
    with pytest.raises(ValueError, match="horizon 5 needs 6 frames, got trajectories of 5") as caught:
        evaluate(Persistence(1.0), plane, 5)
    assert "\n" not in str(caught.value)


def test_no_gradients_are_recorded(data):
    class Loud(nn.Module):
        dt, differentiable = 0.5, True

        def at(self, params, like, observe=None):
            assert not torch.is_grad_enabled()
            return lambda u, k=0: u

    evaluate(Loud(), data, 6)
