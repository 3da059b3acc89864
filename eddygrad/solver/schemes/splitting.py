"""Operator splitting on a staggered grid: advection along characteristics, then diffusion and forces, then projection."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from eddygrad.solver.schemes.stability import DIFFUSION
from eddygrad.solver.schemes.staggered_scheme import StaggeredScheme
from eddygrad.solver.schemes.staggered_step import StaggeredStep
from eddygrad.solver.staggered.faces import Components, Faces
from eddygrad.solver.staggered.momentum import Momentum, is_number
from eddygrad.solver.staggered.semi_lagrangian import mac_cormack, semi_lagrangian
from eddygrad.solver.step import Observer

_TRANSPORT: dict[str, Callable[[Components, Faces, float], list[Tensor]]] = {"semi-lagrangian": semi_lagrangian, "mac-cormack": mac_cormack}


@dataclass(frozen=True)
class Splitting(StaggeredScheme):
    """Semi-Lagrangian advection, which is stable for any time step, as in computer graphics and operator-splitting solvers.

        u* = transport(u, h),   u** = u* + h (L u** + L u) / 2 [or h L u] + h f,   u <- P u**                       Stam 1999
    First order in time. `advection` is not used here.

    Args:
        equation, grid, dt, boundaries, substeps, bodies, compiled, pressure: see `StaggeredScheme`; the equation must be Navier-Stokes.
        transport: "semi-lagrangian", first order in space, or "mac-cormack", second order; see `staggered.semi_lagrangian`.
        diffusion: "explicit", stable up to nu h (4 / dx^2 + 4 / dy^2) of about 2, or "implicit".
    Raises: ValueError for another transport or diffusion, and as `StaggeredScheme`.
    """

    transport: Literal["semi-lagrangian", "mac-cormack"] = "mac-cormack"
    diffusion: Literal["explicit", "implicit"] = "implicit"

    def __post_init__(self) -> None:
        if self.transport not in _TRANSPORT:
            raise ValueError(f"Splitting: transport must be one of {', '.join(_TRANSPORT)}, got {self.transport!r}")
        if self.diffusion not in ("explicit", "implicit"):
            raise ValueError(f"Splitting: diffusion must be 'explicit' or 'implicit', got {self.diffusion!r}")
        super().__post_init__()

    @property
    def diffusion_limit(self) -> float:
        return DIFFUSION[1] if self.diffusion == "explicit" else math.inf

    def step(self, momentum: Momentum, observe: Observer | None) -> SplittingStep:
        """Return the step of a bound flow.

        Raises: ValueError for an equation whose advection has a factor other than 1.
        """
        if not is_number(momentum.local.transport, 1.0):
            raise ValueError(f"Splitting: expected advection by the velocity itself, got {self.equation.name} with a factor; take Projection")
        return SplittingStep(self, momentum, observe)


class SplittingStep(StaggeredStep):
    """The bound step of `Splitting`."""

    def __init__(self, scheme: Splitting, momentum: Momentum, observe: Observer | None) -> None:
        super().__init__(scheme, momentum, observe)
        self._carry, self._mu = _TRANSPORT[scheme.transport], 0.5 * scheme.substep
        self._solvers = momentum.diffusion_solvers(self._mu) if scheme.diffusion == "implicit" else None

    def substep(self, u: list[Tensor], t: Tensor | float, taken: list[Tensor]) -> list[Tensor]:
        """Make one substep. Args: see `StaggeredStep.substep`."""
        m, h = self.momentum, self.scheme.substep
        before, now = m.at(t), m.at(t + h)
        u = before.imposed(u)
        carried = self._carry(u, before, h)
        others = m.rate(u, before, carried=False, spread=self._solvers is None)
        moved = now.imposed([own + h * rate for own, rate in zip(carried, others)])
        if self._solvers is not None:
            moved = now.imposed(m.diffused(carried, before, moved, now, self._mu, self._solvers))
        return self.constrained(moved, now, t + h, taken)
