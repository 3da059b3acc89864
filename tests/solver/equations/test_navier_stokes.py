"""Laws of incompressible flow: exact solutions, invariants, balances, and one flow in two forms."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from cases.solver_cases import laplacian
from cases.spectral_cases import SCHEMES, time_derivative
from torch import Tensor

from eddygrad.solver.equations.burgers import Burgers
from eddygrad.solver.equations.navier_stokes import NavierStokesVelocity, NavierStokesVorticity
from eddygrad.solver.equations.smagorinsky import SmagorinskyVelocity
from eddygrad.solver.grid import Grid
from eddygrad.solver.initial import random_fourier
from eddygrad.solver.schemes.spectral.etdrk import ETDRK
from eddygrad.solver.schemes.spectral.integrating_factor import IntegratingFactorRK4
from eddygrad.solver.schemes.spectral.spectral_step import SpectralStep
from eddygrad.solver.transforms import derivative
from eddygrad.solver.unroll import repeat
from eddygrad.solver.vector_calculus import divergence, leray, pressure, velocity, vorticity

PLANE = Grid((32, 32))
EXACT = [(ETDRK, {"order": 2}), (ETDRK, {"order": 4}), (IntegratingFactorRK4, {})]


def taylor_green(grid: Grid, nu: float, t: float, carried: tuple[float, float] = (0.0, 0.0)) -> Tensor:
    """(u, v) = (sin x cos y, -cos x sin y) e^(-2 nu t), moved with a mean flow and on top of it."""
    x, y = grid.points()
    x, y = x - carried[0] * t, y - carried[1] * t
    decay = math.exp(-2 * nu * t)
    return torch.stack([carried[0] + decay * torch.sin(x) * torch.cos(y), carried[1] - decay * torch.cos(x) * torch.sin(y)])[None]


@pytest.mark.parametrize("kind, options", EXACT)
@pytest.mark.parametrize("mean", [(0.0, 0.0), (0.7, -0.3)])
def test_taylor_green_decays_exactly_and_is_carried_by_a_mean_flow(kind: Any, options: dict[str, Any], mean: tuple[float, float]) -> None:
    """1000 steps; the mean flow is in the linear part."""
    nu, dt = 0.05, 0.01
    start = vorticity(taylor_green(PLANE, nu, 0.0, mean), PLANE)
    equation = NavierStokesVorticity(viscosity=nu, mean_u=mean[0], mean_v=mean[1])
    end = repeat(kind(equation, PLANE, dt=dt, **options).at({}, start), start, 1000)
    exact = vorticity(taylor_green(PLANE, nu, 1000 * dt, mean), PLANE)
    assert (end - exact).abs().max() < 1e-10


def test_taylor_green_by_velocity() -> None:
    nu, dt, grid = 0.05, 0.01, Grid((16, 16))
    u = taylor_green(grid, nu, 0.0)
    end = repeat(ETDRK(NavierStokesVelocity(viscosity=nu), grid, dt=dt).at({}, u), u, 1000)
    assert (end - taylor_green(grid, nu, 10.0)).abs().max() < 1e-10


def test_pressure_of_taylor_green() -> None:
    x, y = PLANE.points()
    p = pressure(taylor_green(PLANE, 0.1, 1.0), PLANE)
    assert (p - 0.25 * (torch.cos(2 * x) + torch.cos(2 * y)) * math.exp(-0.4)).abs().max() < 1e-14


@pytest.mark.parametrize("scheme", SCHEMES)
def test_laminar_kolmogorov_flow_is_a_fixed_point(scheme: str) -> None:
    """u = A sin(n y) / (nu n^2 + drag), in both forms, with a step far from small; an integrating factor has it up to its order only."""
    nu, drag, n, amplitude = 0.1, 0.2, 3, 0.7
    kind, options, _ = SCHEMES[scheme]
    y = PLANE.points()[1]
    u = torch.stack([amplitude * torch.sin(n * y) / (nu * n**2 + drag), torch.zeros_like(y)])[None]
    common = {"viscosity": nu, "drag": drag, "forcing_amplitude": amplitude, "forcing_mode": n}
    for equation, start in ((NavierStokesVelocity(**common), u), (NavierStokesVorticity(**common), vorticity(u, PLANE))):  # type: ignore[arg-type]
        end = repeat(kind(equation, PLANE, dt=0.2, substeps=40 if scheme == "IFRK4" else 1, **options).at({}, start), start, 50)
        assert (end - start).abs().max() < 1e-10


def test_vorticity_and_velocity_are_inverse() -> None:
    u = leray(random_fourier(PLANE, 3, 2, bandlimit=10, seed=1), PLANE)
    mean = torch.tensor([0.3, -1.0, 2.0], dtype=torch.float64)
    moved = u + mean[:, None, None, None]
    torch.testing.assert_close(velocity(vorticity(moved, PLANE), PLANE, (mean, mean)), moved, rtol=0, atol=1e-12)
    assert divergence(u, PLANE).abs().max() < 1e-12
    torch.testing.assert_close(leray(moved, PLANE), moved, rtol=0, atol=1e-13)


def _nonlinear(equation: Any, grid: Grid, u: Tensor) -> Tensor:
    """N(u) on the grid, as the bound step has it."""
    step = ETDRK(equation, grid, dt=1.0).at({}, u)
    assert isinstance(step, SpectralStep)
    h = step.enter(u)
    return step.leave(step.bound.term.of(step.bound.term.fields(h)))


def test_the_dealiased_term_conserves_energy_and_enstrophy() -> None:
    """<psi, N(w)> = <w, N(w)> = 0 and <u, N(u)> = 0, for rough states too."""
    grid = Grid((24, 30), (2 * math.pi, 5.0))
    w = random_fourier(grid, 4, bandlimit=7, seed=2)
    term = _nonlinear(NavierStokesVorticity(), grid, w)
    scale = (w.abs() * term.abs()).mean()
    psi_u = velocity(w, grid)
    # <psi, N> = <lap^-1 w, N>: by parts, the work of the velocity against the velocity of N.
    work = (psi_u * velocity(term, grid)).mean()
    assert (w * term).mean().abs() < 1e-14 * scale
    assert work.abs() < 1e-14 * scale
    for shape in ((24, 30), (12, 12, 10)):
        box = Grid(shape)
        u = leray(random_fourier(box, 2, len(shape), bandlimit=3, seed=3), box) + 0.4
        n = _nonlinear(NavierStokesVelocity(dimension=len(shape)), box, u)
        assert (u * n).sum(1).mean().abs() < 1e-14 * (u.abs() * n.abs()).mean()


def test_energy_and_enstrophy_balances_close_in_forced_turbulence() -> None:
    """dE/dt = -2 nu Z - 2 drag E + <u.f>,  dZ/dt = -2 nu P - 2 drag Z + <w curl f>, integrated by Simpson's rule over 100 steps."""
    nu, drag, amplitude, n, dt = 0.02, 0.1, 1.0, 4, 0.005
    grid = Grid((48, 48))
    w = 3 * random_fourier(grid, 2, bandlimit=6, seed=4)
    equation = NavierStokesVorticity(viscosity=nu, drag=drag, forcing_amplitude=amplitude, forcing_mode=n)
    step = ETDRK(equation, grid, dt=dt, order=4).at({}, w)
    y = grid.points()[1]
    force = amplitude * torch.sin(n * y)
    energies, enstrophies, rates = [], [], []
    w = repeat(step, w, 200)
    for k in range(101):
        u = velocity(w, grid)
        energy, enstrophy = (0.5 * u.square().sum(1).mean((-2, -1)), 0.5 * w.square().mean((-3, -2, -1)))
        palinstrophy = 0.5 * sum(derivative(w, grid, order).square().mean((-3, -2, -1)) for order in ((1, 0), (0, 1)))
        rates.append(
            torch.stack(
                [
                    -2 * nu * enstrophy - 2 * drag * energy + (u[:, 0] * force).mean((-2, -1)),
                    -2 * nu * palinstrophy - 2 * drag * enstrophy + (w[:, 0] * -n * amplitude * torch.cos(n * y)).mean((-2, -1)),
                ]
            )
        )
        energies.append(energy)
        enstrophies.append(enstrophy)
        if k < 100:
            w = step(w)
    weights = torch.tensor([1.0, *[4.0, 2.0] * 49, 4.0, 1.0], dtype=torch.float64) * dt / 3
    change = torch.stack([energies[-1] - energies[0], enstrophies[-1] - enstrophies[0]])
    through = (torch.stack(rates, -1).abs() * weights).sum(-1)  # what has passed through, whatever its sign
    closed = (change - (torch.stack(rates, -1) * weights).sum(-1)).abs() / through
    assert through.min() > 1e-2
    assert closed.max() < 1e-6


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_two_forms_are_one_flow(scheme: str) -> None:
    kind, options, _ = SCHEMES[scheme]
    common = {"viscosity": 0.02, "drag": 0.1, "hyperviscosity": 1e-8, "forcing_amplitude": 1.0, "forcing_mode": 3}
    grid = Grid((24, 24))
    u = leray(random_fourier(grid, 2, 2, bandlimit=5, seed=5), grid)
    w = vorticity(u, grid)
    by_velocity = repeat(kind(NavierStokesVelocity(**common), grid, dt=0.01, **options).at({}, u), u, 20)  # type: ignore[arg-type]
    by_vorticity = repeat(kind(NavierStokesVorticity(**common), grid, dt=0.01, **options).at({}, w), w, 20)  # type: ignore[arg-type]
    torch.testing.assert_close(vorticity(by_velocity, grid), by_vorticity, rtol=0, atol=1e-12)
    assert (by_vorticity - w).abs().max() > 0.1


