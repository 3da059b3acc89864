"""Registered problems in a comparison of weightings: the same training as by eg.fit, and one problem per name and folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import eddygrad as eg
from eddygrad.pinn.problems import OWN, PROBLEMS
from eddygrad.studies.weightings.results.load import load


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    yield
    for name in list(OWN):
        del OWN[name], PROBLEMS[name]


def exact(x: Tensor) -> Tensor:
    return torch.sin(x[:, 0]) * torch.exp(-x[:, 1])


def posed(factor: float = 0.0, **options: Any) -> eg.pinn.Problem:
    settings = {"width": 8, "depth": 1, "points": 40, "rim": 20, **options}
    return eg.pinn.Problem(lambda d, p: {"pde": d.u_lap - factor * d.x}, eg.pinn.Box(0, 1), boundary=exact, **settings)


def test_a_registered_problem_is_compared_like_a_benchmark(tmp_path: Path) -> None:
    eg.pinn.register("mine", posed(), errors=exact)
    study = eg.pinn.compare(tmp_path, problem="mine", weighting=["uniform", "mgda"], seeds=2, steps=6).run(progress=False)
    uniform, mgda = load(tmp_path).runs
    alone = eg.fit(posed(), steps=6, weighting="uniform", seeds=[1, 2], progress=False)
    assert uniform.error.tolist() == pytest.approx(alone.error(exact).tolist(), rel=1e-6) and mgda.updates == 6
    assert "mgda / uniform" in study.table() and "eddygrad pinn" not in study.report().read_text()
    assert json.loads((tmp_path / "study.json").read_text())["registered"] == {"mine": OWN["mine"]}


def test_another_problem_of_the_same_name_is_refused(tmp_path: Path) -> None:
    eg.pinn.register("mine", posed(), errors=exact)
    make = lambda: eg.pinn.compare(tmp_path, problem="mine", weighting="uniform", seeds=2, steps=2)  # noqa: E731
    make().run(progress=False)
    eg.pinn.register("mine", posed(), errors=exact)  # the same again
    make().run(progress=False)
    for other in (posed(factor=2.0), posed(points=30)):
        eg.pinn.register("mine", other, errors=exact)
        with pytest.raises(ValueError, match="was made with registered="):
            make().run(progress=False)


def test_begins_and_ends_are_shares_of_the_updates_of_the_study(tmp_path: Path) -> None:
    eg.pinn.register("late", posed(begins={"pde": 0.5}), errors=exact)
    eg.pinn.compare(tmp_path, problem="late", weighting="inverse-dirichlet", seeds=1, steps=10, validate_every=1).run(progress=False)
    (run,) = load(tmp_path).runs
    there = torch.tensor(run.curves["losses"]["pde"][0]).isfinite().tolist()
    assert there == [False] * 5 + [True] * 5


def test_resampling_is_that_of_eg_fit(tmp_path: Path) -> None:
    problem = posed(resample={"pde": 2})
    eg.pinn.register("anew", problem, errors=exact)
    eg.pinn.compare(tmp_path, problem="anew", weighting="uniform", seeds=2, steps=6).run(progress=False)
    (run,) = load(tmp_path).runs
    alone, kept = (eg.fit(p, steps=6, weighting="uniform", seeds=[1, 2], progress=False).error(exact).tolist() for p in (problem, posed()))
    assert run.error.tolist() == pytest.approx(alone, rel=1e-6) and run.error.tolist() != pytest.approx(kept, rel=1e-3)
    with pytest.raises(ValueError, match="the points of anew are drawn anew; end with a polish"):
        eg.pinn.compare(tmp_path / "searched", problem="anew", weighting="uniform", optimizer="lbfgs", seeds=1, steps=6)
    eg.pinn.compare(tmp_path / "polished", problem="anew", weighting="uniform", polish=2, seeds=1, steps=6).run(progress=False)
    assert len(load(tmp_path / "polished").runs) == 1


def test_wrong_names_are_refused() -> None:
    for name, problem, message in (
        ("poisson", posed(), "'poisson' is a problem of eddygrad's"),
        ("my problem", posed(), "a name without ':'"),
    ):
        with pytest.raises(ValueError, match=message):
            eg.pinn.register(name, problem, errors=exact)
