"""Every problem's solution fulfils every term of it: equations, boundary values, data; and reference data lie where they say."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from eddygrad.pinn.partials import Partials
from eddygrad.pinn.problems import PROBLEMS, problem
from eddygrad.pinn.problems.flows import burgers_exact
from eddygrad.pinn.problems.sobolev import DERIVED, series
from eddygrad.pinn.problems.turbulence import window

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
def test_the_solution_fulfils_every_term(name: str) -> None:
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
def test_every_problem_trains_a_step_and_is_wrong_at_first(name: str) -> None:
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


def test_burgers_front_has_the_published_slope() -> None:
    """u_x(0, 1.6037 / pi) = -152.00516, Basdevant et al. 1986."""
    x = torch.tensor([[0.0, 1.6037 / math.pi]], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(burgers_exact(x, 0.01 / math.pi).sum(), x)
    assert float(slope[0, 0]) == pytest.approx(-152.00516, abs=2e-5)


def test_the_sobolev_functions_derivatives_are_its_own() -> None:
    x = (torch.rand(7, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 6).requires_grad_()
    f = series(x)
    ways = [f, f]
    for order, name in enumerate(DERIVED, 1):
        ways = [torch.autograd.grad(way.sum(), x, create_graph=True)[0][:, axis] for axis, way in enumerate(ways)]
        torch.testing.assert_close(series(x, order).detach(), (ways[0] + ways[1]).detach(), msg=name)
    case = problem("sobolev", {}, (0,), torch.float64)
    assert case.optimal is not None and sum(case.optimal.values()) == pytest.approx(1.0)
    sizes = [case.optimal[name] for name in case.problem.terms]
    assert sizes == sorted(sizes, reverse=True) and sizes[0] > 1e3 * sizes[-1]


def test_without_coefficients_the_derivatives_are_learned_as_they_are() -> None:
    """Its losses are those of the problem with unknown coefficients where these are one."""
    small = {"points": 60, "batch": 60, "width": 6, "depth": 2}
    plain, scaled = (problem("sobolev", {**small, "unknown": unknown}, (0, 1), torch.float64) for unknown in (False, True))
    assert not list(plain.problem.excluded()) and list(plain.errors(plain.problem)) == ["function"]
    for value in scaled.problem.unknown.values():
        torch.nn.init.ones_(value)
    losses = [case.problem.losses(case.batches(0)) for case in (plain, scaled)]
    assert list(losses[0]) == ["value", *DERIVED]
    for name, loss in losses[0].items():
        torch.testing.assert_close(loss, losses[1][name])


def test_turbulence_data_lie_at_their_nodes() -> None:
    """Central differences over the nodes' own places give the vorticity and the pressure's gradient; time goes by .01."""
    flow = window("square", 2, 3, 420)
    h = float(flow.x[0, 1, 0, 0] - flow.x[0, 0, 0, 0])
    assert h == pytest.approx(2 * math.pi / 128) and float(flow.x[1, 0, 0, 2] - flow.x[0, 0, 0, 2]) == pytest.approx(0.01)
    assert float(flow.x[0, 0, 0, 0]) == pytest.approx(math.pi / 2) and flow.x.shape == (3, 32, 32, 3)
    u, v, w, p, p_x, p_y = flow.fields[..., :6].unbind(-1)

    def slope(f: Tensor, axis: int) -> Tensor:
        wide = (f.roll(-2, axis) - f.roll(2, axis)) / (4 * h)
        return ((4 * (f.roll(-1, axis) - f.roll(1, axis)) / (2 * h) - wide) / 3)[:, 2:-2, 2:-2]

    inner = (slice(None), slice(2, -2), slice(2, -2))
    for found, exact in ((slope(v, 1) - slope(u, 2), w), (slope(p, 1), p_x), (slope(p, 2), p_y)):
        # Fourth order at the fastest growing mode: (k h)^4 / 30 = 1 %.
        assert float((found - exact[inner]).norm() / exact[inner].norm()) < 0.05


@pytest.mark.parametrize("region, inside, rim", [("square", 30 * 30, 4 * 31), ("annulus", 804, 134)])
def test_turbulence_has_the_points_of_its_region(region: str, inside: int, rim: int) -> None:
    case = problem("turbulence", {"region": region, "snapshots": 2, "batch": 50}, (0,))
    sets = case.batches.sets
    assert len(sets["interior"]) == 2 * inside and len(sets["boundary"]) == 2 * rim and len(sets["initial"]) == inside + rim


def test_the_published_turbulence_network_is_named_as_such() -> None:
    case = problem("turbulence", {"stride": 1, "snapshots": 2, "width": 100, "depth": 7, "batch": 4000}, (0,))
    assert case.problem.network.parameter_count() == 61_202 and len(case.batches.sets["interior"]) == 2 * 62 * 62 and not case.published


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
def test_wrong_problems_are_named(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        problem(name, options, (0,))
