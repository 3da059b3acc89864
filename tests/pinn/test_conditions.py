"""Conditions of a problem: known fluxes, relations and parts of the rim, each with its own loss."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from cases.laplace_problem import small_laplace
from cases.oscillator import grid
from torch import Tensor

import eddygrad as eg
from eddygrad.correctors.seeded_network import seed_options
from eddygrad.pinn import Condition, Points
from eddygrad.pinn.collocation import Collocation, Term
from eddygrad.pinn.domains import SpaceTime
from eddygrad.pinn.network.coordinate_network import CoordinateNetwork
from eddygrad.pinn.partials import Names

LINE = eg.pinn.Box(0, 1, axes=1)
SMALL: dict[str, Any] = {"width": 12, "depth": 2, "points": 60, "rim": 8}
ENDS = {end: LINE.side("x", end, 4) for end in ("lower", "upper")}  # type: ignore[arg-type]


def cosine(x: Tensor) -> Tensor:
    return torch.cos(math.pi * x[:, 0])


def poisson(**conditions: Any) -> eg.pinn.Problem:
    """u'' = -pi^2 cos(pi x), whose solution is determined by the conditions alone."""
    return eg.pinn.Problem(lambda d, p: {"pde": d.u_xx + math.pi**2 * torch.cos(math.pi * d.x)}, LINE, conditions=conditions, **SMALL)


@pytest.mark.parametrize(
    "conditions",
    [
        {"left": Points(ENDS["lower"], {"u": 1.0}), "flux": Points(ENDS["upper"], {"u_x": 0.0})},
        {"left": Points(ENDS["lower"], {"u": 1.0}), "robin": Condition(ENDS["upper"], lambda d, p: d.u_x + 2 * (d.u + 1))},
        {"left": Points(ENDS["lower"], {"u": torch.ones(4), "u_x": torch.zeros(4)})},
        {"flux": Condition(Points(ENDS["lower"], {"g": 0.0}), lambda d, p: d.u_x - d.known_g), "right": Points(ENDS["upper"], {"u": -1.0})},
    ],
)
def test_fluxes_and_relations_determine_the_solution(conditions: Any) -> None:
    problem = poisson(**conditions)
    solution = eg.fit(problem, weighting="uniform", steps=800, lr=1e-2, seeds=2, progress=False)
    assert list(solution.objective.terms) == ["pde", *conditions] and bool((solution.error(cosine) < 0.03).all())


def test_a_coefficient_of_a_relation_only() -> None:
    """u = 1 - x has u' = -1 and u = 1 at the left: u' + h u = 1 there has h = 2."""
    fin = {"robin": Condition(ENDS["lower"], lambda d, p: d.u_x + p.h * d.u - 1)}
    problem = eg.pinn.Problem(lambda d, p: {"pde": d.u_xx}, LINE, boundary=lambda x: 1 - x[:, 0], conditions=fin, unknown={"h": 0.5}, **SMALL)
    found = eg.fit(problem, weighting="uniform", steps=600, lr=1e-2, progress=False).coefficients["h"]
    assert float(found) == pytest.approx(2.0, abs=0.05)


def test_a_relation_reads_coefficients_as_residuals_do() -> None:
    for relation in (lambda d, p: d.u_x + torch.exp(p.h) * d.u, lambda d, p: d.u_x + {**p}["h"] * d.u, lambda d, p: d.u_x + p["h"].exp()):
        fin = {"robin": Condition(ENDS["lower"], relation)}
        problem = eg.pinn.Problem(lambda d, p: {"pde": d.u_xx}, LINE, conditions=fin, unknown={"h": 0.5}, **SMALL)
        eg.fit(problem, steps=2, seeds=2, progress=False)
    with pytest.raises(ValueError, match=r"torch\.sin"):
        poisson(robin=Condition(ENDS["lower"], lambda d, p: d.u * math.sin(d.x)))
    with pytest.raises(ValueError, match="no coefficient 'h'"):
        poisson(robin=Condition(ENDS["lower"], lambda d, p: d.u * p.h))
    sides = Points(torch.cat(list(ENDS.values())), {"u": 0.0}, parts=(4, 4))
    assert poisson(ends=sides).sets(torch.float32)["ends"].parts == (4, 4)


def test_a_wave_with_an_initial_velocity() -> None:
    """u = sin(pi x) sin(pi t): u = 0 at t = 0, and only u_t distinguishes it from the zero solution."""
    domain = LINE.over(0.0, 1.0)
    assert isinstance(domain, SpaceTime)
    x = domain.start(40)
    problem = eg.pinn.Problem(
        lambda d, p: {"pde": d.u_tt - d.u_xx}, domain, boundary=0.0, initial=0.0,
        conditions={"velocity": Points(x, {"u_t": math.pi * torch.sin(math.pi * x[:, 0])})}, **{**SMALL, "points": 200, "rim": 60},
    )  # fmt: skip
    solution = eg.fit(problem, weighting="uniform", steps=1000, lr=1e-2, progress=False)
    assert float(solution.error(lambda x: torch.sin(math.pi * x[:, 0]) * torch.sin(math.pi * x[:, 1]))) < 0.1


def test_sides_by_name() -> None:
    box = eg.pinn.Box((0.0, -1.0), (2.0, 1.0))
    top = box.side("y", "upper", 50)
    assert bool((top[:, 1] == 1).all()) and 0 < float(top[:, 0].min()) < 0.2 and 1.8 < float(top[:, 0].max()) < 2
    left = box.over(0.0, 3.0).side(0, "lower", 50)
    assert left.shape == (50, 3) and bool((left[:, 0] == 0).all()) and float(left[:, 2].max()) > 2.9
    for wrong, message in (
        (lambda: box.side("z", "upper", 5), "an axis of xy"),
        (lambda: box.side("x", "top", 5), "'lower' or 'upper' end"),  # type: ignore[arg-type]
        (lambda: eg.pinn.Annulus((0, 0), 1, 2).over(0, 1).side("x", "upper", 5), "side\\(\\) needs a Box"),
    ):
        with pytest.raises(ValueError, match=message):
            wrong()


def test_a_folder_refuses_other_conditions(tmp_path: Any) -> None:
    one, other = (poisson(left=Points(ENDS["lower"], {"u": value}), flux=Points(ENDS["upper"], {"u_x": 0.0})) for value in (1.0, 2.0))
    eg.fit(one, steps=2, folder=tmp_path, progress=False)
    with pytest.raises(ValueError, match="another configuration: conditions"):
        eg.fit(other, steps=2, folder=tmp_path, progress=False)


@pytest.mark.parametrize(
    ("name", "condition", "message"),
    [
        ("flux", Points(ENDS["lower"], {"v_x": 0.0}), "one of u .*got 'v_x'"),
        ("flux", Condition(ENDS["lower"], lambda d, p: d.u_y), "one of u .*got 'u_y'"),
        ("flux", Points(torch.zeros(3, 2), {"u": 0.0}), "have 2 coordinates, expected x"),
        ("flux", ENDS["lower"], "expects Points"),
        ("flux", Points(ENDS["lower"]), "expects Points"),
        ("pde", Points(ENDS["lower"], {"u": 0.0}), "'pde' has the name of another term"),
        ("rim", Points(ENDS["lower"], {"u": 0.0}), "'rim' has the name of another term or of its points"),
    ],
)
def test_wrong_conditions_are_refused(name: str, condition: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        poisson(**{name: condition})


@pytest.mark.parametrize("seeds", [0, (1,), (1, 2, 3, 4, 5)])
def test_a_column_of_values_with_rows_of_partials_is_refused(seeds: Any) -> None:
    """Five values for five points of five seeds could be taken for one per seed."""
    x, target = grid(5), torch.arange(5.0, dtype=torch.float64).unsqueeze(1)
    terms = {"flux": Term("all", lambda d, p: d.u - target, ("u",))}
    problem = Collocation(CoordinateNetwork(1, 4, 1, 1, "tanh", **seed_options(seeds)).double(), Names(("x",), ("u",)), terms)
    if seeds == (1, 2, 3, 4, 5):
        with pytest.raises(ValueError, match=r"a condition at 5 points must give \(5,\), or \(C, 5\) with components, got \(5, 5\)"):
            small_laplace(conditions={"flux": eg.pinn.Condition(torch.rand(5, 2), lambda d, p: d.u - target)})
    else:
        with pytest.raises(ValueError, match=r"\(1, 5\), or components|a column \(N, 1\) was broadcast|expected \(1, 5\)"):
            problem.losses((0, {"all": Points(x)}))


def test_a_condition_with_known_numbers() -> None:
    x, flux = eg.pinn.Box(0, 1).side("x", "lower", 30).float(), torch.linspace(0, 1, 30)
    problem = small_laplace(conditions={"flux": eg.pinn.Condition(x, lambda d, p: p.h * d.u_x - flux)}, unknown={"h": 1.0})
    solution = eg.fit(problem, steps=2, progress=False)
    assert math.isfinite(solution.fit.curve[-1]["loss"][0])
    assert problem.terms(1)["flux"].needs == ("u_x",)


def test_two_bounds_are_components_of_one_condition() -> None:
    at = eg.pinn.Box(0, 1).side("x", "lower", 30).float()
    bounds = eg.pinn.Condition(at, lambda d, p: torch.stack([torch.relu(-d.u), torch.relu(d.u - 1)]))
    assert eg.fit(small_laplace(conditions={"bounds": bounds}), steps=2, progress=False).fit.frozen_at == [-1]
