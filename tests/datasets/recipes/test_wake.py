"""The recipes of the wake: settings, initial states, stored fluxes, and the refined solver."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from cases.face_divergence import divergence

from eddygrad.datasets import open as open_data
from eddygrad.datasets.frame_diagnostics import centred
from eddygrad.datasets.recipes import wake
from eddygrad.solver.downsample import downsample
from eddygrad.solver.unroll import trajectory


def test_the_wake_has_the_settings_of_the_earlier_work() -> None:
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


def test_initial_states_differ_between_trajectories_and_are_reproducible() -> None:
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


@pytest.mark.parametrize("points", [96, 128])
def test_a_finer_wake_starts_from_the_coarse_state_and_comes_back_to_it(points: int, short: Path) -> None:
    refined, data = wake.finer(points), open_data(short)
    u = data.all()[:, 0]
    step = refined.at({"viscosity": 0.1}, u)
    inside = step.enter(u)
    assert inside.shape == (1, 2, points, points // 2) and divergence(inside, refined.solver, refined.solver.grid).abs().max() < 1e-12
    if points == 128:
        torch.testing.assert_close(step.leave(inside), u, rtol=0, atol=1e-12)
    frames = trajectory(step, u, 2, inside=refined.info().stays_inside)
    plain = wake.coarse().at({"viscosity": 0.1}, u)(u)
    assert divergence(frames[:, 0], wake.coarse(), data.grid).abs().max() < 1e-12
    assert (frames[:, 0] - plain).square().mean().sqrt() < 0.1  # the same flow a frame later
    assert refined.at({"viscosity": 0.1}, u.float())(u.float()).dtype == torch.float32 and refined.dt == 1.0 and refined.differentiable
