"""Closed forms of every weighting, what a term that appears, leaves, vanishes or is not finite does, and that a run goes on where it was."""

from __future__ import annotations

import json
import math
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._functorch import config as functorch_config

from eddygrad.training.gradients import gradients
from eddygrad.training.loop import Loop, Training, fit
from eddygrad.training.weighting import (
    MGDA,
    Aggregated,
    EpsilonOptimal,
    Fixed,
    GradientNorm,
    GradNorm,
    Homoscedastic,
    InverseDirichlet,
    MaxAverage,
    NeuralTangentKernel,
    ReLoBRaLo,
    ResNorm,
    SoftAdapt,
    Uniform,
    Weighting,
)
from eddygrad.training.weighting.weighting import Terms, with_gradients

P = 400
SHAPES = ((10, 20), (200,))


def drawn(*scales: float, seed: int = 0, seeds: int | None = None, mean: float = 0.3) -> tuple[dict[str, Tensor], dict[str, tuple[Tensor, ...]]]:
    """Losses and gradients of the terms a, b, c, ... with spreads about these scales."""
    g = torch.Generator().manual_seed(seed)
    lead = () if seeds is None else (seeds,)
    losses, grads = {}, {}
    for name, scale in zip("abcdef", scales):
        losses[name] = scale * (1 + torch.rand(lead, generator=g, dtype=torch.float64))
        grads[name] = tuple(scale * (mean + torch.randn(*lead, *shape, generator=g, dtype=torch.float64)) for shape in SHAPES)
    return losses, grads


def flat(parts: tuple[Tensor, ...]) -> Tensor:
    return torch.cat([part.flatten() for part in parts])


def settled(weighting: Weighting, losses: dict[str, Tensor], grads: dict[str, Any], calls: int = 60) -> dict[str, float]:
    for _ in range(calls):
        weights = weighting(losses, grads)
    return {name: float(weight) for name, weight in weights.items()}


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
        weights = weighting(losses, gradients(probes, [x]))
        ratios.append(float(weights["a"] / weights["b"]))
    exact = {name: float(j.square().mean()) for name, j in jacobians.items()}
    assert sum(ratios) / len(ratios) == pytest.approx(exact["b"] / exact["a"], rel=0.03)


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
    own = weighting.led_to(z) * weighting.sizes(terms)
    first = torch.stack([losses[name] for name in "abc"]).reshape(1, 3)
    rate = (now / first / (now / first).mean()) ** 0.7
    (expected,) = torch.autograd.grad((own - (own.mean(1, keepdim=True) * rate).detach()).abs().sum(), z)
    torch.testing.assert_close(weighting.slope(terms, z.detach()), expected)


def test_homoscedastic_weights_come_to_one_over_the_losses() -> None:
    losses, _ = drawn(1.0, 0.05)
    for name, weight in settled(Homoscedastic(lr=0.05), losses, {}, 800).items():
        assert weight * float(losses[name]) == pytest.approx(1, rel=0.02)


def test_averages_are_what_they_are_called() -> None:
    losses, grads = drawn(1.0, 1e-2)
    hat = settled(InverseDirichlet("a", average=1.0), losses, grads, 1)["b"]
    a, n = 0.3, 3
    assert settled(InverseDirichlet("a", average=a), losses, grads, n)["b"] == pytest.approx(0.7**n + (1 - 0.7**n) * hat)
    assert settled(InverseDirichlet("a", average=a, mean="geometric"), losses, grads, n)["b"] == pytest.approx(hat ** (1 - 0.7**n))
    for mean in ("arithmetic", "geometric"):
        assert settled(InverseDirichlet("a", average=a, mean=mean, corrected=True), losses, grads, 1)["b"] == pytest.approx(hat)  # type: ignore[arg-type]


def test_it_looks_when_due_and_needs_nothing_between() -> None:
    losses, grads = drawn(1.0, 1e-2)
    weighting = InverseDirichlet("a", average=1.0, every=3, warm_up=2)
    due = []
    for _ in range(9):
        due.append(weighting.wants_gradients)
        weights = weighting(losses, grads if weighting.wants_gradients else None)
    assert due == [False, False, True, False, False, True, False, False, True]
    assert float(weights["b"]) == pytest.approx(settled(InverseDirichlet("a", average=1.0), losses, grads, 1)["b"])
    weighting.frozen = True  # as L-BFGS wants them, whatever it asks
    assert not weighting.wants_gradients and {n: float(w) for n, w in weighting(losses).items()} == {n: float(w) for n, w in weights.items()}


