"""Laws of the active-turbulence model: growth of modes, uniform states, the mean flow, the pressure, two forms and the residual."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from cases.solver_cases import laplacian
from cases.spectral_cases import time_derivative
from torch import Tensor

from eddygrad.solver.equations.active_turbulence import ActiveTurbulenceVelocity, ActiveTurbulenceVorticity
from eddygrad.solver.grid import Grid
from eddygrad.solver.initial import random_fourier
from eddygrad.solver.schemes.spectral.etdrk import ETDRK
from eddygrad.solver.schemes.spectral.integrating_factor import IntegratingFactorRK4
from eddygrad.solver.transforms import derivative
from eddygrad.solver.unroll import repeat
from eddygrad.solver.vector_calculus import leray, pressure, velocity, vorticity

PAPER: dict[str, float] = {}
OTHER = {"lambda_0": 2.0, "alpha": -0.6, "beta": 0.8, "Gamma_0": -0.03, "Gamma_2": 2e-4}
COEFFICIENTS = pytest.mark.parametrize("own", [PAPER, OTHER])


def three_channels(u: Tensor, grid: Grid) -> Tensor:
    """(vorticity, mean_u, mean_v) of a velocity."""
    return torch.cat([vorticity(u, grid), u.mean((-2, -1), keepdim=True).expand_as(u)], 1)


@COEFFICIENTS
def test_small_modes_grow_by_the_symbol(own: dict[str, float]) -> None:
    """s(k) = -alpha - Gamma_0 k^2 - Gamma_2 k^4; fastest at k = 15.71 with 6.556 and neutral at 22.7 for the paper's coefficients."""
    equation, grid, t = ActiveTurbulenceVorticity(**own), Grid((128, 8)), 0.1
    x = grid.points()[0]
    m = torch.arange(1, 24, dtype=torch.float64)
    w = torch.zeros(len(m), 3, *grid.shape, dtype=torch.float64)
    w[:, 0] = 1e-9 * torch.cos(m[:, None, None] * x)
    end = repeat(IntegratingFactorRK4(equation, grid, dt=0.01).at({}, w), w, 10)
    rate = torch.log(end[:, 0].abs().amax((-2, -1)) / 1e-9) / t
    expected = -equation.alpha - equation.Gamma_0 * m**2 - equation.Gamma_2 * m**4
    torch.testing.assert_close(rate, expected, rtol=0, atol=1e-6)
    if not own:
        fastest = math.sqrt(-equation.Gamma_0 / (2 * equation.Gamma_2))
        assert fastest == pytest.approx(15.71, abs=0.01)
        assert -equation.alpha - equation.Gamma_0 * fastest**2 - equation.Gamma_2 * fastest**4 == pytest.approx(6.556, abs=1e-3)


@COEFFICIENTS
@pytest.mark.parametrize("form", [ActiveTurbulenceVelocity, ActiveTurbulenceVorticity])
def test_a_uniform_flow_relaxes_to_its_speed(form: Any, own: dict[str, float]) -> None:
    """|u|^2 obeys d|u|^2/dt = -2 alpha |u|^2 - 2 beta |u|^4: a logistic curve that ends at -alpha / beta."""
    equation, grid, dt, steps = form(**own), Grid((8, 8)), 0.01, 100
    u = torch.tensor([0.3, -0.4], dtype=torch.float64)[None, :, None, None].expand(1, 2, 8, 8).contiguous()
    start = u if form is ActiveTurbulenceVelocity else three_channels(u, grid)
    end = repeat(ETDRK(equation, grid, dt=dt, order=4).at({}, start), start, steps)[:, -2:]
    final, e = -equation.alpha / equation.beta, math.exp(-2 * equation.alpha * dt * steps)
    speed2 = final * 0.25 * e / (final + 0.25 * (e - 1))
    torch.testing.assert_close(end.square().sum(1).mean(), torch.tensor(speed2, dtype=torch.float64), rtol=1e-8, atol=0)


@COEFFICIENTS
def test_the_two_forms_are_one_flow(own: dict[str, float]) -> None:
    grid = Grid((24, 24))
    u = leray(random_fourier(grid, 2, 2, bandlimit=4, seed=1), grid) + torch.tensor([0.3, -0.5], dtype=torch.float64)[None, :, None, None]
    w = three_channels(u, grid)
    by_velocity = repeat(ETDRK(ActiveTurbulenceVelocity(**own), grid, dt=0.01).at({}, u), u, 20)
    by_vorticity = repeat(ETDRK(ActiveTurbulenceVorticity(**own), grid, dt=0.01).at({}, w), w, 20)
    torch.testing.assert_close(three_channels(by_velocity, grid), by_vorticity, rtol=0, atol=1e-12)
    assert (by_vorticity[:, 1:] - w[:, 1:]).abs().max() > 1e-3  # the mean flow moves


