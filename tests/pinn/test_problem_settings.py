"""Options of a problem in groups: `Sampling` and `Network` do the same as their short names."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
import torch
from cases.laplace_problem import exact

import eddygrad as eg

SHORT: dict[str, Any] = {"points": 30, "rim": 12, "resample": {"pde": 2}, "seed": 4, "width": 6, "depth": 2, "activation": "sine", "gain": 1.5}


def posed(**options: Any) -> eg.pinn.Problem:
    return eg.pinn.Problem(lambda d, p: {"pde": d.u_lap}, eg.pinn.Box(0, 1), boundary=exact, **options)


def grouped(options: dict[str, Any]) -> dict[str, Any]:
    """Return the same options as `sampling` and `network`."""
    own = {option.name for option in fields(eg.pinn.Sampling)}
    sampling = {name: value for name, value in options.items() if name in own}
    network = {name: value for name, value in options.items() if name not in own}
    return {"sampling": eg.pinn.Sampling(**sampling), "network": eg.pinn.Network(**network)}


def test_every_option_of_a_group_is_an_option_of_the_problem_with_the_same_default() -> None:
    usual = {option.name: option.default for option in fields(eg.pinn.Problem)}
    for group in (eg.pinn.Sampling, eg.pinn.Network):
        assert {option.name: option.default for option in fields(group)}.items() <= usual.items()


def test_groups_set_what_their_short_names_set() -> None:
    short, long = posed(**SHORT), posed(**grouped(SHORT))
    assert short.described() == long.described()
    assert {name: getattr(long, name) for name in SHORT} == SHORT


def test_a_training_with_groups_is_bitwise_the_one_with_short_names() -> None:
    solutions = [eg.fit(problem, steps=4, progress=False) for problem in (posed(**SHORT), posed(**grouped(SHORT)))]
    first, second = (list(solution.objective.parameters()) for solution in solutions)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"sampling": eg.pinn.Sampling(points=30), "points": 40}, r"got points=40 and sampling=Sampling\(points=30, .*; set points in one of them"),
        ({"sampling": eg.pinn.Sampling(rim=30), "points": 40}, "got points=40 and sampling="),
        ({"network": eg.pinn.Network(width=6), "depth": 2}, "got depth=2 and network="),
        ({"network": eg.pinn.Sampling()}, r"network expects eg.pinn.Network\(...\), got Sampling"),
        ({"sampling": {"points": 30}}, r"sampling expects eg.pinn.Sampling\(...\), got \{'points': 30\}"),
        ({"sampling": eg.pinn.Sampling(points=0)}, "points expects a whole number of at least 1, got 0"),
    ],
)
def test_an_option_given_twice_or_a_wrong_group_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        posed(**options)


def test_a_group_goes_with_short_names_of_the_other() -> None:
    problem = posed(sampling=eg.pinn.Sampling(points=30), width=6)
    assert (problem.points, problem.width) == (30, 6)
