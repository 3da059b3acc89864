"""The eddy viscosity has a finite gradient where there is no strain."""

from __future__ import annotations

import torch

from eddygrad.solver.equations.smagorinsky import SmagorinskyVelocity
from eddygrad.solver.grid import Grid
from eddygrad.solver.schemes.spectral.etdrk import ETDRK


def test_no_strain_has_a_gradient() -> None:
    grid = Grid((12, 12))
    for gradient in ("adjoint", "autograd"):
        u = torch.zeros(1, 2, 12, 12, dtype=torch.float64, requires_grad=True)
        step = ETDRK(SmagorinskyVelocity(mixing_length=0.1), grid, dt=0.1, gradient=gradient).at({}, u)  # type: ignore[arg-type]
        assert torch.isfinite(torch.autograd.grad(step(u).sum(), u)[0]).all()
