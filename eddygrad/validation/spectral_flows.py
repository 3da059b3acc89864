"""Self-checks of the spectral flows: exact solutions, invariants, balances and the statistics of active turbulence."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor

from eddygrad.solver.diagnostics import rms
from eddygrad.solver.equations.active_turbulence import ActiveTurbulenceVelocity, ActiveTurbulenceVorticity
from eddygrad.solver.equations.navier_stokes import NavierStokesVelocity, NavierStokesVorticity
from eddygrad.solver.grid import Grid
from eddygrad.solver.initial import random_fourier
from eddygrad.solver.schemes.spectral.etdrk import ETDRK
from eddygrad.solver.schemes.spectral.imex import CrankNicolsonRK
from eddygrad.solver.schemes.spectral.integrating_factor import IntegratingFactorRK4
from eddygrad.solver.schemes.spectral.spectral_scheme import SpectralScheme
from eddygrad.solver.schemes.spectral.spectral_step import SpectralStep
from eddygrad.solver.transforms import derivative
from eddygrad.solver.unroll import repeat
from eddygrad.solver.vector_calculus import leray, pressure, velocity, vorticity
from eddygrad.validation.check import Finding

PLANE = Grid((32, 32))
SCHEMES = {
    **{f"ETDRK{p}": (ETDRK, {"order": p}, p) for p in (1, 2, 3, 4)},
    "IFRK4": (IntegratingFactorRK4, {}, 4),
    "CN-RK2": (CrankNicolsonRK, {"explicit": 2}, 2),
    "CN-RK4": (CrankNicolsonRK, {"explicit": 4}, 2),
}


def _build(name: str, equation: object, grid: Grid, dt: float, substeps: int = 1) -> SpectralScheme:
    kind, options, _ = SCHEMES[name]
    return kind(equation, grid, dt=dt, substeps=substeps, **options)


def flow_orders(seed: int) -> Iterator[Finding]:
    """Observed orders of every spectral scheme on forced Navier-Stokes over three halvings; of the three, the one furthest from the claimed order."""
    grid, span = Grid((16, 16)), 0.5
    w = random_fourier(grid, 2, bandlimit=3, seed=seed, purpose="flow order")
    equation = NavierStokesVorticity(viscosity=0.5, forcing_amplitude=1.0, forcing_mode=2)  # large nu: the linear part's error counts
    exact = _build("ETDRK4", equation, grid, span, 1024).at({}, w)(w)
    for name, (_, _, order) in SCHEMES.items():
        errors = [rms(_build(name, equation, grid, span, n).at({}, w)(w) - exact) for n in (16, 32, 64, 128)]
        orders = [math.log2(coarse / fine) for coarse, fine in pairwise(errors)]
        yield Finding(f"observed order of {name} on Navier-Stokes", order, max(orders, key=lambda p: abs(p - order)), 0.15)


def taylor_green(seed: int) -> Iterator[Finding]:
    """Taylor-Green vortices in a mean flow decay by e^(-2 nu t) over 1000 steps."""
    nu, dt, mean = 0.05, 0.01, (0.7, -0.3)
    x, y = PLANE.points()
    for name in ("ETDRK2", "ETDRK4", "IFRK4"):
        equation = NavierStokesVorticity(viscosity=nu, mean_u=mean[0], mean_v=mean[1])
        start = (2 * torch.sin(x) * torch.sin(y))[None, None]
        end = repeat(_build(name, equation, PLANE, dt).at({}, start), start, 1000)
        t = 1000 * dt
        exact = 2 * torch.sin(x - mean[0] * t) * torch.sin(y - mean[1] * t) * math.exp(-2 * nu * t)
        yield Finding(f"Taylor-Green carried by a mean flow, {name}", 0.0, float((end - exact).abs().max()), 1e-10)


def laminar_kolmogorov(seed: int) -> Iterator[Finding]:
    """The laminar Kolmogorov flow u = A sin(n y) / (nu n^2 + drag) is steady."""
    nu, drag, n = 0.1, 0.2, 3
    y = PLANE.points()[1]
    w = (-n * torch.cos(n * y) / (nu * n**2 + drag))[None, None].contiguous()
    equation = NavierStokesVorticity(viscosity=nu, drag=drag, forcing_amplitude=1.0, forcing_mode=n)
    for name in ("ETDRK2", "CN-RK4"):
        end = repeat(_build(name, equation, PLANE, 0.2).at({}, w), w, 100)
        yield Finding(f"laminar Kolmogorov flow, drift in 100 steps, {name}", 0.0, float((end - w).abs().max()), 1e-10)


def _nonlinear(equation: NavierStokesVorticity, grid: Grid, w: Tensor) -> Tensor:
    step = ETDRK(equation, grid, dt=1.0).at({}, w)
    assert isinstance(step, SpectralStep)
    return step.leave(step.bound.term.of(step.bound.term.fields(step.enter(w))))


def invariants(seed: int) -> Iterator[Finding]:
    """The dealiased nonlinear term conserves energy and enstrophy, also of rough states."""
    grid = Grid((48, 48))
    w = random_fourier(grid, 4, bandlimit=15, seed=seed, purpose="invariants")
    term = _nonlinear(NavierStokesVorticity(), grid, w)
    scale = float((w.abs() * term.abs()).mean())
    yield Finding("<w, N(w)>, relative", 0.0, float((w * term).mean()) / scale, 1e-14)
    yield Finding("<psi, N(w)>, relative", 0.0, float((velocity(w, grid) * velocity(term, grid)).mean()) / scale, 1e-14)


def balances(seed: int) -> Iterator[Finding]:
    """Energy and enstrophy of forced turbulence satisfy their balances over 100 steps, integrated by Simpson's rule."""
    nu, drag, n, dt = 0.02, 0.1, 4, 0.005
    grid = Grid((48, 48))
    y = grid.points()[1]
    equation = NavierStokesVorticity(viscosity=nu, drag=drag, forcing_amplitude=1.0, forcing_mode=n)
    w = random_fourier(grid, 2, bandlimit=6, rms=3.0, seed=seed, purpose="balances")
    step = ETDRK(equation, grid, dt=dt, order=4).at({}, w)
    w = repeat(step, w, 200)
    stocks, rates = [], []
    for k in range(101):
        u = velocity(w, grid)
        energy, enstrophy = 0.5 * u.square().sum(1).mean((-2, -1)), 0.5 * w.square().mean((-3, -2, -1))
        palinstrophy = 0.5 * (derivative(w, grid, (1, 0)).square() + derivative(w, grid, (0, 1)).square()).mean((-3, -2, -1))
        work, torque = (u[:, 0] * torch.sin(n * y)).mean((-2, -1)), (w[:, 0] * -n * torch.cos(n * y)).mean((-2, -1))
        stocks.append(torch.stack([energy, enstrophy]))
        rates.append(torch.stack([work - 2 * nu * enstrophy - 2 * drag * energy, torque - 2 * nu * palinstrophy - 2 * drag * enstrophy]))
        if k < 100:
            w = step(w)
    weights = torch.tensor([1.0, *[4.0, 2.0] * 49, 4.0, 1.0], dtype=torch.float64) * dt / 3
    series = torch.stack(rates, -1)
    imbalance = (stocks[-1] - stocks[0] - (series * weights).sum(-1)).abs() / (series.abs() * weights).sum(-1)
    for name, value in zip(("energy", "enstrophy"), imbalance.amax(-1)):
        yield Finding(f"{name} balance of forced turbulence, relative", 0.0, float(value), 1e-6)


