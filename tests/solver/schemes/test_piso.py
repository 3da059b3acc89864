"""PISO: first order in time, second in space, steady states that do not know the time step, a pressure that is the flow's."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from cases.staggered_cases import SIDES, at_faces, noise, orders, rms, taylor_green
from torch import Tensor

from eddygrad.solver.equations.navier_stokes import NavierStokesVelocity
from eddygrad.solver.grid import Grid
from eddygrad.solver.linear_solvers import Krylov
from eddygrad.solver.schemes.piso import PISO
from eddygrad.solver.schemes.projection import Projection
from eddygrad.solver.staggered.bodies import Cylinder
from eddygrad.solver.staggered.boundary_conditions import FreeSlip, Periodic, Wall
from eddygrad.solver.unroll import repeat

NU = 0.01
TIGHT = Krylov("bicgstab", tolerance=1e-12, iterations=100)


def with_pressure(u: Tensor) -> Tensor:
    return torch.cat([u, torch.zeros_like(u[:, :1])], 1)


@pytest.mark.parametrize("length, sides", [(2 * math.pi, Periodic()), (math.pi, FreeSlip())])
@pytest.mark.parametrize("advection, order", [("central", 2), ("upwind1", 1), ("upwind3", 2)])
def test_order_in_space(advection: Any, order: int, length: float, sides: Any) -> None:
    """Taylor-Green vortices in a periodic box and between slip sides; four times the steps on twice the points, so that time plays no part."""
    errors = []
    for n in (8, 16, 32):
        grid = Grid((n, n), length)
        u = with_pressure(at_faces(grid, taylor_green(NU)))
        scheme = PISO(NavierStokesVelocity(viscosity=NU), grid, 0.05, sides, substeps=(n // 8) ** 2, advection=advection)
        end = repeat(scheme.at({}, u), u, 4)
        errors.append(rms(end[:, :2] - at_faces(grid, taylor_green(NU), 0.2)))
    assert orders(errors)[-1] > order - 0.2


@pytest.mark.parametrize("name", ["periodic", "slip", "walls", "convective", "do-nothing"])
def test_first_order_in_time(name: str) -> None:
    grid, equation = Grid((12, 12)), NavierStokesVelocity(viscosity=0.05)
    rough = noise(grid, 1)
    u = repeat(Projection(equation, grid, 2e-3, SIDES[name]).at({}, rough), rough, 100)
    exact = Projection(equation, grid, 0.2, SIDES[name], substeps=100, order=4).at({}, u)(u)
    errors = []
    for substeps in (16, 32, 64):
        state = with_pressure(u)
        end = PISO(equation, grid, 0.2, SIDES[name], substeps=substeps, solver=TIGHT).at({}, state)(state)
        errors.append(rms(end[:, :2] - exact))
    assert orders(errors)[-1] > 0.9


def test_the_pressure_is_that_of_the_flow() -> None:
    """p = (cos 2x + cos 2y) / 4 for Taylor-Green vortices, without advection's aid: it is a channel of the state."""
    grid = Grid((64, 64))
    u = with_pressure(at_faces(grid, taylor_green(NU)))
    p = repeat(PISO(NavierStokesVelocity(viscosity=NU), grid, 0.01).at({}, u), u, 3)[0, 2]
    x, y = grid.points(centred=True)
    assert (p - (torch.cos(2 * x) + torch.cos(2 * y)) / 4).abs().max() < 0.01


@pytest.mark.parametrize("body", [False, True])
def test_a_steady_state_does_not_depend_on_the_time_step(body: bool) -> None:
    """A channel, with a cylinder in it or not, by two time steps; and it is the steady state of the explicit scheme."""
    grid, equation = Grid((24, 16), (3.0, 2.0)), NavierStokesVelocity(viscosity=0.5)
    bodies = (Cylinder((1.3, 1.1), radius=0.3),) if body else ()
    push = torch.zeros(1, 2, 24, 16, dtype=torch.float64)
    push[:, 0] = 1.0
    ends = []
    for dt in (0.02, 0.08):
        state = torch.zeros(1, 3, 24, 16, dtype=torch.float64)
        scheme = PISO(equation, grid, dt, (Periodic(), Wall()), bodies=bodies, solver=TIGHT)
        ends.append(repeat(scheme.at({"forcing": push}, state), state, round(12 / dt))[:, :2])
    explicit = Projection(equation, grid, 0.01, (Periodic(), Wall()), bodies=bodies)
    rate = (explicit.at({"forcing": push}, ends[0])(ends[0]) - ends[0]) / 0.01
    assert rms(rate) < 1e-3 and rms(ends[0] - ends[1]) < 1e-3 * rms(ends[0])


@pytest.mark.parametrize("name", SIDES)
def test_no_divergence_is_left(name: str) -> None:
    grid = Grid((16, 12), (2.0, 1.5))
    u = with_pressure(noise(grid))
    scheme = PISO(NavierStokesVelocity(viscosity=0.1), grid, 0.02, SIDES[name], advection="upwind1")
    end = repeat(scheme.at({}, u), u, 2)
    divergence = scheme.momentum({}, u).faces.divergence(list(end[:, :2].unbind(1)))
    assert divergence.abs().max() * max(grid.spacing) / end[:, :2].abs().max() < 1e-12


@pytest.mark.parametrize("name", ["periodic", "convective"])
def test_gradients_by_state_and_viscosity(name: str) -> None:
    grid = Grid((8, 6), (2.0, 1.5))
    scheme = PISO(NavierStokesVelocity(), grid, 0.05, SIDES[name], solver=TIGHT)
    weights = noise(grid, 2, seed=3)

    def loss(u: Tensor, nu: Tensor) -> Tensor:
        return (repeat(scheme.at({"viscosity": nu}, u), u, 3, grad=True)[:, :2] * weights).sum()

    u = with_pressure(noise(grid)).requires_grad_()
    nu = torch.tensor([0.1, 0.2], dtype=torch.float64).reshape(2, 1, 1, 1).requires_grad_()
    assert torch.autograd.gradcheck(loss, (u, nu), eps=1e-6, atol=1e-5, rtol=1e-4, fast_mode=True)


def test_the_observer_is_told_of_the_solver() -> None:
    grid, told = Grid((8, 8)), {}
    u = with_pressure(noise(grid, 1))
    PISO(NavierStokesVelocity(viscosity=0.1), grid, 0.05).at({}, u, told.__setitem__)(u)
    assert bool(told["converged"].all()) and int(told["iterations"].max()) <= 10


@pytest.mark.parametrize(
    "options, channels, message",
    [
        ({"correctors": 0}, 3, "correctors must be a whole number"),
        ({"advection": "van-leer"}, 3, "needs a linear advection"),
        ({}, 2, "expected 3 channels, got 2"),
    ],
)
def test_bad_input_is_named(options: dict[str, Any], channels: int, message: str) -> None:
    given: dict[str, Any] = {"equation": NavierStokesVelocity(), "grid": Grid((8, 8)), "dt": 0.1, **options}
    with pytest.raises(ValueError, match=message):
        PISO(**given).at({}, torch.zeros(1, channels, 8, 8, dtype=torch.float64))


def test_a_predictor_that_does_not_converge_is_told() -> None:
    grid = Grid((16, 16))
    u = torch.cat([noise(grid), torch.zeros(2, 1, *grid.shape, dtype=torch.float64)], 1)
    with pytest.warns(UserWarning, match=r"Krylov: bicgstab leaves residuals above the tolerance: sample 0 at .* after"):
        PISO(NavierStokesVelocity(viscosity=1e-3), grid, dt=50.0).at({}, u)(u)
