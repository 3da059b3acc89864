"""The recipe of active turbulence against the paper's settings."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from eddygrad.datasets import open as open_data
from eddygrad.datasets.recipes import active_turbulence
from eddygrad.solver.grid import Grid
from eddygrad.solver.unroll import repeat
from eddygrad.solver.vector_calculus import pressure, vorticity


def test_the_active_turbulence_window_is_the_papers(tmp_path: Path) -> None:
    recipe = active_turbulence.window()
    assert (recipe.frames, recipe.warmup, recipe.stepper.dt, recipe.samples) == (50, 420, 0.01, 1)
    assert recipe.params["lambda_0"].shape == (1, 1, 1, 1) and float(recipe.params["Gamma_2"]) == 0.045**3
    assert float(vorticity(recipe.initial, Grid((256, 256))).square().mean().sqrt()) == pytest.approx(0.1, rel=1e-12)
    small = active_turbulence.window(frames=3, warmup=5, samples=2, points=32)
    data = small.generate(tmp_path / "window.nc", progress=False, store_dtype=torch.float64)
    assert data.channels == ("velocity_x", "velocity_y", "vorticity", "pressure") and data.dt == 0.01
    again = open_data(tmp_path / "window.nc")
    u = again.all()[:, :, :2]
    grid = Grid((32, 32))
    torch.testing.assert_close(again.all()[:, :, 2:3], vorticity(u, grid), rtol=0, atol=1e-12)
    torch.testing.assert_close(again.all()[:, :, 3:4], pressure(u, grid, 3.5, 0.5), rtol=0, atol=1e-12)
    torch.testing.assert_close(again.diagnostics["enstrophy"], vorticity(u, grid).square().mean((-3, -2, -1)) / 2, rtol=1e-12, atol=0)
    assert "FlowFields" in again.attrs["stored"] and "IntegratingFactorRK4" in again.attrs["stepper"]
    step = small.stepper.at({name: v for name, v in small.params.items()}, small.initial)
    torch.testing.assert_close(u[:, 0], repeat(step, small.initial, 5), rtol=0, atol=1e-12)
