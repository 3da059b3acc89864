"""`eg.fit` shows its arguments, and they are those of the functions that do the work."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from typing import Any

import pytest
import torch
from cases.fitting_cases import data, network

import eddygrad as eg
from eddygrad.fitting.corrector import fit_stepper
from eddygrad.pinn.solve import solve

STEPPER, PROBLEM = (inspect.signature(use).parameters for use in typing.get_overloads(eg.fit))


def defaults(parameters: Any) -> dict[str, Any]:
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY or p.default is not p.empty}


def test_the_overload_of_a_stepper_has_the_fields_of_the_recipe_and_the_arguments_of_the_fit() -> None:
    own = defaults(p for p in inspect.signature(fit_stepper).parameters.values() if p.kind is not p.VAR_KEYWORD)
    fields = {field.name: field.default for field in dataclasses.fields(eg.TrainingRecipe)}
    assert defaults(STEPPER.values()) == {**own, **fields}
    assert list(STEPPER)[:3] == ["stepper", "data", "recipe"]


def test_the_overload_of_a_problem_has_the_arguments_of_solve() -> None:
    assert defaults(PROBLEM.values()) == defaults(inspect.signature(solve).parameters.values())


def test_help_and_completion_show_every_argument() -> None:
    shown = inspect.signature(eg.fit).parameters
    assert set(STEPPER) | set(PROBLEM) == (set(shown) | {"stepper", "problem"}) - {"stepper_or_problem"}
    assert shown["unroll"].default == "nog:3" and repr(shown["steps"].default) == "<2000, of a problem 10000>"
    doc = inspect.getdoc(eg.fit) or ""
    assert [name for name in shown if name not in doc and name != "stepper_or_problem"] == []


@pytest.mark.parametrize(
    "call, complaint",
    [
        (lambda problem: eg.fit(problem, data()), r"a problem contains its data; pass options by name"),
        (lambda problem: eg.fit(data(), data()), r"expected a stepper made by correct, predict or transition and a Dataset or Split, .* got Dataset"),
        (lambda problem: eg.fit(eg.predict(network(0), 1.0)), r"and a Dataset or Split, .* got Corrected and NoneType"),
        (lambda problem: eg.fit(eg.predict(network(0), 1.0), data(), stepz=3), r"fit: unknown options \['stepz'\]; expected some of "),
        (lambda problem: eg.fit(eg.predict(network(0), 1.0), data(), eg.TrainingRecipe(), steps=3), r"expected a recipe or its fields, got both"),
    ],
)
def test_what_does_not_fit_together_is_one_line(call: Any, complaint: str) -> None:
    problem = eg.pinn.Problem(lambda d, p: {"pde": d.u_x}, domain=eg.pinn.Box(0, 1), boundary=lambda x: torch.zeros(len(x)))
    with pytest.raises(ValueError, match=complaint) as caught:
        call(problem)
    assert "\n" not in str(caught.value) and str(caught.value).startswith("fit: ")
