"""The studies of flows on faces: how the wake and the Kolmogorov flow by PISO enter a comparison."""

from __future__ import annotations

import dataclasses

import pytest
import torch
import xarray as xr
from matplotlib.patches import Circle

from eddygrad.datasets.recipes import kolmogorov_piso, wake
from eddygrad.solver.grid import Grid
from eddygrad.solver.vector_calculus import vorticity
from eddygrad.studies.unrolling import settings
from eddygrad.studies.unrolling.config import UnrollingConfiguration, preset, preset_names
from eddygrad.studies.unrolling.report.trajectories import on_plane
from eddygrad.studies.unrolling.results.load import load
from eddygrad.studies.unrolling.study import UnrollingStudy
from eddygrad.studies.unrolling.workbench import Bench, baseline_names

TINY = UnrollingConfiguration(
    name="tiny-wake",
    recipe="wake",
    tasks=("correct",),
    unroll=("wig:2",),
    network="encoder-decoder:32k",
    seeds=2,
    steps=2,
    batch=1,
    lr=(1e-3,),
    schedule=("constant",),
    frames=4,
    starts=1,
    horizon=2,
    long_horizon=3,
    validate_every=2,
    checkpoint_every=2,
)


@pytest.fixture(scope="module", autouse=True)
def short():
    """The wake without the hundreds of frames in which shedding sets in, at two Reynolds numbers."""
    whole = settings.SETTINGS["wake"]()
    numbers = (97.7, 3125.0)
    cut = dataclasses.replace(
        whole,
        training=lambda frames: wake.training(frames, numbers, warmup=1),
        testing=lambda starts, horizon, seed: dataclasses.replace(wake.testing(starts, horizon, warmup=1), groups=wake.testing().groups[:1]),
        validation=lambda: wake.validation(4, numbers, warmup=1),
        baselines={name: whole.baselines[name] for name in ("64 x 32 (solver alone)", "96 x 48")},
    )
    patch = pytest.MonkeyPatch()
    patch.setitem(settings.SETTINGS, "wake", lambda: cut)
    yield
    patch.undo()


@pytest.fixture(scope="module")
def finished(short, tmp_path_factory):
    folder = tmp_path_factory.mktemp("wake") / "tiny"
    UnrollingStudy(TINY, folder).run(threads=1, progress=False)
    return folder


def test_a_comparison_on_the_wake_runs_from_data_to_report(finished):
    study = load(finished)
    assert study.metric == "mse" and [run.name for run in study.models] == ["correct-wig2-encoder-decoder-32k"]
    alone, finer = (next(b for b in study.baselines if b.name == name) for name in ("64 x 32 (solver alone)", "96 x 48"))
    assert finer.typical("mse") < alone.typical("mse")
    assert UnrollingStudy(TINY, finished).report().read_text().count("Re=146.5") > 0


def test_its_pictures_have_the_sides_and_the_cylinder(finished):
    """Vorticity with the inflow's own velocity beyond the side, which the periodic derivative would take for the outflow's."""
    (run,) = load(finished).models
    with xr.open_dataset(finished / "runs" / f"{run.name}.nc", engine="h5netcdf") as data:
        panels = [axes for axes in on_plane(run, data).axes if axes.images]
        reference = torch.from_numpy(data["reference"].values[0, 1:]).double()
        grid = Grid(reference.shape[-2:], tuple(data.attrs["box"]))
    assert all(isinstance(axes.patches[0], Circle) and tuple(axes.patches[0].center) == wake.CENTRE for axes in panels)
    drawn = panels[0].images[0].get_array().T
    assert abs(drawn - vorticity(reference, grid)[0, 0].numpy())[0].max() > 0.01  # at the inflow


def test_the_network_of_the_wake_is_periodic_across_the_flow_only():
    step = Bench(TINY).stepper("correct", [0, 1])
    assert step.network.padding == ("zeros", "circular") and step.network.cout == 2
    x = torch.randn(2, step.network.cin, 64, 32, generator=torch.Generator().manual_seed(0))
    y = step.network(x)
    torch.testing.assert_close(step.network(x.roll(5, -1)), y.roll(5, -1), rtol=1e-4, atol=1e-5)
    assert (step.network(x.roll(5, -2)) - y.roll(5, -2)).abs().max() > 1e-2
    assert step.network.parameter_count() <= 40_000


def test_the_network_of_the_wake_sees_where_the_cylinder_is_and_the_reynolds_number():
    shown, u = settings.setting("wake").features, torch.randn(2, 2, 64, 32)
    params = {"viscosity": torch.tensor([20 / 97.7, 20 / 3125], dtype=torch.float64).reshape(2, 1, 1, 1)}
    channels = shown(u, params, 2)
    assert channels.shape == (2, 2 + shown.extra_channels, 64, 32) and torch.equal(channels[:, :2], u)
    torch.testing.assert_close(channels[:, -1, 0, 0], torch.tensor([0.0977, 3.125]), rtol=1e-6, atol=0)
    solid = channels[0, 2:-1].flatten(1)
    assert bool((solid.amax(1) > solid.amin(1)).all()) and torch.equal(channels[0, 2:-1], channels[1, 2:-1])


def test_piso_keeps_the_pressure_to_itself():
    step = Bench(dataclasses.replace(TINY, recipe="kolmogorov-piso")).stepper("correct", [0])
    assert step.channels == (0, 1) and (step.network.cin, step.network.cout) == (4, 2) and step.network.parameter_count() == 32_376
    u = torch.randn(1, 3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    step = step.double()
    params = {"viscosity": torch.full((1, 1, 1, 1), 1 / 600, dtype=torch.float64)}
    solver = kolmogorov_piso.coarse().at(params, u)(u)
    corrected = step.at(params, u)(u[None])[0]
    assert torch.equal(corrected[:, 2], solver[:, 2]) and (corrected[:, :2] - solver[:, :2]).abs().max() > 1e-3
    predictor = Bench(dataclasses.replace(TINY, recipe="kolmogorov-piso", tasks=("predict",))).stepper("predict", [0])
    assert predictor.network.cout == 3


@pytest.mark.parametrize("name", ["wake", "kolmogorov-piso"])
def test_the_presets_are_comparisons(name):
    assert name in preset_names()
    c = UnrollingConfiguration(**preset(name))
    assert c.seeds == 4 and c.unroll[0] == "one" and baseline_names(c)[1].endswith("(solver alone)")
    if name == "wake":
        assert c.unroll == ("one", "nog:16", "wig:16") and c.curriculum == (1, 4, 16) and c.steps // 3 <= 2000  # at m = 16
