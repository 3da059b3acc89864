"""Trainings whose losses are weighted: they go on bitwise, log what they did, and their update is that of the weighted sum."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import torch
from cases.oscillator import known, oscillator
from cases.weighting_cases import P, drawn, flat
from torch import Tensor, nn
from torch._functorch import config as functorch_config

from eddygrad.pinn.collocation import PointBatches
from eddygrad.training.gradients import gradients
from eddygrad.training.loop import Loop, fit
from eddygrad.training.training_config import Training
from eddygrad.training.weighting import (
    MGDA,
    Aggregated,
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
)
from eddygrad.training.weighting.registry import weighting

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
    "aggregated": lambda: Aggregated(lambda rows: rows.sum(0), InverseDirichlet("a", every=2)),
    "ntk": lambda: NeuralTangentKernel(every=2),
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

    def probes(self, step: int, draw: int = 0) -> dict[str, Tensor]:
        x, signs = torch.linspace(0, 1, 12) + 0.01 * step, 1 - 2 * ((torch.arange(12) * (step + draw + 3) // 2) % 2)
        return {"a": (signs * (self.w * x - 1)).sum() / 12**0.5, "b": 1e3**0.5 * (signs * (self.w - x)).sum() / 12**0.5}


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
    assert given.looks_at == "probes" and given.due and not given.frozen
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
    loop = Loop(problem, problem.losses, PointBatches(known()), Training(1, lr=1e-3, weighting=Aggregated(first)))
    losses = problem.losses(loop.batch_at(0, 1))
    _, grad = loop.balance(losses, loop.batch_at(0, 1))
    count = sum(p.numel() for p in problem.parameters())
    place = loop.stack.columns([i for i, p in enumerate(loop.stack.params) if p is problem.unknown["k"]])
    assert seen[0].shape == (2, count - 1) and int(place.sum()) == 1
    again = problem.losses(loop.batch_at(0, 1))
    by_k = sum(torch.autograd.grad(loss, problem.unknown["k"], retain_graph=True, allow_unused=True)[0] or 0.0 for loss in again.values())
    torch.testing.assert_close(grad[0, place], torch.as_tensor(by_k).reshape(1))
    torch.testing.assert_close(grad[0, ~place], seen[0][0])


def test_a_term_that_stays_alone_is_logged_without_those_that_left() -> None:
    module = Two()
    plan = Training(steps=9, lr=1e-2, weighting=InverseDirichlet("a"))
    loop = Loop(module, lambda step: module.losses(step) if step < 3 else {"a": module.losses(step)["a"]}, lambda step, horizon: step, plan)
    for _ in range(3):
        loop.update()
    assert set(loop.balance.terms) == {"a", "b"}
    loop.update()
    assert set(loop.balance.terms) == {"a"}


def test_a_term_that_stays_alone_is_logged_after_a_stop_too(tmp_path: Any) -> None:
    logs = []
    for stops in ((9,), (6, 9)):
        folder = tmp_path / str(len(stops))
        for stop in stops:
            module = Two()
            losses = lambda step: module.losses(step) if step < 3 else {"a": module.losses(step)["a"]}  # noqa: B023, E731
            plan = Training(steps=stop, lr=1e-2, weighting=InverseDirichlet("a"), log_every=1, checkpoint_every=3)
            fit(module, losses, lambda step, horizon: step, plan, folder)
        logs.append([json.loads(line).get("terms") for line in (folder / "metrics.jsonl").read_text().splitlines()])
    assert logs[0] == logs[1] and set(logs[0][-1]) == {"a"}


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
    _, grads = drawn(1.0, 30.0, -1.0)
    rows = torch.stack([flat(g) for g in grads.values()]).unsqueeze(0)
    for name in ("ConFIG", "PCGrad", "UPGrad", "mgda", "AlignedMTL"):
        update = Aggregated(name).combine(rows)
        assert update.shape == (1, P) and bool(((rows[0] @ update[0]) > 0).all() if name in ("ConFIG", "UPGrad") else update.isfinite().all())
    assert bool((rows[0] @ rows[0].sum(0) < 0).any())  # their sum would make one of them worse
    for name, said in (("NoSuchThing", "expected one of .*ConFIG"), ("Krum", "Krum cannot be made by its name alone .*n_byzantine")):
        with pytest.raises(ValueError, match=said):
            Aggregated(name)


class Three(Two):
    """With a third loss, of which the order in which PCGrad takes them matters; S seeds of them."""

    def __init__(self, seeds: tuple[int, ...]) -> None:
        super().__init__()
        self.seeds = seeds
        start = torch.stack([torch.linspace(-1, 1, 12) + 0.1 * seed for seed in seeds])
        self.w = nn.Parameter(start)

    def losses(self, step: int) -> dict[str, Tensor]:
        x = torch.linspace(0, 1, 12)
        residuals = {"a": self.w * x - 1, "b": self.w - x - 0.3, "c": self.w.flip(1) + 0.5 * self.w * x}
        return {name: r.square().mean(1) for name, r in residuals.items()}


def solved(seeds: tuple[int, ...], steps: int, folder: Any = None, aggregator: Any = "PCGrad") -> Tensor:
    module = Three(seeds)
    plan = Training(steps=steps, lr=0.01, weighting=Aggregated(aggregator), checkpoint_every=5)
    fit(module, module.losses, lambda step, horizon: step, plan, folder)
    return module.w.detach().clone()


def test_an_aggregator_that_draws_goes_on_bitwise_and_knows_no_other_seed(tmp_path: Any) -> None:
    torch.manual_seed(0)
    whole = solved((3, 8), 20)
    before = torch.get_rng_state()
    solved((3, 8), 10, tmp_path)
    torch.manual_seed(1)
    assert torch.equal(solved((3, 8), 20, tmp_path), whole)
    assert all(torch.equal(solved((seed,), 20)[0], whole[place]) for place, seed in enumerate((3, 8)))
    torch.manual_seed(0)
    assert torch.equal(torch.get_rng_state(), before)  # nobody else's draws are taken
    assert not torch.equal(solved((3, 8), 20, aggregator="Mean"), whole)


def test_the_name_of_an_aggregated_weighting_has_no_address() -> None:
    for aggregator in ("GradDrop", lambda rows: rows.sum(0), nn.Linear(2, 2)):
        assert " at 0x" not in repr(Aggregated(aggregator))
    one, two = (Aggregated(f) for f in (lambda rows: rows.sum(0), lambda rows: rows.mean(0)))
    assert repr(one) != repr(two)


def test_an_aggregator_may_follow_any_weighting_by_name() -> None:
    made = weighting("inverse-dirichlet", {"aggregate": "config", "average": 0.1}, reference="a")
    assert isinstance(made, Aggregated) and repr(made).startswith("Aggregated(ConFIG(") and made.weighting.options["average"] == 0.1


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


def test_what_wants_probes_takes_no_gradients_of_losses_for_them() -> None:
    losses, grads = drawn(1.0, 30.0)
    own = NeuralTangentKernel(every=2)
    with pytest.raises(ValueError, match=r"looks at probed residuals, .*probes=gradients"):
        own(losses, grads)
    weights = own(losses, probes=grads)
    squares = {name: float(flat(g).double().square().sum()) for name, g in grads.items()}
    total = sum(squares.values())
    assert {n: float(w) for n, w in weights.items()} == pytest.approx({n: total / s for n, s in squares.items()})


def test_an_aggregator_that_is_left_out_is_told() -> None:
    losses, grads = drawn(1.0, 30.0)
    own = Aggregated("ConFIG")
    for _ in range(2):
        weights = own(losses, grads)
        own.combine(torch.stack([weights[n] * flat(g) for n, g in grads.items()]).unsqueeze(0))
    own(losses, grads)
    with pytest.raises(ValueError, match=r"the last update was made without it; .*combine"):
        own(losses, grads)
