"""Damaged data sets are refused with one line: path, expected, got, fix."""

import json
import shutil

import h5netcdf
import numpy as np
import pytest
import torch
import xarray as xr

import eddygrad.datasets as ds
from eddygrad.datasets.read_shard import read_states
from eddygrad.solver.grid import Grid
from eddygrad.solver.wrap import wrap


def rotate(u):
    return torch.roll(u, 1, -1) * 0.99


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Three shards of two samples each, 8 points, 5 frames."""
    folder = tmp_path_factory.mktemp("data") / "whole"
    initial = torch.randn(6, 1, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    options = {"frames": 5, "shard_samples": 2, "progress": False, "grid": Grid((8,)), "attrs": {"note": ("a", 1)}}
    ds.generate(wrap(rotate, dt=0.5), initial, {"length": torch.arange(6) + 1.0}, folder, **options)
    return folder


@pytest.fixture
def folder(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "copy")


def refused(path, *texts):
    """Assert that `validate` refuses the data set with one line that has the path, `texts`, expected, got and a fix; return the line."""
    with pytest.raises(ValueError) as caught:
        ds.validate(path)
    message = str(caught.value)
    assert "\n" not in message and str(path) in message and "expected" in message and "got" in message and ";" in message
    for text in texts:
        assert text in message, message
    return message


def rewrite(file, change):
    """Replace a shard by `change(dataset)`, written with the shard's attributes as another program would do."""
    with xr.open_dataset(file, engine="h5netcdf") as data:
        changed = change(data.load())
    file.unlink()
    changed.to_netcdf(file, engine="h5netcdf")
    return file


def test_whole_data_are_accepted_and_readable_by_xarray(whole):
    found = ds.validate(whole)
    assert found.samples == 6 and found.header["note"] == ["a", 1]
    with xr.open_dataset(whole / "shard-00001.nc", engine="h5netcdf") as data:
        assert data.u.dims == ("sample", "time", "channel", "x") and data.u.shape == (2, 5, 1, 8)
        assert data.sample.values.tolist() == [2, 3] and data["length"].values.tolist() == [3, 4] and data["length"].attrs["units"] == "1"
        assert data.time.values.tolist() == [0, 0.5, 1, 1.5, 2] and data.attrs["dt"] == 0.5
        assert "rotate" in data.attrs["stepper"] and data.attrs["eddygrad"] and data.attrs["seed"] == 0
        assert np.array_equal(ds.open(whole).all()[2:4].numpy(), data.u.values)


def test_stored_normalisation_is_that_of_the_data(whole):
    stored = json.loads((whole / "manifest.json").read_text())["normalisation"]
    data = ds.open(whole)
    u = data.all().double()
    assert stored == {"mean": list(data.normalisation.mean), "std": list(data.normalisation.std)}
    assert abs(stored["mean"][0] - u.mean().item()) < 1e-14 and abs(stored["std"][0] - u.std(correction=0).item()) < 1e-14


@pytest.mark.parametrize("left", [0, 100, 3000, -1])
def test_truncated_shard(folder, left):
    file = folder / "shard-00001.nc"
    content = file.read_bytes()
    file.write_bytes(content[:left])
    refused(folder, "shard-00001.nc", f"expected {len(content)} bytes", "truncated")
    with pytest.raises(ValueError, match="truncated"):
        ds.open(folder)


