"""Names with options, what a problem gives its weightings, plans and presets, hours beforehand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from eddygrad.evaluation.cost import saved_megabytes
from eddygrad.pinn.collocation import Collocation
from eddygrad.runtime.specs import Spelled
from eddygrad.studies.weightings.config import WeightingConfiguration, preset, preset_names
from eddygrad.studies.weightings.runner import TrainedProblem, prepare, train
from eddygrad.studies.weightings.study import WeightingStudy
from eddygrad.training.loop import Fit, Loop
from eddygrad.training.schedule import Drops
from eddygrad.training.weighting import InverseDirichlet, ReLoBRaLo
from eddygrad.training.weighting.registry import NAMES, weighting

SMALL: dict[str, Any] = {"problem": ("poisson:k=1,interior=20,width=4,depth=1",), "seeds": 2, "steps": 6}


def test_a_name_is_followed_by_its_options() -> None:
    assert Spelled.parse("poisson", "problem") == Spelled("poisson", {})
    found = Spelled.parse("a:k=6, r=1e-3,hard=true,what=square,none=none", "problem")
    assert found.options == {"k": 6, "r": 1e-3, "hard": True, "what": "square", "none": None} and isinstance(found.options["k"], int)
    for wrong in ("", ":k=1", "a:k", "a:k=", "a:k=1,k=2", "a:", "a:1=2"):
        with pytest.raises(ValueError, match="problem: expected NAME or NAME:KEY=VALUE"):
            Spelled.parse(wrong, "problem")


def test_weightings_get_what_the_problem_knows() -> None:
    plan = WeightingConfiguration(
        **{**SMALL, "weighting": ("inverse-dirichlet", "inverse-dirichlet:reference=largest,every=2", "epsilon-optimal", "relobralo")}
    )
    case = plan.case(plan.problem[0], (1,))
    own, other, fixed, by_loss = (plan.weighting_of(text, case) for text in plan.weighting)
    assert isinstance(own, InverseDirichlet) and (own.reference, own.every) == ("pde", 5)
    assert (other.reference, other.every) == ("largest", 2) and fixed.weights == case.optimal
    assert isinstance(by_loss, ReLoBRaLo) and by_loss.every == 1  # losses cost nothing to look at
    every_third = WeightingConfiguration(**SMALL, every=3)
    assert every_third.weighting_of("mgda", case).every == 3


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


@pytest.mark.parametrize("name", preset_names())
def test_presets_are_plans(name: str) -> None:
    values = preset(name)
    if name == "turbulence-full":  # computes its flow on 256 x 256 nodes
        values = {**values, "problem": ["turbulence:stride=2,snapshots=2"]}
    plan = WeightingConfiguration(**values)
    assert plan.name == name and len({run.name for run in plan.planned}) == len(plan.planned)


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


def test_hours_are_told_beforehand(tmp_path: Any) -> None:
    study = WeightingStudy(WeightingConfiguration(**SMALL), tmp_path)
    rows = study.estimate(updates=2)
    assert [row.updates for row in rows] == [6, 6] and all(row.seconds_per_update > 0 and row.megabytes > 0 for row in rows)
    assert not list(tmp_path.iterdir()) and "about" in str(rows)


def test_a_begun_study_takes_another_interval_of_checkpoints_and_says_where_more_weightings_go(tmp_path: Any) -> None:
    tiny = {"problem": ("poisson:k=1,interior=20,width=4,depth=1",), "weighting": ("uniform",), "seeds": 1, "steps": 2}
    for every in (500, 1):
        WeightingStudy(WeightingConfiguration(**tiny, checkpoint_every=every), tmp_path).run(progress=False)
    with pytest.raises(ValueError, match=r"was made with weighting=.*; eddygrad report FOLDER OTHER --out both.html reports several as one"):
        WeightingStudy(WeightingConfiguration(**{**tiny, "weighting": ("mgda",)}), tmp_path).run(progress=False)


def test_hours_are_those_of_all_phases(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Updates cost what their terms cost, those that look at gradients more: by a clock that ticks as the work goes."""
    case = WeightingConfiguration(problem=("two-sensors",), weighting=("uniform",), seeds=1).case("two-sensors", (1,))
    given = Collocation(case.problem.network, case.problem.names, dict(case.problem.terms), {"k": 0.5})
    late = replace(case, problem=given, reference=("pde", "good"), steps=100)
    late.problem.terms["pde"] = replace(late.problem.terms["pde"], begins=75)
    clock = [0.0]

    def update(loop: Loop) -> None:
        terms = sum(term.there(loop.step) for term in late.problem.terms.values())
        clock[0] += terms * (5.0 if loop.weighting.due else 1.0)
        loop.weighting.calls += 1
        loop.step += 1

    monkeypatch.setattr(WeightingConfiguration, "case", lambda plan, text, seeds, device=None: late)
    monkeypatch.setattr(Loop, "update", update)
    monkeypatch.setattr("eddygrad.studies.weightings.study.time.perf_counter", lambda: clock[0])
    plan = WeightingConfiguration(problem=("two-sensors",), weighting=("inverse-dirichlet",), seeds=1, steps=100, every=4)
    (row,) = WeightingStudy(plan, tmp_path).estimate(updates=2)
    assert row.seconds_per_update == pytest.approx((0.75 * 2 + 0.25 * 3) * (3 + 5) / 4)
    later = saved_megabytes(late.problem, late.problem.losses, late.batches, 1, 80)
    assert row.megabytes == later > saved_megabytes(late.problem, late.problem.losses, late.batches, 1, 0)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"problem": ("poison",)}, "expected one of poisson"),
        ({"problem": ("poisson:q=1",)}, "poisson has no option 'q'"),
        ({"weighting": ("inverse",)}, "weighting: expected one of uniform"),
        ({"weighting": ("uniform:every=2",)}, "uniform has no option 'every'"),
        ({"weighting": ("inverse-dirichlet:speed=2",)}, "has no option 'speed'; expected some of aggregate, average"),
        ({"problem": ("layer",), "weighting": ("epsilon-optimal",)}, "needs a problem whose optimal weights are known"),
        ({"weighting": ("inverse-dirichlet:average=abc",)}, "inverse-dirichlet: average is a number, got 'abc'"),
        ({"weighting": ("inverse-dirichlet:reference=pdf",)}, r"the reference 'pdf' is none of the terms \['pde', 'boundary'\]"),
        ({"weighting": ("inverse-dirichlet:reference=pdf,warm_up=10",)}, "the reference 'pdf' is none of the terms"),
        ({"optimizer": ("lbfgs",), "seeds": 2}, "lbfgs searches along the line of one seed, got 2 in a run"),
        ({"optimizer": ("adam", "lbfgs"), "seeds": 1, "problem": ("sobolev:points=60,batch=20",)}, "lbfgs searches along lines of one loss, sobolev"),
        ({"problem": ("turbulence-inverse",), "weighting": ("max-average:reference=momentum",)}, "the reference 'momentum' is none of the terms"),
        ({"problem": ("poisson:k=2.5",)}, "poisson: k is a whole number, got 2.5"),
        ({"optimizer": ("adam:speed=1",)}, "optimizer: adam: .*unexpected keyword argument 'speed'"),
        ({"optimizer": ("adam:lr=fast",)}, "optimizer: adam: lr is a number, got 'fast'"),
        ({"optimizer": ("soap:speed=1",)}, "optimizer: soap: .*unexpected keyword argument 'speed'"),
        ({"optimizer": ("sgd",)}, "optimizer: expected one of adam"),
        ({"optimizer": ()}, "optimizer: expected at least one"),
        ({"seeds": 0}, "seeds must be at least 1"),
        ({"seeds": 1, "steps": 10, "polish": 50}, "50 updates of polish leave none of 10"),
        ({"first_seed": -1}, "first_seed must be at least 0"),
        ({"dtype": "half"}, "dtype must be"),
        ({"problem": ("turbulence:region=disc",)}, "region is 'square' or 'annulus'"),
    ],
)
def test_wrong_plans_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WeightingConfiguration(**options).check()


