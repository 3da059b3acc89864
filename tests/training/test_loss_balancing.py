"""Trainings whose losses are weighted: they go on bitwise, log what they did, and their update is that of the weighted sum."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from cases.weighting_cases import TwoLosses
from torch import Tensor
from torch._functorch import config as functorch_config

from eddygrad.training.gradients import gradients
from eddygrad.training.loop import Loop, train
from eddygrad.training.training_config import TrainingConfig
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


def trained(make: Any, steps: int, folder: Any = None) -> Tensor:
    module = TwoLosses()
    train(
        module,
        module.losses,
        lambda step, horizon: step,
        TrainingConfig(steps=steps, lr=0.01, weighting=make(), log_every=5, checkpoint_every=5),
        folder,
    )
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


def test_a_term_that_stays_alone_is_logged_without_those_that_left() -> None:
    module = TwoLosses()
    plan = TrainingConfig(steps=9, lr=1e-2, weighting=InverseDirichlet("a"))
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
            module = TwoLosses()
            losses = lambda step: module.losses(step) if step < 3 else {"a": module.losses(step)["a"]}  # noqa: B023, E731
            plan = TrainingConfig(steps=stop, lr=1e-2, weighting=InverseDirichlet("a"), log_every=1, checkpoint_every=3)
            train(module, losses, lambda step, horizon: step, plan, folder)
        logs.append([json.loads(line).get("terms") for line in (folder / "metrics.jsonl").read_text().splitlines()])
    assert logs[0] == logs[1] and set(logs[0][-1]) == {"a"}


def test_losses_and_weights_are_written_with_the_run(tmp_path: Any) -> None:
    trained(lambda: InverseDirichlet("a"), 10, tmp_path / "run")
    last = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1])
    assert set(last["terms"]) == {"a", "b"} and last["terms"]["a"]["weight"] == 1.0 and last["terms"]["b"]["weight"] < 0.1
    assert last["loss"][0] == pytest.approx(sum(t["loss"] * t["weight"] for t in last["terms"].values()), rel=1e-5)


@functorch_config.patch(donated_buffer=False)
def test_weights_change_where_the_losses_are_compiled() -> None:
    module = TwoLosses()
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
