"""Adaptive substeps: recomputation in the backward pass, and domain lengths that are parameters."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from eddygrad.solver.equations.navier_stokes import NavierStokesVorticity
from eddygrad.solver.grid import Grid
from eddygrad.solver.initial import random_fourier
from eddygrad.solver.schemes.adaptive import AdaptiveSubsteps
from eddygrad.solver.schemes.spectral.etdrk import ETDRK
from eddygrad.solver.unroll import repeat


@pytest.mark.parametrize("keep", [1, 2, "sqrt"])
def test_adaptive_substeps_may_be_recomputed(keep: Any) -> None:
    grid = Grid((12, 12))
    w = random_fourier(grid, 2, bandlimit=3, rms=3.0, seed=3)
    results = []
    for way in ("all", keep):
        nu = torch.tensor(0.05, dtype=torch.float64, requires_grad=True)
        step = AdaptiveSubsteps(ETDRK(NavierStokesVorticity(), grid, dt=0.1), courant=0.1).at({"viscosity": nu}, w)
        results.append(torch.autograd.grad(repeat(step, w, 4, grad=True, keep=way).square().sum(), nu)[0])
    torch.testing.assert_close(results[1], results[0], rtol=1e-12, atol=0)


def test_adaptive_substeps_know_the_length_of_the_box() -> None:
    counts = []
    for grid, own in ((Grid((12, 12)), {"length": 0.5}), (Grid((12, 12), 0.5), {})):
        w = random_fourier(grid, 1, bandlimit=3, seed=4)
        AdaptiveSubsteps(ETDRK(NavierStokesVorticity(), grid, dt=0.1), courant=0.01).at(
            own, w, observe=lambda name, value: counts.append(float(value)) if name == "substeps" else None
        )(w)
    assert counts[0] == counts[1] > 1
