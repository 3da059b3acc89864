"""The flows' recipes at small sizes: facts of the papers, provenance, and what is kept of a state."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from eddygrad.datasets import open as open_data
from eddygrad.datasets.generate import generate
from eddygrad.datasets.kept_fields import Downsampled, FlowFields
from eddygrad.datasets.recipes import active_turbulence, kolmogorov
from eddygrad.solver.equations.navier_stokes import NavierStokesVelocity
from eddygrad.solver.grid import Grid
from eddygrad.solver.initial import random_fourier
from eddygrad.solver.rollout import repeat
from eddygrad.solver.schemes.spectral.etdrk import ETDRK
from eddygrad.solver.transforms import fft
from eddygrad.solver.vector_calculus import divergence, leray, pressure, vorticity


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


def test_kolmogorov_sets_are_the_papers() -> None:
    training, testing = kolmogorov.training(), kolmogorov.testing()
    assert (training.frames, training.samples, training.stepper.dt) == (6000, 6, 0.02)
    torch.testing.assert_close(1 / training.params["viscosity"].flatten(), torch.tensor([300, 400, 500, 700, 800, 900]).double())
    assert (testing.frames, testing.samples) == (251, 12)
    assert [(g.name, g.kind) for g in testing.groups] == [("Re=600", "interpolation"), ("Re=1000", "extrapolation")]
    assert not torch.equal(testing.initial_of(0), testing.initial_of(1))
    assert divergence(testing.initial_of(0)[None], Grid((128, 128))).abs().max() < 1e-10
    fine, coarse = kolmogorov.reference(), kolmogorov.coarse()
    assert (fine.grid.shape, fine.substep, coarse.grid.shape, coarse.substep) == ((128, 128), 0.005, (32, 32), 0.02)


def test_kolmogorov_data_live_on_the_modes_of_the_coarse_solver() -> None:
    data = kolmogorov.training(frames=2, reynolds=(300.0,), warmup=2).generate(progress=False, store_dtype=torch.float64)
    assert data.grid.shape == (32, 32) and data.channels == ("velocity_x", "velocity_y")
    u = data.all()[:, 0]
    coarse = kolmogorov.coarse().at(data.params, u)
    torch.testing.assert_close(coarse.leave(coarse.enter(u)), u, rtol=0, atol=1e-12)  # type: ignore[attr-defined]
    assert fft(u, data.grid)[..., 10].abs().max() > 1e-6
    kept = data.all().square().sum(2).mean((-2, -1)) / 2
    assert (data.diagnostics["kinetic_energy"] > kept).all() and data.diagnostics["kinetic_energy"][0, 0] < 1.01 * kept[0, 0]  # of all modes


def test_decaying_turbulence_loses_its_energy() -> None:
    data = kolmogorov.decaying(frames=3, samples=2, warmup=0).generate(progress=False)
    energy = data.all().square().sum(2).mean((-2, -1))
    assert (energy.diff(dim=1) < 0).all()


def test_what_is_kept_may_have_another_grid_and_other_channels(tmp_path: Path) -> None:
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


def test_a_state_that_is_not_finite_is_named_before_it_is_kept() -> None:
    grid = Grid((16, 16))
    u = 1e4 * leray(random_fourier(grid, 1, 2, bandlimit=4, seed=0), grid)
    stepper = ETDRK(NavierStokesVelocity(viscosity=1e-4), grid, dt=1.0)
    with pytest.raises(ValueError, match="NaN or Inf after step"):
        generate(stepper, u, {}, None, frames=30, progress=False, stored=Downsampled(grid, (8, 8), ("u", "v")))
