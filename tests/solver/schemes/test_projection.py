"""Projection on a staggered grid: orders, exact flows, no divergence, gradients, batches."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from cases.staggered_cases import SIDES, at_faces, noise, orders, rms, taylor_green
from torch import Tensor

from eddygrad.solver.equations.active_turbulence import ActiveTurbulenceVelocity, ActiveTurbulenceVorticity
from eddygrad.solver.equations.navier_stokes import NavierStokesVelocity
from eddygrad.solver.grid import Grid
from eddygrad.solver.schemes.projection import Projection
from eddygrad.solver.schemes.spectral.etdrk import ETDRK
from eddygrad.solver.staggered.advection import WIDTH
from eddygrad.solver.staggered.boundary_conditions import FreeSlip, Inflow, Outflow, Periodic, Wall
from eddygrad.solver.unroll import repeat

NU = 0.01


def rough_start(grid: Grid, boundaries: Any, steps: int = 20) -> Tensor:
    """A state that knows its sides: noise after some steps."""
    u = noise(grid, 1)
    return repeat(Projection(NavierStokesVelocity(viscosity=0.05), grid, 2e-3, boundaries).at({}, u), u, steps)


@pytest.mark.parametrize("scheme", WIDTH)
@pytest.mark.parametrize("slip", [False, True])
def test_order_in_space(scheme: Any, slip: bool) -> None:
    """Taylor-Green on a periodic box and between slip sides."""
    length, sides = (math.pi, FreeSlip()) if slip else (2 * math.pi, Periodic())
    errors = []
    for n in (16, 32, 64):
        grid = Grid((n, n), length)
        u = at_faces(grid, taylor_green(NU))
        end = repeat(Projection(NavierStokesVelocity(viscosity=NU), grid, 0.01, sides, advection=scheme).at({}, u), u, 10)
        errors.append(rms(end - at_faces(grid, taylor_green(NU), 0.1)))
    assert orders(errors)[-1] > (0.93 if scheme == "upwind1" else 1.95)


def test_central_is_as_good_as_the_published_figures() -> None:
    """PhiFlow's central scheme after 20 steps of .01: 1.24e-5 at 32^2, 2.81e-6 at 64^2 (SYSTEMS D)."""
    for n, published in ((32, 1.24e-5), (64, 2.81e-6)):
        grid = Grid((n, n))
        u = at_faces(grid, taylor_green(NU))
        end = repeat(Projection(NavierStokesVelocity(viscosity=NU), grid, 0.01).at({}, u), u, 20)
        assert rms(end - at_faces(grid, taylor_green(NU), 0.2)) < published


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("diffusion", ["explicit", "implicit"])
@pytest.mark.parametrize("name", ["periodic", "slip", "walls", "convective", "do-nothing"])
def test_order_in_time(name: str, diffusion: Any, order: Any) -> None:
    """The explicit part's order; with implicit diffusion 2 at most, and 1 where walls or open sides meet it."""
    grid, equation = Grid((12, 12)), NavierStokesVelocity(viscosity=0.05)
    u = rough_start(grid, SIDES[name], 100)

    def end(substeps: int, order: Any = order, diffusion: Any = diffusion) -> Tensor:
        return Projection(equation, grid, 0.4, SIDES[name], substeps, order=order, diffusion=diffusion).at({}, u)(u)

    exact = end(400, 4, "explicit")
    observed = orders([rms(end(n) - exact) for n in (16, 32, 64)])[-1]
    least = order if diffusion == "explicit" else min(order, 2 if name in ("periodic", "slip") else 1)
    assert observed > least - 0.15


