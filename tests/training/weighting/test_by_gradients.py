"""Closed forms of every weighting."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import pytest
import torch
from cases.weighting_cases import drawn, flat, settled

from eddygrad.training.gradients import gradients
from eddygrad.training.weighting import (
    MGDA,
    EpsilonOptimal,
    GradientNorm,
    GradNorm,
    Homoscedastic,
    InverseDirichlet,
    MaxAverage,
    NeuralTangentKernel,
    ReLoBRaLo,
    ResNorm,
    SoftAdapt,
)
from eddygrad.training.weighting.averaged import with_gradients
from eddygrad.training.weighting.base import Terms


@pytest.mark.parametrize("reference, expected", [("a", lambda s: s[0]), ("largest", max), ("mean", lambda s: sum(s) / len(s))])
def test_inverse_dirichlet_gives_every_weighted_gradient_the_references_spread(reference: str, expected: Any) -> None:
    losses, grads = drawn(1.0, 1e-3, 20.0)
    stds = [float(flat(g).std()) for g in grads.values()]
    weights = settled(InverseDirichlet(reference), losses, grads)
    for weight, g in zip(weights.values(), grads.values()):
        assert float(flat(g).std()) * weight == pytest.approx(expected(stds), rel=1e-12)
    squared = settled(InverseDirichlet(reference, power=2.0), losses, grads)  # of the variances the weighted spreads are not alike
    spreads = [s * w for s, w in zip(stds, squared.values())]
    assert max(spreads) / min(spreads) > 100


def test_inverse_dirichlet_makes_up_for_a_terms_unit_and_nothing_caps_it() -> None:
    losses, grads = drawn(1.0, 1.0)
    for c in (1e-6, 7.0):
        scaled = {"a": grads["a"], "b": tuple(c * g for g in grads["b"])}
        before, after = (settled(InverseDirichlet("a"), losses, g)["b"] for g in (grads, scaled))
        assert after == pytest.approx(before / c, rel=1e-12)


def test_inverse_dirichlet_by_layers_takes_the_mean_of_their_spreads() -> None:
    losses, grads = drawn(1.0, 5.0)
    grads["b"] = (grads["b"][0], 100 * grads["b"][1])
    layered = settled(InverseDirichlet("a", pool="layers"), losses, grads)["b"]
    spread = {name: sum(float(part.std()) for part in g) for name, g in grads.items()}
    assert layered == pytest.approx(spread["a"] / spread["b"], rel=1e-12)
    assert layered != pytest.approx(settled(InverseDirichlet("a"), losses, grads)["b"], rel=0.1)


@pytest.mark.parametrize("pool", ["all", "layers"])
def test_inverse_dirichlet_of_a_single_number_says_that_it_has_no_spread(pool: Any) -> None:
    losses = {"a": torch.ones(1), "b": torch.ones(1)}
    grads = {"a": (torch.ones(1, 1),), "b": (torch.ones(1, 1),)}
    with pytest.raises(ValueError, match="no standard deviation"):
        settled(InverseDirichlet("a", pool=pool), losses, grads)


def test_max_average_comes_to_the_square_root_of_max_over_mean() -> None:
    losses, grads = drawn(1.0, 1e-2)
    ratio = float(flat(grads["a"]).abs().max() / flat(grads["b"]).abs().mean())
    weights = settled(MaxAverage("a"), losses, grads, 200)
    assert weights["b"] == pytest.approx(math.sqrt(ratio), rel=1e-9) and weights["b"] != pytest.approx(ratio, rel=0.5)
    assert weights["a"] == 1.0


def test_gradient_norms_are_alike_after_weighting() -> None:
    losses, grads = drawn(1.0, 1e-3, 4.0)
    norms = {name: float(flat(g).norm()) for name, g in grads.items()}
    for name, weight in settled(GradientNorm(), losses, grads, 400).items():
        assert weight * norms[name] == pytest.approx(sum(norms.values()), rel=1e-9)


def test_the_tangent_kernels_traces_come_from_probes() -> None:
    """Of linear residuals r = J x the mean trace is |J|^2 / N; a probe of random signs finds it to sqrt(2 / P) or so, without a bias."""
    g = torch.Generator().manual_seed(1)
    x = torch.zeros(300, dtype=torch.float64, requires_grad=True)
    jacobians = {"a": torch.randn(200, 300, generator=g, dtype=torch.float64), "b": 3 * torch.randn(50, 300, generator=g, dtype=torch.float64)}
    weighting, losses = NeuralTangentKernel(average=1.0), {name: torch.tensor(1.0) for name in jacobians}
    ratios = []
    for _ in range(200):
        probes = {}
        for name, j in jacobians.items():
            signs = torch.randint(0, 2, (len(j),), generator=g).double() * 2 - 1
            probes[name] = signs @ (j @ x) / math.sqrt(len(j))
        weights = weighting(losses, probes=gradients(probes, [x]))
        ratios.append(float(weights["a"] / weights["b"]))
    exact = {name: float(j.square().mean()) for name, j in jacobians.items()}
    assert sum(ratios) / len(ratios) == pytest.approx(exact["b"] / exact["a"], rel=0.03)


def test_it_is_the_traces_that_are_averaged() -> None:
    """Of traces 1, 3 and 2, 2 by halves: (2, 2), so equal weights, where averaged ratios would not be; a run that goes on has them too."""
    x = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    losses = {name: torch.tensor(1.0) for name in "ab"}
    weighting = NeuralTangentKernel(average=0.5)
    for traces in ({"a": 1.0, "b": 2.0}, {"a": 3.0, "b": 2.0}):
        again = NeuralTangentKernel(average=0.5)
        again.load_state_dict(weighting.state_dict())
        probes = {name: math.sqrt(trace) * x.sum() for name, trace in traces.items()}
        grads = gradients(probes, [x])
        weights = weighting(losses, probes=grads)
        assert again(losses, probes=grads) == weights
    assert float(weights["a"]) == pytest.approx(2.0) and float(weights["b"]) == pytest.approx(2.0)
    assert weighting.options["average"] == 0.5
    first = NeuralTangentKernel(average=0.5)
    for slope in (math.nan, 2.0):  # a first look that is lost is made up for
        last = first({"a": torch.ones(1), "b": torch.ones(1)}, probes=gradients({"a": slope * x, "b": x}, [x]))
    assert float(last["a"]) == pytest.approx(1.25)
    with pytest.raises(ValueError, match="leave out mean and corrected"):
        NeuralTangentKernel(mean="geometric")


def test_a_trace_of_zero_is_none_and_changes_no_other_term_or_seed() -> None:
    """Of two seeds the second has no term c from the second look to the last but one: others do not feel it, then it has what it had."""
    x = torch.zeros(2, 1, dtype=torch.float64, requires_grad=True)
    weighting, losses, seen = NeuralTangentKernel(), {name: torch.ones(2, dtype=torch.float64) for name in "abc"}, []
    for look in range(12):
        weighting.announce(losses)
        assert weighting.draws == (1 if look else 8)
        slope = torch.tensor([1.0, 1.0 if look in (0, 11) else 0.0], dtype=torch.float64)
        probes = {"a": x.sum(1), "b": x.sum(1), "c": x.sum(1) * slope}
        seen.append(torch.stack([*weighting(losses, probes=gradients(probes, [x])).values()], 1))
    torch.testing.assert_close(torch.stack(seen)[:, 0], torch.full((12, 3), 3.0, dtype=torch.float64))
    torch.testing.assert_close(torch.stack(seen)[1:11, 1], torch.tensor([2.0, 2.0, 3.0], dtype=torch.float64).expand(10, 3))
    torch.testing.assert_close(seen[11][1], torch.full((3,), 3.0, dtype=torch.float64))


def test_two_terms_have_mgdas_closed_form() -> None:
    for seed, (a, b) in product(range(5), ((1.0, 1.0), (1.0, 10.0), (3.0, 2.9))):
        losses, grads = drawn(a, b, seed=seed)
        one, two = flat(grads["a"]), flat(grads["b"])
        share = float(torch.clamp((two - one) @ two / (one - two).square().sum(), 0, 1))
        weights = settled(MGDA(), losses, grads, 1)
        assert weights["a"] == pytest.approx(share, abs=1e-9) and weights["b"] == pytest.approx(1 - share, abs=1e-9)


@pytest.mark.parametrize("scales", [(1.0, 1.1, 0.9, 1.2), (1.0, 30.0, 1.0, 4.0), (1.0, 1.0, 1e-4, 1.0, 2.0)])
def test_mgdas_vector_is_the_shortest_of_the_hull(scales: tuple[float, ...]) -> None:
    """d = sum lam_k g_k: every g_k . d >= |d|^2, with equality where lam_k > 0; a descent direction for all terms."""
    losses, grads = drawn(*scales, seed=3)
    weights = settled(MGDA(), losses, grads, 1)
    rows = torch.stack([flat(g) for g in grads.values()])
    shares = torch.tensor(list(weights.values()), dtype=torch.float64)
    assert float(shares.sum()) == pytest.approx(1) and bool((shares >= 0).all())
    least = shares @ rows
    along = rows @ least / least.square().sum()
    assert bool((along > 1 - 1e-8).all())
    assert bool(((along - 1).abs()[shares > 1e-6] < 1e-8).all())
    equal = torch.full_like(shares, 1 / len(shares)) @ rows
    assert bool((rows @ equal / equal.square().sum() < 1 - 1e-3).any())  # which equal shares are not


def test_a_floor_under_mgdas_shares_holds_and_costs_the_others() -> None:
    losses, grads = drawn(1.0, 300.0, 2.0, seed=1)
    free, held = (settled(MGDA(floor=floor), losses, grads, 1) for floor in (0.0, 1e-3))
    assert free["b"] < 1e-4 and held["b"] == pytest.approx(1e-3, rel=1e-9)
    assert sum(held.values()) == pytest.approx(1) and held["a"] / held["c"] == pytest.approx(free["a"] / free["c"], rel=5e-3)
    two, ends = drawn(1.0, 300.0, seed=1)
    assert settled(MGDA(floor=1e-5), two, ends, 1)["a"] < 1 - 9e-6 < settled(MGDA(), two, ends, 1)["a"]
    assert settled(MGDA(floor=0.5), two, ends, 1) == pytest.approx({"a": 0.5, "b": 0.5})
    with pytest.raises(ValueError, match=r"3 shares of at least 0\.4 exceed 1"):
        settled(MGDA(floor=0.4), losses, grads, 1)
    with pytest.raises(ValueError, match="at least 0"):
        MGDA(floor=-1.0)


def test_epsilon_optimal_poisson_is_the_authors_code() -> None:
    for k in range(1, 7):
        w = k * math.pi
        weights = EpsilonOptimal({"pde": w**4, "boundary": 1.0})({"pde": torch.tensor(3.0), "boundary": torch.tensor(1.0)})
        assert float(weights["pde"]) == pytest.approx(1 / (1 + w**4), rel=1e-6)
        assert float(weights["boundary"]) == pytest.approx(w**4 / (1 + w**4), rel=1e-6)


def test_soft_adapt_is_a_softmax_of_the_changes() -> None:
    weighting, losses = SoftAdapt(beta=2.0), {"a": torch.tensor(1.0, dtype=torch.float64), "b": torch.tensor(5.0, dtype=torch.float64)}
    assert {float(w) for w in weighting(losses).values()} == {1.0}
    later = {"a": losses["a"] - 0.5, "b": losses["b"] + 1.5}
    weights = weighting(later)
    changes = torch.softmax(2.0 * torch.tensor([-0.5, 1.5]) / 2.0, 0)
    assert [float(w) for w in weights.values()] == pytest.approx((2 * changes).tolist())


def test_relobralo_looks_back_to_the_beginning() -> None:
    course = torch.tensor([[4.0, 1.0], [2.0, 0.9], [1.0, 0.8]], dtype=torch.float64)
    weighting = ReLoBRaLo(memory=0.8, recall=0.0, temperature=1.0)
    for now in course:
        weights = weighting({"a": now[0], "b": now[1]})
    to_first, to_last = (2 * torch.softmax(course[2] / course[k], 0) for k in (0, 1))
    assert [float(w) for w in weights.values()] == pytest.approx((0.8 * to_first + 0.2 * to_last).tolist())
    remembering = ReLoBRaLo(memory=0.8, recall=1.0, temperature=1.0)
    past = torch.ones(2, dtype=torch.float64)
    for k, now in enumerate(course):
        weights = remembering({"a": now[0], "b": now[1]})
        past = 0.8 * past + 0.2 * 2 * torch.softmax(now / course[max(k - 1, 0)], 0)
    assert [float(w) for w in weights.values()] == pytest.approx(past.tolist())


def test_gradnorm_comes_to_equal_lengths_and_follows_the_slower_term() -> None:
    losses, grads = drawn(1.0, 0.2)
    norms = {name: float(flat(g).norm()) for name, g in grads.items()}
    weights = settled(GradNorm(alpha=0.0, lr=0.01), losses, grads, 600)
    assert weights["a"] + weights["b"] == pytest.approx(2)
    assert weights["a"] * norms["a"] == pytest.approx(weights["b"] * norms["b"], rel=0.05)
    rated = GradNorm(alpha=1.0, lr=0.01)
    rated(losses, grads)
    slow = settled(rated, {"a": losses["a"] / 4, "b": losses["b"]}, grads, 600)  # b has not fallen: r = 2/5, 8/5
    assert slow["b"] * norms["b"] / (slow["a"] * norms["a"]) == pytest.approx(4, rel=0.05)
    equal = settled(ResNorm(alpha=0.0, lr=0.01), losses, {}, 600)
    assert equal["a"] * float(losses["a"]) == pytest.approx(equal["b"] * float(losses["b"]), rel=0.05)


def test_the_slope_of_gradnorm_is_that_of_its_sum() -> None:
    losses, grads = drawn(1.0, 0.2, 3.0)
    weighting = GradNorm(alpha=0.7)
    weighting(losses, grads)
    now = torch.stack([0.5 * losses["a"], 0.9 * losses["b"], losses["c"]]).reshape(1, 3)
    terms = with_gradients(Terms(("a", "b", "c"), now, torch.ones(1, 3)), grads, None, "test")
    z = torch.tensor([[0.3, -0.2, 0.1]], dtype=torch.float64, requires_grad=True)
    own = weighting.weights_of(z, terms.active) * weighting.sizes(terms)
    first = torch.stack([losses[name] for name in "abc"]).reshape(1, 3)
    rate = (now / first / (now / first).mean()) ** 0.7
    (expected,) = torch.autograd.grad((own - (own.mean(1, keepdim=True) * rate).detach()).abs().sum(), z)
    torch.testing.assert_close(weighting.slope(terms, z.detach()), expected)


def test_homoscedastic_weights_come_to_one_over_the_losses() -> None:
    losses, _ = drawn(1.0, 0.05)
    for name, weight in settled(Homoscedastic(lr=0.05), losses, {}, 800).items():
        assert weight * float(losses[name]) == pytest.approx(1, rel=0.02)


def test_what_wants_probes_takes_no_gradients_of_losses_for_them() -> None:
    losses, grads = drawn(1.0, 30.0)
    own = NeuralTangentKernel(every=2)
    with pytest.raises(ValueError, match=r"needs gradients of probed residuals, .*probes=gradients"):
        own(losses, grads)
    weights = own(losses, probes=grads)
    squares = {name: float(flat(g).double().square().sum()) for name, g in grads.items()}
    total = sum(squares.values())
    assert {n: float(w) for n, w in weights.items()} == pytest.approx({n: total / s for n, s in squares.items()})