@pytest.mark.parametrize("returning", ["carry", "reset"])
def test_terms_may_appear_and_leave(returning: Any) -> None:
    losses, grads = drawn(1.0, 1e-2, 1e-3)
    weighting = InverseDirichlet("a", returning=returning)
    two = {name: losses[name] for name in "ab"}
    for _ in range(20):
        alone = weighting(two, {name: grads[name] for name in two})
    joined = weighting(losses, grads)
    fresh = settled(InverseDirichlet("a"), losses, grads, 1)
    assert float(joined["b"]) == pytest.approx(float(alone["b"]), rel=1e-4) and float(joined["c"]) == pytest.approx(fresh["c"])
    for _ in range(20):
        before = weighting(losses, grads)
    weighting(two, {name: grads[name] for name in two})
    weighting.every, weighting.calls = 2, 1  # not due: what it remembers
    again = float(weighting(losses)["c"])
    assert again == (pytest.approx(float(before["c"])) if returning == "carry" else 1.0)


def test_the_reference_is_the_first_of_several_that_is_there() -> None:
    losses, grads = drawn(1.0, 1e-2, 1e-3)
    for kind in (InverseDirichlet, MaxAverage):
        for there, held in (("abc", "c"), ("ab", "a"), ("b", "b")):
            some, own = {name: losses[name] for name in there}, {name: grads[name] for name in there}
            assert settled(kind(("c", "a", "b")), some, own) == settled(kind(held), some, own)
        with pytest.raises(ValueError, match="reference 'd' or 'e' is none of the terms"):
            kind(("d", "e"))(losses, grads)


@pytest.mark.parametrize("returning", ["carry", "reset"])
def test_a_term_that_is_announced_is_looked_at_at_once(returning: Any) -> None:
    """Not up to `every` calls later, which it would spend at weight 1; one that is known waits, or is new again after a reset."""
    losses, grads = drawn(1.0, 1e-2, 1e-3)
    two = {name: losses[name] for name in "ab"}
    weighting = InverseDirichlet("a", every=10, returning=returning)
    dues = []
    for some in (two, two, losses, losses, two, losses):
        weighting.announced(some)
        dues.append(weighting.due)
        last = weighting(some, {name: grads[name] for name in some} if weighting.due else None)
        assert len(dues) != 3 or float(last["c"]) == pytest.approx(settled(InverseDirichlet("a"), losses, grads, 1)["c"])
    assert dues == [True, False, True, False, False, returning == "reset"]


@pytest.mark.parametrize("kind", [GradNorm, ResNorm, Homoscedastic, SoftAdapt, lambda **given: ReLoBRaLo(recall=1.0, **given)])
def test_what_was_learned_of_a_term_is_carried_or_forgotten(kind: Any) -> None:
    """A term that comes back after a reset counts as if it had never been there; the others go on."""
    losses, grads = drawn(1.0, 1e-2, 1e-3)
    two = {name: losses[name] for name in "ab"}
    ends = {}
    for returning in ("carry", "reset"):
        weighting = kind(returning=returning)
        for k in range(20):
            weighting({name: loss * (1 + k) for name, loss in losses.items()}, grads)
        weighting(two, {name: grads[name] for name in two})
        weighting({name: 7 * loss for name, loss in losses.items()}, grads)
        ends[returning] = weighting.state_dict()
    for part in ("z", "first", "adam"):
        if part not in ends["carry"]:
            continue
        carried, forgotten = (flattened(ends[way][part]["c"]) for way in ("carry", "reset"))
        assert not torch.equal(carried, forgotten)
        stayed = [flattened(ends[way][part]["a"]) for way in ("carry", "reset")]
        assert part != "first" or torch.equal(*stayed)  # what is learned of the others may depend on it


def flattened(value: Any) -> Tensor:
    return torch.stack([v.reshape(-1) for v in value]) if isinstance(value, list) else value


