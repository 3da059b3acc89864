"""Damaged diagnostics in a file are refused in one line."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from cases.flow_data import made

import eddygrad.datasets as ds


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "whole"
    made(folder)
    return folder


def spoiled(data: xr.Dataset) -> xr.Dataset:
    data.enstrophy[1, 2] = np.nan
    return data


@pytest.mark.parametrize(
    "change,texts",
    [
        (lambda d: d.drop_vars("enstrophy"), ("'enstrophy'", "('sample', 'time')", "got only")),
        (lambda d: d.assign(enstrophy=d.enstrophy.transpose("time", "sample")), ("'enstrophy'", "('time', 'sample')")),
        (lambda d: d.assign(enstrophy=d.enstrophy.isel(time=0)), ("'enstrophy'", "('sample',)")),
        (spoiled, ("'enstrophy'", "NaN or Inf, first in sample 3, frame 2")),
        (lambda d: d.assign(enstrophy=d.enstrophy * (1 + 1e-15)), ("checksum", "bytes have changed")),
    ],
)
def test_damage_is_refused_in_one_line(whole: Path, tmp_path: Path, change: Any, texts: tuple[str, ...]) -> None:
    file = Path(shutil.copy(whole / "shard-00001.nc", tmp_path / "one.nc"))
    with xr.open_dataset(file, engine="h5netcdf") as data:
        changed = change(data.load())
    file.unlink()
    changed.to_netcdf(file, engine="h5netcdf")
    with pytest.raises(ValueError) as caught:
        ds.validate(file)
    message = str(caught.value)
    assert "\n" not in message and all(text in message for text in (str(file), "expected", "got", ";", *texts)), message
