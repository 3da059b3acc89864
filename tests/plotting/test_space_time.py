"""Pictures in space and time: colours of a constant, a single frame, the length of the domain."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from eddygrad.datasets.dataset import Dataset
from eddygrad.evaluation.baselines import Persistence
from eddygrad.evaluation.evaluate import evaluate
from eddygrad.plotting.space_time import space_time
from eddygrad.solver.grid import Grid
from eddygrad.studies.shared.run_files import write_pictures


@pytest.mark.parametrize(("value", "limit"), [(3.0, 6.0), (-0.5, 1.0), (0.0, 1.0)])
def test_a_constant_stands_half_way_to_the_end_of_its_scale(value: float, limit: float) -> None:
    image = space_time(np.full((5, 8), value)).axes[0].images[0]
    assert (image.norm.vmin, image.norm.vmax) == (-limit, limit)


def test_a_single_frame_has_the_one_time_it_is_at() -> None:
    u = np.sin(np.arange(8.0))[None]
    assert space_time(u, dt=0.5).axes[0].get_xticks().tolist() == [0.0]
    assert len(space_time(np.repeat(u, 9, 0)).axes[0].get_xticks()) > 1


@pytest.mark.parametrize(("params", "lengths"), [({}, [5.0, 5.0]), ({"length": torch.tensor([7.0, 9.0])}, [7.0, 9.0])])
def test_pictures_keep_the_length_of_their_domain(params: dict[str, torch.Tensor], lengths: list[float], tmp_path: Path) -> None:
    u = torch.rand(2, 5, 1, 8, generator=torch.Generator().manual_seed(0))
    score = evaluate(Persistence(1.0), Dataset.from_tensor(u, params, Grid((8,), 5.0)), 3)
    assert score.lengths == lengths
    write_pictures(tmp_path / "run.nc", score)
    with xr.open_dataset(tmp_path / "run.nc", engine="h5netcdf") as found:
        assert found["length"].values.tolist() == lengths[:1]  # one set, its first trajectory


def test_what_is_at_the_right_edge_is_whole() -> None:
    """What is drawn ends a tenth of an inch before the picture does, at the least."""
    figure = space_time(np.random.default_rng(0).normal(size=(101, 8)), 1.0, 50.0, "u")
    figure.draw_without_rendering()
    tight, width = figure.get_tightbbox(), figure.get_figwidth()
    assert tight.x0 >= 0.1 and tight.x1 <= width - 0.1


def test_space_time_takes_one_trajectory_or_several() -> None:
    u = np.sin(np.linspace(0, 6, 48))[None, :] * np.linspace(1, 2, 30)[:, None]
    single = space_time(u, dt=0.5, length=50.0, title="u", time_unit="s", length_unit="m")
    axes = single.axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("time [s]", "x [m]")
    assert axes.images[0].get_extent() == [-0.25, 14.75, 0.0, 50.0]
    assert axes.images[0].get_array().shape == (48, 30)  # space upwards
    blown = u.copy()
    blown[20:] = np.nan
    assert len(space_time({"a": u, "b": blown, "error": u - blown}).axes) == 5
    with pytest.raises(ValueError, match="expected one trajectory"):
        space_time(u[None])
