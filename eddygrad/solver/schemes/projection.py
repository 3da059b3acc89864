"""Projection method on a staggered grid: explicit or half-implicit stages, each projected by a direct pressure solve."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

from torch import Tensor

from eddygrad.solver.schemes.stability import COURANT, DIFFUSION
from eddygrad.solver.schemes.staggered_scheme import StaggeredScheme
from eddygrad.solver.schemes.staggered_step import StaggeredStep
from eddygrad.solver.schemes.tableau import LOW_STORAGE
from eddygrad.solver.staggered.fast_diagonalisation import Separable
from eddygrad.solver.staggered.momentum import Momentum
from eddygrad.solver.step import Observer


@dataclass(frozen=True)
class Projection(StaggeredScheme):
    """Finite volumes on a staggered grid; the velocity is divergence-free after every stage.

        g <- F(u) + beta_k g,   u* = u + gamma_k h g,   lap phi = div u*,   u <- u* - grad phi            Chorin 1968; Sanderse, Koren 2012
        diffusion="implicit":   (1 - mu_k L) u* = (1 + mu_k L) u + gamma_k h g,  L = nu lap [+ Gamma lap^2],  mu_k = h (alpha_{k+1} - alpha_k) / 2
    Order of the explicit part: 1 Euler, 2 Heun, 3 Williamson, 4 Carpenter and Kennedy (`tableau.LOW_STORAGE`). With implicit diffusion the order in
    time is 2 with periodic and slip sides, and 1 at walls, where diffusion and projection do not commute. In space: order 2, see
    `staggered.advection`.

    Args:
        equation, grid, dt, boundaries, substeps, advection, bodies, compiled, pressure: see `StaggeredScheme`.
        order:     order of the explicit part, 1 to 4.
        diffusion: "explicit", stable up to nu h (4 / dx^2 + 4 / dy^2) of about 2, or "implicit".
    Raises: ValueError for another order or diffusion, and as `StaggeredScheme`.
    """

    order: Literal[1, 2, 3, 4] = 3
    diffusion: Literal["explicit", "implicit"] = "explicit"

    def __post_init__(self) -> None:
        if self.order not in LOW_STORAGE:
            raise ValueError(f"Projection: order must be one of {', '.join(map(str, LOW_STORAGE))}, got {self.order!r}")
        if self.diffusion not in ("explicit", "implicit"):
            raise ValueError(f"Projection: diffusion must be 'explicit' or 'implicit', got {self.diffusion!r}")
        super().__post_init__()

    @property
    def courant_limit(self) -> float:
        return COURANT[self.order][self.advection]

    @property
    def diffusion_limit(self) -> float:
        return DIFFUSION[self.order] if self.diffusion == "explicit" else math.inf

    def step(self, momentum: Momentum, observe: Observer | None) -> ProjectionStep:
        """Return the step of a bound flow."""
        return ProjectionStep(self, momentum, observe)


class _Stage(NamedTuple):
    """A stage: its end `time` after the start of the substep [s], beta (`memory`), gamma h (`weight`), mu, and the solvers of 1 - mu L."""

    time: float
    memory: float
    weight: float
    mu: float
    solvers: list[Separable] | None


class ProjectionStep(StaggeredStep):
    """The bound step of `Projection`."""

    def __init__(self, scheme: Projection, momentum: Momentum, observe: Observer | None) -> None:
        super().__init__(scheme, momentum, observe)
        self._stages, h = [], scheme.substep
        alpha, beta, gamma = LOW_STORAGE[scheme.order]
        for (a, b), memory, weight in zip(pairwise(alpha), beta, gamma):
            mu = 0.5 * h * (b - a)
            solvers = momentum.diffusion_solvers(mu) if scheme.diffusion == "implicit" else None
            self._stages.append(_Stage(h * b, memory, weight * h, mu, solvers))

    def substep(self, u: list[Tensor], t: Tensor | float, taken: list[Tensor]) -> list[Tensor]:
        """Make one substep. Args: see `StaggeredStep.substep`."""
        m = self.momentum
        g: list[Tensor] | None = None
        now = m.at(t)
        for stage in self._stages:
            f = m.rate(u, now, spread=stage.solvers is None)
            g = f if g is None else [own + stage.memory * old for own, old in zip(f, g)]
            before, now = now, m.at(t + stage.time)
            moved = now.imposed([own + stage.weight * change for own, change in zip(u, g)])
            if stage.solvers is not None:
                moved = now.imposed(m.diffused(u, before, moved, now, stage.mu, stage.solvers))
            u = self.constrained(moved, now, t + stage.time, taken)
        return u
