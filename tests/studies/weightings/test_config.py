"""Configurations of loss weightings: presets, what is refused, and when."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import eddygrad as eg
from eddygrad.pinn.problems import OWN, PROBLEMS
from eddygrad.pinn.problems.turbulence import turbulence_inverse
from eddygrad.pinn.registry import register
from eddygrad.runtime.specs import Spec
from eddygrad.studies.weightings.config import WeightingConfiguration, preset, preset_names
from eddygrad.studies.weightings.study import WeightingStudy, compare
from eddygrad.training.weighting import InverseDirichlet, ReLoBRaLo
from eddygrad.training.weighting.registry import weighting

SMALL: dict[str, Any] = {"problem": ("poisson:k=1,interior=20,width=4,depth=1",), "seeds": 2, "steps": 6}


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


def test_a_name_is_followed_by_its_options() -> None:
    assert Spec.parse("poisson", "problem") == Spec("poisson", {})
    found = Spec.parse("a:k=6, r=1e-3,hard=true,what=square,none=none", "problem")
    assert found.options == {"k": 6, "r": 1e-3, "hard": True, "what": "square", "none": None} and isinstance(found.options["k"], int)
    for wrong in ("", ":k=1", "a:k", "a:k=", "a:k=1,k=2", "a:", "a:1=2"):
        with pytest.raises(ValueError, match="problem: expected NAME or NAME:KEY=VALUE"):
            Spec.parse(wrong, "problem")


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


@pytest.mark.parametrize("name", preset_names())
def test_presets_are_plans(name: str) -> None:
    values = preset(name)
    if name == "turbulence-full":  # computes its flow on 256 x 256 nodes
        values = {**values, "problem": ["turbulence:stride=2,snapshots=2"]}
    plan = WeightingConfiguration(**values)
    assert plan.name == name and len({run.name for run in plan.planned}) == len(plan.planned)


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
        ({"weighting": ("inverse-dirichlet:reference=pdf,warmup=10",)}, "the reference 'pdf' is none of the terms"),
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


@pytest.mark.parametrize(
    "options, message",
    [
        ({"seeds": [1, 2]}, r"seeds is a whole number, got \[1, 2\]"),
        ({"steps": 1e4}, "steps is a whole number, got 10000.0"),
        ({"weighting": eg.InverseDirichlet("pde")}, "weighting: expected names such as NAME or NAME:OPTION=VALUE"),
        ({"weighting": [eg.InverseDirichlet("pde")]}, "weighting: expected names such as NAME or NAME:OPTION=VALUE"),
        ({"problem": "turbulence-inverse:momentum_from=0.5,steps=100", "steps": 50}, "the updates stand in .* and in steps=50; leave out one"),
        ({"problem": "turbulence-inverse:momentum_from=1.5"}, "momentum_from expects a share of the updates, at least 0 and below 1, got 1.5"),
        ({"problem": "turbulence-inverse:share=1.0"}, "share expects a number above 0 and below 1"),
        ({"problem": "turbulence-inverse:stride=3"}, "stride 1, 2 or 4"),
        ({"problem": "layer", "optimizer": ["adam", "lbfgs"], "seeds": 1, "weighting": "relobralo"}, "relobralo moves its weights from update to up"),
        (
            {"problem": "layer", "seeds": 1, "polish": 5, "weighting": "uniform:aggregate=Mean"},
            "the update of uniform:aggregate=Mean is no loss's gradient",
        ),
    ],
)
def test_plans_that_cannot_work_are_refused_before_anything_runs(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        compare(tmp_path, **options)


def test_numbers_of_numpy_are_numbers_and_some_work_is_done_by_somebody(tmp_path: Path) -> None:
    mine = compare(tmp_path, problem="layer", weighting=("uniform",), seeds=np.int64(1), steps=np.int32(2))
    mine.run(progress=False)
    assert json.loads((tmp_path / "study.json").read_text())["steps"] == 2
    for work in (mine.run, mine.estimate):
        with pytest.raises(ValueError, match="jobs must be at least one, got 0"):
            work(jobs=0)


@pytest.mark.usefixtures("registry")
def test_settings_that_would_share_a_file_are_refused(tmp_path: Path) -> None:
    for name in ("wave_1", "wave-1"):
        register(name, line_of(), errors=lambda x: x[:, 0], steps=3)
    with pytest.raises(ValueError, match="wave_1, uniform, adam and wave-1, uniform, adam would both be kept as wave-1-uniform-adam"):
        WeightingConfiguration(problem=("wave_1", "wave-1"), weighting=("uniform",)).check()


def test_the_inverse_problem_checks_its_shares() -> None:
    with pytest.raises(ValueError, match="divergence_from expects a share"):
        turbulence_inverse(divergence_from=-0.1)
    assert WeightingStudy(WeightingConfiguration(problem=("layer",)), "x").configuration.seeds == 5