def test_a_gradient_of_zero_keeps_its_terms_weight() -> None:
    losses, grads = drawn(1.0, 1e-2)
    weighting = InverseDirichlet("a")
    before = settled(weighting, losses, grads)["b"]
    gone = {"a": grads["a"], "b": tuple(torch.zeros_like(g) for g in grads["b"])}
    assert float(weighting(losses, gone)["b"]) == before
    assert float(weighting(losses, grads)["b"]) == pytest.approx(before)


def test_only_selected_parameters_count_and_unused_ones_never_do() -> None:
    losses, grads = drawn(1.0, 1e-2)
    alone = settled(InverseDirichlet("a"), losses, {name: g[:1] for name, g in grads.items()})
    spoiled = {name: (g[0], None, 1e6 * g[1]) for name, g in grads.items()}  # a frozen one, a coefficient of the equation
    weighting = InverseDirichlet("a")
    for _ in range(60):
        weights = weighting(losses, spoiled, select=[0, 1])
    assert {name: float(w) for name, w in weights.items()} == alone


def test_seeds_are_weighted_one_by_one() -> None:
    losses, grads = drawn(1.0, 1e-2, seeds=3)
    grads["b"][0][1, 0, 0] = math.nan
    stacked = InverseDirichlet("a", average=1.0)(losses, grads)
    for s in (0, 2):
        single = InverseDirichlet("a", average=1.0)(
            {n: x[s] for n, x in losses.items()}, {n: tuple(g[s] for g in parts) for n, parts in grads.items()}
        )
        assert [float(w) for w in single.values()] == [float(w[s]) for w in stacked.values()]
    assert float(stacked["b"][1]) == 1.0  # the loop's guard freezes this one


def test_wrong_input_is_named() -> None:
    losses, grads = drawn(1.0, 1e-2)
    with pytest.raises(ValueError, match="the reference 'pde' is none of the terms"):
        InverseDirichlet("pde")(losses, grads)
    with pytest.raises(ValueError, match=r"looks at the gradients of .*, got none"):
        InverseDirichlet("a")(losses)
    with pytest.raises(ValueError, match="the loss 'b' has no gradient with respect to any parameter"):
        InverseDirichlet("a")(losses, {"a": grads["a"], "b": (None, None)})
    with pytest.raises(FloatingPointError, match="the loss 'b' is nan"):
        InverseDirichlet("a")({"a": losses["a"], "b": losses["b"] * math.nan}, grads)
    with pytest.raises(FloatingPointError, match="the gradient of 'b' is not finite"):
        InverseDirichlet("a")(losses, {"a": grads["a"], "b": tuple(g / 0 for g in grads["b"])})
    with pytest.raises(ValueError, match="expected one named loss"):
        InverseDirichlet("a")({})
    with pytest.raises(ValueError, match="0 < average <= 1"):
        InverseDirichlet("a", average=0.0)
    with pytest.raises(ValueError, match="no weight for the loss 'b'"):
        Fixed({"a": 1.0})(losses)
    with pytest.raises(ValueError, match="integral of 'a' must be positive"):
        EpsilonOptimal({"a": 0.0})
    with pytest.raises(ValueError, match="expected a state of"):
        InverseDirichlet("a").load_state_dict({"calls": 1})


MAKERS: dict[str, Any] = {
    "inverse-dirichlet": lambda: InverseDirichlet("a", every=2),
    "max-average": lambda: MaxAverage("a"),
    "gradient-norm": GradientNorm,
    "mgda": MGDA,
    "soft-adapt": SoftAdapt,
    "relobralo": lambda: ReLoBRaLo(recall=0.5),
    "gradnorm": GradNorm,
    "resnorm": ResNorm,
    "homoscedastic": Homoscedastic,
    "uniform": Uniform,
    "fixed": lambda: Fixed({"a": 1.0, "b": 3.0}),
}


