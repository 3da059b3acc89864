"""The pressure's Poisson equation by iterations, where the direct solver is to be left out."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from eddygrad.solver.linear_solvers import Krylov
from eddygrad.solver.staggered.faces import Faces
from eddygrad.solver.step import Observer


class Poisson:
    """div grad p = y on the cells of a box, by a `Krylov` method from p = 0; stands where a `Separable` stands.

    Symmetric, and negative but for the constant, which is left out where no side knows the pressure. The gradient is that of the method's own choice:
    one more solve with its own tolerance, or through the iterations. It has no preconditioner: the direct solver, which is exact between all sides
    and with bodies, would be the one to take, and is the default in its place; iterations serve to study them (`Refinement`).

    Args: observe: told "pressure_iterations", "pressure_residual" and "pressure_converged" per sample (B,) of every solve.
    """

    def __init__(self, faces: Faces, solver: Krylov, observe: Observer | None = None) -> None:
        self.faces = faces.homogeneous()
        self.solver = replace(solver, mean_free=faces.closed)
        self.observe = None if observe is None else lambda name, value: observe(f"pressure_{name}", value)

    def __call__(self, y: Tensor) -> Tensor:
        """(B, *grid) [1/s] -> (B, *grid) [m^2/s]"""
        return self.solver(self._applied, y, observe=self.observe)

    def _applied(self, p: Tensor) -> Tensor:
        return self.faces.divergence(self.faces.gradient(p))
