"""How long explicit steps of a flow may be: limits of the schemes, and a warning where a flow is beyond them."""

from __future__ import annotations

import math
import warnings

import torch
from torch import Tensor

from eddygrad.solver.grid import Grid
from eddygrad.solver.staggered.advection import Advection

# By the order of `tableau.LOW_STORAGE`, where the amplification of the waves exp(i k x) reaches one. Transport: the greatest sum of Courant numbers
# over the axes at which the linear scheme is stable without diffusion, which may raise it. Euler and Heun with central transport and Euler with
# upwind3, never stable alone, have the diffusion that suits them best beside. The limited scheme goes by upwind1. The figures are found by
# tests/solver/schemes/test_stability.py.
COURANT: dict[int, dict[Advection, float]] = {
    1: {"central": 1.0, "upwind1": 1.0, "upwind3": 0.72, "van-leer": 1.0},
    2: {"central": 1.73, "upwind1": 1.0, "upwind3": 0.87, "van-leer": 1.0},
    3: {"central": 1.73, "upwind1": 1.25, "upwind3": 1.62, "van-leer": 1.25},
    4: {"central": 3.34, "upwind1": 2.22, "upwind3": 2.12, "van-leer": 2.22},
}
# The greatest nu h sum_d 4 / h_d^2.
DIFFUSION = {1: 2.0, 2: 2.0, 3: 2.51, 4: 4.65}


def warn_of_diffusion(name: str, viscosity: Tensor | float, stiffness: Tensor | float, h: float, grid: Grid, limit: float) -> None:
    """Warn where h (nu l - s l^2), l = sum_d 4 / h_d^2, of L = nu lap + s lap^2 is above `limit`."""
    fastest = sum(4 / s**2 for s in grid.spacing)
    damped = viscosity * fastest - stiffness * fastest**2
    number = h * (float(damped.detach().amax()) if isinstance(damped, Tensor) else damped)
    if number > limit:
        warnings.warn(
            f"{name}: explicit diffusion is unstable, substep x damping of the shortest wave = {number:.3g}, expected at most {limit:g}; "
            f"take substeps x {int(number / limit) + 1} or diffusion='implicit'",
            stacklevel=3,
        )


def warn_of_courant(name: str, u: Tensor, h: float, grid: Grid, limit: float, k: int) -> bool:
    """Warn, and say so, where the greatest speeds of u (.., D, *grid) travel h sum_d |u_d| / h_d > `limit` cells in a substep, or are not finite."""
    fastest = u.detach().abs().amax([d for d in range(u.ndim) if d != u.ndim - grid.ndim - 1])[: grid.ndim]
    number = h * float((fastest.double() * torch.tensor([1 / s for s in grid.spacing], dtype=torch.float64, device=u.device)).sum())
    if number <= limit:
        return False
    when = f"before step {k}" if k else "at first"
    if math.isfinite(number):
        said = f"the Courant number {when} is {number:.3g}, transport alone is stable up to {limit:g}; take substeps x {int(number / limit) + 1}"
        said += ", or more where a body speeds the flow up"
    else:
        said = f"the state {when} is not finite; take more substeps or a milder initial state"
    warnings.warn(f"{name}: {said}", stacklevel=5)
    return True
