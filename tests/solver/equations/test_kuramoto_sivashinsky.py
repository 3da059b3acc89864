"""The equation's three faces agree: its parts, its residual, and a finite-difference discretisation that knows neither."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from cases.solver_cases import scheme, smooth
from scipy.integrate import solve_ivp

from eddygrad.solver.equations.kuramoto_sivashinsky import KuramotoSivashinsky
from eddygrad.solver.grid import Grid
from eddygrad.solver.transforms import derivative, fft, ifft
from eddygrad.solver.unroll import trajectory

# Central differences of sixth order for the first derivative in time, Fornberg 1988, table 1.
SIXTH = torch.tensor([-1 / 60, 3 / 20, -3 / 4, 0, 3 / 4, -3 / 20, 1 / 60], dtype=torch.float64)


def partials(frames: torch.Tensor, grid: Grid, spacing: float) -> dict[str, torch.Tensor]:
    """Partial derivatives at the middle of seven frames (B, 7, C, N) that lie `spacing` apart."""
    u = frames[:, 3]
    space = {name: derivative(u, grid, order) for name, order in (("u_x", 1), ("u_xx", 2), ("u_xxxx", 4))}
    return {"u": u, "u_t": torch.einsum("t,btcx->bcx", SIXTH, frames) / spacing, **space}


def test_the_residual_vanishes_on_solver_output() -> None:
    grid, equation = Grid((96,), 22.0), KuramotoSivashinsky()
    start = trajectory(scheme(4, dt=1.0, substeps=50, grid=grid).at({}, smooth(grid=grid)), smooth(grid=grid), 1, warmup=4)[:, 0]
    worst = []
    for spacing in (0.2, 0.1, 0.05):
        step = scheme(4, dt=spacing, substeps=64, grid=grid).at({}, start)
        given = partials(trajectory(step, start, 7, warmup=round(0.4 / spacing)), grid, spacing)
        assert set(given) == set(equation.needs)
        worst.append(float(equation.residual(given).abs().max()))
        for name in ("u_xx", "u_x", "u_t"):
            assert equation.residual({**given, name: -given[name]}).abs().max() > 0.1
    # What is left is the sixth-order difference in time; the round-off of u_xxxx is k_max^4 eps = 1e-11.
    assert np.log2(np.array(worst[:-1]) / np.array(worst[1:])) == pytest.approx([6, 6], abs=0.7), worst
    assert worst[-1] < 1e-8


def test_the_parts_are_the_residual() -> None:
    """L u + N(u) of the scheme's face is -(u u_x + u_xx + u_xxxx) of the residual's."""
    grid, equation = Grid((64,), 22.0), KuramotoSivashinsky()
    u, k = smooth(grid=grid), grid.wavenumbers()
    tendency = ifft(equation.symbol(k, {})[0] * fft(u, grid) + equation.analysis(k, {})[0][0] * fft(equation.pointwise(u), grid), grid)
    given = {"u": u, "u_t": tendency, "u_x": derivative(u, grid, 1), "u_xx": derivative(u, grid, 2), "u_xxxx": derivative(u, grid, 4)}
    assert equation.residual(given).abs().max() < 1e-11  # k_max^4 = 7e3 times round-off


def test_growth_rates() -> None:
    """Neutral at k = 0 and 1, fastest 1/4 at k = 1/sqrt 2."""
    k = torch.tensor([0.0, 1.0, math.sqrt(0.5), 2.0], dtype=torch.float64)
    torch.testing.assert_close(KuramotoSivashinsky().symbol((k,), {})[0], torch.tensor([0.0, 0.0, 0.25, -12.0]).double())


def test_a_uniform_flow_carries_the_state_along() -> None:
    """Galilean invariance: with mean c the state is the one without, moved by c t."""
    grid, c, t = Grid((64,), 22.0), 0.7, 0.5
    u = smooth(grid=grid)
    step = scheme(4, dt=t, substeps=200, grid=grid).at({}, u)
    phase = torch.exp(-1j * grid.wavenumbers()[0] * c * t)
    torch.testing.assert_close(step(u + c) - c, ifft(fft(step(u), grid) * phase, grid), rtol=0, atol=1e-9)  # 200 steps of a fourth-order scheme


def finite_differences(u: np.ndarray, length: float, time: float) -> np.ndarray:
    """Second-order central differences of u_t = -(u^2/2)_x - u_xx - u_xxxx, marched by an implicit Runge-Kutta method of order five."""
    n, h = u.size, length / u.size
    shift = np.roll(np.eye(n), 1, axis=1)  # (shift u)_i = u_{i+1}
    d1, d2 = (shift - shift.T) / (2 * h), (shift - 2 * np.eye(n) + shift.T) / h**2
    linear = -d2 - d2 @ d2
    solution = solve_ivp(
        lambda t, v: linear @ v - d1 @ (0.5 * v**2), (0, time), u, method="Radau", jac=lambda t, v: linear - d1 * v, rtol=1e-8, atol=1e-8
    )
    assert solution.success
    return solution.y[:, -1]


def test_spectral_and_finite_differences_meet_under_refinement() -> None:
    length, time, errors = 22.0, 1.0, []
    for n in (48, 96, 192):
        grid = Grid((n,), length)
        u = smooth(1, grid, modes=3)
        spectral = scheme(4, dt=time, substeps=100, grid=grid).at({}, u)(u)
        errors.append(float(np.sqrt(np.mean((finite_differences(u[0, 0].numpy(), length, time) - spectral[0, 0].numpy()) ** 2))))
    orders = np.log2(np.array(errors[:-1]) / np.array(errors[1:]))
    assert orders == pytest.approx([2, 2], abs=0.15) and errors[-1] < 2e-3, (errors, orders)
