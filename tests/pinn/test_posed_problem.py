"""Problems as a user poses them: terms, known values, coefficients, periodic coordinates, and their description."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from cases.laplace_problem import exact, laplace, small_laplace
from torch import Tensor

import eddygrad as eg
from eddygrad.pinn.domains import Region
from eddygrad.pinn.points import Points
from eddygrad.solver.equations.navier_stokes import NavierStokesVelocity


def test_boundary_values_of_some_fields() -> None:
    problem = eg.pinn.Problem(
        lambda d, p: {"flow": torch.stack([d.u_x + d.v_y, d.u_y - d.v_x])}, eg.pinn.Annulus((0, 0), 0.5, 1), boundary=lambda x: {"v": x[:, 1]},
        outputs=("u", "v"), points=50, rim=30,
    )  # fmt: skip
    assert problem.terms(1)["boundary"].needs == ("v",) and problem.terms(1)["flow"].needs == ("u_x", "v_y", "u_y", "v_x")


def test_a_periodic_coordinate_needs_no_boundary_values() -> None:
    """u_t + u_x = 0 on a circle of length 1, from sin(2 pi x)."""
    domain = eg.pinn.Box(0.0, 1.0, axes=1).over(0.0, 0.5)
    wave = lambda x: torch.sin(2 * math.pi * (x[:, 0] - x[:, 1]))  # noqa: E731
    problem = eg.pinn.Problem(
        lambda d, p: {"pde": d.u_t + d.u_x}, domain, initial=wave, periodic={"x": 1.0}, width=12, depth=2, activation="sine", points=150, start=40
    )  # fmt: skip
    assert list(problem.terms(1)) == ["pde", "initial"]
    assert float(eg.fit(problem, steps=800, lr=1e-2, progress=False).error(wave)) < 0.12  # 1 if nothing is carried along


def test_a_missing_coefficient_is_missing_for_hasattr_and_get() -> None:
    read: list[object] = []
    term = lambda d, p: read.extend([hasattr(p, "c"), p.get("c", 2.0), hasattr(p, "k")]) or {"pde": d.u_x - p.k}  # noqa: E731
    eg.pinn.Problem(term, eg.pinn.Box(0, 1), unknown={"k": 1.0})
    assert read[:3] == [False, 2.0, True]


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


@pytest.mark.parametrize("hard", [False, True])
def test_known_values_are_a_number_an_array_or_a_mapping(hard: bool) -> None:
    made = lambda known, **options: laplace_with(known, hard=hard, **options)  # noqa: E731
    ends = [eg.fit(made(known), steps=3, progress=False)(torch.full((1, 2), 0.3))["u"] for known in CONSTANTS]
    assert all(torch.equal(end, ends[0]) for end in ends)
    other = eg.fit(made(lambda x: x[:, 0]), steps=3, progress=False)(torch.full((1, 2), 0.3))["u"]
    assert not torch.equal(other, ends[0])


def test_a_steady_flow_by_an_equation_of_the_solver() -> None:
    """A replaced partial is not computed."""
    equation = NavierStokesVelocity(viscosity=0.1)
    steady = lambda d, p: {"flow": equation.residual(d.replaced(u_t=0.0).replaced(v_t=0.0), p), "mass": d.u_x + d.v_y}  # noqa: E731
    problem = eg.pinn.Problem(steady, eg.pinn.Box(0, 1), boundary=lambda x: {"u": x[:, 1], "v": 0.0}, outputs=("u", "v", "p"), width=4, depth=1)
    needs = problem.terms(1)["flow"].needs
    assert "u_t" not in needs and {"u", "u_x", "p_x", "p_y"} <= set(needs)
    eg.fit(problem, steps=2, progress=False)
    free = lambda d, p: {"flow": equation.residual(d.replaced(u_t=0.0, v_t=0.0), p)}  # noqa: E731
    found = eg.pinn.Problem(free, eg.pinn.Box(0, 1), outputs=("u", "v", "p"), unknown={"viscosity": 0.2}, width=4, depth=1)
    assert eg.fit(found, steps=2, progress=False).coefficients["viscosity"].shape == (1,)


def test_residuals_read_coefficients_as_mapping_or_attributes() -> None:
    """Coefficients can be iterated, partials cannot: every name exists while a residual is traced."""
    k = {"k": 1.0}
    for read in (lambda p: p.get("k"), lambda p: dict(p)["k"], lambda p: sum(p.values()), lambda p: p.k if "k" in p else 0.0):
        made = eg.pinn.Problem(lambda d, p: {"pde": read(p) * d.u_x}, eg.pinn.Box(0, 1), unknown=k, points=np.int64(20), width=4, depth=1)  # noqa: B023
        assert made.terms(1)["pde"].needs == ("u_x",)
    for walk in (lambda d: "u" in d, list, lambda d: {**d}):
        with pytest.raises(ValueError, match="partials cannot be iterated"):
            eg.pinn.Problem(lambda d, p: {"pde": walk(d)}, eg.pinn.Box(0, 1))  # noqa: B023
    found = eg.fit(laplace(), steps=1, progress=False).partials(torch.ones(1, 2), ("u",))
    assert not hasattr(found, "u_x") and not hasattr(found.replaced(u_y=0.0), "u_x") and found.replaced(u_y=0.0).u_y == 0.0


def test_a_wavy_channel_is_periodic() -> None:
    wavy = eg.pinn.PolygonDomain(((0, 0), (1, 0.1), (1, 1), (0, 1)))
    solution = eg.fit(eg.pinn.Problem(lambda d, p: {"pde": d.u_lap}, wavy, periodic={"x": 1.0}, points=20, width=4, depth=1), steps=1, progress=False)
    x = torch.rand(5, 2)
    torch.testing.assert_close(solution(x)["u"], solution(x + torch.tensor([1.0, 0.0]))["u"], rtol=1e-4, atol=1e-5)


def test_fourier_features_are_passed_to_the_network() -> None:
    solution = eg.fit(laplace(fourier=(6, 2.0)), steps=2, progress=False)
    assert solution.objective.network.fourier == (6, 2.0)  # type: ignore[union-attr]


def test_sides_a_period_apart_have_no_boundary_values() -> None:
    """A channel with walls below and above, periodic along x. With twice the period, the sides differ and have boundary values."""
    wave = lambda x: torch.sin(2 * math.pi * x[:, 0]) * x[:, 1]  # noqa: E731

    def rim(period: float, domain: Any) -> Tensor:
        problem = eg.pinn.Problem(lambda d, p: {"pde": d.u_lap}, domain, boundary=wave, periodic={"x": period}, rim=40, points=20)
        return problem.sets(torch.float64)["rim"].x

    square = eg.pinn.Box(0, 1)
    for period, domain in ((1.0, square), (0.5, square), (1.0, square.over(0, 2))):
        x = rim(period, domain)
        assert len(x) == 40 and set(x[:, 1].tolist()) == {0.0, 1.0} and 0 < float(x[:, 0].min()) < float(x[:, 0].max()) < 1
    assert float(rim(2.0, square)[:, 0].min()) == 0.0


def test_hard_boundary_values_by_name() -> None:
    named = eg.pinn.Problem(lambda d, p: {"pde": d.u_lap}, eg.pinn.Box(0, 1), boundary=lambda x: {"u": exact(x)}, hard=True, width=4, depth=1)
    rim = named.domain.rim(12, 0)
    torch.testing.assert_close(eg.fit(named, steps=2, progress=False)(rim)["u"].double(), exact(rim), rtol=1e-5, atol=1e-6)


def test_ends_point_weights_and_resampling() -> None:
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


def test_each_term_has_its_own_copy_of_point_weights() -> None:
    rule = eg.pinn.ResidualAttention()
    terms = laplace(pointwise={"pde": rule, "boundary": rule}).terms(10)
    assert terms["pde"].pointwise is not terms["boundary"].pointwise and terms["pde"].pointwise is not rule


class Half(Region):
    """The lower part of the unit square, a domain of a user."""

    def __init__(self, below: float) -> None:
        self.below = below

    bounds = ((0.0, 0.0), (1.0, 1.0))

    def inside(self, x: Tensor) -> Tensor:
        return (x > 0).all(-1) & (x < 1).all(-1) & (x[..., 1] < self.below)

    def rim(self, count: int, seed: int = 0) -> Tensor:
        return torch.stack([torch.linspace(0, 1, count, dtype=torch.float64), torch.zeros(count, dtype=torch.float64)], 1)


def test_the_description_covers_the_domain_and_the_parts_of_points() -> None:
    many = torch.rand(600, 2, dtype=torch.float64)
    circle = [(math.cos(2 * math.pi * i / 600), math.sin(2 * math.pi * i / 600)) for i in range(600)]
    dented = [(x * (0.9 if i == 300 else 1.0), y) for i, (x, y) in enumerate(circle)]
    shapes = [eg.pinn.PolygonDomain(np.array(corners)) for corners in (circle, dented)]  # type: ignore[arg-type]
    pairs = [[{"domain": shape} for shape in shapes], [{"domain": Half(b)} for b in (0.5, 0.6)]]
    for pair in pairs:
        described = [eg.pinn.Problem(lambda d, p: {"pde": d.u_lap}, **options).described() for options in pair]
        assert described[0] != described[1] and " at 0x" not in described[0]["domain"]
    plain, split = (small_laplace(data=Points(many[:30], {"u": 0.0}, parts=parts)).described() for parts in ((), (10, 20)))
    assert plain != split
