"""Laplacian and bilaplacian of face velocities, with the ghost values of the boundary conditions."""

from __future__ import annotations

import torch
from torch import Tensor

from eddygrad.solver.staggered.faces import Components, Faces


def laplacian(u: Components, faces: Faces) -> list[Tensor]:
    """Return lap u_d by central differences, (B, *grid) each [1/(m s)]."""
    return [_sum_of_second_differences(component, faces, d) for d, component in enumerate(u)]


def bilaplacian(lap: Components, faces: Faces) -> list[Tensor]:
    """Return lap lap u_d from lap u_d, which is zero on sides that prescribe u: the second condition that a fourth derivative needs."""
    still = faces.homogeneous()
    return laplacian(still.with_fixed(lap, [torch.zeros_like(l) for l in lap]), still)


def _sum_of_second_differences(u: Tensor, faces: Faces, d: int) -> Tensor:
    total: Tensor | None = None
    for axis, h in enumerate(faces.grid.spacing):
        dim, padded = faces.dim(axis), faces.padded(u, d, axis, 1)
        n = u.shape[dim]
        second = (padded.narrow(dim, 2, n) - 2 * u + padded.narrow(dim, 0, n)) / h**2
        total = second if total is None else total + second
    assert total is not None
    return total
