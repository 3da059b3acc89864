"""Problems that are posed with what would go wrong later, or silently."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import eddygrad as eg
from eddygrad.correctors.seeded_network import seed_options
from eddygrad.pinn.collocation import Collocation, Term
from eddygrad.pinn.domains import Region
from eddygrad.pinn.network.coordinate_network import CoordinateNetwork
from eddygrad.pinn.partials import Names
from eddygrad.pinn.points import Points
from eddygrad.training.loop import Loop
from eddygrad.training.optimizers.polish import Polish
from eddygrad.training.training_config import TrainingConfig

LINE = Names(("x",), ("u",))


def grid(count: int) -> Tensor:
    return torch.linspace(0, 1, count, dtype=torch.float64).unsqueeze(1)


def laplace(**options: Any) -> Any:
    usual = {"boundary": lambda x: x[:, 0] * x[:, 1], "points": 40, "rim": 40, "width": 6, "depth": 2}
    return eg.pinn.Problem(lambda d, p: {"pde": d.u_lap}, eg.pinn.Box(0, 1), **{**usual, **options})


@pytest.mark.parametrize("seeds", [0, (1,), (1, 2, 3, 4, 5)])
def test_a_column_of_values_beside_rows_of_partials_is_an_error(seeds: Any) -> None:
    """Five values for five points of five seeds would have been one for each seed."""
    x, target = grid(5), torch.arange(5.0, dtype=torch.float64).unsqueeze(1)
    terms = {"flux": Term("all", lambda d, p: d.u - target, ("u",))}
    problem = Collocation(CoordinateNetwork(1, 4, 1, 1, "tanh", **seed_options(seeds)).double(), LINE, terms)
    if seeds == (1, 2, 3, 4, 5):
        with pytest.raises(ValueError, match=r"a condition at 5 points must give \(5,\), or \(C, 5\) with components, got \(5, 5\)"):
            laplace(conditions={"flux": eg.pinn.Condition(torch.rand(5, 2), lambda d, p: d.u - target)})
    else:
        with pytest.raises(ValueError, match=r"\(1, 5\), or components|a column \(N, 1\) was broadcast|expected \(1, 5\)"):
            problem.losses((0, {"all": Points(x)}))


def test_a_condition_may_know_its_rows_of_numbers() -> None:
    x, flux = eg.pinn.Box(0, 1).side("x", "lower", 30).float(), torch.linspace(0, 1, 30)
    problem = laplace(conditions={"flux": eg.pinn.Condition(x, lambda d, p: p.h * d.u_x - flux)}, unknown={"h": 1.0})
    solution = eg.fit(problem, steps=2, progress=False)
    assert math.isfinite(solution.fit.curve[-1]["loss"][0])
    assert problem.terms(1)["flux"].needs == ("u_x",)


def test_bounds_are_components_of_one_partial() -> None:
    at = eg.pinn.Box(0, 1).side("x", "lower", 30).float()
    bounds = eg.pinn.Condition(at, lambda d, p: torch.stack([torch.relu(-d.u), torch.relu(d.u - 1)]))
    assert eg.fit(laplace(conditions={"bounds": bounds}), steps=2, progress=False).fit.frozen_at == [-1]


@pytest.mark.parametrize(
    "options, message",
    [
        ({"fourier": (0, 1.0)}, r"fourier expects \(number of features, std of their frequencies\), such as \(64, 1.0\), got \(0, 1.0\)"),
        ({"fourier": 5}, "fourier expects"),
        ({"fourier": (8, 1.0), "periodic": {"x": 1.0}}, "Fourier features are not periodic"),
        ({"unknown": {"type": 1.0}}, "'type' cannot be the name"),
        ({"unknown": {"K.1": 1.0}}, "'K.1' cannot be the name"),
        ({"unknown": {"training": 1.0}}, "'training' cannot be the name"),
        ({"hard": True, "outputs": ("u", "v"), "boundary": 0.0}, "hard boundary values are for one field, got outputs u, v"),
        ({"hard": True, "boundary": lambda x: np.sin(x[:, 0].numpy())}, "hard=True need functions of torch"),
        ({"hard": True, "boundary": lambda x: {}}, "hard boundary values must be those of 'u', got none"),
        ({"hard": True, "boundary": lambda x: torch.zeros(7)}, "known values have the shape|expected a row"),
    ],
)
def test_options_are_checked_when_a_problem_is_posed(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        laplace(**options)


@pytest.mark.parametrize(
    "seeds, message", [(2.0, "seeds is how many"), (0, "seeds is how many"), ([1, 1], "must differ"), ("ab", "seeds is how many")]
)
def test_seeds_are_a_number_or_numbers(seeds: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        eg.fit(laplace(), steps=1, seeds=seeds, progress=False)


def test_numpys_numbers_are_numbers_of_seeds() -> None:
    assert len(eg.fit(laplace(), steps=1, seeds=np.arange(3), progress=False).error(0.0)) == 3
    assert len(eg.fit(laplace(), steps=1, seeds=np.int64(2), progress=False).error(lambda x: x[:, 0] * x[:, 1])) == 2


def test_a_domain_far_from_the_origin_needs_more_digits() -> None:
    far = eg.pinn.Problem(lambda d, p: {"pde": d.u_lap}, eg.pinn.Box((1e5, 0.0), (1e5 + 1, 1.0)), boundary=0.0, points=20, width=4, depth=1)
    with pytest.raises(ValueError, match=r'float32 cannot tell points from 100000.0 to 100001.0 apart \(coordinate 0\); use dtype="float64"'):
        eg.fit(far, steps=1, progress=False)
    eg.fit(far, steps=1, dtype="float64", progress=False)


def test_a_gradient_whose_square_overflows_is_finite() -> None:
    tiny = eg.pinn.Problem(lambda d, p: {"pde": d.u_lap - 1}, eg.pinn.Box(0, 1e-5), boundary=0.0, points=20, width=8, depth=2)
    assert eg.fit(tiny, steps=3, progress=False).fit.frozen_at == [-1]


class Half(Region):
    """Of the unit square, a domain of one's own."""

    def __init__(self, below: float) -> None:
        self.below = below

    bounds = ((0.0, 0.0), (1.0, 1.0))

    def inside(self, x: Tensor) -> Tensor:
        return (x > 0).all(-1) & (x < 1).all(-1) & (x[..., 1] < self.below)

    def rim(self, count: int, seed: int = 0) -> Tensor:
        return torch.stack([torch.linspace(0, 1, count, dtype=torch.float64), torch.zeros(count, dtype=torch.float64)], 1)


