"""A compiled substep that deviates from the plain one is not used. The programs are plain functions here; test_iterative_pressure compiles one."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from eddygrad.solver.equations.navier_stokes import NavierStokesVelocity
from eddygrad.solver.grid import Grid
from eddygrad.solver.linear_solvers import Krylov
from eddygrad.solver.schemes.projection import Projection
from eddygrad.solver.staggered import compiled_substep
from eddygrad.solver.staggered.boundary_conditions import Wall
from eddygrad.solver.staggered.compiled_substep import plain_substep

GRID = Grid((6, 5))


def flow(**options: Any) -> tuple[Projection, Projection, Tensor]:
    """A plain and a compiled scheme, and a state that needs gradients."""
    plain = Projection(NavierStokesVelocity(viscosity=0.02), GRID, dt=0.02, boundaries=Wall(), **options)
    return plain, replace(plain, compiled=True), torch.randn(2, 2, *GRID.shape, dtype=torch.float64).requires_grad_()


def programs(monkeypatch: pytest.MonkeyPatch, change: Callable[[Tensor], Tensor]) -> list[int]:
    """Let "compiled" substeps change the first component; returns a list as long as there were calls of them."""
    calls: list[int] = []

    def substep(step: Any, u: list[Tensor], t: Any) -> Any:
        calls.append(1)
        (first, *others), taken = plain_substep(step, u, t)
        return [change(first), *others], taken

    monkeypatch.setattr(compiled_substep, "_program", lambda: substep)
    return calls


@pytest.mark.parametrize(
    "change",
    [lambda v: 1.001 * v, lambda v: v * math.nan, lambda v: v + (v - v.detach())],
    ids=["values", "no numbers", "gradients alone"],
)
def test_programs_that_deviate_are_left_out(monkeypatch: pytest.MonkeyPatch, change: Callable[[Tensor], Tensor]) -> None:
    plain, compiled, u = flow()
    calls = programs(monkeypatch, change)
    with pytest.warns(UserWarning, match="Projection: the compiled program deviates from the plain operations"):
        found = compiled.at({}, u)(u)
    before = len(calls)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = compiled.at({}, u)(u)
    expected = plain.at({}, u)(u)
    assert torch.equal(found, expected) and torch.equal(again, expected) and len(calls) == before
    assert torch.equal(*(torch.autograd.grad(out.square().sum(), u)[0] for out in (found, expected)))


def test_each_kind_is_compared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """With gradients twice, for a gradient's sake; steps bound anew share the verdict; another batch is another kind."""
    _, compiled, u = flow()
    calls = programs(monkeypatch, lambda v: v.clone())
    counts = []
    for state in (u, u, u[:1], u[:1]):
        compiled.at({}, state)(state)
        counts.append(len(calls))
    with torch.no_grad():
        compiled.at({}, u)(u)
    assert counts == [2, 3, 5, 6] and len(calls) == 7


def test_an_observer_is_told_of_every_iteration_once(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, compiled, u = flow(pressure=Krylov("cg", tolerance=1e-10))
    programs(monkeypatch, lambda v: v)
    told: list[list[str]] = []
    for scheme in (plain, compiled):
        told.append([])
        scheme.at({}, u, lambda name, value: told[-1].append(name))(u)
    assert told[0] == told[1] and told[0]