def test_a_flow_that_varies_in_a_plane_is_the_plane_flow() -> None:
    plane, box = Grid((16, 16)), Grid((16, 16, 6))
    u = leray(random_fourier(plane, 1, 2, bandlimit=4, seed=6), plane)
    flat = torch.cat([u, torch.zeros_like(u[:, :1])], 1)[..., None].expand(1, 3, *box.shape).contiguous()
    common = {"viscosity": 0.02, "forcing_amplitude": 1.0, "forcing_mode": 2}
    two = repeat(ETDRK(NavierStokesVelocity(**common), plane, dt=0.02).at({}, u), u, 10)  # type: ignore[arg-type]
    three = repeat(ETDRK(NavierStokesVelocity(dimension=3, **common), box, dt=0.02).at({}, flat), flat, 10)  # type: ignore[arg-type]
    torch.testing.assert_close(three[:, :2], two[..., None].expand_as(three[:, :2]), rtol=0, atol=1e-12)
    assert three[:, 2].abs().max() < 1e-14


def test_a_given_force_adds_to_the_equations_own() -> None:
    """Kolmogorov forcing by its amplitude and as a field is one."""
    y = PLANE.points()[1]
    w = random_fourier(PLANE, 2, bandlimit=4, seed=7)
    own = ETDRK(NavierStokesVorticity(forcing_amplitude=1.0, forcing_mode=3), PLANE, dt=0.05).at({}, w)(w)
    field = (-3 * torch.cos(3 * y)).expand(1, 1, *PLANE.shape)
    given = ETDRK(NavierStokesVorticity(), PLANE, dt=0.05).at({"forcing": field}, w)(w)
    both = ETDRK(NavierStokesVorticity(forcing_amplitude=0.4, forcing_mode=3), PLANE, dt=0.05).at({"forcing": 0.6 * field}, w)(w)
    torch.testing.assert_close(own, given, rtol=0, atol=1e-13)
    torch.testing.assert_close(own, both, rtol=0, atol=1e-13)


