"""Selections, splits, normalisation, and the same frames from memory and from disk."""

from pathlib import Path
from typing import Any

import h5netcdf
import pytest
import torch
import xarray as xr

import eddygrad.datasets as ds
from eddygrad.datasets import Dataset, Normalisation
from eddygrad.solver.grid import Grid
from eddygrad.solver.wrap import wrap


def random_data(samples=10, frames=9, channels=2, shape=(6, 4), dtype=torch.float64):
    g = torch.Generator().manual_seed(0)
    u = torch.randn(samples, frames, channels, *shape, generator=g, dtype=torch.float64) * 3 + torch.arange(channels).reshape(-1, *[1] * len(shape))
    params = {"viscosity": torch.rand(samples, generator=g, dtype=torch.float64), "forcing": 2.0}
    return Dataset.from_tensor(
        u.to(dtype), params, Grid(shape, 3.0), dt=0.25, channels=("u", "v")[:channels], units={"viscosity": "m^2/s"}, pde="noise"
    )


@pytest.mark.parametrize("shape", [(6,), (6, 4), (4, 3, 5)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_saved_and_opened_is_the_same(tmp_path, shape, dtype):
    data = random_data(shape=shape, dtype=dtype)
    again = data.save(tmp_path / "runs.nc")
    assert torch.equal(again.all(), data.all()) and again.dtype == dtype
    assert (again.grid, again.channels, again.dt, again.frames, again.attrs) == (data.grid, data.channels, data.dt, data.frames, data.attrs)
    assert all(torch.equal(again.params[n], data.params[n]) for n in data.params) and again.params.keys() == data.params.keys()
    assert again.params["viscosity"].shape == (10, 1) + (1,) * len(shape) and again.attrs["parameters"]["viscosity"] == "m^2/s"
    assert again.normalisation == data.normalisation
    ds.validate(tmp_path / "runs.nc")


def test_a_view_is_saved_as_what_is_seen(tmp_path):
    view = random_data().select([7, 2]).take(0.5)
    again = view.save(tmp_path / "view.nc")
    assert again.frames == view.frames == 4 and torch.equal(again.all(), random_data().all()[[7, 2], :4])
    assert torch.equal(again.params["viscosity"], random_data().params["viscosity"][[7, 2]])


def test_lazy_is_bitwise_the_memory(tmp_path):
    data = random_data(dtype=torch.float32)
    data.save(tmp_path / "runs.nc")
    lazy, held = ds.open(tmp_path / "runs.nc", memory_limit=0), ds.open(tmp_path / "runs.nc")
    assert type(lazy.store).__name__ == "OnDisk" and type(held.store).__name__ == "Cached"
    for stride, horizon in ((1, 3), (2, 2)):
        for step in (0, 6):
            a, b, c = (x.batches(8, [0, 5], stride)(step, horizon) for x in (lazy, held, data))
            assert torch.equal(a.u, b.u) and torch.equal(b.u, c.u) and torch.equal(a.params["viscosity"], c.params["viscosity"])
    assert torch.equal(lazy.select([9, 0]).all(), data.all()[[9, 0]])
    assert torch.equal(lazy.windows(2, [1, 6]).u, data.windows(2, [1, 6]).u)


def test_compressed_files_and_many_shards_are_read_lazily_too(tmp_path, monkeypatch):
    monkeypatch.setattr("eddygrad.datasets.frame_store._KEPT_OPEN", 2)  # so that files are closed and opened again
    data = random_data(dtype=torch.float32)
    rows, stepper = data.all()[:, 0], wrap(lambda u: u * 0.5, dt=1.0)
    sharded = ds.generate(stepper, rows, {}, tmp_path / "folder", frames=5, shard_samples=2, grid=data.grid, progress=False)
    data.save(tmp_path / "plain.nc")
    with xr.open_dataset(tmp_path / "plain.nc", engine="h5netcdf") as plain:
        plain.to_netcdf(tmp_path / "small.nc", engine="h5netcdf", encoding={"u": {"zlib": True, "chunksizes": (1, 3, 2, 6, 4)}})
    ds.validate(tmp_path / "small.nc")
    for path, whole in ((tmp_path / "small.nc", data), (tmp_path / "folder", sharded)):
        lazy = ds.open(path, memory_limit=0)
        for step in (0, 3):
            assert torch.equal(lazy.batches(20, [1, 2])(step, 2).u, whole.batches(20, [1, 2])(step, 2).u)
        assert torch.equal(lazy.all(), whole.all())


def test_an_index_is_a_trajectory_and_a_loop_visits_each():
    data = random_data().select([7, 2, 5])
    assert torch.equal(data[0], data.all()[0]) and torch.equal(data[-1], data.all()[2])
    assert torch.equal(torch.stack(list(data)), data.all())
    for wrong in (3, -4):
        with pytest.raises(IndexError, match=rf"i must be in -3 .. 2, got {wrong}"):
            data[wrong]
    for wrong in (slice(0, 2), [0, 1], True, "u"):
        with pytest.raises(TypeError, match=r"data\[i\] is trajectory i, got .*; take select"):
            data[wrong]


def test_frames_at_broadcasts_samples_against_times():
    data = random_data()
    s, t = torch.tensor([[3], [0]]), torch.tensor([8, 1, 1])
    assert torch.equal(data.frames_at(s, t), data.all()[s, t])
    with pytest.raises(ValueError, match="times must be in"):
        data.frames_at([0], [9])


@pytest.mark.parametrize("val,test,sizes", [(0.1, 0.2, (7, 1, 2)), (0.01, 0.01, (8, 1, 1)), (0, 0.2, (8, 0, 2)), (0.3, 0, (7, 3, 0))])
def test_split_is_by_trajectory_disjoint_and_whole(val, test, sizes):
    data = random_data()
    parts = data.split(val=val, test=test, seed=3)
    assert tuple(p.samples for p in parts) == sizes
    indices = torch.cat([p.index for p in parts])
    assert sorted(indices.tolist()) == list(range(10))
    for part in parts:
        assert torch.equal(part.all(), data.all()[part.index]) and torch.equal(part.params["viscosity"], data.params["viscosity"][part.index])
    again = data.split(val=val, test=test, seed=3)
    assert all(torch.equal(a.index, b.index) for a, b in zip(parts, again))
    assert any(not torch.equal(parts.train.index, data.split(val=val, test=test, seed=s).train.index) for s in range(4, 9))


def test_split_normalises_with_training_data_alone():
    data = random_data()
    parts = data.split()
    u = parts.train.all()
    expected_mean, expected_std = u.mean((0, 1, 3, 4)), u.std((0, 1, 3, 4), correction=0)
    for part in parts:
        # Pooled from moments per sample: round-off of a two-level sum.
        assert torch.allclose(torch.tensor(part.normalisation.mean, dtype=torch.float64), expected_mean, rtol=0, atol=1e-13)
        assert torch.allclose(torch.tensor(part.normalisation.std, dtype=torch.float64), expected_std, rtol=1e-13)
    assert parts.train.normalisation != data.normalisation


def test_split_that_leaves_nothing_is_refused():
    with pytest.raises(ValueError, match="more than 2 trajectories"):
        random_data(samples=2).split()
    with pytest.raises(ValueError, match="leave something for training"):
        random_data().split(val=0.5, test=0.5)


def test_normalisation_undoes_itself_and_standardises():
    data = random_data()
    v = data.normalisation.apply(data.all(), channel_axis=2)
    assert v.mean((0, 1, 3, 4)).abs().max() < 1e-13 and (v.std((0, 1, 3, 4), correction=0) - 1).abs().max() < 1e-13
    assert torch.allclose(data.normalisation.undo(v, channel_axis=2), data.all(), rtol=0, atol=1e-13)
    with pytest.raises(ValueError, match="positive std"):
        Normalisation((0.0,), (0.0,))


@pytest.mark.parametrize(
    "change,text",
    [
        ({"u": torch.zeros(3, 4)}, "add missing axes"),
        ({"u": torch.full((2, 3, 1, 4), float("nan"))}, "sample 0, frame 0"),
        ({"params": {"length": torch.ones(3)}}, "one per sample"),
        ({"params": {"time": 1.0}}, "reserved"),
        ({"grid": Grid((5,))}, "pass the grid"),
        ({"channels": ("a", "b")}, "channel names"),
    ],
)
def test_tensors_that_do_not_fit_are_refused_in_one_line(change, text):
    with pytest.raises(ValueError, match=text) as caught:
        Dataset.from_tensor(**({"u": torch.zeros(2, 3, 1, 4)} | change))
    assert "\n" not in str(caught.value)


def test_diagnostics_follow_their_samples_and_frames(tmp_path: Path) -> None:
    numbers = torch.arange(60.0).reshape(10, 6)
    data = Dataset.from_tensor(torch.randn(10, 6, 1, 4), {"rate": 1.0}, diagnostics={"count": numbers, "age": numbers / 3}, units={"age": "s"})
    assert data.attrs["diagnostics"] == {"count": "1", "age": "s"} and data.diagnostics["count"].dtype == torch.float64
    view = data.select([7, 2]).take(0.5)
    for seen in (view, view.to("cpu", torch.float64), view.save(tmp_path / "view.nc")):
        assert torch.equal(seen.diagnostics["count"], numbers[[7, 2], :3].double())
    for part in data.split(seed=3):
        assert torch.equal(part.diagnostics["age"], data.diagnostics["age"][part.index])
    assert ds.open(tmp_path / "view.nc").attrs["diagnostics"] == {"age": "s", "count": "1"}


def test_the_fingerprint_depends_on_diagnostics() -> None:
    u, numbers = torch.randn(2, 3, 1, 4, generator=torch.Generator().manual_seed(0)), torch.zeros(2, 3)
    prints = {Dataset.from_tensor(u, diagnostics=d).fingerprint for d in (None, {"a": numbers}, {"b": numbers}, {"a": numbers + 1})}
    assert len(prints) == 4 and Dataset.from_tensor(u, diagnostics={}).fingerprint in prints


def test_data_without_diagnostics_keep_their_checksum(tmp_path: Path) -> None:
    """Checksum, fingerprint and attributes that were computed before data sets had diagnostics."""
    u = torch.arange(24, dtype=torch.float64).reshape(2, 3, 1, 4)
    options: dict[str, Any] = {"units": {"rate": "1/s"}, "pde": "none", "eddygrad": "pinned"}
    data = Dataset.from_tensor(u, {"rate": torch.tensor([0.5, 2.0])}, Grid((4,), 2.0), dt=0.25, **options)
    again = data.save(tmp_path / "tiny.nc")
    with h5netcdf.File(tmp_path / "tiny.nc", "r") as file:
        assert file.attrs["sha256"] == "2d0cf10057e67f36df1910ebb87163ee6dbd163fcb12e809077e785915b79266"
        assert sorted(file.variables) == ["channel", "rate", "sample", "sample_mean", "sample_variance", "time", "u", "x"]
    assert sorted(again.attrs) == [
        "channels", "dt", "dtype", "eddygrad", "frames", "grid_length", "grid_shape", "parameters", "pde", "schema", "seed", "stepper", "stride",
        "warmup",
    ]  # fmt: skip
    assert data.fingerprint == again.fingerprint == "893d6d040fc465bf" and again.diagnostics == {}
    assert repr(again) == "Dataset(2 x 3 x 1 x 4, channels=['u'], dt=0.25, params=['rate'], float64)"
