"""The recipes of Kolmogorov flow against the paper's settings."""

from __future__ import annotations

import torch

from eddygrad.datasets.recipes import kolmogorov
from eddygrad.solver.grid import Grid
from eddygrad.solver.transforms import fft
from eddygrad.solver.vector_calculus import divergence


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
