"""Self-checks of flows between walls and around bodies: exact solutions, conservation, divergence, agreement with the spectral solver."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from eddygrad.solver.diagnostics import rms
from eddygrad.solver.equations.active_turbulence import ActiveTurbulenceVelocity
from eddygrad.solver.equations.navier_stokes import NavierStokesVelocity
from eddygrad.solver.grid import Grid
from eddygrad.solver.initial import random_fourier
from eddygrad.solver.schemes.piso import PISO
from eddygrad.solver.schemes.projection import Projection
from eddygrad.solver.schemes.spectral.etdrk import ETDRK
from eddygrad.solver.schemes.splitting import Splitting
from eddygrad.solver.schemes.staggered_scheme import StaggeredScheme
from eddygrad.solver.staggered.advection import advection
from eddygrad.solver.staggered.bodies import Body, Cylinder, rectangle
from eddygrad.solver.staggered.boundary_conditions import FreeSlip, Inflow, Outflow, Periodic, Wall, points_of, sides_of
from eddygrad.solver.staggered.faces import Faces, known_values
from eddygrad.solver.staggered.probes import at_points
from eddygrad.solver.unroll import repeat
from eddygrad.solver.vector_calculus import leray
from eddygrad.validation.check import Finding, order_of

# (d, x, y) -> component d of a velocity [m/s]
Field = Callable[[int, Tensor, Tensor], Tensor]
CLOSED: dict[str, Any] = {
    "periodic": Periodic(),
    "walls": Wall(),
    "slip": FreeSlip(),
    "channel": (Periodic(), Wall()),
    "cavity": (Wall(), (Wall(), Wall((1.0, 0.0)))),
}
SIDES: dict[str, Any] = {
    **CLOSED,
    "convective": ((Inflow((1.0, 0.0)), Outflow()), FreeSlip()),
    "do-nothing": ((Inflow((1.0, 0.2)), Outflow("do-nothing")), (Wall(), FreeSlip())),
}


def at_faces(grid: Grid, field: Field) -> Tensor:
    """Return face velocities (1, 2, nx, ny) of a field: component d on the upper faces along d, float64 [m/s]."""
    return torch.stack([torch.broadcast_to(field(d, *points_of(grid, d)), grid.shape) for d in range(2)])[None]


def velocity_at(u: Tensor, grid: Grid, d: int, points: Tensor) -> Tensor:
    """Interpolate one component of face velocities bilinearly.

    Args:
        u:      face velocities (B, 2, nx, ny) [m/s].
        grid:   grid of u.
        d:      component.
        points: coordinates (K, 2) [m].
    Returns: (B, K) [m/s].
    """
    shift = torch.zeros(2, dtype=points.dtype)
    shift[d] = 0.5 * grid.spacing[d]  # `at_points` takes values at cell centres; those on upper faces lie half a cell further
    return at_points(u[:, d], grid, points - shift)


def _noise(grid: Grid, seed: int, channels: int = 2) -> Tensor:
    return torch.randn(2, channels, *grid.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def vortices_on_faces(seed: int) -> Iterator[Finding]:
    """Taylor-Green vortices with the central scheme, nu = 0.01, 20 steps of 0.01: error at most that of PhiFlow's central scheme."""
    nu, errors = 0.01, []

    def field(d: int, x: Tensor, y: Tensor) -> Tensor:
        return torch.sin(x) * torch.cos(y) if d == 0 else -torch.cos(x) * torch.sin(y)

    for n, published in ((32, 1.24e-5), (64, 2.81e-6)):
        grid = Grid((n, n))
        u = at_faces(grid, field)
        end = repeat(Projection(NavierStokesVelocity(viscosity=nu), grid, 0.01).at({}, u), u, 20)
        errors.append(rms(end - u * math.exp(-2 * nu * 0.2)))
        yield Finding(f"Taylor-Green on faces, {n}^2, rms error, at most PhiFlow's", 0.0, errors[-1], published)
    yield Finding("Taylor-Green on faces, order in space", 2.0, order_of(errors), 0.05)


def plane_flows(seed: int) -> Iterator[Finding]:
    """Steady Couette flow u = y is exact, steady Poiseuille flow u = y (1 - y) / 2 is of second order."""
    drift, errors = 0.0, []
    for n in (8, 16, 32):
        grid, y = Grid((4, n), 1.0), (torch.arange(n, dtype=torch.float64) + 0.5) / n
        rest = torch.zeros(1, 2, 4, n, dtype=torch.float64)
        options: dict[str, Any] = {"substeps": 100, "order": 1, "diffusion": "implicit"}
        lid = Projection(NavierStokesVelocity(viscosity=1.0), grid, 0.5, (Periodic(), (Wall(), Wall((1.0, 0.0)))), **options)
        drift = max(drift, float((repeat(lid.at({}, rest), rest, 6)[0, 0] - y).abs().max()))
        push = torch.zeros_like(rest)
        push[:, 0] = 1.0
        pressed = Projection(NavierStokesVelocity(viscosity=1.0), grid, 0.5, (Periodic(), Wall()), **options)
        errors.append(float((repeat(pressed.at({"forcing": push}, rest), rest, 6)[0, 0] - y * (1 - y) / 2).abs().max()))
    yield Finding("Couette flow, largest error at 8, 16 and 32 cells", 0.0, drift, 1e-11)
    yield Finding("Poiseuille flow, order in space", 2.0, order_of(errors), 0.02)


