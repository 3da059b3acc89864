"""One run of a comparison of loss weightings: what is trained and what its record says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import eddygrad as eg
from eddygrad.pinn.problems import OWN, PROBLEMS
from eddygrad.pinn.registry import register
from eddygrad.studies.weightings.config import WeightingConfiguration
from eddygrad.studies.weightings.results.load import load
from eddygrad.studies.weightings.runner import TrainedProblem, prepare, train
from eddygrad.studies.weightings.study import compare
from eddygrad.training.loop import Fit
from eddygrad.training.schedule import Drops
from eddygrad.training.weighting.registry import NAMES


@pytest.fixture
def registry() -> Any:
    before = dict(PROBLEMS), dict(OWN)
    yield
    for now, then in zip((PROBLEMS, OWN), before):
        now.clear()
        now.update(then)


def line_of(scale: float = 1.0) -> Any:
    """A line, quick to train."""
    return eg.pinn.Problem(
        lambda d, p: {"pde": d.u_x - scale}, eg.pinn.Box(0.0, 1.0, axes=1), boundary=lambda x: x[:, 0], points=20, width=4, depth=1
    )


@pytest.mark.usefixtures("registry")
def test_another_number_of_updates_is_another_problem(tmp_path: Path) -> None:
    digests = []
    for steps in (3, 6):
        register("line", line_of(), errors=lambda x: x[:, 0], steps=steps)
        digests.append(OWN["line"])
    assert digests[0] != digests[1]


@pytest.mark.usefixtures("registry")
def test_a_seed_that_cannot_begin_has_diverged_wherever_it_is_trained(tmp_path: Path) -> None:
    """Of log(u + c) at first: some networks have none. Where no seed can begin the problem is wrong, and that is an error."""

    def posed(c: float) -> Any:
        def residuals(d: Any, p: Any) -> dict[str, Any]:
            return {"pde": d.u_x - torch.log(d.u + c)}

        return eg.pinn.Problem(residuals, eg.pinn.Box(0.0, 1.0, axes=1), points=10, width=4, depth=1)

    def networks(c: float) -> list[bool]:
        register("log", posed(c), errors=lambda x: x[:, 0], steps=3)
        case = PROBLEMS["log"](seeds=tuple(range(1, 7)))
        (loss,) = case.problem.losses(case.batches(0)).values()
        return loss.isfinite().tolist()

    c = next(c for c in np.linspace(0.05, 2, 40) if 0 < sum(networks(float(c))) < 5)
    begins = networks(float(c))
    for per_run in (6, 1):
        mine = compare(tmp_path / str(per_run), problem="log", weighting="uniform", seeds=6, seeds_per_run=per_run)
        with pytest.warns(RuntimeWarning) if per_run == 6 else pytest.MonkeyPatch.context():
            mine.run(progress=False)
        (run,) = load(tmp_path / str(per_run)).runs
        assert [not lost for lost in run.diverged] == begins and run.error[np.array(run.diverged)].tolist() == [30.0] * run.diverged.count(True)
    assert networks(-50.0) == [False] * 6
    with pytest.raises(FloatingPointError, match="no seed can be trained"):
        compare(tmp_path / "wrong", problem="log", weighting="uniform", seeds=2, seeds_per_run=1).run(progress=False)


SMALL: dict[str, Any] = {"problem": ("poisson:k=1,interior=20,width=4,depth=1",), "seeds": 2, "steps": 6}


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_weighting_trains(name: str) -> None:
    (run,) = WeightingConfiguration(**{**SMALL, "weighting": (name,)}).planned
    record = train(run).as_json()
    assert record["weighting"] == name and all(torch.tensor(record["errors"]["error"]).isfinite())
    assert record["training"]["updates"] == 6 and set(record["curve"]["losses"]) == {"pde", "boundary"}


def test_a_run_tells_the_coefficients_that_it_found() -> None:
    plan = WeightingConfiguration(problem=("sobolev:points=64,batch=32,width=4,depth=1",), weighting=("uniform",), seeds=2, steps=2)
    trained = train(plan.planned[0])
    found = trained.as_json()["unknown"]
    assert found == {name: value.tolist() for name, value in trained.case.problem.values().items()}
    assert set(found) == {"slope", "laplacian", "third", "fourth"} and all(len(value) == 2 and value != [0, 0] for value in found.values())


def test_the_schedule_drops_at_its_shares() -> None:
    (run, *_) = WeightingConfiguration(**{**SMALL, "steps": 90}).planned
    _, training = prepare(run)
    assert [training.schedule.factor(step, 90) for step in (0, 29, 30, 59, 60, 89)] == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
    assert Drops((0.5,), 0.3).factor(5, 10) == 0.3


def test_phases_follow_the_number_of_updates() -> None:
    plan = WeightingConfiguration(problem=("turbulence-inverse:snapshots=2,batch=50",), steps=600, seeds=1)
    terms = plan.case(plan.problem[0], (1,)).problem.terms
    assert [terms[name].begins for name in ("data", "divergence", "momentum")] == [0, 133, 200]
    assert prepare(plan.planned[0])[1].restarts == (133, 200) and not prepare(WeightingConfiguration(**SMALL).planned[0])[1].restarts


def test_a_published_value_stands_only_beside_the_published_setting() -> None:
    whole = WeightingConfiguration(problem=("poisson:k=6",), weighting=("uniform",), seeds=1)
    assert whole.case("poisson:k=6", (1,)).published["uniform", "adam"] == 0.25
    assert not whole.case("poisson:k=6,width=20", (1,)).published and not whole.case("poisson:k=6,hard=true", (1,)).published
    (run,) = WeightingConfiguration(**{**SMALL, "weighting": ("uniform",)}).planned
    assert train(run).as_json()["published"] is None


def test_a_polished_plan_is_trained_seed_by_seed_and_says_so(tmp_path: Path) -> None:
    options: dict[str, Any] = {"problem": "layer:width=8,depth=2", "weighting": "inverse-dirichlet", "seeds": 2, "steps": 12, "polish": 4}
    with pytest.raises(ValueError, match="set seeds_per_run to 1"):
        WeightingConfiguration(**options).check()
    plan = WeightingConfiguration(**options, seeds_per_run=1)
    record = train(plan.planned[0], tmp_path).as_json()
    assert record["training"]["polish"] == 4 and record["training"]["updates"] == 12
    with pytest.raises(ValueError, match="polish searches along lines of one loss"):
        WeightingConfiguration(problem="sobolev:points=200,batch=50", seeds=1, steps=20, polish=8).check()


def test_published_values_stand_beside_the_published_training_alone() -> None:
    usual = prepare(WeightingConfiguration(problem="poisson:k=6", weighting=("uniform", "mgda:floor=1e-5"), seeds=1).planned[0])
    options = {"problem": "poisson:k=6", "seeds": 1}
    found = {}
    for name, changed in (
        ("as published", {}),
        ("polished", {"polish": 100}),
        ("shorter", {"steps": 10}),
        ("narrower", {"problem": "poisson:k=6,width=20"}),
    ):
        planned = WeightingConfiguration(**{**options, **changed}, weighting=("uniform",)).planned[0]
        case, training = prepare(planned)
        found[name] = TrainedProblem(case, Fit(case.problem, 0, [], 0.0, [0], [0], [-1]), training, planned, 1).published
    assert found == {"as published": 0.25, "polished": None, "shorter": None, "narrower": None}
    assert usual[0].published["mgda:floor=1e-5", "adam"] == usual[0].published["mgda", "adam"] == 0.012
