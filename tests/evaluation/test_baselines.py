"""Baselines by name are the steppers that a user would build."""

from __future__ import annotations

import pytest
from torch import Tensor

import eddygrad as eg
from eddygrad.evaluation.baselines import baseline, named_baselines


def decay(u: Tensor) -> Tensor:
    return 0.9 * u


def test_baselines_by_name_are_built_from_the_solver() -> None:
    solver = eg.presets.kuramoto_sivashinsky(order=1)
    assert baseline("coarse", solver, 1.0) is solver
    assert baseline("coarse:dt/2", solver, 1.0) == eg.presets.kuramoto_sivashinsky(order=1, substeps=4)
    wrapped = eg.wrap(decay, dt=0.1)
    for name, given, complaint in (
        ("corse", solver, "baselines are 'persistence', 'coarse' and 'coarse:dt/N', got 'corse'"),
        ("coarse:dt/1", solver, "got 'coarse:dt/1'"),
        ("coarse:dt/2", wrapped, "needs a solver with substeps, got wrap"),
        ("coarse", None, "this network replaces the solver"),
    ):
        with pytest.raises(ValueError, match=complaint):
            baseline(name, given, 1.0)


def test_baselines_are_names_or_steppers() -> None:
    solver = eg.presets.kuramoto_sivashinsky(order=1)
    assert named_baselines("coarse", solver, 1.0) == named_baselines(["coarse"], solver, 1.0) == named_baselines({"coarse": solver}, None, 1.0)
    assert named_baselines((), None, 1.0) == {}
