"""Scores of steppers whose errors are known."""

import json
import math

import pytest
import torch
from torch import nn

from eddygrad.correctors.compose import correct
from eddygrad.correctors.features import Features
from eddygrad.correctors.resnet import ResNet
from eddygrad.datasets.dataset import Dataset
from eddygrad.evaluation import metrics
from eddygrad.evaluation.baselines import Persistence
from eddygrad.evaluation.evaluate import evaluate
from eddygrad.solver.grid import Grid
from eddygrad.solver.unroll import trajectory
from eddygrad.solver.wrap import wrap

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


def test_secondary_metrics_by_hand(data):
    """A shift that grows by 5 % a frame; every error is computed here from its definition, with a full discrete Fourier transform."""
    score, truth = evaluate(wrap(lambda u: 1.05 * u.roll(1, -1), dt=0.5), data, 6), data.all()[:, :, 0]
    u = torch.stack([1.05**t * truth[:, 0].roll(t, -1) for t in range(FRAMES)], 1)
    got = {name: value[0] for name, value in score.metrics.items()}
    difference, ref = u[:, 6] - truth[:, 6], truth[:, 6]
    torch.testing.assert_close(got["vrmse_final"], (difference.square().mean(-1) / ref.var(-1, correction=0)).sqrt(), rtol=1e-12, atol=0)
    m = torch.fft.fftfreq(12, 1 / 12, dtype=torch.float64)  # the side is 2 pi: k = m
    error, power = torch.fft.fft(difference).abs().square(), torch.fft.fft(ref).abs().square()
    torch.testing.assert_close(got["h1_final"], ((error * (1 + m**2)).sum(-1) / (power * (1 + m**2)).sum(-1)).sqrt(), rtol=1e-10, atol=0)
    for name, inside in (("low", m.abs() < 2), ("middle", (m.abs() >= 2) & (m.abs() < 4)), ("high", m.abs() >= 4)):
        torch.testing.assert_close(got[f"band_{name}_final"], ((error * inside).sum(-1) / power.sum(-1)).sqrt(), rtol=1e-10, atol=1e-14)
    torch.testing.assert_close(got["rms_ratio"], (u.square().mean((1, 2)) / truth.square().mean((1, 2))).sqrt(), rtol=1e-12, atol=0)
    # All modes of a sample grow alike, in both: the shares of energy agree to round-off.
    assert got["spectrum_shape"].abs().max() < 1e-12 and (got["correlation_time_08"] == 7.0).all()


def test_a_prediction_in_other_modes_has_nothing_of_the_shape(data):
    constant = evaluate(wrap(lambda u: torch.ones_like(u), dt=0.5), Dataset.from_tensor(_wave(), {}, Grid((12,)), dt=0.5), 6)
    # Frame 0 is the reference's own: 14 of 15 frames share nothing. Mean energies: 14 of the constant's 1/2 beside one of the wave's 1/4.
    expected = 14 * 0.5 / (14 * 0.5 + 0.25)
    torch.testing.assert_close(constant.metrics["spectrum_shape"], torch.full((1, 2), expected, dtype=torch.float64), rtol=1e-12, atol=0)
    assert constant.metrics["correlation_time_08"].tolist() == [[0.5, 0.5]]


def _wave():
    x = 2 * math.pi * torch.arange(12, dtype=torch.float64) / 12
    return (3 * x).sin().expand(2, FRAMES, 1, 12)


def test_frames_that_are_not_finite_leave_the_spectrum_and_are_counted():
    wave = Dataset.from_tensor(_wave(), {}, Grid((12,)), dt=0.5)
    from_frame = lambda n, bad: wrap(lambda u, k: torch.full_like(u, bad) if k >= n - 1 else u, dt=0.5)  # noqa: E731
    whole, half = evaluate(Persistence(0.5), wave, 6), evaluate(from_frame(10, math.nan), wave, 6)
    assert whole.spectrum["dropped_frames"].tolist() == [0] and half.spectrum["dropped_frames"].tolist() == [2 * (FRAMES - 10)]
    torch.testing.assert_close(half.spectrum["model"], whole.spectrum["model"], rtol=1e-12, atol=1e-15)  # zeros in their place would lower it
    assert half.spectrum["k"].tolist() == list(range(7)) and half.as_json()["spectrum"]["axis"] == "mode"
    lost = evaluate(wrap(lambda u: u, dt=0.5), wave, 6)
    lost.spectrum["model"][:] = math.nan
    assert lost.as_json()["spectrum"]["model"] == [[None] * 7]
    assert half.metrics["rms_ratio"].tolist() == [[30.0, 30.0]] and half.metrics["spectrum_shape"].tolist() == [[1.0, 1.0]]
    json.dumps(half.as_json(), allow_nan=False)


def test_a_huge_state_that_follows_the_reference_has_not_diverged_but_a_lost_one_has():
    """The identity leaves 2e4 where it is; clamped to 1e4 it would seem to have jumped."""
    large = Dataset.from_tensor(2e4 * _wave(), {}, Grid((12,)), dt=0.5)
    assert evaluate(Persistence(0.5), large, 6, Persistence(0.5)).metrics["divergence_time"].tolist() == [[7.0, 7.0]]
    infinite = evaluate(wrap(lambda u: math.inf * u, dt=0.5), large, 6, Persistence(0.5))
    assert infinite.metrics["divergence_time"].tolist() == [[0.0, 0.0]]


def test_only_the_long_window_is_read(data, monkeypatch):
    read = []
    inner = Dataset.frames_at
    monkeypatch.setattr(Dataset, "frames_at", lambda self, samples, times: (read.append(int(times.max())), inner(self, samples, times))[1])
    score = evaluate(REFERENCE, data, 6, long_horizon=8)
    assert max(read) == 8 and score.reference.shape[1] == 9 and score.metrics["correlation_time"].tolist() == [[4.0] * 3]
    torch.testing.assert_close(score.metrics["rellinf"], evaluate(REFERENCE, data, 6).metrics["rellinf"], rtol=0, atol=0)
    monkeypatch.setattr("eddygrad.evaluation.evaluate.LONG_HORIZON", 10)
    assert evaluate(REFERENCE, data, 6).as_json()["long_horizon"] == 10
    for horizon, long, said in ((6, FRAMES, f"long_horizon {FRAMES} needs {FRAMES + 1} frames"), (9, 8, "horizon <= long_horizon, got 9 and 8")):
        with pytest.raises(ValueError, match=said):
            evaluate(REFERENCE, data, horizon, long_horizon=long)


def test_a_seed_that_was_lost_is_charged_in_every_metric(data):
    network = ResNet(3, 1, 1, 1, seeds=(4, 7)).double()
    score = evaluate(correct(REFERENCE, network, "parallel", scale=0.1, features=Features()), data, 6, REFERENCE)
    before = {name: value.clone() for name, value in score.metrics.items()}
    score.charging([False, True])
    for name, value in score.metrics.items():
        assert torch.equal(value[0], before[name][0]) and (value[1] == (0.0 if "_time" in name else 30.0)).all(), name


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