def _residual_partials(mid: Tensor, rate: Tensor, grid: Grid, own: Any) -> dict[str, Tensor]:
    p = pressure(mid, grid, own.lambda_0, own.beta)[:, 0]
    partials = {"p_x": derivative(p, grid, (1, 0)), "p_y": derivative(p, grid, (0, 1))}
    for c, name in enumerate(("u", "v")):
        partials |= {name: mid[:, c], f"{name}_t": rate[:, c]}
        partials |= {f"{name}_{part}": value for part, value in _spatial(mid[:, c], grid).items()}
    return partials


def _spatial(field: Tensor, grid: Grid) -> dict[str, Tensor]:
    lap = laplacian(field, grid)
    return {"x": derivative(field, grid, (1, 0)), "y": derivative(field, grid, (0, 1)), "lap": lap, "laplap": laplacian(lap, grid)}


@COEFFICIENTS
def test_residual_and_pressure_vanish_on_the_solver(own: dict[str, float]) -> None:
    """The momentum balance closes with the pressure of the Poisson equation, so both are right; another pressure does not close it."""
    equation, grid, dt = ActiveTurbulenceVelocity(**own), Grid((64, 64)), 1e-3
    u = leray(random_fourier(grid, 1, 2, bandlimit=3, rms=0.7, seed=2), grid) + 0.2
    mid, rate = time_derivative(ETDRK(equation, grid, dt=dt, order=4).at({}, u), u, dt)
    partials = _residual_partials(mid, rate, grid, equation)
    assert set(partials) == set(equation.needs)
    assert equation.residual(partials).abs().max() < 1e-7
    half = {**partials, "p_x": 0.5 * partials["p_x"]}
    assert equation.residual(half).abs().max() > 1e-2
    assert equation.residual(partials, {"Gamma_2": 2 * equation.Gamma_2}).abs().max() > 1e-4


def test_pressure_obeys_its_poisson_equation() -> None:
    """lap p = div(-lambda_0 (u . grad) u - beta |u|^2 u), the right side in another form than that in which it is computed."""
    grid, lambda_0, beta = Grid((48, 48)), 3.5, 0.5
    u = leray(random_fourier(grid, 2, 2, bandlimit=4, seed=3), grid) + 0.3
    p = pressure(u, grid, lambda_0, beta)[:, 0]
    speed2, parts = u.square().sum(1), []
    for c in range(2):
        carried = u[:, 0] * derivative(u[:, c], grid, (1, 0)) + u[:, 1] * derivative(u[:, c], grid, (0, 1))
        parts.append(-lambda_0 * carried - beta * speed2 * u[:, c])
    right = derivative(parts[0], grid, (1, 0)) + derivative(parts[1], grid, (0, 1))
    torch.testing.assert_close(laplacian(p, grid), right, rtol=0, atol=1e-10)
    assert p.mean((-2, -1)).abs().max() < 1e-14


def test_the_vorticity_residual_vanishes_on_the_solver() -> None:
    equation, grid, dt = ActiveTurbulenceVorticity(), Grid((96, 96)), 1e-3
    u = leray(random_fourier(grid, 1, 2, bandlimit=2, rms=0.7, seed=4), grid) + 0.2
    mid, rate = time_derivative(ETDRK(equation, grid, dt=dt, order=4).at({}, three_channels(u, grid)), three_channels(u, grid), dt)
    v = velocity(mid[:, :1], grid, tuple(mid[:, c].mean((-2, -1)) for c in (1, 2)))
    partials = {"w": mid[:, 0], "w_t": rate[:, 0]} | {f"w_{part}": value for part, value in _spatial(mid[:, 0], grid).items()}
    for c, name in enumerate(("u", "v")):
        partials |= {name: v[:, c], f"{name}_x": derivative(v[:, c], grid, (1, 0)), f"{name}_y": derivative(v[:, c], grid, (0, 1))}
    assert set(partials) == set(equation.needs)
    assert equation.residual(partials).abs().max() < 1e-6
    assert equation.residual(partials, {"beta": 0.6}).abs().max() > 1e-2
