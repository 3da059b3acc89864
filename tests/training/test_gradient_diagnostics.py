"""The diagnosis of terms against numpy, and where it is written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from cases.oscillator import grid, known, oscillator

from eddygrad.correctors.seeded_network import seed_options
from eddygrad.pinn.collocation import Collocation, Term
from eddygrad.pinn.network.coordinate_network import CoordinateNetwork
from eddygrad.pinn.partials import Names
from eddygrad.pinn.point_weights import Causal, PointWeights, ResidualAttention, SelfAdaptive
from eddygrad.pinn.points import PointBatches, Points
from eddygrad.training.freezing import frozen
from eddygrad.training.gradient_diagnostics import diagnose
from eddygrad.training.gradients import gradients
from eddygrad.training.loop import Loop, train
from eddygrad.training.training_config import TrainingConfig
from eddygrad.training.weighting import InverseDirichlet, NeuralTangentKernel, Uniform


def test_spreads_angles_and_histograms_are_those_of_numpy() -> None:
    problem = oscillator(seeds=(0, 1))
    params = list(problem.parameters())
    apart = {id(p) for p in problem.excluded()}
    counted = [i for i, p in enumerate(params) if id(p) not in apart]
    grads = gradients(problem.losses(PointBatches(known())(0)), params)
    found = diagnose(grads, counted, 2)
    for s in range(2):
        flat = {
            name: np.concatenate([np.zeros(params[i][s].numel()) if (g := parts[i]) is None else g[s].numpy().ravel() for i in counted])
            for name, parts in grads.items()
        }
        assert found["stds"]["pde"][s] == pytest.approx(flat["pde"].std(ddof=1))
        cosine = flat["data"] @ flat["pde"] / np.linalg.norm(flat["data"]) / np.linalg.norm(flat["pde"])
        assert found["cosines"]["data pde"][s] == pytest.approx(cosine)
    first = grads["pde"][counted[0]]
    assert first is not None
    values = first.numpy().ravel()
    counts, _ = np.histogram(values / values.std(ddof=1), 41, (-5, 5))
    assert found["layers"]["pde"][str(counted[0])]["counts"] == counts.tolist()


@pytest.mark.parametrize("weighting", [Uniform, lambda: InverseDirichlet("data", every=4)])
def test_a_diagnosis_is_written_and_changes_nothing(weighting: object, tmp_path: Path) -> None:
    ends = []
    for name, every in (("with", 3), ("without", None)):
        problem = oscillator(seeds=(0, 1))
        plan = TrainingConfig(steps=7, lr=1e-2, weighting=weighting(), diagnose_every=every, log_every=7)  # type: ignore[operator]
        train(problem, problem.losses, PointBatches(known()), plan, tmp_path / name)
        ends.append(torch.cat([p.detach().flatten() for p in problem.parameters()]))
    torch.testing.assert_close(*ends, rtol=1e-12, atol=1e-14)  # sums of terms in another order
    lines = [json.loads(line) for line in (tmp_path / "with" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "stds" in line] == [3, 6] and set(lines[0]["cosines"]) == {"data pde"}
    assert all("stds" not in json.loads(line) for line in (tmp_path / "without" / "metrics.jsonl").read_text().splitlines())


def test_a_seed_that_is_lost_takes_no_others_histogram() -> None:
    kept = torch.linspace(-1, 2, 50, dtype=torch.float64)
    lost = torch.full((50,), torch.nan, dtype=torch.float64)
    alone, both, none = (diagnose({"a": (torch.stack(rows),)}, [0], len(rows))["layers"]["a"]["0"] for rows in ([kept], [kept, lost], [lost]))
    assert both == alone and both["size"] == 50 and sum(both["counts"]) == 50
    assert none == {"std": 0.0, "size": 0, "counts": []}


def test_probes_estimate_the_trace_of_the_tangent_kernel() -> None:
    """E |J^T v|^2 / N = tr(J J^T) / N, over 400 draws of signs."""
    problem, batch = oscillator(), PointBatches(known(7))
    params = [p for p in problem.network.parameters()]
    (residual, _) = problem.residuals(batch(0))["pde"]
    rows = [torch.autograd.grad(r, params, retain_graph=True, allow_unused=True) for r in residual]
    trace = sum(float(g.square().sum()) for row in rows for g in row if g is not None) / len(rows)
    draws = []
    for step in range(400):
        grads = torch.autograd.grad(problem.probes(batch(step))["pde"], params, allow_unused=True)
        draws.append(sum(float(g.square().sum()) for g in grads if g is not None))
    assert np.mean(draws) == pytest.approx(trace, rel=4 * np.std(draws) / 20 / trace)  # four standard errors
    assert np.std(draws) > 0


@pytest.mark.parametrize(
    "rule", [Causal(0, (0.0, 3.0), chunks=3), ResidualAttention(rate=0.5), SelfAdaptive(rate=0.5)], ids=lambda rule: type(rule).__name__
)
def test_probes_know_the_weights_of_points(rule: PointWeights) -> None:
    """L = mean w r^2 has the trace sum w_i |grad r_i|^2 / N, with the weights that the loss had; a probe moves none of them."""
    problem, batch = oscillator(seeds=(0, 1), pointwise=rule), PointBatches(known(7))
    params = list(problem.network.parameters())
    losses = problem.losses(batch(0))
    (residual, points) = problem.residuals(batch(0))["pde"]
    with frozen(rule):
        weights = rule.weights(residual.detach().square(), points.x, points.numbers)
    torch.testing.assert_close((weights * residual.square()).mean(-1), losses["pde"])
    assert weights.std() > 0.02
    trace = torch.zeros(2, dtype=torch.float64)
    for r, w in zip(residual.T, weights.T):
        rows = torch.autograd.grad(r.sum(), params, retain_graph=True, allow_unused=True)
        trace += w * sum(g.square().flatten(1).sum(1) for g in rows if g is not None) / len(residual.T)
    before = rule.state_dict()
    draws = []
    for step in range(400):
        grads = torch.autograd.grad(problem.probes(batch(step))["pde"].sum(), params, allow_unused=True)
        draws.append(sum(g.square().flatten(1).sum(1) for g in grads if g is not None))
    found = torch.stack(draws)
    assert ((found.mean(0) - trace).abs() < 4 * found.std(0) / 20).all()
    assert all(torch.equal(before[name], value) for name, value in rule.state_dict().items()) and not rule.frozen


def test_probes_go_over_all_sides_of_a_sum_of_means() -> None:
    """The loss is a sum of means over sides of 2 and 5 points, its trace the sum of their mean traces."""
    problem = oscillator()
    x = grid(7, 3.0)
    batch = {"all": Points(x, {"u": torch.sin(2 * x[:, 0])}, parts=(2, 5))}
    params = list(problem.network.parameters())
    (residual, _) = problem.residuals((0, batch))["data"]
    squares = [sum(float(g.square().sum()) for g in torch.autograd.grad(r, params, retain_graph=True)) for r in residual]
    trace = np.mean(squares[:2]) + np.mean(squares[2:])
    draws = []
    for step in range(400):
        grads = torch.autograd.grad(problem.probes((step, batch))["data"], params)
        draws.append(sum(float(g.square().sum()) for g in grads))
    assert np.mean(draws) == pytest.approx(trace, rel=4 * np.std(draws) / 20 / trace)
    assert 4 * np.std(draws) / 20 < 0.25 * trace < abs(trace - np.mean(squares))


def test_probes_of_a_seed_in_a_stack_are_those_of_the_seed_alone() -> None:
    """With components, whose signs are their own, and without."""
    network = lambda seeds: CoordinateNetwork(1, 7, 1, 2, "sine", **seed_options(seeds)).double()  # noqa: E731
    names, at = Names(("x",), ("u", "v")), {"all": Points(grid(9, 3.0))}
    terms = {"both": Term("all", lambda d, p: torch.stack([d.u, d.v_x]), ("u", "v_x")), "one": Term("all", lambda d, p: d.u_x, ("u_x",))}
    stacked = Collocation(network((3, 8)), names, terms).probes((5, at))
    for place, seed in enumerate((3, 8)):
        alone = Collocation(network(seed), names, terms).probes((5, at))
        for name, value in alone.items():
            torch.testing.assert_close(value, stacked[name][place])
    assert not torch.allclose(*stacked["both"])


def test_the_loop_gives_the_tangent_kernel_its_probes() -> None:
    """At the first look the mean over eight draws of signs."""
    problem = oscillator(seeds=(0, 1))
    weighting = NeuralTangentKernel(average=1.0, every=2)
    batches = PointBatches(known())
    apart, traces = {id(p) for p in problem.excluded()}, {"data": torch.zeros(2).double(), "pde": torch.zeros(2).double()}
    for draw in range(8):
        for name, parts in gradients(problem.probes(batches(0), draw), list(problem.parameters())).items():
            traces[name] += sum(g.square().flatten(1).sum(1) / 8 for g, p in zip(parts, problem.parameters()) if g is not None and id(p) not in apart)
    done = []
    plan = TrainingConfig(steps=1, lr=1e-3, weighting=weighting, validate=lambda m: done.append(1) or torch.zeros(2), validate_every=1)
    result = train(problem, problem.losses, batches, plan)
    expected = (traces["data"] + traces["pde"]) / traces["pde"]
    assert result.curve[0]["terms"]["pde"]["weight"] == pytest.approx(expected.tolist())


def test_the_first_look_at_a_tangent_kernel_is_no_accident() -> None:
    """Of four times the same point a draw of signs is none at all 3 times of 8, and the weight was 1e17; later looks are single draws."""
    x = torch.full((4, 1), 0.7, dtype=torch.float64)
    problem, batches = oscillator(), PointBatches({"all": Points(x, {"u": torch.zeros(4).double()})})
    network = [p for p in problem.parameters() if p is not problem.unknown["k"]]
    (one,) = gradients({"u": problem.network(x)[0, 0]}, network).values()
    exact = sum(float(g.square().sum()) for g in one if g is not None)
    for step in range(30):
        loop = Loop(problem, problem.losses, batches, TrainingConfig(100, lr=1e-9, weighting=NeuralTangentKernel(average=1.0)))
        loop.step = step
        loop.update()
        assert 0.2 < float(loop.weighting.state_dict()["traces"]["data"]) / exact < 3 and loop.weighting.draws == 8
        loop.update()
        assert loop.weighting.draws == 1


def test_a_weighting_that_wants_probes_of_an_objective_without_them_is_told() -> None:
    linear = torch.nn.Linear(2, 1)
    with pytest.raises(ValueError, match="needs residuals, which this objective does not give"):
        train(
            linear,
            lambda w: {"a": linear(w).square().mean()},
            lambda s, h: torch.ones(3, 2),
            TrainingConfig(steps=2, weighting=NeuralTangentKernel()),
        )  # type: ignore[arg-type]
