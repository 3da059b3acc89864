"""Averages and looks, and what a term that appears, leaves, vanishes or is not finite does to weights."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from cases.weighting_cases import drawn, flat, settled
from torch import Tensor

from eddygrad.training.weighting import (
    MGDA,
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
)


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
    weighting = InverseDirichlet("a", average=1.0, every=3, warmup=2)
    due = []
    for _ in range(9):
        due.append(weighting.needs_gradients)
        weights = weighting(losses, grads if weighting.needs_gradients else None)
    assert due == [False, False, True, False, False, True, False, False, True]
    assert float(weights["b"]) == pytest.approx(settled(InverseDirichlet("a", average=1.0), losses, grads, 1)["b"])
    weighting.frozen = True  # as L-BFGS wants them, whatever it asks
    assert not weighting.needs_gradients and {n: float(w) for n, w in weighting(losses).items()} == {n: float(w) for n, w in weights.items()}


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
        weighting.announce(some)
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


@pytest.mark.parametrize("seeds", [None, 2])
def test_a_weight_may_be_held_to_a_share_of_its_first(seeds: int | None) -> None:
    """The equation's gradient falls by decades, as where the field goes flat; its unit does not matter; a state goes on; what rises is free."""
    for unit in (1.0, 1e-6):
        first: dict[str, Tensor] = {}
        weighting, free = (InverseDirichlet("a", average=1.0, hold=hold) for hold in (0.5, 0.0))
        for i in range(4):
            losses, grads = drawn(unit * 10.0 ** (-2 * i), 1e-2, 10.0 ** (-4 * i), seeds=seeds)
            if i == 2:
                state, weighting = weighting.state_dict(), InverseDirichlet("a", average=1.0, hold=0.5)
                weighting.load_state_dict(state)
            held, loose = weighting(losses, grads), free(losses, grads)
            first = first or held
            torch.testing.assert_close(held["c"], loose["c"])
        torch.testing.assert_close(held["b"], 0.5 * first["b"])
        torch.testing.assert_close(loose["b"], 1e-6 * first["b"], rtol=1e-9, atol=0.0)
    with pytest.raises(ValueError, match="hold from 0 to 1"):
        InverseDirichlet("a", hold=2.0)


def test_what_is_held_to_belongs_to_a_reference() -> None:
    """When the equation joins and is the reference, ratios to the data are no floor; nor does a reference without a gradient pull weights down."""
    kept, free = (InverseDirichlet(("a", "b"), average=1.0, hold=hold) for hold in (1.0, 0.0))
    losses, grads = drawn(1e-4, 1.0, 1.0)
    for names in ("bc", "abc"):
        some, own = {n: losses[n] for n in names}, {n: grads[n] for n in names}
        held, loose = kept(some, own), free(some, own)
    assert {n: float(w) for n, w in held.items()} == pytest.approx({n: float(w) for n, w in loose.items()}) and float(held["b"]) < 1e-3
    gone = {**grads, "a": tuple(torch.zeros_like(g) for g in grads["a"])}
    assert float(kept(losses, gone)["b"]) == pytest.approx(float(held["b"]))


def test_the_mean_is_that_of_the_terms_that_are_there() -> None:
    losses, grads = drawn(1.0, 1e-2, 0.0)
    two = {name: losses[name] for name in "ab"}
    alone = InverseDirichlet("mean", average=1.0)(two, {name: grads[name] for name in "ab"})
    beside = InverseDirichlet("mean", average=1.0)(losses, grads)
    assert [float(beside[name]) for name in "ab"] == pytest.approx([float(alone[name]) for name in "ab"])


IDLE = [
    lambda: InverseDirichlet("a"),
    lambda: InverseDirichlet("largest"),
    lambda: MaxAverage("a"),
    GradientNorm,
    NeuralTangentKernel,
    MGDA,
    lambda: MGDA(floor=1e-3),
    lambda: MGDA(total=None),
    GradNorm,
    ResNorm,
    *(lambda form=form: SoftAdapt(beta=50.0, form=form) for form in ("plain", "normalised", "loss-weighted")),
    lambda: ReLoBRaLo(memory=0.9, recall=0.5),
    Homoscedastic,
]


@pytest.mark.parametrize("make", IDLE)
@pytest.mark.parametrize("seeds", [None, 2])
def test_a_constraint_that_is_fulfilled_lets_the_others_be_balanced(make: Any, seeds: int | None) -> None:
    """c has neither loss nor gradient for thirty looks, as a fulfilled inequality has: the others go as without it, then it joins."""
    found: list[dict[str, Tensor]] = []
    for named in ("ab", "abc"):
        weighting = make()
        for i in range(32):  # ReLoBRaLo compares with the look before
            losses, grads = drawn(1.0, 1e-2, 0.0 if i < 30 else 0.1, seed=i, seeds=seeds)
            some = {name: losses[name] * (0.9**i if name == "a" else 1.0) for name in named}
            own = {name: grads[name] for name in named}
            given = {"probes": own} if weighting.needs == "probes" else {"grads": own}
            weights = weighting(some, **given)
            if i == 29:
                found.append(weights)
    alone, beside = found
    assert bool((beside["c"] == 1).all())
    for name in "ab":
        torch.testing.assert_close(beside[name], alone[name], rtol=0.02 if isinstance(weighting, GradNorm) else 1e-9, atol=0.0)  # Adam's 1e-8 counts
    assert bool((beside["b"] / beside["a"] - 1).abs().gt(1e-3).all()), "weights have moved"
    assert all(bool((weight.isfinite() & (weight > 0)).all()) for weight in weights.values()) and bool((weights["c"] != 1).all())


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
    with pytest.raises(ValueError, match=r"needs the gradients of .*, got none"):
        InverseDirichlet("a")(losses)
    with pytest.raises(ValueError, match="the loss 'b' depends on no parameter that counts"):
        InverseDirichlet("a")(losses, {"a": grads["a"], "b": (None, None)})
    with pytest.raises(FloatingPointError, match="the loss 'b' is nan"):
        InverseDirichlet("a")({"a": losses["a"], "b": losses["b"] * math.nan}, grads)
    with pytest.raises(FloatingPointError, match="the gradient of 'b' is not finite"):
        InverseDirichlet("a")(losses, {"a": grads["a"], "b": tuple(g / 0 for g in grads["b"])})
    with pytest.raises(ValueError, match="expected at least one named loss"):
        InverseDirichlet("a")({})
    with pytest.raises(ValueError, match="0 < average <= 1"):
        InverseDirichlet("a", average=0.0)
    with pytest.raises(ValueError, match="no weight for the loss 'b'"):
        Fixed({"a": 1.0})(losses)
    with pytest.raises(ValueError, match="integral of 'a' must be positive"):
        EpsilonOptimal({"a": 0.0})
    with pytest.raises(ValueError, match="expected its own state"):
        InverseDirichlet("a").load_state_dict({"calls": 1})


def test_a_new_term_is_looked_at_at_once_in_a_loop_of_ones_own() -> None:
    """Given with its gradient, whether the call was due or not; what is remembered of the others stays."""
    losses, grads = drawn(1.0, 30.0, 4.0)
    names = list(losses)
    own = InverseDirichlet(names[0], every=10)
    for step in range(4):
        chosen = names[:2] if step < 3 else names
        weights = own({n: losses[n] for n in chosen}, {n: grads[n] for n in chosen})
    spread = [float(flat(grads[n]).double().std()) for n in names]
    assert float(weights[names[2]]) == pytest.approx(0.5 + 0.5 * spread[0] / spread[2])