def two_forms(seed: int) -> Iterator[Finding]:
    """Vorticity and velocity form give the same flow, for Navier-Stokes and for active turbulence."""
    grid = Grid((32, 32))
    u = leray(random_fourier(grid, 2, 2, bandlimit=5, seed=seed, purpose="forms"), grid) + 0.2
    common = {"viscosity": 0.02, "drag": 0.1, "forcing_amplitude": 1.0, "forcing_mode": 3}
    still = u - u.mean((-2, -1), keepdim=True)
    w = vorticity(still, grid)
    one = repeat(ETDRK(NavierStokesVelocity(**common), grid, dt=0.01).at({}, still), still, 20)  # type: ignore[arg-type]
    two = repeat(ETDRK(NavierStokesVorticity(**common), grid, dt=0.01).at({}, w), w, 20)  # type: ignore[arg-type]
    yield Finding("Navier-Stokes, vorticity against velocity form, 20 steps", 0.0, float((vorticity(one, grid) - two).abs().max()), 1e-11)
    w = torch.cat([vorticity(u, grid), u.mean((-2, -1), keepdim=True).expand_as(u)], 1)
    one = repeat(ETDRK(ActiveTurbulenceVelocity(), grid, dt=0.01).at({}, u), u, 20)
    two = repeat(ETDRK(ActiveTurbulenceVorticity(), grid, dt=0.01).at({}, w), w, 20)
    yield Finding("active turbulence, vorticity against velocity form, 20 steps", 0.0, float((vorticity(one, grid) - two[:, :1]).abs().max()), 1e-11)


