"""Solving a problem by eg.fit: accuracy, schedules, weightings, optimisers, seeds, and resumed runs."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cases.laplace_problem import exact, laplace, small_laplace
from cases.oscillator import LINE, grid
from torch import Tensor

import eddygrad as eg
from eddygrad.pinn.collocation import Collocation, Term
from eddygrad.pinn.network.coordinate_network import CoordinateNetwork
from eddygrad.pinn.points import Points
from eddygrad.training.loop import Loop
from eddygrad.training.optimizers.polish import Polish
from eddygrad.training.optimizers.registry import find_optimizer
from eddygrad.training.schedule import Constant, Cosine, Drops
from eddygrad.training.training_config import TrainingConfig


@pytest.mark.parametrize("hard", [False, True])
def test_the_laplace_equation_is_solved(hard: bool) -> None:
    solution = eg.fit(laplace(hard=hard), steps=500, lr=5e-3, seeds=2, progress=False)
    assert solution.error(exact).shape == (2,) and bool((solution.error(exact) < 0.08).all())  # uniform weights: .4
    assert list(solution.objective.terms) == (["pde"] if hard else ["pde", "boundary"])
    assert solution(torch.rand(5, 2))["u"].shape == (2, 5)


def test_another_equation_has_another_solution() -> None:
    """With the wrong sign of one derivative the residual is trained too, but the error stays large."""
    wrong = eg.pinn.Problem(lambda d, p: {"pde": d.u_xx - d.u_yy}, eg.pinn.Box(0, 1), boundary=exact, width=16, depth=2, points=200, rim=80)
    right, other = (eg.fit(p, steps=500, lr=5e-3, progress=False) for p in (laplace(), wrong))
    assert float(right.error(exact)) < 0.08 and float(other.error(exact)) > 2 * float(right.error(exact))
    assert other.fit is not None and float(other.unseen_losses()["pde"]) < 0.1 * other.fit.curve[0]["terms"]["pde"]["loss"]


def test_the_heat_equation_with_an_unknown_coefficient() -> None:
    """u_t = k u_xx with k = 0.1, recovered from values inside."""

    def heat(x: Tensor) -> Tensor:
        return torch.sin(x[:, 0]) * torch.exp(-0.1 * x[:, 1])

    domain = eg.pinn.Box(0.0, math.pi, axes=1).over(0.0, 4.0)
    seen = domain.interior(100, seed=5)
    problem = eg.pinn.Problem(
        lambda d, p: {"pde": d.u_t - p.k * d.u_xx}, domain, boundary=heat, initial=heat, data=Points(seen, {"u": heat(seen)}), unknown={"k": 0.2},
        positive=("k",), begins={"pde": 0.3}, width=12, depth=2, activation="sine", points=150, rim=60, start=40,
    )  # fmt: skip
    sets = problem.sets(torch.float64)
    assert problem.inputs == ("x", "t") and bool((sets["start"].x[:, 1] == 0).all())
    torch.testing.assert_close(sets["rim"].known["u"], heat(sets["rim"].x))
    assert {name: term.begins for name, term in problem.terms(100).items()} == {"pde": 30, "boundary": 0, "initial": 0, "data": 0}
    solution = eg.fit(problem, steps=1200, lr=1e-2, progress=False)
    assert float(solution.coefficients["k"]) == pytest.approx(0.1, rel=0.1) and float(solution.error(heat)) < 0.03


def test_a_finished_run_is_read_from_its_folder(tmp_path: Path) -> None:
    whole = eg.fit(laplace(), steps=6, progress=False)
    eg.fit(laplace(), steps=6, folder=tmp_path, progress=False)
    again = eg.fit(laplace(), steps=6, folder=tmp_path, progress=False)  # finished: read from the folder
    assert all(torch.equal(a, b) for a, b in zip(whole.objective.parameters(), again.objective.parameters()))
    fig = whole.plot()
    assert fig.axes[0].get_xlabel() == "x"
    with pytest.raises(ValueError, match="holds a run of another configuration: weighting"):
        eg.fit(laplace(), steps=6, weighting="uniform", folder=tmp_path, progress=False)


def test_the_rate_drops_by_the_time_left_after_the_last_term_joined(tmp_path: Path) -> None:
    """Without a schedule, drops after half and three quarters of the time left; with one, at its shares."""
    for drops, changes in ((None, [60, 80]), ((0.1, 0.3), [10, 30])):
        folder = tmp_path / str(drops)
        eg.fit(laplace(begins={"pde": 0.2}), steps=100, lr=1e-2, schedule=None if drops is None else Drops(drops), progress=False, folder=folder)
        rates = [json.loads(line)["lr"] for line in (folder / "metrics.jsonl").read_text().splitlines()]
        assert [i for i in range(1, 100) if rates[i] != rates[i - 1]] == changes and rates[-1] == pytest.approx(1e-4)


@pytest.mark.parametrize(
    "by_name, by_object",
    [
        ({"optimizer": "adam"}, {"optimizer": find_optimizer("adam")[0], "lr": find_optimizer("adam")[1]}),
        ({"optimizer": "rmsprop:lr=1e-3"}, {"optimizer": torch.optim.RMSprop}),
        ({"schedule": "cosine:warmup=2"}, {"schedule": Cosine(warmup=2)}),
        ({"schedule": "constant"}, {"schedule": Constant()}),
    ],
)
def test_optimisers_and_schedules_by_name_and_as_objects(by_name: dict[str, Any], by_object: dict[str, Any]) -> None:
    solutions = [eg.fit(small_laplace(), steps=6, progress=False, **options) for options in (by_name, by_object)]
    first, second = (list(solution.objective.parameters()) for solution in solutions)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("scale", [1.0, 1e-4])
def test_the_unit_of_a_residual_does_not_matter(scale: float) -> None:
    """The moving average of a weighting by name starts without a value, because the weight may have to fall by decades at once."""
    problem = eg.pinn.Problem(
        lambda d, p: {"pde": scale * d.u_lap}, eg.pinn.Box(0, 1), boundary=exact, width=12, depth=2, points=100, rim=60
    )  # fmt: skip
    solution = eg.fit(problem, steps=400, lr=5e-3, seeds=2, progress=False)
    assert float(solution.error(exact).max()) < 0.1
    assert solution.fit is not None
    first = solution.fit.curve[0]["terms"]
    assert max(first["boundary"]["weight"]) < 1e-2 or scale == 1.0


def test_a_folder_refuses_another_problem(tmp_path: Path) -> None:
    """Another equation, domain, rate, size or known value is refused before the training."""
    wave = 2.0

    def posed(factor: float = 1.0, **options: Any) -> eg.pinn.Problem:
        settings = {"boundary": lambda x: torch.sin(wave * x[:, 0]), "width": 4, "depth": 1, "points": 20, "rim": 8, **options}
        domain = settings.pop("domain", eg.pinn.Box(0, 1))
        return eg.pinn.Problem(lambda d, p: {"pde": d.u_lap - factor * d.x}, domain, **settings)

    def trained(problem: eg.pinn.Problem, **options: Any) -> Tensor:
        solution = eg.fit(problem, **{"steps": 4, "folder": tmp_path / "run", "progress": False, **options})
        return solution(torch.ones(1, 2))["u"]

    first = trained(posed())
    assert torch.equal(trained(posed()), first)
    others = [posed(2.0), posed(domain=eg.pinn.Box(0, 5)), posed(width=5), posed(rim=12), posed(seed=1), posed(boundary=lambda x: x[:, 0])]
    for problem in others:
        with pytest.raises(ValueError, match="holds a run of another configuration"):
            trained(problem)
    with pytest.raises(ValueError, match="lr"):
        trained(posed(), lr=0.5)
    wave = 3.0  # what a function reads counts as its code does
    with pytest.raises(ValueError, match="holds a run of another configuration"):
        trained(posed())


def test_weightings_and_optimisers_by_name_with_options() -> None:
    """The weight of the reference is held at 1; the other weight is a ratio of gradients."""
    for reference, other in (("pde", "boundary"), ("boundary", "pde")):
        solution = eg.fit(laplace(), steps=2, weighting=f"inverse-dirichlet-held:reference={reference}", optimizer="adam:lr=0.01", progress=False)
        assert solution.fit is not None
        weights = [{name: term["weight"] for name, term in record["terms"].items()} for record in solution.fit.curve]
        assert all(weight[reference] == 1.0 and abs(math.log(weight[other])) > 1 for weight in weights) and weights
    with pytest.raises(ValueError, match="no option 'warmth'"):
        eg.fit(laplace(), steps=3, weighting="mgda:warmth=3", progress=False)


def test_the_weight_of_a_late_equation_is_one() -> None:
    """Also at its first update; a moving average that starts at 1 would give another weight."""
    posed = laplace(begins={"pde": 0.5})
    solution = eg.fit(posed, steps=20, weighting="inverse-dirichlet-held", errors=exact, progress=False)
    assert solution.fit is not None
    weights = [record["terms"]["pde"]["weight"] for record in solution.fit.curve if "pde" in record.get("terms", {})]
    assert len(weights) == 10 and set(weights) == {1.0}


def test_resampling_with_hard_boundary_values_and_two_seeds() -> None:
    problem = laplace(hard=True, resample={"pde": 50})
    solution = eg.fit(problem, steps=300, lr=5e-3, seeds=2, progress=False)
    assert bool((solution.error(exact) < 0.08).all())


def test_polish_lowers_the_error() -> None:
    errors = [float(eg.fit(laplace(), steps=400, lr=5e-3, polish=polish, progress=False).error(exact)) for polish in (None, 150)]
    assert errors[1] < 0.5 * errors[0]


@pytest.mark.parametrize(
    "seeds, message", [(2.0, "seeds is how many"), (0, "seeds is how many"), ([1, 1], "must differ"), ("ab", "seeds is how many")]
)
def test_wrong_seeds_are_refused(seeds: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        eg.fit(small_laplace(), steps=1, seeds=seeds, progress=False)


def test_seeds_of_numpy_types() -> None:
    assert len(eg.fit(small_laplace(), steps=1, seeds=np.arange(3), progress=False).error(0.0)) == 3
    assert len(eg.fit(small_laplace(), steps=1, seeds=np.int64(2), progress=False).error(lambda x: x[:, 0] * x[:, 1])) == 2


def test_a_domain_far_from_the_origin_needs_float64() -> None:
    far = eg.pinn.Problem(lambda d, p: {"pde": d.u_lap}, eg.pinn.Box((1e5, 0.0), (1e5 + 1, 1.0)), boundary=0.0, points=20, width=4, depth=1)
    with pytest.raises(ValueError, match=r'float32 cannot tell points from 100000.0 to 100001.0 apart \(coordinate 0\); use dtype="float64"'):
        eg.fit(far, steps=1, progress=False)
    eg.fit(far, steps=1, dtype="float64", progress=False)


def test_a_tiny_domain_does_not_overflow() -> None:
    tiny = eg.pinn.Problem(lambda d, p: {"pde": d.u_lap - 1}, eg.pinn.Box(0, 1e-5), boundary=0.0, points=20, width=8, depth=2)
    assert eg.fit(tiny, steps=3, progress=False).fit.frozen_at == [-1]


def test_line_searches_need_one_loss(tmp_path: Path) -> None:
    data = Points(torch.rand(10, 2), {"u": 0.0})
    eg.fit(small_laplace(data=data, ends={"data": 0.5}), steps=10, polish=5, progress=False)
    with pytest.raises(ValueError, match="joins or leaves at update 6, within the last 5"):
        eg.fit(small_laplace(data=data, ends={"data": 0.6}), steps=10, polish=5, progress=False)
    with pytest.raises(ValueError, match="point weights change; leave out pointwise="):
        eg.fit(small_laplace(pointwise={"pde": eg.pinn.SelfAdaptive()}), steps=5, optimizer="lbfgs", progress=False)
    terms = {"a": Term("all", lambda d, p: d.u, ("u",)), "b": Term("all", lambda d, p: d.u - 1, ("u",), 5)}
    late = Collocation(CoordinateNetwork(1, 4, 1, 1).double(), LINE, terms)
    with pytest.raises(ValueError, match="joins or leaves at update 5"):
        Loop(late, late.losses, lambda step, horizon: (step, {"all": Points(grid(5))}), TrainingConfig(steps=10, polish=Polish(5)))
