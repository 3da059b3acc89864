"""Recipes between walls and around bodies at small sizes: facts of their settings, what is kept and measured, changes of grid without divergence."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from eddygrad.datasets import open as open_data
from eddygrad.datasets.forces import WithForces
from eddygrad.datasets.frame_diagnostics import FaceDiagnostics, FlowDiagnostics, centred
from eddygrad.datasets.generate import generate
from eddygrad.datasets.kept_fields import Downsampled
from eddygrad.datasets.recipes import classic_flows, kolmogorov, kolmogorov_piso, wake
from eddygrad.solver.downsample import downsample
from eddygrad.solver.finer_grid import RefinedFaces
from eddygrad.solver.grid import Grid
from eddygrad.solver.initial import random_fourier
from eddygrad.solver.rollout import trajectory
from eddygrad.solver.staggered.faces import Faces, known_values
from eddygrad.solver.stream_function import face_velocities, periodic_stream_function, remapped, resampled, stream_function
from eddygrad.solver.wrap import wrap

BOX = Grid((48, 24), (2.0, 1.0))


def divergence(u: Tensor, stepper, grid: Grid) -> Tensor:
    faces = Faces(grid, stepper.sides, known_values(grid, stepper.sides, 0.0, {}, u))
    return faces.divergence(u[:, :2].unbind(1))


# The wake ------------------------------------------------------------------------------------------------------------------------------------------


def test_the_wake_is_the_earlier_works() -> None:
    training, testing, validation = wake.training(), wake.testing(), wake.validation()
    fine, coarse = wake.reference(), wake.coarse()
    assert (fine.grid.shape, coarse.grid.shape, fine.grid.lengths) == ((256, 128), (64, 32), (200.0, 100.0))
    assert (fine.dt, fine.substep, coarse.substep, fine.order, coarse.advection) == (1.0, 0.25, 1.0, 3, fine.advection)
    assert (training.frames, training.samples, testing.frames, testing.samples, validation.samples) == (500, 6, 251, 7, 6)
    torch.testing.assert_close(20 / training.params["viscosity"].flatten(), 3125 / 2.0 ** torch.arange(5, -1, -1).double(), rtol=1e-3, atol=0)
    inside = [g for g in testing.groups if g.kind == "interpolation"]
    between = list(zip(wake.TRAINING_REYNOLDS, wake.INTERPOLATION, wake.TRAINING_REYNOLDS[1:], strict=False))
    assert len(inside) == 5 and all(low < re < high for low, re, high in between)
    low, high = (g for g in testing.groups if g.kind == "extrapolation")
    assert low.params["viscosity"] > 20 / 97.7 and high.params["viscosity"] < 20 / 3125
    with pytest.raises(ValueError, match="positive"):
        wake.training(reynolds=(0.0,))


def test_starts_differ_between_trajectories_and_are_the_same_again() -> None:
    recipe = wake.training(samples=2)
    a, b = recipe.initial_of(0), recipe.initial_of(1)
    assert torch.equal(a, wake.training(samples=2).initial_of(0)) and not torch.equal(a, b) and bool((a[0] == 1).all())
    assert not torch.equal(a, wake.validation().initial_of(0)) and 0.19 < a[1].abs().max() < 0.41


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("wake") / "wake.nc"
    wake.training(frames=2, reynolds=(195.3,), warmup=1).generate(path, progress=False, store_dtype=torch.float64)
    return path


def test_wake_data_are_fluxes_of_the_fine_flow(short: Path) -> None:
    data = open_data(short)
    assert (data.grid.shape, data.channels, data.dt) == ((64, 32), ("velocity_x", "velocity_y"), 1.0)
    recipe, told = wake.training(frames=2, reynolds=(195.3,)), []
    step = wake.reference().at(recipe.params, recipe.initial, lambda name, value: told.append(value[:, 0]) if name == "force" else None)
    u = step(step(recipe.initial, 0), 1)
    assert torch.equal(data.all()[:, 1], downsample(u, wake.reference().grid, (64, 32), "staggered"))
    assert divergence(data.all()[:, 1], wake.coarse(), data.grid).abs().max() < 1e-12
    for name, axis in (("drag", 0), ("lift", 1)):
        torch.testing.assert_close(data.diagnostics[name][0], torch.stack(told)[:, 0, axis] * 2 / 20, rtol=1e-12, atol=0)
    fine = centred(u, (False, True))
    torch.testing.assert_close(data.diagnostics["greatest_speed"][:, 1], fine.square().sum(1).sqrt().amax((1, 2)), rtol=1e-12, atol=0)
    torch.testing.assert_close(data.diagnostics["kinetic_energy"][:, 1], u.square().sum(1).mean((1, 2)) / 2, rtol=1e-12, atol=0)


def test_forces_are_the_mean_of_a_frames_steps_and_need_a_body() -> None:
    scheme = wake.solver((32, 16), 1)
    u = torch.zeros(2, 2, 32, 16, dtype=torch.float64)
    u[:, 0] = 1.0
    made = [generate(WithForces(scheme, 1.0, 20.0), u, {"viscosity": 0.2}, None, frames=4 // s + 1, stride=s, progress=False) for s in (1, 2)]
    every, second = (data.diagnostics["drag"] for data in made)
    torch.testing.assert_close(second[:, 1:], 0.5 * (every[:, 1::2] + every[:, 2::2]), rtol=1e-12, atol=0)
    with pytest.raises(ValueError, match="with bodies"):
        WithForces(replace(scheme, bodies=()))
    with pytest.raises(ValueError, match="positive"):
        WithForces(scheme, speed=0.0)


def test_face_diagnostics_are_the_spectral_ones_of_a_smooth_flow() -> None:
    energies, speeds = [], []
    for n in (32, 64):
        grid = Grid((n, n))
        w = random_fourier(grid, 1, bandlimit=2, seed=2)[:, 0]
        u = face_velocities(periodic_stream_function(w, grid), grid)
        exact = FlowDiagnostics(grid)(torch.stack([-centred_spectral(w, grid, 1), centred_spectral(w, grid, 0)], 1))
        found = FaceDiagnostics(grid, (True, True))(torch.cat([u, 1e3 + u[:, :1]], 1))  # a further channel is left out
        energies.append(abs(float(found["kinetic_energy"] / exact["kinetic_energy"]) - 1))
        speeds.append(abs(float(found["greatest_speed"] / exact["greatest_speed"]) - 1))
    assert energies[0] / energies[1] == pytest.approx(4, rel=0.1) and speeds[1] < 0.02
    with pytest.raises(ValueError, match="a flag for each"):
        FaceDiagnostics(Grid((8, 8)), (True,))


def centred_spectral(w: Tensor, grid: Grid, axis: int) -> Tensor:
    """-d psi / d x_axis of -lap psi = w by plain sums over modes."""
    kx, ky = grid.wavenumbers()
    k2 = kx**2 + ky**2
    k2[0, 0] = 1
    return torch.fft.irfft2(-1j * (kx, ky)[axis] * torch.fft.rfft2(w) / k2, s=grid.shape)


# Changes of grid -----------------------------------------------------------------------------------------------------------------------------------


def swirl(x: Tensor, y: Tensor) -> Tensor:
    """A stream function that gains .7 over the period in y, and is not periodic in x."""
    return 0.7 * y + torch.sin(2 * math.pi * y) * torch.exp(0.5 * x) + 0.3 * torch.cos(2 * x + 4 * math.pi * y)


def at_corners(grid: Grid) -> Tensor:
    x, y = (torch.linspace(0, length, n + 1, dtype=torch.float64) for n, length in zip(grid.shape, grid.lengths))
    return swirl(x[:, None], y[None])[None]


def all_faces(psi: Tensor, grid: Grid) -> list[Tensor]:
    hx, hy = grid.spacing
    return [psi.diff(dim=-1) / hy, -psi.diff(dim=-2) / hx]


def test_the_stream_function_gives_its_velocities_back() -> None:
    psi = at_corners(BOX)
    found = stream_function(all_faces(psi, BOX), BOX)
    torch.testing.assert_close(found, psi - psi[:, :1, :1], rtol=0, atol=1e-13)
    expected = torch.stack([part[:, -48:, -24:] for part in all_faces(psi, BOX)], 1)
    torch.testing.assert_close(face_velocities(found, BOX), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("shape", [(96, 48), (72, 36), (36, 16)])
def test_another_grid_sees_the_same_flow_to_fourth_order(shape: tuple[int, int]) -> None:
    errors = []
    for factor in (1, 2):
        coarse, other = (Grid((factor * n, factor * m), BOX.lengths) for n, m in (BOX.shape, shape))
        found = resampled(at_corners(coarse), other.shape, (False, True))
        errors.append(float((found - at_corners(other)).abs().max()))
    assert errors[0] / errors[1] > 12  # 16 for order four


def test_whole_factors_keep_whole_fluxes() -> None:
    fine = Grid((96, 48), BOX.lengths)
    psi = at_corners(fine)
    u = face_velocities(psi, fine)
    torch.testing.assert_close(face_velocities(resampled(psi, (48, 24), (False, True)), BOX), downsample(u, fine, (48, 24), "staggered"))
    p = torch.randn(2, 96, 48, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(remapped(p, (48, 24), (False, True)), downsample(p, fine, (48, 24), "box"), rtol=0, atol=1e-12)
    finer = remapped(p, (144, 60), (True, True))
    torch.testing.assert_close(finer.mean((1, 2)), p.mean((1, 2)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("points", [96, 128])
def test_a_finer_wake_starts_from_the_coarse_state_and_comes_back_to_it(points: int, short: Path) -> None:
    refined, data = wake.finer(points), open_data(short)
    u = data.all()[:, 0]
    step = refined.at({"viscosity": 0.1}, u)
    inside = step.enter(u)
    assert inside.shape == (1, 2, points, points // 2) and divergence(inside, refined.solver, refined.solver.grid).abs().max() < 1e-12
    if points == 128:
        torch.testing.assert_close(step.leave(inside), u, rtol=0, atol=1e-12)
    frames = trajectory(step, u, 2, inside=refined.stays_inside)
    plain = wake.coarse().at({"viscosity": 0.1}, u)(u)
    assert divergence(frames[:, 0], wake.coarse(), data.grid).abs().max() < 1e-12
    assert (frames[:, 0] - plain).square().mean().sqrt() < 0.1  # the same flow a frame later
    assert refined.at({"viscosity": 0.1}, u.float())(u.float()).dtype == torch.float32 and refined.dt == 1.0 and refined.differentiable


def test_on_the_states_own_grid_nothing_is_refined() -> None:
    for coarse in (wake.coarse(), kolmogorov_piso.coarse()):
        u = torch.zeros(2, coarse.channels, *coarse.grid.shape, dtype=torch.float64)
        u[:, 0] = 1.0
        same = RefinedFaces(coarse, coarse.grid).at({"viscosity": 0.1}, u)
        torch.testing.assert_close(same(u), coarse.at({"viscosity": 0.1}, u)(u), rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match="staggered scheme"):
        RefinedFaces(kolmogorov.coarse(), Grid((32, 32)))
    with pytest.raises(ValueError, match="on the box"):
        RefinedFaces(wrap(lambda u: u, dt=1.0), Grid((32, 32)))


# Kolmogorov flow by PISO ---------------------------------------------------------------------------------------------------------------------------


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


# Between walls -------------------------------------------------------------------------------------------------------------------------------------


def test_a_lid_drives_the_cavity_and_nothing_leaves_it() -> None:
    data = classic_flows.cavity(frames=3, reynolds=(100.0, 400.0), points=16).generate(progress=False, store_dtype=torch.float64)
    u = data.all()
    assert data.samples == 2 and not u[:, 0].any() and bool((u[:, 2, 0, :, -1].mean(-1) > 0).all())  # along with the lid
    assert not u[:, :, 0, -1].any() and not u[:, :, 1, :, -1].any()
    with pytest.raises(ValueError, match="expected Re >= 100"):
        classic_flows.cavity(reynolds=(50.0,))


def test_what_enters_over_the_step_leaves_the_channel() -> None:
    recipe = classic_flows.backward_step(frames=3, reynolds=(100.0,), cells=8)
    data = recipe.generate(progress=False, store_dtype=torch.float64)
    leaves = data.all()[0, 1:, 0, -1].mean(-1)
    entering = classic_flows.Parabola(0.5, 1.0)((None, (torch.arange(8).double() + 0.5) / 8)).mean()
    torch.testing.assert_close(leaves, entering.expand(2), rtol=1e-12, atol=0)
    assert float(classic_flows.Parabola(0.5, 1.0)((None, torch.linspace(0.5, 1, 10_001).double())).mean()) == pytest.approx(1.0, rel=1e-3)
    with pytest.raises(ValueError, match="expected an even number of cells"):
        classic_flows.backward_step(cells=7)


def test_the_channel_is_the_benchmarks() -> None:
    recipe = classic_flows.channel_cylinder()
    solver = classic_flows.channel_solver()
    assert float(recipe.params["viscosity"]) == 1e-3 and solver.grid.lengths == (2.2, 0.41)
    assert float(classic_flows.Parabola(0.0, 0.41)((None, torch.tensor([0.205]).double()))) == pytest.approx(1.5)
    with pytest.raises(ValueError, match="expected Re >="):
        classic_flows.channel_cylinder(reynolds=(1.0,))


@pytest.mark.parametrize(
    "make", [wake.training, kolmogorov_piso.training, classic_flows.cavity, classic_flows.channel_cylinder, classic_flows.backward_step]
)
def test_provenance_is_the_same_in_every_process(make) -> None:
    assert " at 0x" not in repr(make().stepper)
