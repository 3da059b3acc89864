"""Every argument that takes a name takes its object too, and the other way round."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from cases.fitting_cases import data, network

import eddygrad as eg
from eddygrad.fitting.recipe import TrainingRecipe
from eddygrad.training.schedule import Cosine
from eddygrad.training.weighting.registry import weighting

TINY: dict[str, Any] = {"steps": 3, "batch": 2, "validation_horizon": 3, "progress": False}
SHORT: dict[str, Any] = {"steps": 3, "progress": False}


def stepper() -> eg.Corrected:
    return eg.correct(eg.wrap(lambda u: 0.5 * u, dt=1.0, differentiable=True), network((0, 1)))


def problem() -> eg.pinn.Problem:
    def exact(x: torch.Tensor) -> torch.Tensor:
        return torch.sin(torch.pi * x[:, 0])

    def residual(d: Any, p: Any) -> dict[str, torch.Tensor]:
        return {"pde": d.u_xx + torch.pi**2 * torch.sin(torch.pi * d.x)}

    return eg.pinn.Problem(residual, domain=eg.pinn.Box(0, 1), boundary=exact, width=4, depth=1)


def weights(module: torch.nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in module.parameters()])


@pytest.mark.parametrize(
    "name, spelled, made",
    [
        ("unroll", "nog:2", eg.Unrolling(2, "always")),
        ("unroll", "one", eg.Unrolling(1)),
        ("unroll", "wig:3/2", eg.Unrolling(3, "every", 2)),
        ("unroll", "push:3/1", eg.Unrolling(3, "first", 1)),
        ("schedule", "cosine", Cosine()),
        ("weighting", "uniform", weighting("uniform")),
        ("baselines", "coarse", {"coarse": eg.wrap(lambda u: 0.5 * u, dt=1.0)}),
        ("seeds", 2, (0, 1)),
        ("recipe", None, TrainingRecipe(unroll="nog:2", steps=3, batch=2, validation_horizon=3)),
    ],
)
def test_a_stepper_is_trained_and_tested_alike(name: str, spelled: Any, made: Any) -> None:
    runs, tables = [], []
    for value in (spelled, made):
        options: dict[str, Any] = {"unroll": "nog:2", **TINY} if name != "recipe" or value is None else {"progress": False}
        options |= {name: value} if name != "baselines" and value is not None else {}
        run = eg.fit(stepper(), data(), **options)
        runs.append(weights(run.stepper))
        tables.append([row.partition("  ")[0] for row in run.test(horizon=5, baselines=value if name == "baselines" else ()).table().splitlines()])
    assert torch.equal(*runs) and tables[0] == tables[1]


@pytest.mark.parametrize(
    "name, spelled, made",
    [
        ("optimizer", "rmsprop", torch.optim.RMSprop),
        ("schedule", "cosine", Cosine()),
        ("dtype", "float64", torch.float64),
        ("device", "cpu", torch.device("cpu")),
        ("seeds", 2, (0, 1)),
    ],
)
def test_a_problem_is_solved_alike(name: str, spelled: Any, made: Any) -> None:
    solved = [weights(eg.fit(problem(), **{name: value}, **SHORT).objective) for value in (spelled, made)]
    assert torch.equal(*solved)


def test_a_comparison_takes_policies_by_object() -> None:
    spelled, made = (eg.compare(unroll=value).configuration for value in (["nog:4", "wig:2"], [eg.Unrolling(4, "always"), eg.Unrolling(2)]))
    assert spelled == made


def test_objects_that_a_study_cannot_write_down_are_one_line() -> None:
    for call in (lambda: eg.compare(schedule=Cosine()), lambda: eg.pinn.compare(problem=problem())):
        with pytest.raises(ValueError) as caught:
            call()
        assert "\n" not in str(caught.value)
