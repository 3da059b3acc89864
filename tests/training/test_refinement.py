"""Refinement of a solver by the validation error: its average against a naive one, its decisions on curves whose answer is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from eddygrad.solver.equations.navier_stokes import NavierStokesVelocity
from eddygrad.solver.grid import Grid
from eddygrad.solver.linear_solvers import Krylov
from eddygrad.solver.schemes.projection import Projection
from eddygrad.training.loop import Loop, train
from eddygrad.training.refinement import Refinement, refine_pressure
from eddygrad.training.training_config import TrainingConfig


def told(refinement: Refinement, errors: list[float]) -> list[int]:
    """Iterations after every epoch."""
    out = []
    for error in errors:
        before, changed = refinement.iterations, refinement.observe(error)
        assert changed == (refinement.iterations != before)
        out.append(refinement.iterations)
    return out


def naive(errors: list[float], window: int = 6) -> list[float]:
    """m_n = sum_k a (1 - a)^k e_{n-k} + (1 - a)^n e_0, a = 2 / (window + 1)"""
    a = 2 / (window + 1)
    return [sum(a * (1 - a) ** k * errors[n - k] for k in range(n)) + (1 - a) ** n * errors[0] for n in range(len(errors))]


def test_the_average_and_the_first_plateau_are_those_of_the_formula() -> None:
    errors = [1 / (1 + n) for n in range(99)]
    m = naive(errors)
    first = next(n for n in range(5, 99) if m[n] / m[n - 5] > 0.92)
    refinement = Refinement(threshold=0.92)
    assert told(refinement, errors[: first + 1]) == [1] * first + [2]
    assert refinement.checkpoint == refinement.averages[-1] == pytest.approx(m[first], rel=1e-12)


def test_a_stall_refines_once_and_without_gain_never_again() -> None:
    """Six epochs for the plateau, five more to see that the second level brings nothing; a later fall changes nothing."""
    refinement = Refinement(iterations=3, step=2)
    assert told(refinement, [1.0] * 11) == [3] * 5 + [5] * 6
    assert refinement.over and told(refinement, [0.01] * 8 + [5.0] * 8) == [5] * 16


def test_it_refines_as_long_as_that_pays() -> None:
    """An error of .5^K, one half of what the level before reached, until K = 4: the fifth level gains nothing, and is the last."""
    refinement, seen = Refinement(), []
    while not refinement.over:
        refinement.observe(0.5 ** min(refinement.iterations, 4))
        seen.append(refinement.iterations)
    assert seen[-1] == 5 and [seen.count(k) for k in (2, 3, 4)] == sorted(seen.count(k) for k in (2, 3, 4))
    assert all(seen.count(k) > 5 for k in (2, 3, 4, 5))


def test_a_falling_error_waits_and_a_rising_one_refines() -> None:
    assert told(Refinement(), [0.9**n for n in range(50)]) == [1] * 50
    rising = Refinement()
    assert told(rising, [1.1**n for n in range(21)]) == [1] * 5 + [2] * 5 + [3] * 5 + [4] * 5 + [5] and not rising.over


@pytest.mark.parametrize("threshold, refines", [(0.98, False), (0.92, True)])
def test_the_threshold_is_the_fall_over_a_window(threshold: float, refines: bool) -> None:
    """An error that falls by a hundredth an epoch falls by .99^5 = .951 over the window, where its average follows it."""
    assert (told(Refinement(threshold=threshold), [0.99**n for n in range(60)])[-1] > 1) == refines


def test_it_stops_at_the_most() -> None:
    refinement = Refinement(step=4, most=6)
    assert told(refinement, [1.1**n for n in range(30)])[-1] == 6 and refinement.over


def test_an_error_that_is_not_finite_is_left_out() -> None:
    errors = [1.1**n for n in range(20)]
    broken = [e for error in errors for e in (error, float("nan"), float("inf"))]
    assert told(Refinement(), broken)[2::3] == told(Refinement(), errors) == [1] * 5 + [2] * 5 + [3] * 5 + [4] * 5


def test_it_goes_on_from_its_state() -> None:
    """Interrupted after any epoch."""
    run, errors = Refinement(), []
    while not run.over:
        errors.append(0.5 ** min(run.iterations, 3))
        run.observe(errors[-1])
    errors += [5.0] * 8
    whole = told(Refinement(), errors)
    assert whole[-1] == 4
    for stop in range(len(errors)):
        first, second = Refinement(), Refinement()
        head = told(first, errors[:stop])
        state = first.state_dict()
        first.observe(1.0)
        second.load_state_dict(state)
        assert head + told(second, errors[stop:]) == whole
    with pytest.raises(ValueError, match=r"expected a state of \['averages', 'checkpoint', 'iterations', 'over'\], got \['iterations'\]"):
        Refinement().load_state_dict({"iterations": 3})


def test_the_solver_makes_the_iterations_that_were_decided() -> None:
    """Conjugate gradients that have not arrived make exactly as many as they may."""
    scale, y = torch.linspace(1, 50, 40, dtype=torch.float64), torch.ones(1, 40, dtype=torch.float64)
    refinement, solver, found = Refinement(iterations=2, step=3), Krylov(tolerance=1e-12), {}  # type: ignore[var-annotated]
    counts = []
    for _ in range(8):
        replace(solver, iterations=refinement.iterations)(lambda x: scale * x, y, observe=found.__setitem__)
        counts.append(int(found["iterations"]))
        refinement.observe(1.0)
    assert counts == [2] * 6 + [5] * 2


@pytest.mark.parametrize("wrong", [{"iterations": 0}, {"step": 0}, {"window": 1}, {"threshold": 0.0}, {"improvement": -1.0}, {"most": 0}])
def test_bad_settings_are_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="refinement: "):
        Refinement(**wrong)


class Learner(torch.nn.Module):
    """A parameter beside a solver whose pressure is iterated."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1, dtype=torch.float64))
        self.solver: Any = Projection(NavierStokesVelocity(), Grid((8, 8)), dt=0.1, pressure=Krylov("cg", iterations=7))