def test_a_gradient_part_of_a_force_does_nothing() -> None:
    x, y = PLANE.points()
    u = leray(random_fourier(PLANE, 1, 2, bandlimit=4, seed=8), PLANE)
    potential = torch.stack([torch.cos(x) * torch.sin(y), torch.sin(x) * torch.cos(y)])[None]
    stepper = ETDRK(NavierStokesVelocity(), PLANE, dt=0.05)
    torch.testing.assert_close(stepper.at({"forcing": potential}, u)(u), stepper.at({}, u)(u), rtol=0, atol=1e-13)


def test_burgers_steepens_as_the_exact_solution_does() -> None:
    """u_x(0, 1.6037 / pi) = -152.00516 for nu = .01 / pi and u_0 = -sin(pi x) on [-1, 1]; Basdevant et al. 1986."""
    grid = Grid((2048,), 2.0)
    x = grid.points()[0] - 1
    u = -torch.sin(math.pi * x)[None, None]
    time, steps = 1.6037 / math.pi, 1000
    end = repeat(ETDRK(Burgers(viscosity=0.01 / math.pi), grid, dt=time / steps, order=4).at({}, u), u, steps)
    assert derivative(end, grid)[0, 0, 1024].item() == pytest.approx(-152.00516, rel=1e-6)


