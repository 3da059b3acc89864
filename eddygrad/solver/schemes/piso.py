"""PISO on a staggered grid: an implicit predictor with the previous pressure, then pressure correctors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from eddygrad.solver.linear_solvers import Krylov
from eddygrad.solver.schemes.staggered_scheme import StaggeredScheme
from eddygrad.solver.schemes.staggered_step import StaggeredStep
from eddygrad.solver.staggered.advection import Carriers, advection, carriers
from eddygrad.solver.staggered.faces import Components, Faces
from eddygrad.solver.staggered.momentum import Momentum, times
from eddygrad.solver.step import Observer

_SOLVER = Krylov("bicgstab", tolerance=1e-6, iterations=50)


@dataclass(frozen=True)
class PISO(StaggeredScheme):
    """Pressure-implicit with splitting of operators (PISO); the pressure is a channel of the state.

        R(w) = w / h - N(u, w) - L w,   N(u, w) = -(u . grad) w                                                     Issa 1986
        predictor:  R(w) = u / h - grad p + f, minus the resistance of bodies at rest
        corrector:  w^ = w - (R(w) - u / h - f) / a,   w <- w^ - grad phi,   div w = 0,   p = a phi
    a = 1/h + 2 nu sum_d 1 / h_d^2 is the diagonal of R, the same in every cell for central advection, so a corrector is one direct solve. First order
    in time; a steady state does not depend on the time step. `solver` solves the predictor's system, preconditioned by 1 - h L.

    State: (B, D + 1, *grid): face velocities [m/s] and the pressure over density at the centres [m^2/s^2].

    Args:
        equation, grid, dt, boundaries, substeps, advection, bodies, compiled, pressure: see `StaggeredScheme`; advection="van-leer" is refused,
                    because it is not linear.
        correctors: number of pressure correctors, at least 1; the published method has 2.
        solver:     a `Krylov` method for the predictor. The observer receives its iterations; it warns if it does not converge for a time step.
    Raises: ValueError for no corrector or advection="van-leer", and as `StaggeredScheme`.
    """

    correctors: int = 2
    solver: Krylov = _SOLVER

    def __post_init__(self) -> None:
        if self.correctors < 1 or self.correctors != int(self.correctors):
            raise ValueError(f"PISO: correctors must be a whole number of at least 1, got {self.correctors}")
        if self.advection == "van-leer":
            raise ValueError("PISO: the implicit predictor needs a linear advection, got 'van-leer'; take 'central', 'upwind1' or 'upwind3'")
        super().__post_init__()

    @property
    def channels(self) -> int:
        return self.grid.ndim + 1

    def step(self, momentum: Momentum, observe: Observer | None) -> PISOStep:
        """Return the step of a bound flow."""
        return PISOStep(self, momentum, observe)


class PISOStep(StaggeredStep):
    """The bound step of `PISO`."""

    def __init__(self, scheme: PISO, momentum: Momentum, observe: Observer | None) -> None:
        super().__init__(scheme, momentum, observe)
        self._piso, h = scheme, scheme.substep
        self._diagonal = 1 / h + 2 * momentum.local.viscosity * sum(1 / s**2 for s in scheme.grid.spacing)
        self._helmholtz = momentum.diffusion_solvers(h)

    def substep(self, u: list[Tensor], t: Tensor | float, taken: list[Tensor]) -> list[Tensor]:
        """Make one substep. Args: see `StaggeredStep.substep`."""
        m, h = self.momentum, self.scheme.substep
        before, now = m.at(t), m.at(t + h)
        *velocity, p = u
        velocity = before.imposed(velocity)
        by = carriers(velocity, before)
        others = m.rate(velocity, before, carried=False, spread=False)
        source = [own / h + f for own, f in zip(velocity, others)]
        begin = now.imposed(m.left(velocity, h))
        right = [s - slope for s, slope in zip(source, now.gradient(p))]
        held_back = m.resistance(velocity, before)
        w = self._predicted(begin, right if held_back is None else [r - f for r, f in zip(right, held_back)], by, now)
        for _ in range(self._piso.correctors):
            lack = [own - s for own, s in zip(self._balance(w, by, now), source)]
            free = [own - times(1 / self._diagonal, l) for own, l in zip(w, lack)]
            held = m.constrained(now.with_fixed(free, begin), now, t + h)
            w = held.u
        if held.impulse is not None:
            taken.append(times(h * self._diagonal, held.impulse))
        return [*w, times(self._diagonal, held.phi)]

    def _balance(self, w: Components, by: Carriers, faces: Faces) -> list[Tensor]:
        """Return R(w) [m/s^2]."""
        m, h = self.momentum, self.scheme.substep
        carried, spread = advection(w, faces, self.scheme.advection, by), m.spread(w, faces)
        return [own / h - times(m.local.transport, c) - l for own, c, l in zip(w, carried, spread)]

    def _predicted(self, begin: list[Tensor], right: Components, by: Carriers, now: Faces) -> list[Tensor]:
        """Solve R(w) = right for the difference of w from `begin`, which has the boundary values."""
        still, h = now.homogeneous(), self.scheme.substep
        nothing = [torch.zeros_like(own) for own in begin]

        def left(change: Tensor) -> Tensor:
            parts = change.unbind(1)
            inner = still.with_fixed(parts, nothing)
            return torch.stack(still.with_fixed(self._balance(inner, by, still), [part / h for part in parts]), 1)

        def about_inverse(residual: Tensor) -> Tensor:
            return torch.stack([h * solver(part) for solver, part in zip(self._helmholtz, residual.unbind(1))], 1)

        lack = [r - own for r, own in zip(right, self._balance(begin, by, now))]
        lacking = torch.stack(now.with_fixed(lack, nothing), 1)
        change = self._piso.solver(left, lacking, preconditioner=about_inverse, observe=self.observe)
        return [own + part for own, part in zip(begin, change.unbind(1))]
