"""Gradients through twenty steps past a body against central differences, and through 320 steps without a number that is not finite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from cases.staggered_cases import noise
from torch import Tensor

from eddygrad.solver.equations.navier_stokes import NavierStokesVelocity
from eddygrad.solver.grid import Grid
from eddygrad.solver.linear_solvers import Krylov
from eddygrad.solver.schemes.piso import PISO
from eddygrad.solver.schemes.projection import Projection
from eddygrad.solver.schemes.splitting import Splitting
from eddygrad.solver.schemes.staggered_scheme import StaggeredScheme
from eddygrad.solver.staggered.bodies import Cylinder
from eddygrad.solver.staggered.boundary_conditions import FreeSlip, Inflow, Outflow
from eddygrad.solver.unroll import repeat

GRID = Grid((24, 16), (6.0, 4.0))
STEPS, DIRECTIONS = 20, 6
STREAM: Any = ((Inflow(("inflow", 0.0)), Outflow()), FreeSlip())
COMMON: dict[str, Any] = {"equation": NavierStokesVelocity(), "grid": GRID, "dt": 0.05, "boundaries": STREAM}
BODY = Cylinder(("x", "y"), radius=0.6)
SCHEMES: dict[str, StaggeredScheme] = {
    "explicit": Projection(**COMMON, bodies=(BODY,), order=2),
    "implicit": Projection(**COMMON, bodies=(BODY,), diffusion="implicit"),
    "PISO": PISO(**COMMON, bodies=(BODY,), solver=Krylov("bicgstab", tolerance=1e-13, iterations=100)),
}
SPLIT = [Splitting(**COMMON, bodies=(BODY,), transport=way) for way in ("semi-lagrangian", "mac-cormack")]  # type: ignore[arg-type]
SCHEMES |= {scheme.transport: scheme for scheme in SPLIT}
PLACE = torch.tensor([2.03, 1.91], dtype=torch.float64)
# Of central differences: errors of eps^2 in the third derivative, and of round-off 1e-16 / eps.
EPS = 1e-5
EPS_ALONG_PATHS = 1e-7  # interpolation has kinks at the lines of the grid: few paths cross one on so short a way


def settled(scheme: StaggeredScheme, batch: int = 1, seed: int = 0) -> Tensor:
    """A stream with some noise that has met the body."""
    u = 0.1 * noise(GRID, 1, seed)
    u[:, 0] += 1.0
    if scheme.channels == 3:
        u = torch.cat([u, torch.zeros_like(u[:, :1])], 1)
    params = {"viscosity": 0.05, "inflow": 1.0, "x": PLACE[0], "y": PLACE[1]}
    return repeat(scheme.at(params, u), u, 4).expand(batch, *u.shape[1:])


def profile(batch: int = 1) -> Tensor:
    """An inflow with a value for every face, (B, 1, ny)."""
    y = (torch.arange(16, dtype=torch.float64) + 0.5) / 16
    return (1 + 0.3 * torch.sin(2 * torch.pi * y)).expand(batch, 1, 16)


class Run:
    """Per sample the mean over the end's velocities with fixed random weights, and the drag, of what is varied."""

    def __init__(self, scheme: StaggeredScheme, of: str) -> None:
        self.scheme, self.of = scheme, of
        self.weights = noise(GRID, 1, seed=7)

    def value(self, batch: int = 1) -> Tensor:
        """What is varied, one per sample but for the place."""
        if self.of == "place":
            return PLACE.clone()
        nu = torch.full((batch, 1, 1, 1), 0.05, dtype=torch.float64)
        return {"state": settled(self.scheme, batch), "inflow": profile(batch), "viscosity": nu}[self.of].clone()

    def __call__(self, value: Tensor, drag_only: bool = False) -> Tensor:
        batch = 1 if self.of == "place" else len(value)
        x, y = value if self.of == "place" else PLACE
        params: dict[str, Any] = {"viscosity": 0.05, "inflow": profile(batch), "x": x, "y": y}
        params |= {self.of: value} if self.of in params else {}
        u = value if self.of == "state" else settled(self.scheme, batch)
        drag: list[Tensor] = []
        step = self.scheme.at(params, u, lambda name, told: drag.append(told[:, 0, 0]) if name == "force" else None)
        end = repeat(step, u, STEPS, grad=True)[:, :2]
        force = torch.stack(drag).mean(0)
        return force if drag_only else (end * self.weights).mean((1, 2, 3)) + force


