"""Figures of the trajectories that a run kept: reference, solver alone and model, on a line or on a plane."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray

from eddygrad.datasets.geometry import FlowGeometry
from eddygrad.plotting.planes import darkest, planes
from eddygrad.plotting.space_time import space_time_rows
from eddygrad.solver.grid import Grid
from eddygrad.solver.vector_calculus import vorticity
from eddygrad.studies.unrolling.results.load import fields
from eddygrad.studies.unrolling.results.run import TASKS, UnrollingRun
from eddygrad.studies.unrolling.results.study_results import UnrollingResults


def figures(results: UnrollingResults) -> Iterator[tuple[str, str, Figure, str]]:
    """Yield key, title, figure and caption for the best model of each task that kept its trajectories."""
    for task in dict.fromkeys(r.task or "" for r in results.models):
        for run in sorted((r for r in results.models if r.task == task), key=lambda r: r.typical(results.metric)):
            data = fields(run)
            if data is not None:
                caption = f"{run.label[:1].upper() + run.label[1:]}, {run.network_label}: the seed with the median test error. Grey is not finite."
                figure = on_plane(run, data) if "channel" in data.dims else on_line(run, data)
                yield f"space-{task}", f"In space and time: {TASKS.get(task, task)}", figure, caption
                break


def on_line(run: UnrollingRun, data: xr.Dataset, per_kind: int = 1) -> Figure:
    """Draw reference, uncorrected, predicted and error of a run against time and space, one row per test set.

    Args:
        run:      the run.
        data:     variables `reference`, `prediction` and, if kept, `uncorrected`, (set, time, x), and `length` (set).
        per_kind: how many test sets of each kind are shown.
    """
    chosen: list[int] = []
    for kind in dict.fromkeys(s.kind for s in run.test.sets):
        chosen += [i for i, s in enumerate(run.test.sets) if s.kind == kind][:per_kind]
    rows = []
    for i in chosen:
        reference, prediction = (np.asarray(data[name][i], dtype=np.float64) for name in ("reference", "prediction"))
        named = {"reference": reference}
        if "uncorrected" in data:
            named["uncorrected"] = np.asarray(data["uncorrected"][i], dtype=np.float64)
        named[_model(run)] = prediction
        named["error of it"] = prediction - reference
        part = run.test.sets[i]
        length = float(data["length"][i]) if "length" in data else part.params.get("length")
        rows.append((named, length, ", ".join(dict.fromkeys((part.name, part.kind)))))
    return space_time_rows(rows, run.test.dt)


def on_plane(run: UnrollingRun, data: xr.Dataset) -> Figure:
    """Draw reference, solver alone and model as rows, the kept times except the first as columns, for one test set of each kind.

    Of a velocity the vorticity is drawn, of other states the first channel. Bodies and boundary values are taken from the data's `scene`.

    Args:
        run:  the run.
        data: variables `reference`, `prediction` and, if kept, `uncorrected`, (set, time, channel, x, y); attributes `box` and, if kept, `scene`.
    """
    titles = {"reference": "reference", "uncorrected": "uncorrected", "prediction": _model(run)}
    grid = Grid(data["reference"].shape[-2:], tuple(np.atleast_1d(data.attrs["box"])))
    channels, kinds = [str(name) for name in data["channel"].values], [s.kind for s in run.test.sets]
    flow = channels[:2] == ["velocity_x", "velocity_y"]
    scene = json.loads(data.attrs["scene"]) if "scene" in data.attrs else None
    rows, names, scales = [], [], []
    for i in (kinds.index(kind) for kind in dict.fromkeys(kinds)):
        params = run.test.sets[i].params
        drawn = {n: _scalar(data[n].values[i, 1:], flow, grid, scene, params) for n in titles if n in data}
        rows += list(drawn.values())
        names += [f"{run.test.sets[i].name}, {titles[n]}" for n in drawn]
        scales += [darkest(drawn["reference"])] * len(drawn)
    times, title = data["time"].values[1:].round(6).tolist(), "vorticity" if flow else channels[0]
    return planes(np.stack(rows, 1), names, times, grid.lengths, title, scales, () if scene is None else [scene["bodies"]] * len(times))


def _model(run: UnrollingRun) -> str:
    return f"{TASKS.get(run.task or '', 'prediction')}, {run.modality}"


def _scalar(values: NDArray[np.float64], flow: bool, grid: Grid, scene: Any, params: Mapping[str, float]) -> NDArray[np.float64]:
    """Return the vorticity of a velocity (T, C, nx, ny), or the first channel of another state, (T, nx, ny)."""
    if not flow:
        return values[:, 0]
    u = torch.from_numpy(values[:, :2]).double()
    geometry = FlowGeometry.from_json(scene, grid, {name: torch.tensor(value).reshape(1, 1, 1, 1) for name, value in params.items()})
    return (vorticity(u, grid)[:, 0] if geometry is None else geometry.vorticity(u)).numpy()
