"""Stability limits of explicit time steps, and warnings for flows that exceed them."""

from __future__ import annotations

import math
import warnings

import torch
from torch import Tensor

from eddygrad.solver.grid import Grid
from eddygrad.solver.staggered.advection import Advection

# Largest sum of Courant numbers over the axes at which the linear scheme is stable, by order of `tableau.LOW_STORAGE`: there the amplification of a
# wave exp(i k x) reaches one. Without diffusion, except for Euler and Heun with central and Euler with upwind3, which are never stable alone: they
# have the diffusion that suits them best. The limited scheme has the limits of upwind1. tests/solver/schemes/test_stability.py derives the numbers.
COURANT: dict[int, dict[Advection, float]] = {
    1: {"central": 1.0, "upwind1": 1.0, "upwind3": 0.72, "van-leer": 1.0},
    2: {"central": 1.73, "upwind1": 1.0, "upwind3": 0.87, "van-leer": 1.0},
    3: {"central": 1.73, "upwind1": 1.25, "upwind3": 1.62, "van-leer": 1.25},
    4: {"central": 3.34, "upwind1": 2.22, "upwind3": 2.12, "van-leer": 2.22},
}
# Largest stable nu h sum_d 4 / h_d^2.
DIFFUSION = {1: 2.0, 2: 2.0, 3: 2.51, 4: 4.65}


def warn_of_diffusion(name: str, viscosity: Tensor | float, stiffness: Tensor | float, h: float, grid: Grid, limit: float) -> None:
    """Warn if explicit diffusion is unstable: h (nu l - s l^2) > limit with l = sum_d 4 / h_d^2, for L = nu lap + s lap^2.

    Args:
        name:      name of the scheme, for the message.
        viscosity: nu [m^2/s].
        stiffness: s [m^4/s].
        h:         substep [s].
        grid:      grid of the flow.
        limit:     largest stable value.
    """
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
    """Warn if the Courant number h sum_d max |u_d| / h_d exceeds `limit` or is not finite.

    Args:
        name:  name of the scheme, for the message.
        u:     velocity (.., D, *grid) [m/s].
        h:     substep [s].
        grid:  grid of the flow.
        limit: largest stable Courant number.
        k:     index of the step, for the message.
    Returns: whether there was a warning.
    """
    fastest = u.detach().abs().amax([d for d in range(u.ndim) if d != u.ndim - grid.ndim - 1])[: grid.ndim]
    number = h * float((fastest.double() * torch.tensor([1 / s for s in grid.spacing], dtype=torch.float64, device=u.device)).sum())
    if number <= limit:
        return False
    when = f"before step {k}" if k else "at first"
    if math.isfinite(number):
        message = f"the Courant number {when} is {number:.3g}, transport alone is stable up to {limit:g}; take substeps x {int(number / limit) + 1}"
        message += ", or more if a body accelerates the flow"
    else:
        message = f"the state {when} is not finite; take more substeps or a milder initial state"
    warnings.warn(f"{name}: {message}", stacklevel=5)
    return True
