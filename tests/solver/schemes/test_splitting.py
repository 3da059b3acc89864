"""Operator splitting: what it costs in accuracy, and that no step is too long for it."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from cases.staggered_cases import SIDES, at_faces, noise, orders, rms, taylor_green

from eddygrad.solver.equations.active_turbulence import ActiveTurbulenceVelocity
from eddygrad.solver.equations.navier_stokes import NavierStokesVelocity
from eddygrad.solver.grid import Grid
from eddygrad.solver.schemes.projection import Projection
from eddygrad.solver.schemes.splitting import Splitting
from eddygrad.solver.staggered.bodies import Cylinder
from eddygrad.solver.staggered.boundary_conditions import FreeSlip, Periodic
from eddygrad.solver.unroll import repeat

NU = 0.01


@pytest.mark.parametrize("length, sides", [(2 * math.pi, Periodic()), (math.pi, FreeSlip())])
@pytest.mark.parametrize("diffusion", ["explicit", "implicit"])
@pytest.mark.parametrize("transport", ["semi-lagrangian", "mac-cormack"])
def test_taylor_green_under_refinement(transport: Any, diffusion: Any, length: float, sides: Any) -> None:
    """dt and h halved together: first order by the splitting, and the correction of the transport makes the error far smaller."""
    errors = []
    for n in (16, 32, 64):
        grid = Grid((n, n), length)
        u = at_faces(grid, taylor_green(NU))
        steps = n // 4 if length > 4 else n // 2
        scheme = Splitting(NavierStokesVelocity(viscosity=NU), grid, 0.2, sides, substeps=steps, transport=transport, diffusion=diffusion)
        errors.append(rms(repeat(scheme.at({}, u), u, 2) - at_faces(grid, taylor_green(NU), 0.4)))
    assert orders(errors)[-1] > 0.85
    assert errors[-1] < (0.03 if transport == "semi-lagrangian" else 0.003)


@pytest.mark.parametrize("transport, order", [("semi-lagrangian", 1), ("mac-cormack", 2)])
def test_order_in_space_and_time_alone(transport: Any, order: int) -> None:
    """At a fixed Courant number steps fall as h: the transport's own order is seen where the splitting adds nothing, a vortex that only turns."""
    errors = []
    for n in (16, 32, 64):
        grid = Grid((n, n))
        u = at_faces(grid, taylor_green(0.0))
        scheme = Splitting(NavierStokesVelocity(viscosity=0.0), grid, 0.1, substeps=(n // 16) ** order, transport=transport)
        errors.append(rms(repeat(scheme.at({}, u), u, 2) - u))
    assert orders(errors)[-1] > order - 0.2


@pytest.mark.parametrize("name", SIDES)
def test_no_divergence_is_left_and_the_limit_is_projection(name: str) -> None:
    """Between every kind of side, by short steps it tends to what the Runge-Kutta scheme does."""
    grid, equation = Grid((16, 12), (2.0, 1.5)), NavierStokesVelocity(viscosity=0.05)
    u = repeat(Projection(equation, grid, 5e-3, SIDES[name]).at({}, noise(grid)), noise(grid), 40)
    exact = Projection(equation, grid, 0.1, SIDES[name], substeps=20, advection="upwind1").at({}, u)(u)
    gaps = []
    for substeps in (1, 4):
        scheme = Splitting(equation, grid, 0.1, SIDES[name], substeps=substeps)
        end = scheme.at({}, u)(u)
        divergence = scheme.momentum({}, u).faces.divergence(list(end.unbind(1)))
        assert divergence.abs().max() * max(grid.spacing) / end.abs().max() < 1e-12
        gaps.append(rms(end - exact))
    assert max(gaps) < 0.25 * rms(exact - u) + 0.1 * rms(u)


def test_a_courant_number_of_twenty_stays_bounded() -> None:
    grid = Grid((32, 32))
    u = 4 * at_faces(grid, taylor_green(0.0))
    for transport in ("semi-lagrangian", "mac-cormack"):
        scheme = Splitting(NavierStokesVelocity(viscosity=1e-3), grid, 1.0, transport=transport)  # type: ignore[arg-type]
        assert repeat(scheme.at({}, u), u, 20).abs().max() < u.abs().max()


def test_gradients_by_state_and_viscosity_at_long_steps() -> None:
    grid = Grid((16, 12), (4.0, 3.0))
    scheme = Splitting(NavierStokesVelocity(), grid, 0.3, SIDES["convective"], bodies=(Cylinder((1.6, 1.5), radius=0.5),))
    weights, start = noise(grid, 1, seed=2), repeat(scheme.at({}, noise(grid, 1)), noise(grid, 1), 3)

    def loss(u: torch.Tensor, nu: torch.Tensor) -> torch.Tensor:
        return (repeat(scheme.at({"viscosity": nu}, u), u, 3, grad=True) * weights).sum()

    nu = torch.tensor(0.02, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(loss, (start.requires_grad_(), nu), eps=1e-7, atol=1e-4, rtol=1e-3, fast_mode=True)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"transport": "upwind"}, "transport must be one of"),
        ({"diffusion": "none"}, "diffusion must be"),
        ({"equation": ActiveTurbulenceVelocity()}, "take Projection"),
    ],
)
def test_bad_input_is_named(options: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"equation": NavierStokesVelocity(), "grid": Grid((8, 8)), "dt": 0.1, **options}
    with pytest.raises(ValueError, match=message):
        Splitting(**given).at({}, torch.zeros(1, 2, 8, 8, dtype=torch.float64))