class Two(nn.Module):
    """A line a x + b whose value and slope are asked for, the slope's loss a thousand times as large."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.linspace(-1, 1, 12))

    def losses(self, step: int) -> dict[str, Tensor]:
        x = torch.linspace(0, 1, 12) + 0.01 * step
        return {"a": (self.w * x - 1).square().mean(), "b": 1e3 * (self.w - x).square().mean()}


def trained(make: Any, steps: int, folder: Any = None) -> Tensor:
    module = Two()
    fit(module, module.losses, lambda step, horizon: step, Training(steps=steps, lr=0.01, weighting=make(), log_every=5, checkpoint_every=5), folder)
    return module.w.detach().clone()


@pytest.mark.parametrize("name", MAKERS)
def test_a_run_that_stops_goes_on_bitwise(name: str, tmp_path: Any) -> None:
    whole = trained(MAKERS[name], 20)
    trained(MAKERS[name], 10, tmp_path / "run")
    resumed = trained(MAKERS[name], 20, tmp_path / "run")
    assert torch.equal(resumed, whole)


def test_the_update_is_that_of_the_weighted_sum() -> None:
    """Whether gradients are taken term by term, on the updates that look, or of the sum, between them."""
    given = Fixed({"a": 3e3, "b": 1.0})
    at_once, one_by_one = trained(lambda: given, 12), trained(lambda: Aggregated(lambda rows: rows.sum(0), given), 12)
    torch.testing.assert_close(at_once, one_by_one, rtol=1e-5, atol=1e-6)
    assert (at_once - trained(Uniform, 12)).abs().max() > 1e-2


def test_an_aggregator_comes_first_and_seeds_that_diverged_do_not_reach_it() -> None:
    seen = []
    given = Aggregated(lambda rows: seen.append(rows) or rows.sum(0), NeuralTangentKernel())
    assert given.looks_at == "probes" and given.due
    rows = torch.ones(2, 2, 3)
    rows[1, 0, 0] = math.nan
    found = given.combine(rows)
    assert len(seen) == 1 and torch.equal(found[0], torch.full((3,), 2.0)) and bool(found[1, 0].isnan())
    for wrong in (InverseDirichlet("a"), 3):
        with pytest.raises(TypeError, match="an aggregator first"):
            Aggregated(wrong, "ConFIG")


def test_a_term_that_stays_alone_is_logged_without_those_that_left() -> None:
    module = Two()
    plan = Training(steps=9, lr=1e-2, weighting=InverseDirichlet("a"))
    loop = Loop(module, lambda step: module.losses(step) if step < 3 else {"a": module.losses(step)["a"]}, lambda step, horizon: step, plan)
    for _ in range(3):
        loop.update()
    assert set(loop.balance.terms) == {"a", "b"}
    loop.update()
    assert set(loop.balance.terms) == {"a"}


def test_losses_and_weights_are_written_with_the_run(tmp_path: Any) -> None:
    trained(lambda: InverseDirichlet("a"), 10, tmp_path / "run")
    last = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1])
    assert set(last["terms"]) == {"a", "b"} and last["terms"]["a"]["weight"] == 1.0 and last["terms"]["b"]["weight"] < 0.1
    assert last["loss"][0] == pytest.approx(sum(t["loss"] * t["weight"] for t in last["terms"].values()), rel=1e-5)


@functorch_config.patch(donated_buffer=False)
def test_weights_change_where_the_losses_are_compiled() -> None:
    module = Two()
    compiled = torch.compile(module.losses, backend="aot_eager")
    weighting, seen = InverseDirichlet("a", average=1.0), []
    for step in range(3):
        losses = compiled(step)
        grads = gradients(losses, [module.w])
        weights = weighting(losses, grads)
        with torch.no_grad():
            module.w -= 1e-4 * sum(weights[n] * g[0] for n, g in grads.items())
        seen.append(float(weights["b"]))
    assert len(set(seen)) == 3 and module.w.grad is None


def test_conflicting_gradients_are_resolved_by_an_aggregator() -> None:
    pytest.importorskip("torchjd")
    _, grads = drawn(1.0, 30.0, -1.0)
    rows = torch.stack([flat(g) for g in grads.values()]).unsqueeze(0)
    for name in ("ConFIG", "PCGrad", "MGDA", "AlignedMTL"):
        update = Aggregated(name).combine(rows)
        assert update.shape == (1, P) and bool(((rows[0] @ update[0]) > 0).all() if name == "ConFIG" else update.isfinite().all())
    with pytest.raises(ValueError, match=r"expected one of .*ConFIG"):
        Aggregated("NoSuchThing")
