"""A user's own problem: terms found, values taken, phases, coefficients, hard boundaries, a picture; clear errors."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import eddygrad as eg
from eddygrad.pinn.points import Points
from eddygrad.solver.equations.navier_stokes import NavierStokesVelocity
from eddygrad.training.schedule import Drops


def exact(x: Tensor) -> Tensor:
    return torch.sin(x[:, 0]) * torch.exp(-x[:, 1])


def laplace(**options: Any) -> eg.pinn.Problem:
    settings = {"width": 16, "depth": 2, "points": 200, "rim": 80, **options}
    return eg.pinn.Problem(lambda d, p: {"pde": d.u_lap}, eg.pinn.Box(0, 1), boundary=exact, **settings)


@pytest.mark.parametrize("hard", [False, True])
def test_a_problem_in_two_lines_is_solved(hard: bool) -> None:
    solution = eg.fit(laplace(hard=hard), steps=500, lr=5e-3, seeds=2, progress=False)
    assert solution.error(exact).shape == (2,) and bool((solution.error(exact) < 0.08).all())  # uniform weights: .4
    assert list(solution.objective.terms) == (["pde"] if hard else ["pde", "boundary"])
    assert solution(torch.rand(5, 2))["u"].shape == (2, 5)


def test_the_equation_counts() -> None:
    """With the wrong sign of one derivative the solution is another: it is trained, and lies elsewhere."""
    wrong = eg.pinn.Problem(lambda d, p: {"pde": d.u_xx - d.u_yy}, eg.pinn.Box(0, 1), boundary=exact, width=16, depth=2, points=200, rim=80)
    right, other = (eg.fit(p, steps=500, lr=5e-3, progress=False) for p in (laplace(), wrong))
    assert float(right.error(exact)) < 0.08 and float(other.error(exact)) > 2 * float(right.error(exact))
    assert other.fit is not None and float(other.unseen_losses()["pde"]) < 0.1 * other.fit.curve[0]["terms"]["pde"]["loss"]


def test_time_initial_values_and_a_coefficient() -> None:
    """Heat: u_t = k u_xx with k = .1 found from values inside; what is named is where it should be."""

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


def test_two_fields_may_be_known_in_part() -> None:
    problem = eg.pinn.Problem(
        lambda d, p: {"flow": torch.stack([d.u_x + d.v_y, d.u_y - d.v_x])}, eg.pinn.Annulus((0, 0), 0.5, 1), boundary=lambda x: {"v": x[:, 1]},
        outputs=("u", "v"), points=50, rim=30,
    )  # fmt: skip
    assert problem.terms(1)["boundary"].needs == ("v",) and problem.terms(1)["flow"].needs == ("u_x", "v_y", "u_y", "v_x")


def test_a_solution_is_drawn_and_a_run_goes_on(tmp_path: Path) -> None:
    whole = eg.fit(laplace(), steps=6, progress=False)
    eg.fit(laplace(), steps=6, folder=tmp_path, progress=False)
    again = eg.fit(laplace(), steps=6, folder=tmp_path, progress=False)  # is there already
    assert all(torch.equal(a, b) for a, b in zip(whole.objective.parameters(), again.objective.parameters()))
    fig = whole.plot()
    assert fig.axes[0].get_xlabel() == "x"
    with pytest.raises(ValueError, match="holds a run of another configuration: weighting"):
        eg.fit(laplace(), steps=6, weighting="uniform", folder=tmp_path, progress=False)


def test_a_periodic_coordinate_needs_no_values_at_its_ends() -> None:
    """Waves, u_t + u_x = 0 round a circle of length 1 from sin(2 pi x)."""
    domain = eg.pinn.Box(0.0, 1.0, axes=1).over(0.0, 0.5)
    wave = lambda x: torch.sin(2 * math.pi * (x[:, 0] - x[:, 1]))  # noqa: E731
    problem = eg.pinn.Problem(
        lambda d, p: {"pde": d.u_t + d.u_x}, domain, initial=wave, periodic={"x": 1.0}, width=12, depth=2, activation="sine", points=150, start=40
    )  # fmt: skip
    assert list(problem.terms(1)) == ["pde", "initial"]
    assert float(eg.fit(problem, steps=800, lr=1e-2, progress=False).error(wave)) < 0.12  # 1 if nothing is carried along


def test_a_coefficient_that_is_not_there_is_missing_in_every_way() -> None:
    read: list[object] = []
    term = lambda d, p: read.extend([hasattr(p, "c"), p.get("c", 2.0), hasattr(p, "k")]) or {"pde": d.u_x - p.k}  # noqa: E731
    eg.pinn.Problem(term, eg.pinn.Box(0, 1), unknown={"k": 1.0})
    assert read[:3] == [False, 2.0, True]


@pytest.mark.parametrize("hard", [False, True])
def test_known_values_may_be_a_number_or_arrays(hard: bool) -> None:
    made = lambda known, **options: laplace_with(known, hard=hard, **options)  # noqa: E731
    ends = [eg.fit(made(known), steps=3, progress=False)(torch.full((1, 2), 0.3))["u"] for known in CONSTANTS]
    assert all(torch.equal(end, ends[0]) for end in ends)
    other = eg.fit(made(lambda x: x[:, 0]), steps=3, progress=False)(torch.full((1, 2), 0.3))["u"]
    assert not torch.equal(other, ends[0])


CONSTANTS: list[Any] = [
    0.5,
    lambda x: 0.5,
    lambda x: torch.full((len(x),), 0.5),
    lambda x: torch.full((len(x), 1), 0.5),
    lambda x: np.full(len(x), 0.5),
    lambda x: {"u": 0.5},
]


def laplace_with(known: Any, **options: Any) -> eg.pinn.Problem:
    return eg.pinn.Problem(lambda d, p: {"pde": d.u_lap}, eg.pinn.Box(0, 1), boundary=known, width=4, depth=1, points=20, rim=12, **options)


def test_a_steady_flow_takes_the_solvers_equation() -> None:
    """What is given in the place of a partial is not asked for."""
    equation = NavierStokesVelocity(viscosity=0.1)
    steady = lambda d, p: {"flow": equation.residual(d.replaced(u_t=0.0).replaced(v_t=0.0), p), "mass": d.u_x + d.v_y}  # noqa: E731
    problem = eg.pinn.Problem(steady, eg.pinn.Box(0, 1), boundary=lambda x: {"u": x[:, 1], "v": 0.0}, outputs=("u", "v", "p"), width=4, depth=1)
    needs = problem.terms(1)["flow"].needs
    assert "u_t" not in needs and {"u", "u_x", "p_x", "p_y"} <= set(needs)
    eg.fit(problem, steps=2, progress=False)
    free = lambda d, p: {"flow": equation.residual(d.replaced(u_t=0.0, v_t=0.0), p)}  # noqa: E731
    found = eg.pinn.Problem(free, eg.pinn.Box(0, 1), outputs=("u", "v", "p"), unknown={"viscosity": 0.2}, width=4, depth=1)
    assert eg.fit(found, steps=2, progress=False).coefficients["viscosity"].shape == (1,)


def test_a_training_tells_its_losses_weights_and_diagnosis(tmp_path: Path) -> None:
    """With an error on the way and without."""
    for options, panels in (({}, ["loss", "weight"]), ({"errors": exact, "diagnose": True}, list(PANELS))):
        solution = eg.fit(laplace(), steps=40, seeds=2, progress=False, folder=tmp_path / str(len(options)), **options)
        assert solution.fit is not None and [record["step"] for record in solution.fit.curve] == list(range(1, 41))
        figure = solution.plot_training()
        assert [axes.get_title(loc="left") for axes in figure.axes] == panels
        weights = next(axes for axes in figure.axes if axes.get_title(loc="left") == "weight")
        drawn = {line.get_label(): line.get_ydata() for line in weights.lines}
        told = [record["terms"]["boundary"]["weight"] for record in solution.fit.curve]
        np.testing.assert_allclose(drawn["boundary"], np.median(told, 1))
    assert "network.weights.1" in next(r for r in solution.fit.curve if "layers" in r)["layers"]["pde"]


PANELS = ("loss", "weight", "std of the gradient", "cosine of gradients", "error")


def test_a_late_term_has_its_rate_as_long_by_its_own_time(tmp_path: Path) -> None:
    """Drops after half and three quarters of what is left; or where they were asked for."""
    for drops, changes in ((None, [60, 80]), ((0.1, 0.3), [10, 30])):
        folder = tmp_path / str(drops)
        eg.fit(laplace(begins={"pde": 0.2}), steps=100, lr=1e-2, schedule=None if drops is None else Drops(drops), progress=False, folder=folder)
        rates = [json.loads(line)["lr"] for line in (folder / "metrics.jsonl").read_text().splitlines()]
        assert [i for i in range(1, 100) if rates[i] != rates[i - 1]] == changes and rates[-1] == pytest.approx(1e-4)


@pytest.mark.parametrize("scale", [1.0, 1e-4])
def test_the_unit_of_a_residual_does_not_matter(scale: float) -> None:
    """By name the moving average does not begin at one: the weight of the boundary may have to fall by decades at once."""
    problem = eg.pinn.Problem(
        lambda d, p: {"pde": scale * d.u_lap}, eg.pinn.Box(0, 1), boundary=exact, width=12, depth=2, points=100, rim=60
    )  # fmt: skip
    solution = eg.fit(problem, steps=400, lr=5e-3, seeds=2, progress=False)
    assert float(solution.error(exact).max()) < 0.1
    assert solution.fit is not None
    first = solution.fit.curve[0]["terms"]
    assert max(first["boundary"]["weight"]) < 1e-2 or scale == 1.0


def test_residuals_may_read_as_they_like() -> None:
    """Coefficients as a mapping, partials by attributes that are asked for first; no walk over what has no end."""
    k = {"k": 1.0}
    for read in (lambda p: p.get("k"), lambda p: dict(p)["k"], lambda p: sum(p.values()), lambda p: p.k if "k" in p else 0.0):
        made = eg.pinn.Problem(lambda d, p: {"pde": read(p) * d.u_x}, eg.pinn.Box(0, 1), unknown=k, points=np.int64(20), width=4, depth=1)  # noqa: B023
        assert made.terms(1)["pde"].needs == ("u_x",)
    for walk in (lambda d: "u" in d, list, lambda d: {**d}):
        with pytest.raises(ValueError, match="partials cannot be iterated"):
            eg.pinn.Problem(lambda d, p: {"pde": walk(d)}, eg.pinn.Box(0, 1))  # noqa: B023
    found = eg.fit(laplace(), steps=1, progress=False).partials(torch.ones(1, 2), ("u",))
    assert not hasattr(found, "u_x") and not hasattr(found.replaced(u_y=0.0), "u_x") and found.replaced(u_y=0.0).u_y == 0.0


def test_a_wavy_channel_repeats() -> None:
    wavy = eg.pinn.PolygonDomain(((0, 0), (1, 0.1), (1, 1), (0, 1)))
    solution = eg.fit(eg.pinn.Problem(lambda d, p: {"pde": d.u_lap}, wavy, periodic={"x": 1.0}, points=20, width=4, depth=1), steps=1, progress=False)
    x = torch.rand(5, 2)
    torch.testing.assert_close(solution(x)["u"], solution(x + torch.tensor([1.0, 0.0]))["u"], rtol=1e-4, atol=1e-5)


def test_fourier_features_are_the_networks() -> None:
    solution = eg.fit(laplace(fourier=(6, 2.0)), steps=2, progress=False)
    assert solution.objective.network.fourier == (6, 2.0)  # type: ignore[union-attr]


def test_sides_that_are_one_and_the_same_have_no_boundary_values() -> None:
    """A channel: walls below and above, periodic along x. Half a period apart, the sides are two again."""
    wave = lambda x: torch.sin(2 * math.pi * x[:, 0]) * x[:, 1]  # noqa: E731

    def rim(period: float, domain: Any) -> Tensor:
        problem = eg.pinn.Problem(lambda d, p: {"pde": d.u_lap}, domain, boundary=wave, periodic={"x": period}, rim=40, points=20)
        return problem.sets(torch.float64)["rim"].x

    square = eg.pinn.Box(0, 1)
    for period, domain in ((1.0, square), (0.5, square), (1.0, square.over(0, 2))):
        x = rim(period, domain)
        assert len(x) == 40 and set(x[:, 1].tolist()) == {0.0, 1.0} and 0 < float(x[:, 0].min()) < float(x[:, 0].max()) < 1
    assert float(rim(2.0, square)[:, 0].min()) == 0.0


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: laplace(inputs=("x",)), "has 2 coordinates, got inputs x"),
        (lambda: laplace(initial=exact), "need a domain with time"),
        (lambda: laplace(begins={"pdf": 0.1}), "begins names 'pdf'; the terms are pde, boundary"),
        (lambda: laplace(hard=True, outputs=("u", "v")).make_network(0, torch.float32), "for one field"),
        (lambda: eg.pinn.Problem(lambda d, p: {"pde": d.u_x - p.c}, eg.pinn.Box(0, 1)), "no coefficient 'c', only none"),
        (lambda: eg.pinn.Problem(lambda d, p: {"pde": d.u_x - p["c"]}, eg.pinn.Box(0, 1)), "no coefficient 'c', only none"),
        (lambda: laplace(unknown={"k": 1.0}), "no residual depends on the coefficient 'k'"),
        (lambda: laplace(unknown={"k": "1"}), "unknown expects an initial number for each coefficient, got 'k': '1'"),
        (lambda: eg.pinn.Problem(lambda d, p: d.u_x, eg.pinn.Box(0, 1)), "residuals must return {name: residual}, .* got Tensor"),
        (lambda: eg.pinn.Problem(lambda d, p: {}, eg.pinn.Box(0, 1)), "residuals must return {name: residual}, .* got nothing"),
        (lambda: eg.pinn.Problem(lambda d, p: {"pde": d.x}, eg.pinn.Box(0, 1)), "the residuals pde read no field; .* such as d.u_x"),
        (
            lambda: eg.pinn.Problem(lambda d, p: {"pde": {**d, "u_t": 0.0}["u"]}, eg.pinn.Box(0, 1)),
            r"cannot be iterated, .* d.replaced\(u_t=0.0\)",
        ),
        (lambda: laplace(pointwise={"pde": eg.pinn.SelfAdaptive}), "pointwise of 'pde' expects point weights such as SelfAdaptive\\(\\)"),
        (lambda: laplace(pointwise={"pde": eg.pinn.Causal(5, (0.0, 1.0))}), "Causal\\(axis=5\\), but there are 2 coordinates: x, y"),
        (lambda: eg.fit(laplace(), schedule=0.5), "schedule: expected a name or a schedule such as .*, got 0.5"),
        (lambda: eg.fit(laplace(), schedule="drop"), "schedule: expected one of constant, .*, got 'drop'"),
        (lambda: eg.fit(laplace(), weighting="mgda:floor=0.9"), "shares of at least 0.9 exceed 1"),
        (lambda: eg.fit(laplace(), weighting=eg.weightings.InverseDirichlet("pdf")), "the reference 'pdf' is none of the terms"),
        (
            lambda: eg.fit(laplace(ends={"boundary": 0.5}), weighting=eg.weightings.InverseDirichlet("boundary", every=7)),
            r"the reference 'boundary' is none of the terms \['pde'\]",
        ),
        (lambda: laplace(periodic={"x": 0.0}), "a period above 0 for each coordinate, got 'x': 0.0"),
        (lambda: laplace(points=True), "points expects a whole number of at least 1, got True"),
        (lambda: laplace(rim=0), "rim expects a whole number of at least 1, got 0"),
        (lambda: eg.fit(laplace(), weighting=3), "weighting: expected a name, a weighting .* got 3"),
        (lambda: eg.fit(laplace(), weighting=eg.weightings.Uniform), "weighting: expected a name, a weighting"),
        (lambda: eg.fit(laplace(), dtype="float16"), "dtype is torch.float32 or torch.float64, got torch.float16"),
        (lambda: eg.fit(laplace(), dtype="float7"), "dtype is torch.float32 or torch.float64, got None"),
        (lambda: eg.fit(laplace(), seeds=[3, 3]), r"seeds must differ, got \[3, 3\]"),
        (lambda: eg.fit(laplace(), lr=1e-2, optimizer="adam:lr=1e-3"), "the rate stands in lr=0.01 and in optimizer='adam:lr=1e-3'"),
        (lambda: laplace(positive="kappa"), r"positive expects a tuple of names, \('kappa',\), got 'kappa'"),
        (lambda: laplace(resample={"boundary": 100}), "the points of 'boundary' are not inside"),
        (lambda: eg.fit(laplace(batch=20), optimizer="lbfgs"), "got batches of 20 points"),
        (lambda: eg.fit(laplace(resample={"pde": 100}), optimizer="lbfgs"), "points are redrawn"),
        (lambda: eg.fit(laplace(begins={"pde": 0.999}), steps=10), "'pde' gets none of the 10 updates"),
        (lambda: eg.pinn.Problem(lambda d, p: {"pde": d.w_x}, eg.pinn.Box(0, 1)).terms(1), "one of u .*got 'w_x'"),
        (lambda: laplace(outputs=("u", "v")).terms(1), "expected a row of u, v for each of the 2 points"),
        (lambda: laplace(periodic={"z": 1.0}), "periodic names 'z'; the coordinates are x, y"),
        (lambda: laplace(periodic={"x": 1.0}, hard=True), "hard boundary values are not periodic"),
        (lambda: laplace(periodic={"x": 1.0, "y": 0.5}), "leaves no rim for boundary="),
        (
            lambda: eg.pinn.Problem(lambda d, p: {"pde": d.u_x}, eg.pinn.Annulus((0, 0), 0, 1), 0.0, periodic={"x": 2.0}),
            "only a Box has sides with names; give the values of the other sides as conditions=",
        ),
        (lambda: eg.fit(laplace(), exact), "pass options by name"),
        (lambda: eg.fit(laplace(), weighting="inverse"), "expected one of uniform, inverse-dirichlet"),
        (lambda: eg.pinn.Problem(lambda d, p: {"pde": d.u_x}, eg.pinn.Box(0, 1), hard=True), "for a rectangle"),
        (lambda: eg.pinn.Problem(lambda d, p: {"boundary": d.u_x}, eg.pinn.Box(0, 1), exact).terms(1), "a residual is called 'boundary'"),
        (lambda: eg.fit(eg.pinn.Problem(lambda d, p: {"pde": d.u_x, "idle": d.x}, eg.pinn.Box(0, 1)), weighting="uniform"), "'idle' has no gradient"),
    ],
)
def test_what_does_not_fit_together_is_named(make: Any, message: str) -> None:
    with pytest.raises((ValueError, AttributeError), match=message):
        make()


def test_a_folder_takes_no_other_problem(tmp_path: Path) -> None:
    """What would give the old weights to a new equation, domain, rate, size or value is refused before anything is trained."""
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


def test_names_take_options() -> None:
    """The reference's weight is held at 1; the other's, a ratio of gradients, is not."""
    for reference, other in (("pde", "boundary"), ("boundary", "pde")):
        solution = eg.fit(laplace(), steps=2, weighting=f"inverse-dirichlet-held:reference={reference}", optimizer="adam:lr=0.01", progress=False)
        assert solution.fit is not None
        weights = [{name: term["weight"] for name, term in record["terms"].items()} for record in solution.fit.curve]
        assert all(weight[reference] == 1.0 and abs(math.log(weight[other])) > 1 for weight in weights) and weights
    with pytest.raises(ValueError, match="no option 'warmth'"):
        eg.fit(laplace(), steps=3, weighting="mgda:warmth=3", progress=False)


def test_the_weight_of_the_equation_is_held_and_not_that_of_the_data() -> None:
    """Of one that joins as well: at its first look its weight is 1, where a moving average from 1 would give it a half, which may be far too much."""
    posed = laplace(begins={"pde": 0.5})
    solution = eg.fit(posed, steps=20, weighting="inverse-dirichlet-held", errors=exact, progress=False)
    assert solution.fit is not None
    weights = [record["terms"]["pde"]["weight"] for record in solution.fit.curve if "pde" in record.get("terms", {})]
    assert len(weights) == 10 and set(weights) == {1.0}


def test_hard_values_may_be_named() -> None:
    named = eg.pinn.Problem(lambda d, p: {"pde": d.u_lap}, eg.pinn.Box(0, 1), boundary=lambda x: {"u": exact(x)}, hard=True, width=4, depth=1)
    rim = named.domain.rim(12, 0)
    torch.testing.assert_close(eg.fit(named, steps=2, progress=False)(rim)["u"].double(), exact(rim), rtol=1e-5, atol=1e-6)


def test_terms_may_end_points_have_weights_and_be_drawn_anew() -> None:
    def wave(x: Tensor) -> Tensor:
        return torch.sin(x[:, 0] - x[:, 1])

    options: dict[str, Any] = {"boundary": wave, "initial": wave, "width": 10, "depth": 2, "points": 100, "rim": 40, "start": 20}
    rule = eg.pinn.Causal(axis=1, span=(0.0, 1.0))
    problem = eg.pinn.Problem(
        lambda d, p: {"pde": d.u_t + d.u_x},
        eg.pinn.Box(0.0, 1.0, axes=1).over(0.0, 1.0),
        ends={"initial": 0.5},
        pointwise={"pde": rule},
        resample={"pde": 5},
        **options,
    )
    terms = problem.terms(20)
    assert terms["initial"].ends == 10 and terms["pde"].ends is None
    assert terms["pde"].pointwise is not rule and isinstance(terms["pde"].pointwise, eg.pinn.Causal) and terms["boundary"].pointwise is None
    solution = eg.fit(problem, steps=20, progress=False)
    batches = problem.batches(solution.objective, torch.float32, "cpu")
    drawn = [batches(step)[1]["inside"].x for step in (0, 4, 5)]
    assert len(drawn[0]) == 100 and torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[1], drawn[2])
    assert "Causal" in problem.described()["pointwise"] and "tolerance" in problem.described()["pointwise"]
    assert not {"ends", "pointwise", "resample"} & set(laplace().described())  # a folder of an older version goes on


def test_a_rule_of_two_terms_remembers_them_apart() -> None:
    rule = eg.pinn.ResidualAttention()
    terms = laplace(pointwise={"pde": rule, "boundary": rule}).terms(10)
    assert terms["pde"].pointwise is not terms["boundary"].pointwise and terms["pde"].pointwise is not rule


def test_points_drawn_anew_go_with_built_in_values_and_several_seeds() -> None:
    problem = laplace(hard=True, resample={"pde": 50})
    solution = eg.fit(problem, steps=300, lr=5e-3, seeds=2, progress=False)
    assert bool((solution.error(exact) < 0.08).all())


def test_a_polished_solution_is_better() -> None:
    errors = [float(eg.fit(laplace(), steps=400, lr=5e-3, polish=polish, progress=False).error(exact)) for polish in (None, 150)]
    assert errors[1] < 0.5 * errors[0]


def test_what_does_not_go_with_drawing_and_polish_is_said() -> None:
    with pytest.raises(ValueError, match="resample names 'pde2'"):
        laplace(resample={"pde2": 5})
    with pytest.raises(ValueError, match="the points of 'boundary' are not inside"):
        laplace(resample={"boundary": 5})
    with pytest.raises(ValueError, match="the weights of 'pde' belong to fixed points"):
        laplace(resample={"pde": 5}, pointwise={"pde": eg.pinn.SelfAdaptive()})
    for times in (
        {"ends": {"boundary": 5.0}},
        {"ends": {"boundary": 0.0}},
        {"begins": {"pde": 0.6}, "ends": {"pde": 0.3}},
        {"begins": {"pde": -0.1}},
    ):
        with pytest.raises(ValueError, match="0 <= begins < ends <= 1"):
            laplace(**times)
    with pytest.raises(ValueError, match=r"no term is trained at share 0\.5"):
        laplace(ends={"pde": 0.5, "boundary": 0.5})
    with pytest.raises(ValueError, match="ends names 'data'; the terms are pde, boundary"):
        laplace(ends={"data": 0.5})
    with pytest.raises(ValueError, match="got batches of 50 points"):
        eg.fit(laplace(batch=50), steps=20, polish=5, progress=False)
    with pytest.raises(ValueError, match="got 2 stacked seeds"):
        eg.fit(laplace(), steps=20, polish=5, seeds=2, progress=False)
