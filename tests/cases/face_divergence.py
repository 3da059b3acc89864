"""Divergence of face velocities by the boundary conditions of a stepper."""

from __future__ import annotations

from torch import Tensor

from eddygrad.solver.grid import Grid
from eddygrad.solver.staggered.faces import Faces, known_values


def divergence(u: Tensor, stepper, grid: Grid) -> Tensor:
    faces = Faces(grid, stepper.sides, known_values(grid, stepper.sides, 0.0, {}, u))
    return faces.divergence(u[:, :2].unbind(1))
