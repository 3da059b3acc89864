"""The Poisson equation of the pressure by iterations, in place of the direct solver."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from eddygrad.solver.linear_solvers import Krylov
from eddygrad.solver.staggered.faces import Faces
from eddygrad.solver.step import Observer


class Poisson:
    """Solver of div grad p = y on the cells of a box by a `Krylov` method from p = 0, with the interface of `Separable`.

    The operator is symmetric and negative definite, except for the constant if no side fixes the pressure. The `Krylov` method decides its gradient:
    one more solve, or through the iterations. There is no preconditioner: the best one would be the direct solver, which is exact for all boundary
    conditions and the default anyway; the iterations serve to study inexact solves (`Refinement`).

    Args:
        faces:   operators.
        solver:  Krylov method.
        observe: receives "pressure_iterations", "pressure_residual" and "pressure_converged", (B,) each, of every solve.
    """

    def __init__(self, faces: Faces, solver: Krylov, observe: Observer | None = None) -> None:
        self.faces = faces.homogeneous()
        self.solver = replace(solver, mean_free=faces.closed)
        self.observe = None if observe is None else lambda name, value: observe(f"pressure_{name}", value)

    def __call__(self, y: Tensor) -> Tensor:
        """Return p (B, *grid) [m^2/s] for y (B, *grid) [1/s]."""
        return self.solver(self._applied, y, observe=self.observe)

    def _applied(self, p: Tensor) -> Tensor:
        return self.faces.divergence(self.faces.gradient(p))
