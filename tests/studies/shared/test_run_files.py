"""Files of a run: whole or not at all, and without the remains of killed writers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import xarray as xr

from eddygrad.datasets.dataset import Dataset
from eddygrad.evaluation.baselines import Persistence
from eddygrad.evaluation.evaluate import evaluate
from eddygrad.solver.grid import Grid
from eddygrad.studies.shared.run_files import write_pictures, write_record


def test_what_a_killed_writer_left_goes_with_the_next_write(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    stale, living, other = (tmp_path / f".{name}.tmp" for name in (f"run.json.{process.pid}", f"run.json.{os.getppid()}", f"run2.json.{process.pid}"))
    for path in (stale, living, other):
        path.write_text("{")
    write_record(tmp_path / "run.json", {"a": 1})
    assert json.loads((tmp_path / "run.json").read_text()) == {"a": 1}
    assert [p.exists() for p in (stale, living, other)] == [False, True, True]


def test_trajectories_are_synced_before_they_get_their_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *args, real=real, name=name: (done.append(name), real(*args))[1])
    data = Dataset.from_tensor(torch.rand(2, 5, 1, 8, generator=torch.Generator().manual_seed(0)), {}, Grid((8,)))
    write_pictures(tmp_path / "run.nc", evaluate(Persistence(1.0), data, 3))
    assert done == ["fsync", "replace", "fsync"] and [p.name for p in tmp_path.iterdir()] == ["run.nc"]
    with xr.open_dataset(tmp_path / "run.nc", engine="h5netcdf") as found:
        assert found["prediction"].shape == (1, 5, 8)