def trained(learner: Learner, folder: Path, steps: int) -> list[int]:
    """Iterations seen by every update; the validation error never changes."""
    seen: list[int] = []

    def objective(window: Any) -> dict[str, torch.Tensor]:
        seen.append(learner.solver.pressure.iterations)
        return {"data": learner.weight.square().sum()}

    refinement = Refinement(iterations=2, step=3, window=2)
    plan = TrainingConfig(steps, validate=lambda module: torch.ones(1), validate_every=1, checkpoint_every=1, refinement=refinement)
    train(learner, objective, lambda step, horizon: None, plan, folder)  # type: ignore[arg-type, return-value]
    return seen


def test_a_training_refines_its_solver_and_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    whole = trained(Learner(), tmp_path / "whole", 6)
    assert whole == [2, 2, 5, 5, 5, 5]  # two equal errors are a plateau; the next one shows no gain, and refining is over
    first = Learner()
    parts = trained(first, tmp_path / "parts", 3)
    assert parts == whole[:3]
    with pytest.raises(ValueError, match="nothing to refine"):
        refine_pressure(torch.nn.Linear(1, 1), 3)


def test_a_resumed_training_keeps_its_iterations(tmp_path: Path) -> None:
    plan = {"validate": lambda module: torch.ones(1), "refinement": Refinement(iterations=2, step=3, window=2)}
    loops = []
    for _ in range(2):
        learner = Learner()
        loops.append((learner, Loop(learner, lambda w, m=learner: {"data": m.weight.square().sum()}, lambda *_: None, TrainingConfig(9, **plan))))  # type: ignore[arg-type, return-value, misc]
    (_, one), (learner, other) = loops
    for _ in range(3):
        one.validate()
    other.load(one.state())
    assert learner.solver.pressure.iterations == 5
    assert other.training.refinement is not None and other.training.refinement.over == one.training.refinement.over  # type: ignore[union-attr]


def test_refinement_needs_a_validation_error() -> None:
    with pytest.raises(ValueError, match="refinement needs a validation error"):
        TrainingConfig(3, refinement=Refinement())
