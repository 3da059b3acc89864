"""The recipes of Kolmogorov flow by PISO against those of the spectral solver."""

from __future__ import annotations

import pytest
import torch
from cases.face_divergence import divergence

from eddygrad.datasets.kept_fields import Downsampled
from eddygrad.datasets.recipes import kolmogorov, kolmogorov_piso, wake
from eddygrad.solver.downsample import downsample
from eddygrad.solver.finer_grid import RefinedFaces
from eddygrad.solver.grid import Grid
from eddygrad.solver.wrap import wrap


def test_kolmogorov_by_piso_is_the_same_flow_in_the_same_sets() -> None:
    for mine, spectral in ((kolmogorov_piso.training(), kolmogorov.training()), (kolmogorov_piso.testing(), kolmogorov.testing())):
        assert mine.groups == spectral.groups and (mine.frames, mine.warmup, mine.name) == (spectral.frames, spectral.warmup, mine.name)
        assert mine.name == spectral.name.replace("kolmogorov", "kolmogorov-piso")
    fine, coarse = kolmogorov_piso.reference(), kolmogorov_piso.coarse()
    assert (fine.grid.shape, fine.substep, coarse.grid.shape, coarse.substep, coarse.correctors) == ((128, 128), 0.005, (32, 32), 0.02, 2)
    u = kolmogorov_piso.testing().initial_of(0)[None]
    assert u.shape == (1, 3, 128, 128) and not u[:, 2].any() and divergence(u, fine, fine.grid).abs().max() < 1e-10
    assert float(kolmogorov_piso.finer(48).solver.substep) == 0.01


def test_piso_data_keep_fluxes_and_mean_pressures() -> None:
    grid = Grid((16, 16))
    u = torch.randn(2, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    kept = Downsampled(grid, (8, 8), ("u", "v", "p"), "staggered")
    assert kept.faces and not Downsampled(grid, (8, 8), ("u", "v"), "box").faces
    torch.testing.assert_close(kept(u)[:, :2], downsample(u[:, :2], grid, (8, 8), "staggered"))
    torch.testing.assert_close(kept(u)[:, 2:], downsample(u[:, 2:], grid, (8, 8), "box"))
    data = kolmogorov_piso.training(frames=2, reynolds=(300.0,), warmup=1).generate(progress=False, store_dtype=torch.float64)
    assert data.channels == ("velocity_x", "velocity_y", "pressure") and data.grid.shape == (32, 32) and data[0][:, 2].abs().max() > 0.1
    assert divergence(data[0], kolmogorov_piso.coarse(), data.grid).abs().max() < 1e-10


def test_refining_to_the_same_grid_changes_nothing() -> None:
    for coarse in (wake.coarse(), kolmogorov_piso.coarse()):
        u = torch.zeros(2, coarse.channels, *coarse.grid.shape, dtype=torch.float64)
        u[:, 0] = 1.0
        same = RefinedFaces(coarse, coarse.grid).at({"viscosity": 0.1}, u)
        torch.testing.assert_close(same(u), coarse.at({"viscosity": 0.1}, u)(u), rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match="staggered scheme"):
        RefinedFaces(kolmogorov.coarse(), Grid((32, 32)))
    with pytest.raises(ValueError, match="on the box"):
        RefinedFaces(wrap(lambda u: u, dt=1.0), Grid((32, 32)))