def kovasznay(seed: int) -> Iterator[Finding]:
    """The flow of Kovasznay (1948) at Re 40, with the exact velocity prescribed at both ends: second order."""
    lam = 20 - math.sqrt(400 + 4 * math.pi**2)

    def field(d: int, x: Tensor, y: Tensor) -> Tensor:
        wave = torch.exp(lam * (x - 0.5))
        return 1 - wave * torch.cos(2 * math.pi * y) if d == 0 else lam / (2 * math.pi) * wave * torch.sin(2 * math.pi * y)

    known = Inflow((lambda points, t, params: field(0, *points), lambda points, t, params: field(1, *points)))
    errors = []
    for n in (12, 24, 48):
        grid = Grid((3 * n // 2, n), (1.5, 1.0))
        u = at_faces(grid, field)
        scheme = Projection(NavierStokesVelocity(viscosity=1 / 40), grid, 0.2, ((known, known), Periodic()), substeps=n, order=2)
        errors.append(rms(repeat(scheme.at({}, u), u, 15) - u))
    yield Finding("Kovasznay flow at Re 40, order in space", 2.0, order_of(errors), 0.15)


def divergence_left(seed: int) -> Iterator[Finding]:
    """max |div u| h / max |u| after two steps from noise: the largest over all schemes and boundary conditions, with and without bodies."""
    grid = Grid((32, 24), (4.0, 3.0))
    bodies: tuple[Body, ...] = (
        Cylinder((1.1, 1.0), radius=0.35),
        rectangle((2.4, 1.9), 0.6, 0.4, angle=lambda t, params: 0.3 + t),  # rotating
    )
    for name, given in (("", ()), (", with bodies", bodies)):
        for dtype, bound in ((torch.float64, 1e-12), (torch.float32, 1e-6)):
            worst = max(_divergence(scheme, seed, dtype) for sides in SIDES.values() for scheme in _schemes(grid, sides, given))
            yield Finding(f"divergence left in {str(dtype).removeprefix('torch.')}{name}", 0.0, worst, bound)


def _schemes(grid: Grid, sides: Any, bodies: tuple[Body, ...]) -> list[StaggeredScheme]:
    equation = NavierStokesVelocity(viscosity=0.05)
    common: dict[str, Any] = {"boundaries": sides, "bodies": bodies}
    return [
        Projection(equation, grid, 0.01, **common),
        Projection(equation, grid, 0.01, **common, diffusion="implicit", advection="upwind3"),
        Splitting(equation, grid, 0.01, **common),
        PISO(equation, grid, 0.01, **common),
    ]


def _divergence(scheme: StaggeredScheme, seed: int, dtype: torch.dtype) -> float:
    u = _noise(scheme.grid, seed, scheme.channels).to(dtype)
    velocity = repeat(scheme.at({}, u), u, 2)[:, :2]
    left = scheme.momentum({}, u).faces.divergence(list(velocity.unbind(1)))
    return float(left.abs().max() * max(scheme.grid.spacing) / velocity.abs().max())


def no_work(seed: int) -> Iterator[Finding]:
    """Central advection does no work on a velocity that satisfies the boundary conditions: <u, N(u)> = 0 (Verstappen, Veldman 2003)."""
    grid, worst = Grid((24, 20), (2.0, 1.5)), 0.0
    for given in CLOSED.values():
        sides = sides_of(given, 2)
        faces = Faces(grid, sides, known_values(grid, sides, 0.0, {}, _noise(grid, seed)))
        u = faces.imposed(list(_noise(grid, seed).unbind(1)))
        work = [own * change for own, change in zip(u, advection(u, faces, "central"))]
        worst = max(worst, abs(float(sum(w.sum() for w in work))) / float(sum(w.abs().sum() for w in work)))
    yield Finding("<u, N(u)> on faces, closed sides, relative", 0.0, worst, 1e-13)


def two_solvers(seed: int) -> Iterator[Finding]:
    """Finite volumes converge to the spectral solver at second order on a periodic flow, for two equations."""
    fine = Grid((48, 48))
    points = leray(random_fourier(fine, 1, 2, bandlimit=3, seed=seed, purpose="two solvers"), fine) + 0.2
    # The active-turbulence model on a box that resolves its unstable modes, 1 to 4; alpha drives them as in the paper.
    active = ActiveTurbulenceVelocity(lambda_0=3.5, alpha=-1.0, beta=0.5, Gamma_0=-0.2, Gamma_2=0.02)
    for name, equation in (("Navier-Stokes", NavierStokesVelocity(viscosity=0.03, drag=0.1)), ("active turbulence", active)):
        exact = repeat(ETDRK(equation, fine, 0.01, order=4).at({}, points), points, 40)
        errors = []
        for n in (32, 64, 128):
            grid = Grid((n, n))
            u = _on_faces(points, grid)
            scheme = Projection(equation, grid, 0.1, substeps=n // 4, order=3, diffusion="implicit")
            errors.append(rms(repeat(scheme.at({}, u), u, 4) - _on_faces(exact, grid)))
        yield Finding(f"{name}, finite volumes against spectral, order", 2.0, order_of(errors), 0.1)


def _on_faces(u: Tensor, grid: Grid) -> Tensor:
    """Evaluate the Fourier series of point values (B, 2, N, N) on the faces of another grid of the same box, (B, 2, nx, ny)."""
    size = u.shape[-1]
    modes = torch.fft.fft2(u) / size**2
    k = torch.fft.fftfreq(size, 1 / size, dtype=torch.float64)
    out = []
    for d in range(2):
        x, y = (
            torch.exp(2j * math.pi * (torch.arange(n, dtype=torch.float64)[:, None] + (1.0 if a == d else 0.5)) / n * k)
            for a, n in enumerate(grid.shape)
        )
        out.append((x @ modes[:, d] @ y.mT).real)
    return torch.stack(out, 1)