def active_growth(seed: int) -> Iterator[Finding]:
    """Small modes of active turbulence grow at the rate s(k); the pressure satisfies its Poisson equation."""
    equation, grid, t = ActiveTurbulenceVorticity(), Grid((128, 8)), 0.1
    m = torch.arange(1, 24, dtype=torch.float64)
    w = torch.zeros(len(m), 3, *grid.shape, dtype=torch.float64)
    w[:, 0] = 1e-9 * torch.cos(m[:, None, None] * grid.points()[0])
    end = repeat(IntegratingFactorRK4(equation, grid, dt=0.01).at({}, w), w, 10)
    rate = torch.log(end[:, 0].abs().amax((-2, -1)) / 1e-9) / t
    expected = -equation.alpha - equation.Gamma_0 * m**2 - equation.Gamma_2 * m**4
    yield Finding("growth of modes 1 to 23 against s(k), largest error", 0.0, float((rate - expected).abs().max()), 1e-6)
    box = Grid((48, 48))
    u = leray(random_fourier(box, 2, 2, bandlimit=4, seed=seed, purpose="pressure"), box) + 0.3
    p = pressure(u, box, equation.lambda_0, equation.beta)[:, 0]
    laplacian = derivative(p, box, (2, 0)) + derivative(p, box, (0, 2))
    forces = []
    for c in range(2):
        carried = u[:, 0] * derivative(u[:, c], box, (1, 0)) + u[:, 1] * derivative(u[:, c], box, (0, 1))
        forces.append(-equation.lambda_0 * carried - equation.beta * u.square().sum(1) * u[:, c])
    right = derivative(forces[0], box, (1, 0)) + derivative(forces[1], box, (0, 1))
    yield Finding("Poisson equation of the pressure, relative", 0.0, float((laplacian - right).abs().max() / right.abs().max()), 1e-12)


def active_statistics(seed: int) -> Iterator[Finding]:
    """Statistics of saturated active turbulence, N = 160, two initial states of vorticity rms 0.1, averaged every 0.1 over t = 1.5 to 4.7."""
    grid = Grid((160, 160))
    w = random_fourier(grid, 2, bandlimit=30, rms=0.1, seed=seed, purpose="active statistics")
    u = velocity(w, grid)
    step = IntegratingFactorRK4(ActiveTurbulenceVelocity(), grid, dt=0.1, substeps=20).at({}, u)
    u = repeat(step, u, 15)
    rows = []
    for _ in range(33):
        speed2, w = u.square().sum(1), vorticity(u, grid)
        largest = (w.abs().amax((-3, -2, -1)).mean(), speed2.amax((-2, -1)).sqrt().mean(), u.mean((-2, -1)).norm(dim=1).mean())
        rows.append([speed2.mean(), w.std(), *largest])
        u = repeat(step, u, 1)
    mean = torch.tensor(rows, dtype=torch.float64).mean(0)
    ranges = {"<|u|^2>": (3.1, 3.6), "std of w": (14.0, 18.0), "max |w|": (62.0, 78.0), "max |u|": (4.2, 5.1), "mean flow": (0.0, 0.07)}
    for value, (name, (low, high)) in zip(mean, ranges.items()):
        yield Finding(f"active turbulence, {name}", (low + high) / 2, float(value), (high - low) / 2)