def test_residuals_vanish_on_the_solver() -> None:
    grid, dt = Grid((48, 48)), 1e-3
    common = {"viscosity": 0.05, "drag": 0.2}
    w = random_fourier(grid, 1, bandlimit=3, seed=9)
    equation = NavierStokesVorticity(**common, mean_u=0.3)
    mid, rate = time_derivative(ETDRK(equation, grid, dt=dt, order=4).at({}, w), w, dt)
    u = velocity(mid, grid)
    partials = {"w_x": derivative(mid, grid, (1, 0)), "w_y": derivative(mid, grid, (0, 1)), "w_lap": laplacian(mid, grid)}
    partials |= {"w": mid, "w_t": rate, "u": u[:, :1], "v": u[:, 1:]}
    assert set(partials) == set(equation.needs)
    assert equation.residual(partials).abs().max() < 1e-8
    assert equation.residual(partials, {"viscosity": 0.06}).abs().max() > 1e-2

    start = velocity(w, grid, (0.3, 0.1))
    by_velocity = NavierStokesVelocity(**common)
    mid, rate = time_derivative(ETDRK(by_velocity, grid, dt=dt, order=4).at({}, start), start, dt)
    p = pressure(mid, grid)[:, 0]
    partials = {}
    for c, name in enumerate(("u", "v")):
        partials |= {name: mid[:, c], f"{name}_t": rate[:, c]}
        partials |= {f"{name}_x": derivative(mid[:, c], grid, (1, 0)), f"{name}_y": derivative(mid[:, c], grid, (0, 1))}
        partials |= {f"{name}_lap": laplacian(mid[:, c], grid)}
    partials |= {"p_x": derivative(p, grid, (1, 0)), "p_y": derivative(p, grid, (0, 1))}
    assert set(partials) == set(by_velocity.needs)
    assert by_velocity.residual(partials).abs().max() < 1e-8

    line = Grid((96,))
    v = random_fourier(line, 1, bandlimit=3, seed=10)
    burgers = Burgers(viscosity=0.2)
    mid, rate = time_derivative(ETDRK(burgers, line, dt=dt / 4, order=4).at({}, v), v, dt / 4)
    partials = {"u": mid, "u_t": rate, "u_x": derivative(mid, line), "u_xx": derivative(mid, line, 2)}
    assert burgers.residual(partials).abs().max() < 1e-8


@pytest.mark.parametrize(
    "params, message",
    [
        ({"forcing": 1.0}, r"'forcing' must be a field \(\[batch,\] 1, 32, 32\), got 1.0"),
        ({"forcing": torch.ones(2, 2, 32, 32)}, "'forcing' must be a field"),
        ({"viscosity": torch.ones(2)}, "'viscosity' must be a number or"),
        ({"viscosity": torch.ones(2, 1, 1, 1), "drag": torch.ones(3, 1, 1, 1)}, "'viscosity' has 2 samples, others 3"),
    ],
)
def test_bad_parameters_are_named(params: dict[str, Any], message: str) -> None:
    w = random_fourier(PLANE, 2, bandlimit=2, seed=0)
    with pytest.raises(ValueError, match=message):
        ETDRK(NavierStokesVorticity(), PLANE, dt=0.1).at(params, w)


def test_a_mode_that_the_grid_drops_is_named() -> None:
    w = random_fourier(PLANE, 1, bandlimit=2, seed=0)
    with pytest.raises(ValueError, match=r"mode \(0, 11\) is not among those"):
        ETDRK(NavierStokesVorticity(forcing_amplitude=1.0, forcing_mode=11), PLANE, dt=0.1).at({}, w)
    with pytest.raises(ValueError, match=r"channels \['vorticity'\], got 2"):
        ETDRK(NavierStokesVorticity(), PLANE, dt=0.1).at({}, torch.zeros(1, 2, 32, 32, dtype=torch.float64))


def test_an_eddy_viscosity_drains_energy_by_the_work_of_its_stresses() -> None:
    """d<|u|^2>/2 dt of the model's term alone is -2 <nu_t S_ij S_ij>, nu_t = l^2 |S|; without a mixing length it is the plain flow."""
    grid, length = Grid((32, 32)), 0.15
    u = leray(random_fourier(grid, 2, 2, bandlimit=5, seed=11), grid)
    model, plain = _nonlinear(SmagorinskyVelocity(mixing_length=length), grid, u), _nonlinear(NavierStokesVelocity(), grid, u)
    torch.testing.assert_close(_nonlinear(SmagorinskyVelocity(), grid, u), plain, rtol=0, atol=1e-13)
    gradients = [[derivative(u[:, i], grid, [int(a == j) for a in range(2)]) for j in range(2)] for i in range(2)]
    strain = [[0.5 * (gradients[i][j] + gradients[j][i]) for j in range(2)] for i in range(2)]
    square = sum(strain[i][j].square() for i in range(2) for j in range(2))
    assert isinstance(square, Tensor)
    drained = (length**2 * torch.sqrt(2 * square) * 2 * square).mean((-2, -1))
    work = -(u * (model - plain)).sum(1).mean((-2, -1))
    torch.testing.assert_close(work, drained, rtol=1e-10, atol=0)
