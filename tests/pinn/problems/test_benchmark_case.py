"""Benchmark problems: the exact solution satisfies every term, every problem can be trained, wrong options are refused."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from eddygrad.pinn.partials import Partials
from eddygrad.pinn.problems import PROBLEMS, problem
from eddygrad.pinn.problems.flows import burgers_exact

Exact = Callable[[Tensor], dict[str, Tensor]]


def kovasznay(x: Tensor) -> dict[str, Tensor]:
    lam = 20 - math.sqrt(400 + 4 * math.pi**2)
    grown, y = torch.exp(lam * x[:, 0]), 2 * math.pi * x[:, 1]
    return {"u": 1 - grown * torch.cos(y), "v": lam / (2 * math.pi) * grown * torch.sin(y), "p": -(grown**2) / 2}


def taylor_green(x: Tensor) -> dict[str, Tensor]:
    fade = torch.exp(-0.2 * x[:, 2])
    s, c = torch.sin(x[:, :2]), torch.cos(x[:, :2])
    return {"u": s[:, 0] * c[:, 1] * fade, "v": -c[:, 0] * s[:, 1] * fade, "p": (torch.cos(2 * x[:, 0]) + torch.cos(2 * x[:, 1])) / 4 * fade**2}


def layer(x: Tensor) -> dict[str, Tensor]:
    e = math.exp(-1 / 0.05)
    return {"u": x[:, 0] - (torch.exp((x[:, 0] - 1) / 0.05) - e) / (1 - e)}


EXACT: dict[str, tuple[Exact, dict[str, float]]] = {
    "kovasznay": (kovasznay, {}),
    "taylor-green": (taylor_green, {}),
    "layer": (layer, {}),
    "two-sensors": (lambda x: {"u": torch.sin(2 * math.pi * x[:, 0])}, {"k": 1.0}),
    "burgers": (lambda x: {"u": burgers_exact(x, 0.01 / math.pi)}, {}),
    "poisson": (lambda x: {"u": torch.cos(6 * math.pi * x[:, 0]) * torch.sin(6 * math.pi * x[:, 1])}, {}),
}


NOISY = {"good": 0.01, "bad": 1.0}


def partials_of(fields: Exact, x: Tensor, names: object, needs: tuple[str, ...]) -> dict[str, Tensor]:
    points = x.double().clone().requires_grad_()
    values = fields(points)
    found = {}
    for need in needs:
        total = torch.zeros(len(x), dtype=torch.float64)
        for factor, output, index in names.terms(need):  # type: ignore[attr-defined]
            value = values[output]
            for axis, times in enumerate(index):
                for _ in range(times):
                    value = torch.autograd.grad(value.sum(), points, create_graph=True)[0][:, axis]
            total = total + factor * value.detach()
        found[need] = total
    return found


@pytest.mark.parametrize("name", EXACT)
def test_the_exact_solution_satisfies_every_term(name: str) -> None:
    fields, unknown = EXACT[name]
    case = problem(name, {}, (0,), torch.float64)
    assert set(problem(name, {}, (0,)).batches.sets) == set(case.batches.sets)
    p = {n: torch.tensor(v) for n, v in unknown.items()}
    for term_name, term in case.problem.terms.items():
        points = case.batches.sets[term.at]
        x = points.x.reshape(-1, points.x.shape[-1])
        if name == "burgers" and term_name != "pde":
            x = x + torch.tensor([0.0, 1e-7])  # the integral has no value at t = 0
        x = x[: min(len(x), 200)]
        known = {f"known_{n}": v.reshape(-1)[: len(x)].double() for n, v in points.known.items()}
        axes = dict(zip(case.problem.names.inputs, x.double().unbind(1)))
        d = Partials({**axes, **partials_of(fields, x, case.problem.names, term.needs), **known})
        residual = term.residual(d, p).abs().max()
        size = 1.0 if term_name in NOISY else 1e-4 if name == "burgers" else 1e-8  # burgers: 128 points of quadrature at a front, and t = 1e-7
        assert float(residual) < (5 * NOISY[term_name] if term_name in NOISY else size), term_name


@pytest.mark.parametrize("name", sorted(PROBLEMS))
def test_every_problem_has_losses_and_errors_before_training(name: str) -> None:
    small = {
        "turbulence": {"snapshots": 2, "batch": 50},
        "turbulence-inverse": {"snapshots": 2, "batch": 50},
        "sobolev": {"points": 100, "batch": 50},
    }
    case = problem(name, small.get(name, {}), (0, 1))
    losses = case.problem.losses(case.batches(0))
    references = {case.reference} if isinstance(case.reference, str) else {*case.reference}
    assert references <= {*case.problem.terms} and references & {*losses}
    assert all(loss.shape == (2,) and bool((loss > 0).all()) for loss in losses.values())
    for value in case.errors(case.problem).values():
        assert value.shape == (2,) and value.dtype == torch.float64 and bool((value > 0.05).all())


@pytest.mark.parametrize(
    "name, options, message",
    [
        ("turbulence", {"region": "disc"}, "region is 'square' or 'annulus'"),
        ("layer", {"epsilon": 0.0}, "0 < epsilon <= 1"),
        ("two-sensors", {"noise": 0.0}, "noise above 0"),
        ("poisson", {"q": 3}, "poisson has no option 'q'; expected some of batch, depth"),
        ("laplace", {}, "expected one of poisson, sobolev"),
    ],
)
def test_wrong_names_and_options_are_refused(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        problem(name, options, (0,))