def test_a_folder_knows_a_domain_and_the_parts_of_its_points() -> None:
    many = torch.rand(600, 2, dtype=torch.float64)
    circle = [(math.cos(2 * math.pi * i / 600), math.sin(2 * math.pi * i / 600)) for i in range(600)]
    dented = [(x * (0.9 if i == 300 else 1.0), y) for i, (x, y) in enumerate(circle)]
    shapes = [eg.pinn.PolygonDomain(np.array(corners)) for corners in (circle, dented)]  # type: ignore[arg-type]
    pairs = [[{"domain": shape} for shape in shapes], [{"domain": Half(b)} for b in (0.5, 0.6)]]
    for pair in pairs:
        told = [eg.pinn.Problem(lambda d, p: {"pde": d.u_lap}, **options).described() for options in pair]
        assert told[0] != told[1] and " at 0x" not in told[0]["domain"]
    plain, split = (laplace(data=Points(many[:30], {"u": 0.0}, parts=parts)).described() for parts in ((), (10, 20)))
    assert plain != split


def test_a_term_may_leave_where_the_polish_begins_and_points_do_not_move_under_a_search(tmp_path: Path) -> None:
    data = Points(torch.rand(10, 2), {"u": 0.0})
    eg.fit(laplace(data=data, ends={"data": 0.5}), steps=10, polish=5, progress=False)
    with pytest.raises(ValueError, match="joins or leaves at update 6, within the last 5"):
        eg.fit(laplace(data=data, ends={"data": 0.6}), steps=10, polish=5, progress=False)
    with pytest.raises(ValueError, match="point weights change; leave out pointwise="):
        eg.fit(laplace(pointwise={"pde": eg.pinn.SelfAdaptive()}), steps=5, optimizer="lbfgs", progress=False)
    terms = {"a": Term("all", lambda d, p: d.u, ("u",)), "b": Term("all", lambda d, p: d.u - 1, ("u",), 5)}
    late = Collocation(CoordinateNetwork(1, 4, 1, 1).double(), LINE, terms)
    with pytest.raises(ValueError, match="joins or leaves at update 5"):
        Loop(late, late.losses, lambda step, horizon: (step, {"all": Points(grid(5))}), TrainingConfig(steps=10, polish=Polish(5)))
