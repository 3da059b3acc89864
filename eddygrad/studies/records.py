"""What a study writes for a scored run: RUN.json, the trajectories beside it, and what it was measured with."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from typing import Any

import torch
import xarray as xr
from torch import Tensor

from eddygrad._version import __version__
from eddygrad.studies.evaluate import Evaluation
from eddygrad.studies.identity import code
from eddygrad.training.checkpoint import write_atomically

_PICTURE_FRAMES = 100
BASELINE = {"kind": "baseline", "task": None, "unroll": None, "network": None, "seeds": [None], "training": None, "curve": None}


def write_run(path: Path, record: dict[str, Any], recipe: str, score: Evaluation) -> None:
    """RUN.json, atomically."""
    full = {"schema": "eddygrad-run/1", "recipe": recipe, **record, "test": score.as_json(), "environment": environment()}
    write_atomically(path, (json.dumps(full) + "\n").encode())


def write_pictures(path: Path, score: Evaluation, uncorrected: Tensor | None = None) -> None:
    """RUN.nc: the first frames of one trajectory per test set, for the seed with the median error, beside the reference and the solver alone.

    Args: uncorrected: the solver's trajectories (samples, T, C, *grid); states of one dimension.
    """
    firsts, at = [], 0
    for s in score.sets:
        firsts.append(at)
        at += s["samples"]
    error = score.metrics["rellinf"].mean(1)
    median = int(error.argsort()[len(error) // 2])
    fields = {"reference": score.reference[firsts], "prediction": score.prediction[median, firsts]}
    if uncorrected is not None:
        fields["uncorrected"] = uncorrected[firsts]
    count = min(_PICTURE_FRAMES, score.reference.shape[1])
    content = xr.Dataset(
        {n: (("set", "time", "x"), v[:, :count, 0].cpu().float().numpy(), {"units": "1"}) for n, v in fields.items()},
        coords={"time": torch.arange(count).double().numpy() * score.dt, "set": [s["name"] for s in score.sets]},
        attrs={"seed_index": median},
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    content.to_netcdf(temporary, engine="h5netcdf")
    os.replace(temporary, path)


def environment() -> dict[str, Any]:
    """What a number was measured with."""
    return {
        "eddygrad": __version__,
        **code(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
    }


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def slug(name: str) -> str:
    """A name as part of a file's name."""
    return "".join(ch if ch.isalnum() else "-" for ch in name).strip("-").lower()
