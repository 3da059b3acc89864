"""A stepper and data that do not belong together are refused, with the fix."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from cases.fitting_cases import OPTIONS, data, line, network, refusal

from eddygrad import presets
from eddygrad.correctors.compose import correct, predict, transition
from eddygrad.correctors.encoder_decoder import EncoderDecoder
from eddygrad.correctors.resnet import ResNet
from eddygrad.datasets.dataset import Dataset
from eddygrad.datasets.forces import WithForces
from eddygrad.fitting.compatibility import check_fits
from eddygrad.fitting.corrector import fit_stepper
from eddygrad.solver.equations.navier_stokes import NavierStokesVelocity
from eddygrad.solver.grid import Grid
from eddygrad.solver.schemes.projection import Projection
from eddygrad.solver.staggered.bodies import Cylinder
from eddygrad.solver.staggered.boundary_conditions import Inflow, Outflow, Periodic
from eddygrad.solver.wrap import wrap


@pytest.mark.parametrize(
    "other,complaint",
    [
        ({"dt": 0.1}, "of the stepper, dt=1, got data with dt=0.1; build the stepper with dt=0.1"),
        ({"points": 24}, r"on the solver's grid \(48,\), got \(24,\)"),
        ({"length": 6.0}, r"solver's length \(50.2\d*,\), got \(6.0,\); .* or give the data a parameter 'length'"),
    ],
)
def test_data_of_another_step_or_grid_are_refused_before_training(other: dict[str, float], complaint: str) -> None:
    solver = presets.kuramoto_sivashinsky(order=1)
    for stepper in (solver, correct(solver, ResNet(2, 0), "parallel"), transition(solver, ResNet(2, 0), 0.5)):
        check_fits(stepper, line())
        with pytest.raises(ValueError, match=complaint):
            check_fits(stepper, line(**other))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=complaint):
        fit_stepper(correct(solver, ResNet(2, 0), "parallel"), line(**other), **OPTIONS)  # type: ignore[arg-type]


def test_a_solver_that_changes_with_time_is_refused() -> None:
    """Windows begin at any frame, and a data set does not say when that was."""
    grid = Grid((32, 16), (2.0, 1.0))
    data = Dataset.from_tensor(torch.zeros(2, 6, 2, 32, 16), {}, grid, dt=0.1)

    def around(speed: Any, steady: bool, place: Any) -> Projection:
        sides = ((Inflow((speed, 0.0), steady=steady), Outflow()), Periodic())
        return Projection(NavierStokesVelocity(), grid, 0.1, sides, bodies=(Cylinder((place, 0.5), radius=0.2),))

    for solver in (around(1.0, True, 0.5), around(1.0, True, "place")):
        check_fits(correct(solver, EncoderDecoder("32k", cin=2), "sequential"), data)
    for solver in (around(lambda x, t, p: 1 + 0.1 * torch.sin(t), False, 0.5), around(1.0, True, lambda t, p: 0.5 + 0.1 * torch.sin(t))):
        with pytest.raises(ValueError, match=r"change with time, and a data set does not keep the time .* params\['t0'\]"):
            check_fits(correct(solver, EncoderDecoder("32k", cin=2), "sequential"), data)
        with pytest.raises(ValueError, match="change with time"):
            check_fits(correct(WithForces(solver), EncoderDecoder("32k", cin=2), "sequential"), data)


def test_a_users_stepper_may_call_anything_its_grid() -> None:
    class Own:
        dt, differentiable, grid = 1.0, False, (48,)

        def at(self, params: Any, like: torch.Tensor, observe: Any = None) -> Any:
            return lambda u, k=0: u

    stepper = correct(Own(), ResNet(2, 0, cin=1), "parallel")
    check_fits(stepper, line())
    u = line()[0][:1]
    assert stepper.at({}, u)(u).shape == u.shape


def test_a_length_of_the_data_replaces_the_solvers_and_single_precision_is_the_same_step() -> None:
    check_fits(presets.kuramoto_sivashinsky(), Dataset.from_tensor(line().all(), {"length": 30.0}, Grid((48,), 6.0)))
    tenth = float(torch.tensor(0.1, dtype=torch.float32))
    check_fits(wrap(lambda u: u, dt=0.1), line(dt=tenth))  # a wrapped function knows no grid
    assert tenth != 0.1


def test_another_precision_is_one_line_with_the_fix() -> None:
    single = predict(ResNet(3, 1, cin=1), 1.0)
    told = refusal(lambda: fit_stepper(single, data(), **OPTIONS))
    assert "expected data in torch.float32" in told and "got torch.float64; write data.to(dtype=torch.float32) or network.double()" in told
    assert "write data.to(dtype=torch.float64)" in refusal(lambda: fit_stepper(predict(network(0), 1.0), data().to(dtype=torch.float32), **OPTIONS))
    fit_stepper(single, data().to(dtype=torch.float32), **OPTIONS)
    fit_stepper(predict(network(0), 1.0), data(), **OPTIONS)
