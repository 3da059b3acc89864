"""Tracing of residual functions: the coefficients and partials that they depend on."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import eddygrad as eg
from eddygrad.pinn.solve import objective_of
from eddygrad.solver.equations.active_turbulence import ActiveTurbulenceVelocity
from eddygrad.solver.equations.burgers import Burgers
from eddygrad.solver.equations.navier_stokes import NavierStokesVelocity

PLANE = eg.pinn.Box(0, 1)
FLOW: dict[str, Any] = {"domain": PLANE.over(0, 1), "outputs": ("u", "v", "p")}
SMALL: dict[str, Any] = {"points": 30, "width": 6, "depth": 1}


@pytest.mark.parametrize(
    ("equation", "wrong", "meant"),
    [
        (NavierStokesVelocity(viscosity=0.1), "viscosty", "did you mean 'viscosity'"),
        (ActiveTurbulenceVelocity(), "gamma_2", "did you mean 'Gamma_2'"),
        (ActiveTurbulenceVelocity(), "nu", "has no 'nu', only lambda_0"),
    ],
)
def test_a_misspelt_coefficient_is_refused_with_the_right_name(equation: Any, wrong: str, meant: str) -> None:
    residuals = lambda d, p: {"momentum": equation.residual(d, p), "mass": d.u_x + d.v_y}  # noqa: E731
    with pytest.raises(ValueError, match=meant):
        eg.pinn.Problem(residuals, **FLOW, unknown={wrong: 0.2})
    right = next(name for name in equation.parameters if name in ("viscosity", "lambda_0"))
    assert eg.pinn.Problem(residuals, **FLOW, unknown={right: 0.2}).terms(1)["momentum"].residual


def test_a_coefficient_without_effect_is_refused() -> None:
    """It is read by **p, but no residual depends on it: it would stay at its initial value."""
    line = eg.pinn.Box(0, 1, axes=1).over(0, 1)
    with pytest.raises(ValueError, match="no residual depends on the coefficient 'length'"):
        eg.pinn.Problem(lambda d, p: {"pde": Burgers().residual(d, {**p})}, line, unknown={"viscosity": 0.1, "length": 1.0})
    with pytest.raises(ValueError, match="no residual depends on the coefficient 'k'"):
        eg.pinn.Problem(lambda d, p: {"pde": d.u_x - p.k.detach()}, PLANE, unknown={"k": 1.0})


def test_partials_that_enter_a_comparison_are_all_needed() -> None:
    both = lambda d, p: {"a": d.u_laplap - d.u - d.v, "c": torch.where((d.u > 1) & (d.v > 1), d.u_x, d.u_y)}  # noqa: E731
    timed = eg.pinn.Problem(both, PLANE, outputs=("u", "v"), begins={"a": 0.5}, **SMALL)
    assert {"u", "v"} <= set(timed.terms(10)["c"].needs) and "u_laplap" not in timed.terms(10)["c"].needs


def three(d: Any, p: Any) -> dict[str, Any]:
    """One residual of first derivatives, one of fourth derivatives, one that depends on a partial only by a comparison."""
    return {"mass": torch.stack([d.u_x + d.v_y]), "stiff": d.u_laplap - d.u_x.detach(), "upwind": torch.where(d.v_xy > 1.0, d.u_x, d.u_y) + 1 / d.x}


def test_a_phase_computes_only_the_partials_of_its_terms() -> None:
    timed = eg.pinn.Problem(three, PLANE, outputs=("u", "v"), begins={"stiff": 0.5}, **SMALL)
    needs = {name: set(term.needs) for name, term in timed.terms(10).items()}
    first = {"u_x", "v_y", "u_y"}  # which of the same order cost nothing
    assert needs == {"mass": first, "stiff": {*first, "u_laplap", "v_xy"}, "upwind": {*first, "v_xy"}}
    always = eg.pinn.Problem(three, PLANE, outputs=("u", "v"), **SMALL)
    assert all(set(term.needs) == {"u_x", "v_y", "u_laplap", "v_xy", "u_y"} for term in always.terms(10).values())


@pytest.mark.parametrize("seeds", [0, (0, 1)])
def test_skipped_partials_do_not_change_losses(seeds: Any) -> None:
    """Losses and gradients of the first phase equal those with all partials, for one network and for a stack."""
    found = []
    for begins in ({"stiff": 0.5}, {}):
        problem = eg.pinn.Problem(three, PLANE, outputs=("u", "v"), begins=begins, **SMALL)
        objective = objective_of(problem, seeds, torch.float64, 10)
        losses = objective.losses((0, problem.sets(torch.float64)))
        for name in ("mass", "upwind"):
            grads = torch.autograd.grad(losses[name].sum(), list(objective.parameters()), retain_graph=True, allow_unused=True)
            found.append([losses[name], *(g for g in grads if g is not None)])
        assert ("stiff" in losses) is not begins and bool(losses["mass"].isfinite().all())
    for one, other in zip(found[:2], found[2:]):
        for a, b in zip(one, other):
            torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)