def test_a_weighting_without_options_of_its_own_says_so() -> None:
    with pytest.raises(ValueError, match="expected some of aggregate"):
        weighting("uniform", {"a": 1})


@pytest.mark.parametrize(
    "name", ["poisson:k=2,interior=40", "poisson:k=2,interior=40,hard=true", "two-sensors", "kovasznay:interior=40", "cavity:interior=40"]
)
def test_a_problem_is_where_the_plan_says(name: str) -> None:
    """On the device without memory: whatever stayed behind would not go together with the rest."""
    plan = WeightingConfiguration(problem=(name,), weighting=("uniform",), device="meta")
    case = plan.case(name, (1, 2))
    losses = case.problem.losses(case.batches(0))
    assert all(loss.is_meta for loss in losses.values()) and all(error.is_meta for error in case.errors(case.problem).values())
    sum(losses.values()).sum().backward()
    assert all(p.grad is not None and p.grad.is_meta for p in case.problem.network.parameters())


def test_a_polished_plan_is_trained_seed_by_seed_and_says_so(tmp_path: Path) -> None:
    options: dict[str, Any] = {"problem": "layer:width=8,depth=2", "weighting": "inverse-dirichlet", "seeds": 2, "steps": 12, "polish": 4}
    with pytest.raises(ValueError, match="set seeds_per_run to 1"):
        WeightingConfiguration(**options).check()
    plan = WeightingConfiguration(**options, seeds_per_run=1)
    record = train(plan.planned[0], tmp_path).as_json()
    assert record["training"]["polish"] == 4 and record["training"]["updates"] == 12
    with pytest.raises(ValueError, match="polish searches along lines of one loss"):
        prepare(WeightingConfiguration(problem="sobolev:points=200,batch=50", seeds=1, steps=20, polish=8).planned[0])


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