@pytest.mark.parametrize("name", SIDES)
@pytest.mark.parametrize("dtype, bound", [(torch.float64, 1e-12), (torch.float32, 1e-6)])
def test_no_divergence_is_left(name: str, dtype: torch.dtype, bound: float) -> None:
    grid = Grid((24, 16), (3.0, 2.0))
    u = noise(grid).to(dtype)
    step = Projection(NavierStokesVelocity(viscosity=0.02), grid, 0.01, SIDES[name], advection="upwind1").at({}, u)
    end = step(step(u))
    divergence = step.momentum.faces.divergence(list(end.unbind(1)))  # type: ignore[attr-defined]
    assert divergence.abs().max() * max(grid.spacing) / end.abs().max() < bound


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("name", ["walls", "do-nothing"])
def test_implicit_diffusion_is_stable_for_any_viscosity(name: str, order: Any) -> None:
    """nu h / dx^2 = 1000: a thousand times what an explicit step could take."""
    grid = Grid((8, 8), 1.0)
    sides = SIDES[name] if name == "walls" else ((Wall(), Outflow("do-nothing")), Wall())
    u = noise(grid) * 1e-3
    end = repeat(Projection(NavierStokesVelocity(viscosity=1000 / 64), grid, 1.0, sides, order=order, diffusion="implicit").at({}, u), u, 10)
    assert end.abs().max() < u.abs().max()


def test_couette_is_exact_and_poiseuille_of_second_order() -> None:
    errors = []
    for n in (8, 16, 32):
        grid, y = Grid((4, n), 1.0), (torch.arange(n, dtype=torch.float64) + 0.5) / n
        options: dict[str, Any] = {"substeps": 20, "order": 1, "diffusion": "implicit"}
        rest = torch.zeros(1, 2, 4, n, dtype=torch.float64)
        lid = Projection(NavierStokesVelocity(viscosity=1.0), grid, 0.5, (Periodic(), (Wall(), Wall((1.0, 0.0)))), **options)
        assert (repeat(lid.at({}, rest), rest, 20)[0, 0] - y).abs().max() < 1e-6
        push = torch.stack([torch.ones(4, n), torch.zeros(4, n)])[None].double()
        pressed = Projection(NavierStokesVelocity(viscosity=1.0), grid, 0.5, (Periodic(), Wall()), **options)
        errors.append(float((repeat(pressed.at({"forcing": push}, rest), rest, 20)[0, 0] - y * (1 - y) / 2).abs().max()))
    assert min(orders(errors)) > 1.98


