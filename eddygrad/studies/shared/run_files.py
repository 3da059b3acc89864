"""The files of a scored run: RUN.json with its scores and its environment, RUN.nc with trajectories for pictures."""

from __future__ import annotations

import json
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

import torch
import xarray as xr
from torch import Tensor

from eddygrad.evaluation.evaluate import Evaluation
from eddygrad.runtime.files import write_atomically
from eddygrad.runtime.provenance import environment

_PICTURE_FRAMES, _PLANES = 100, 6
BASELINE = {"kind": "baseline", "task": None, "unroll": None, "network": None, "seeds": [None], "training": None, "curve": None}


def run_record(record: dict[str, Any], recipe: str, score: Evaluation, **circumstances: Any) -> dict[str, Any]:
    """Return the content of RUN.json.

    Args:
        record:        name, kind, task, unroll, network, seeds, training and curve of the run.
        recipe:        name of the data recipe, unless the record has one.
        score:         scores on the test data.
        circumstances: further entries of its environment, e.g. side_by_side=2 for two runs at a time.
    """
    measured = {**environment(), "finished": date.today().isoformat(), **circumstances}
    return {"schema": "eddygrad-run/1", "recipe": recipe, **record, "test": score.as_json(), "environment": measured}


def write_run(path: Path, record: dict[str, Any], recipe: str, score: Evaluation, **circumstances: Any) -> None:
    """Write RUN.json. Args: path: of the file. Others: see `run_record`."""
    write_record(path, run_record(record, recipe, score, **circumstances))


def write_record(path: Path, record: dict[str, Any]) -> None:
    """Write a run's JSON, whole or not at all, and remove the remains of writers that were killed."""
    write_atomically(path, (json.dumps(record) + "\n").encode())


def write_pictures(path: Path, score: Evaluation, uncorrected: Tensor | None = None, metric: str = "rellinf") -> None:
    """Write RUN.nc: one trajectory per test set of the seed with the median error, with the reference and the solver alone.

    On a line it holds the first frames, (set, time, x); on a plane a few frames until the end of the endpoint, (set, time, channel, x, y).

    Args:
        path:        of the file. score: of the run.
        uncorrected: trajectories of the solver alone (samples, T, C, *grid), None without a solver.
        metric:      the error that orders the seeds.
    """
    firsts, at = [], 0
    for s in score.sets:
        firsts.append(at)
        at += s["samples"]
    error = score.metrics[metric].mean(1)
    median = int(error.argsort()[len(error) // 2])
    fields = {"reference": score.reference[firsts], "prediction": score.prediction[median, firsts]}
    if uncorrected is not None:
        fields["uncorrected"] = uncorrected[firsts]
    line = score.reference.ndim == 4
    frames = _shown_frames(score, line)
    axes = ("set", "time", "x") if line else ("set", "time", "channel", "x", "y")
    lengths = {"length": ("set", [score.lengths[i] for i in firsts])} if score.lengths else {}
    content = xr.Dataset(
        {n: (axes, (v[:, frames, 0] if line else v[:, frames]).cpu().float().numpy(), {"units": "1"}) for n, v in fields.items()} | lengths,
        coords={"time": frames.double().numpy() * score.dt, "set": [s["name"] for s in score.sets]}
        | ({} if line else {"channel": list(score.channels)}),
        attrs={"seed_index": median}
        | ({} if line else {"box": list(score.box)})
        | ({} if score.scene is None else {"scene": json.dumps(score.scene)}),
    )
    with tempfile.TemporaryDirectory() as folder:
        content.to_netcdf(Path(folder) / "run.nc", engine="h5netcdf")
        write_atomically(path, (Path(folder) / "run.nc").read_bytes())


def _shown_frames(score: Evaluation, line: bool) -> Tensor:
    """Return the indices of the frames that are kept for pictures."""
    if line:
        return torch.arange(min(_PICTURE_FRAMES, score.reference.shape[1]))
    horizon = score.error_over_time.shape[-1] - 1
    return torch.linspace(0, horizon, min(_PLANES, horizon + 1)).round().long()


def slug(name: str) -> str:
    """Return a name as part of a file name."""
    return "".join(ch if ch.isalnum() else "-" for ch in name).strip("-").lower()