def test_truncated_single_file(whole, tmp_path):
    content = (whole / "shard-00000.nc").read_bytes()
    file = tmp_path / "one.nc"
    file.write_bytes(content[: len(content) // 2])
    refused(file, "truncated or damaged")


def test_flipped_bit_in_the_states(folder):
    file = folder / "shard-00002.nc"
    with h5netcdf.File(file, "r") as f:
        needle = np.asarray(f.variables["u"][1, 3]).tobytes()
    content = bytearray(file.read_bytes())
    at = content.find(needle)
    assert at > 0
    content[at + 1] ^= 1  # a low bit of the mantissa: no NaN, a plausible number
    file.write_bytes(content)
    refused(folder, "shard-00002.nc", "checksum", "bytes have changed")
    with pytest.raises(ValueError, match="checksum"):
        ds.open(folder).batches(2)(0, 1)


def flips(content, count):
    for at in np.random.default_rng(0).integers(0, len(content), count):
        changed = bytearray(content)
        changed[at] ^= 0xFF
        yield bytes(changed)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # h5netcdf closes files that it could not open
def test_any_flipped_byte_of_a_shard_is_refused(folder):
    file = folder / "shard-00000.nc"
    for changed in flips(file.read_bytes(), 20):
        file.write_bytes(changed)
        assert "shard-00000.nc" in refused(folder)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_any_flipped_byte_of_a_single_file_is_refused_or_harmless(whole, tmp_path):
    """A single file has no digest of its bytes. A changed byte that is accepted (padding between blocks) must give the same data set."""
    file = tmp_path / "one.nc"
    content = (whole / "shard-00000.nc").read_bytes()
    file.write_bytes(content)
    before = ds.open(file)
    expected = before.all()
    for changed in flips(content, 30):
        file.write_bytes(changed)
        try:
            ds.validate(file)
        except ValueError as error:
            assert "\n" not in str(error) and "one.nc" in str(error)
        else:
            now = ds.open(file)
            assert torch.equal(now.all(), expected) and now.attrs == before.attrs
            assert all(torch.equal(now.params[n], before.params[n]) for n in before.params)


def test_wrong_dimension(folder):
    rewrite(folder / "shard-00000.nc", lambda data: data.rename(x="lon"))
    fix_size(folder, 0)
    refused(folder, "shard-00000.nc", "('sample', 'time', 'channel', 'x')", "'lon'")


def test_transposed_states(whole, tmp_path):
    file = shutil.copy(whole / "shard-00000.nc", tmp_path / "one.nc")
    rewrite(file, lambda data: data.transpose("time", "sample", "channel", "x"))
    refused(file, "'time', 'sample'", "transpose")


def test_wrong_size(whole, tmp_path):
    file = shutil.copy(whole / "shard-00000.nc", tmp_path / "one.nc")
    rewrite(file, lambda data: data.isel(time=slice(0, 4)))
    refused(file, "(samples, 5, 1, 8)", "(2, 4, 1, 8)")


def test_nan_in_the_data(whole, tmp_path):
    file = shutil.copy(whole / "shard-00001.nc", tmp_path / "one.nc")

    def spoil(data):
        data.u[1, 2, 0, 5] = np.nan
        return data

    rewrite(file, spoil)
    refused(file, "1 NaN or Inf", "sample 3, frame 2, channel 0")


def test_missing_attribute(whole, tmp_path):
    file = shutil.copy(whole / "shard-00000.nc", tmp_path / "one.nc")

    def strip(data):
        del data.attrs["dt"]
        return data

    rewrite(file, strip)
    refused(file, "'dt'", "Dataset.save")


def test_changed_parameter(whole, tmp_path):
    file = shutil.copy(whole / "shard-00000.nc", tmp_path / "one.nc")
    rewrite(file, lambda data: data.assign(length=data["length"] + 1e-9))
    refused(file, "checksum")


def fix_size(folder, shard):
    """Write the size of a changed shard into the manifest, so that later checks are reached."""
    edit_manifest(folder, lambda body: body["shards"][shard].update(bytes=(folder / body["shards"][shard]["file"]).stat().st_size))


def edit_manifest(folder, change, seal=True):
    from eddygrad.datasets.manifest import _digest

    path = folder / "manifest.json"
    body = json.loads(path.read_text())
    sha256 = body.pop("sha256")
    change(body)
    path.write_text(json.dumps({**body, "sha256": _digest(body) if seal else sha256}))


def test_missing_manifest_entry(folder):
    edit_manifest(folder, lambda body: body["shards"].pop(1))
    refused(folder, "expected 6 samples", "manifest with 4", "repeat the call")


def test_missing_shard(folder):
    (folder / "shard-00002.nc").unlink()
    refused(folder, "shard-00002.nc", "no file")


def test_swapped_shards(folder):
    shutil.copy(folder / "shard-00000.nc", folder / "shard-00001.nc")
    fix_size(folder, 1)
    refused(folder, "shard-00001.nc", "another shard")


@pytest.mark.parametrize("change", [lambda t: t.replace('"samples": 6', '"samples": 7'), lambda t: t[:-40], lambda t: "[]", lambda t: ""])
def test_damaged_manifest(folder, change):
    path = folder / "manifest.json"
    text = path.read_text()
    assert change(text) != text
    path.write_text(change(text))
    refused(folder, "manifest.json", "damaged")


def test_missing_and_foreign_files(tmp_path):
    refused(tmp_path, "manifest.json")
    refused(tmp_path / "absent.nc", "got no file")
    for content in ("hello", ""):
        (tmp_path / "text.nc").write_text(content)
        assert "delete" not in refused(
            tmp_path / "text.nc", f"expected an eddygrad data set (NetCDF-4), got a file that begins with {content.encode()!r}"
        )


def test_states_are_read_sample_by_sample(whole):
    samples = list(read_states(whole / "shard-00002.nc"))
    assert len(samples) == 2 and torch.equal(torch.from_numpy(samples[0]), ds.open(whole).all()[4])