def test_kovasznay_is_of_second_order() -> None:
    """A closed form between two prescribed sides, Re 40 (Kovasznay 1948)."""
    lam = 20 - math.sqrt(400 + 4 * math.pi**2)

    def field(d: int, x: Tensor, y: Tensor, t: Any) -> Tensor:
        wave, y = torch.exp(lam * (x - 0.5)), 2 * math.pi * y
        return 1 - wave * torch.cos(y) if d == 0 else lam / (2 * math.pi) * wave * torch.sin(y)

    profile = tuple(lambda points, t, params, d=d: field(d, *points, t) for d in (0, 1))
    errors = []
    for n in (12, 24):
        grid = Grid((3 * n // 2, n), (1.5, 1.0))
        u = at_faces(grid, field)
        scheme = Projection(NavierStokesVelocity(viscosity=1 / 40), grid, 0.2, ((Inflow(profile), Inflow(profile)), Periodic()), substeps=16)
        end = repeat(scheme.at({}, u), u, 25)
        errors.append(rms(end - at_faces(grid, field)))
    assert orders(errors)[0] > 1.9


def test_laminar_kolmogorov_flow_by_its_amplitude() -> None:
    """u = A sin(n y) / (nu n^2 + drag), and the discrete nu n^2 for a grid: 4 sin^2(n h / 2) / h^2."""
    grid, n = Grid((8, 32)), 4
    equation = NavierStokesVelocity(viscosity=0.5, drag=0.3, forcing_amplitude=2.0, forcing_mode=n)
    rest = torch.zeros(1, 2, 8, 32, dtype=torch.float64)
    u = repeat(Projection(equation, grid, 0.1, substeps=20).at({}, rest), rest, 60)
    h = grid.spacing[1]
    y = (torch.arange(32, dtype=torch.float64) + 0.5) * h
    expected = 2.0 * torch.sin(n * y) / (0.5 * 4 * math.sin(n * h / 2) ** 2 / h**2 + 0.3)
    torch.testing.assert_close(u[0, 0], expected.expand(8, 32), rtol=0, atol=1e-9)


@pytest.mark.parametrize("diffusion", ["explicit", "implicit"])
@pytest.mark.parametrize("name", ["periodic", "cavity", "convective", "do-nothing"])
def test_gradients_are_those_of_differences(name: str, diffusion: Any) -> None:
    """State and viscosity, and the inflow where there is one, over four steps."""
    grid = Grid((8, 6), (2.0, 1.5))
    sides = {
        "convective": ((Inflow(("inflow", 0.0)), Outflow()), FreeSlip()),
        "do-nothing": ((Inflow(("inflow", 0.1)), Outflow("do-nothing")), Wall()),
    }
    scheme = Projection(NavierStokesVelocity(), grid, 0.05, sides.get(name, SIDES[name]), diffusion=diffusion)
    weights = noise(grid, 2, seed=9)

    def loss(u: Tensor, nu: Tensor, inflow: Tensor) -> Tensor:
        return (repeat(scheme.at({"viscosity": nu, "inflow": inflow}, u), u, 4, grad=True) * weights).sum()

    u = noise(grid).requires_grad_()
    nu = torch.tensor([0.05, 0.08], dtype=torch.float64).reshape(2, 1, 1, 1).requires_grad_()
    inflow = torch.tensor(1.0, dtype=torch.float64, requires_grad=name in sides)
    assert torch.autograd.gradcheck(loss, (u, nu, inflow), eps=1e-6, atol=1e-6, rtol=1e-5, fast_mode=True)


@pytest.mark.parametrize("name", ["periodic", "cavity", "convective"])
def test_mixed_viscosities_are_the_single_runs(name: str) -> None:
    grid, u = Grid((10, 8)), noise(Grid((10, 8)), 3)
    scheme = Projection(NavierStokesVelocity(), grid, 0.02, SIDES[name], diffusion="implicit")
    nu = torch.tensor([0.01, 0.1, 0.5], dtype=torch.float64).reshape(3, 1, 1, 1)
    mixed = repeat(scheme.at({"viscosity": nu}, u), u, 3)
    for b in range(3):
        single = repeat(scheme.at({"viscosity": float(nu[b])}, u[b : b + 1]), u[b : b + 1], 3)
        torch.testing.assert_close(mixed[b : b + 1], single, rtol=0, atol=1e-13)
    seeds = torch.stack([u, 2 * u])
    torch.testing.assert_close(scheme.at({"viscosity": 0.1}, u)(seeds)[1], scheme.at({"viscosity": 0.1}, u)(2 * u), rtol=0, atol=1e-13)


def test_an_inflow_that_changes_with_time_is_seen_at_its_time() -> None:
    """A plug flow follows u(t) = 1 + t/2 exactly; its start is params["t0"] and step k begins at t0 + k dt."""
    grid = Grid((8, 4), (2.0, 1.0))
    inflow = Inflow((lambda points, t, params: 1.0 + 0.5 * t, 0.0), steady=False)
    scheme = Projection(NavierStokesVelocity(viscosity=0.1), grid, 0.1, ((inflow, Outflow()), FreeSlip()))
    u = torch.zeros(1, 2, 8, 4, dtype=torch.float64)
    u[:, 0] = 2.0
    step = scheme.at({"t0": 2.0}, u)
    for k in range(5):
        u = step(u, k)
        torch.testing.assert_close(u[:, 0], torch.full_like(u[:, 0], 2.0 + 0.05 * (k + 1)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("model", ["navier-stokes", "active turbulence"])
def test_the_spectral_solver_agrees_under_refinement(model: str) -> None:
    """The same smooth start by finite volumes at three resolutions against the spectral velocity form."""
    coefficients = {"lambda_0": 1.5, "alpha": -0.5, "beta": 0.5, "Gamma_0": -0.2, "Gamma_2": 0.02}
    equation: Any = NavierStokesVelocity(viscosity=0.05, drag=0.1) if model == "navier-stokes" else ActiveTurbulenceVelocity(**coefficients)

    def start(d: int, x: Tensor, y: Tensor, t: float) -> Tensor:
        if d == 0:
            return torch.sin(x) * torch.cos(y) + 0.5 * torch.cos(2 * y + 0.3)
        return -torch.cos(x) * torch.sin(y) + 0.4 * torch.sin(x + 0.2)

    fine = Grid((32, 32))
    x, y = fine.points()
    points = torch.stack([start(0, x, y, 0.0), start(1, x, y, 0.0)])[None]
    exact = repeat(ETDRK(equation, fine, 0.01, order=4).at({}, points), points, 50)
    modes = torch.fft.fft2(exact)
    errors = []
    for n in (16, 32, 64):
        grid = Grid((n, n))
        u = at_faces(grid, start)
        end = repeat(Projection(equation, grid, 0.05, substeps=n // 2, order=2, diffusion="implicit").at({}, u), u, 10)
        errors.append(rms(end - at_faces(grid, lambda d, x, y, t: _series(modes[0, d], x, y))))
    assert orders(errors)[-1] > 1.9


def _series(modes: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """The Fourier series with these coefficients at other points."""
    n = modes.shape[-1]
    k = torch.fft.fftfreq(n, 1 / n, dtype=torch.float64)
    along_x, along_y = torch.exp(1j * x.reshape(-1, 1) * k), torch.exp(1j * y.reshape(-1, 1) * k)
    return (along_x @ modes @ along_y.mT).real / n**2


@pytest.mark.parametrize(
    "options, params, message",
    [
        ({"order": 5}, {}, "order must be one of 1, 2, 3, 4"),
        ({"advection": "quick"}, {}, "advection must be one of central"),
        ({"diffusion": "none"}, {}, "diffusion must be"),
        ({"dt": 0.0}, {}, "dt must be positive"),
        ({"grid": Grid((8,))}, {}, "lives in 2-D"),
        ({"equation": ActiveTurbulenceVorticity()}, {}, "use its velocity form"),
        ({"equation": NavierStokesVelocity(hyperviscosity=1.0)}, {}, "hyperviscosity is for the spectral schemes"),
        ({}, {"length": 1.0}, "leave 'length' out"),
        ({}, {"viscosty": 1.0}, "did you mean 'viscosity'"),
        ({}, {"forcing": torch.zeros(3)}, "'forcing' must be a field at the faces"),
        ({"boundaries": ((Inflow(("inflow", 0.0)), Outflow()), Wall())}, {}, "a side's velocity is named 'inflow'"),
        (
            {"boundaries": ((Inflow((lambda p, t, q: q["gust"], 0.0)), Outflow()), Wall())},
            {},
            "a side's velocity is a function that reads 'gust', got",
        ),
        ({"boundaries": ((Inflow((lambda p, t, q: torch.ones(3), 0.0)), Outflow()), Wall())}, {}, r"by its function has the shape \(3,\)"),
        (
            {"boundaries": ((Inflow(("inflow", 0.0)), Outflow()), Wall())},
            {"inflow": torch.ones(5)},
            r"'inflow' has the shape \(5,\)",
        ),
    ],
)
def test_bad_input_is_named(options: dict[str, Any], params: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"equation": NavierStokesVelocity(), "grid": Grid((8, 8)), "dt": 0.1, **options}
    with pytest.raises(ValueError, match=message):
        scheme = Projection(**given)
        scheme.at(params, torch.zeros(1, 2, 8, 8, dtype=torch.float64))


def test_an_inflow_that_loses_its_balance_later_is_an_error() -> None:
    """Both ends let in and out alike until t = .25; from then on more enters than leaves, and nowhere can it go."""

    def pulsed(x: Any, t: Any, p: Any) -> float:
        return 1.0 if t < 0.25 else 1.5

    sides = ((Inflow((pulsed, 0.0), steady=False), Inflow((1.0, 0.0))), FreeSlip())
    u = torch.zeros(1, 2, 8, 8, dtype=torch.float64)
    step = Projection(NavierStokesVelocity(0.1), Grid((8, 8)), 0.1, sides).at({}, u)
    early = repeat(step, u, 2)
    assert early.isfinite().all()
    with pytest.raises(ValueError, match="a net inflow of 20 % of the flux through the sides"):
        repeat(step, early, 1, k=2)