def differences(run: Callable[..., Tensor], value: Tensor, directions: Tensor, together: bool, **options: Any) -> Tensor:
    """The slopes along every direction; as one batch where samples are independent."""
    eps = EPS_ALONG_PATHS if isinstance(run, Run) and isinstance(run.scheme, Splitting) else EPS
    sides = [value + sign * eps * directions for sign in (1, -1)]
    with torch.no_grad():
        ahead, behind = (run(v, **options) if together else torch.cat([run(one, **options) for one in v]) for v in sides)
    return (ahead - behind) / (2 * eps)


def agree(exact: Tensor, difference: Tensor) -> None:
    cosine = torch.nn.functional.cosine_similarity(exact, difference, 0)
    assert cosine > 0.9999 and (exact - difference).norm() < 1e-4 * difference.norm(), (exact, difference)


@pytest.mark.parametrize("of", ["state", "inflow", "viscosity", "place"])
@pytest.mark.parametrize("name", SCHEMES)
def test_gradients_of_twenty_steps_past_a_body(name: str, of: str) -> None:
    """Along six random directions, unit ones for the two coordinates and the one viscosity."""
    run = Run(SCHEMES[name], of)
    value = run.value()
    random = torch.Generator().manual_seed(5)
    if of == "place":
        directions = torch.eye(2, dtype=torch.float64)
    else:
        directions = torch.randn(1 if of == "viscosity" else DIRECTIONS, *value.shape[1:], dtype=torch.float64, generator=random)
    value.requires_grad_()
    (gradient,) = torch.autograd.grad(run(value).sum(), value)
    exact = (directions * gradient).flatten(1).sum(1)
    agree(exact, differences(run, value.detach(), directions, together=of != "place"))


@pytest.mark.parametrize("name", SCHEMES)
def test_the_drag_by_the_speed_of_the_stream(name: str) -> None:
    run = Run(SCHEMES[name], "inflow")
    value = run.value().requires_grad_()
    (gradient,) = torch.autograd.grad(run(value, drag_only=True).sum(), value)
    faster = torch.ones(1, 1, 16, dtype=torch.float64)
    agree((gradient * faster).sum().reshape(1), differences(run, value.detach(), faster, together=True, drag_only=True))
    assert gradient.sum() > 0  # a faster stream drags more


def test_320_steps_of_a_wake_have_finite_gradients() -> None:
    """In float32, of the last drag, by first state, inflow, viscosity and place; sixteen diameters of the body go by."""
    scheme = Projection(**{**COMMON, "dt": 0.06}, bodies=(BODY,))
    u = settled(scheme).float().requires_grad_()
    params = {"inflow": 1.0, "viscosity": 0.02, "x": float(PLACE[0]), "y": float(PLACE[1])}
    leaves = {key: torch.tensor(value, requires_grad=True) for key, value in params.items()}
    told: list[Tensor] = []
    end = repeat(scheme.at(leaves, u, lambda name, load: told.append(load[0, 0, 0]) if name == "force" else None), u, 320, grad=True)
    loss = told[-1] + end.square().mean()
    gradients = torch.autograd.grad(loss, [u, *leaves.values()])
    assert all(bool(g.isfinite().all()) and bool(g.abs().max() > 0) for g in gradients)
    assert end.isfinite().all() and end.abs().max() < 3
