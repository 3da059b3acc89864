"""Stored fields: another grid and other channels than those of the state."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from eddygrad.datasets.generate import generate
from eddygrad.datasets.kept_fields import Downsampled, FlowFields
from eddygrad.solver.equations.navier_stokes import NavierStokesVelocity
from eddygrad.solver.grid import Grid
from eddygrad.solver.initial import random_fourier
from eddygrad.solver.schemes.spectral.etdrk import ETDRK
from eddygrad.solver.vector_calculus import leray


def test_stored_fields_may_have_another_grid_and_other_channels(tmp_path: Path) -> None:
    grid = Grid((16, 16))
    u = leray(random_fourier(grid, 4, 2, bandlimit=3, seed=0), grid)
    stepper = ETDRK(NavierStokesVelocity(viscosity=0.1), grid, dt=0.1)
    whole = generate(stepper, u, {"viscosity": 0.1}, None, frames=3, progress=False, store_dtype=torch.float64)
    small = Downsampled(grid, (8, 8), ("u", "v"), "box")
    for path in (None, tmp_path / "one.nc", tmp_path / "shards"):
        kept = generate(
            stepper, u, {"viscosity": 0.1}, path, frames=3, progress=False, store_dtype=torch.float64, stored=small, shard_samples=3 if path else None
        )
        assert (kept.grid.shape, kept.channels, len(kept)) == ((8, 8), ("u", "v"), 4)
        torch.testing.assert_close(kept.all(), small(whole.all().flatten(0, 1)).unflatten(0, (4, 3)), rtol=0, atol=1e-14)
    with pytest.raises(ValueError, match="expected data of this configuration"):
        generate(stepper, u, {"viscosity": 0.1}, tmp_path / "shards", frames=3, progress=False, stored=FlowFields(grid))
    with pytest.raises(ValueError, match="one name per channel"):
        generate(stepper, u, {"viscosity": 0.1}, None, frames=3, progress=False, stored=FlowFields(grid), channels=("u", "v"))
