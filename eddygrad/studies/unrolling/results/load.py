"""Reading the folder of a comparison of unrolling modalities: `study.json`, the finished runs, and the trajectories kept for pictures."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import xarray as xr

from eddygrad.studies.shared.strict_json import Entry
from eddygrad.studies.shared.study_results import read_config, run_paths
from eddygrad.studies.unrolling.results.merge_seeds import merged_seeds
from eddygrad.studies.unrolling.results.run import UnrollingRun, parse, read
from eddygrad.studies.unrolling.results.study_results import UnrollingResults

_ORDER = {"ONE": 0, "NOG": 1, "WIG": 2}


def load(folder: str | Path) -> UnrollingResults:
    """Read a study folder: `study.json`, which may be missing, and `runs/*.json`.

    Raises: ValueError, one line, if there is no finished run, if a file does not follow the schema, or if two runs have one name or one setting.
    """
    folder = Path(folder)
    return _assembled(folder, read_config(folder), [read(path) for path in run_paths(folder)])


def from_records(folder: Path, config: Mapping[str, Any], records: Mapping[str, Mapping[str, Any]]) -> UnrollingResults:
    """Return the results that files of this content would give, without writing them.

    Args:
        folder:  the folder's name, for errors.
        config:  content of study.json.
        records: name of the file, without its ending -> content of RUN.json.
    Raises: ValueError as `load`.
    """
    runs = [parse(Entry(folder / "runs" / f"{name}.json", "", json.loads(json.dumps(record)))) for name, record in sorted(records.items())]
    return _assembled(folder, config, runs)


def _assembled(folder: Path, config: Mapping[str, Any], parts: Sequence[UnrollingRun]) -> UnrollingResults:
    """Merge runs of different seeds, check that all can be compared, and sort them."""
    runs = merged_settings(parts)
    _check_distinct(runs, "name", [r.name for r in runs])
    _check_distinct(runs, "setting", [_setting(r) if r.kind == "model" else r.name for r in runs])
    results = UnrollingResults({folder: config}, tuple(sorted(_with_median_times(runs), key=_rank)))
    _check_tests(results)
    return results


def _check_distinct(runs: Sequence[UnrollingRun], what: str, keys: Sequence[Hashable]) -> None:
    known: dict[Hashable, UnrollingRun] = {}
    for key, run in zip(keys, runs, strict=True):
        if key in known:
            raise ValueError(f"{run.path}: same {what} as {known[key].path.name}: {key}; give one of them a 'group' of its own or remove it")
        known[key] = run


def _setting(run: UnrollingRun) -> tuple[str, str | None, str | None]:
    return run.group, run.task, run.unroll


def merged_settings(runs: Sequence[UnrollingRun]) -> list[UnrollingRun]:
    """Return the runs, those of one setting with different seeds merged into one."""
    parts: dict[Hashable, list[UnrollingRun]] = {}
    for run in runs:
        parts.setdefault(_setting(run) if run.kind == "model" else run.path, []).append(run)
    merged = []
    for same in parts.values():
        seeds = [seed for run in same for seed in run.seeds]
        distinct = len(same) > 1 and len(set(seeds)) == len(seeds)
        merged += [merged_seeds(sorted(same, key=lambda r: r.seeds))] if distinct else same
    return merged


def _with_median_times(runs: Sequence[UnrollingRun]) -> list[UnrollingRun]:
    """Give all models of one task and architecture the median of their inference times, which differ only by noise."""
    times: dict[tuple[Any, ...], list[float]] = {}
    for run in runs:
        times.setdefault(_architecture(run), []).append(run.test.seconds_per_frame)
    return [replace(r, test=replace(r.test, seconds_per_frame=median(times[_architecture(r)]))) for r in runs]


def _architecture(run: UnrollingRun) -> tuple[Any, ...]:
    if run.kind == "baseline":
        return (run.name,)
    return run.task, json.dumps(run.network, sort_keys=True), run.test.batch, run.environment.get("threads")


def _check_tests(results: UnrollingResults) -> None:
    """Raise ValueError if runs were scored on different tests, or if the endpoint is not an error that all of them have."""
    first, metric = results.runs[0], results.metric
    if "_time" in metric or metric == "rms_ratio":
        raise ValueError(f"{results.folder}: endpoint: expected an error (less is better), got {metric!r}; take rellinf or nrmse_final")
    for run in results.runs:
        if metric not in run.test.metrics:
            raise ValueError(f"{run.path}: endpoint: expected metric {metric!r}, got only {sorted(run.test.metrics)}; evaluate the run again")
        if (run.test.sets, run.test.horizon) != (first.test.sets, first.test.horizon):
            raise ValueError(
                f"{run.path}: test: expected the sets and horizon of {first.path.name}, got others; evaluate all runs on the same states"
            )


def _rank(run: UnrollingRun) -> tuple[Any, ...]:
    """Return the sorting key: models by size, updates, group, task and modality, then baselines by cost."""
    if run.kind == "baseline":
        return True, run.test.seconds_per_frame, run.name
    parameters = (run.network or {}).get("parameters") or 0
    updates = run.training.updates if run.training else 0
    horizon = run.reach.partition("/")[0]
    frames = int(horizon) if horizon.isdigit() else 0
    return False, parameters, updates, run.group, run.task or "", _ORDER.get(run.modality, 9), frames, run.name


def fields(run: UnrollingRun) -> xr.Dataset | None:
    """Return the trajectories of RUN.nc, or None if there is no such file.

    Returns: variables `reference`, `prediction` and, if the run kept it, `uncorrected`: (set, time, x) or (set, time, channel, x, y).
    Raises:  ValueError if one of the first two is missing.
    """
    path = run.path.with_suffix(".nc")
    if not path.exists():
        return None
    with xr.open_dataset(path, engine="h5netcdf") as data:
        loaded = data.load()
    missing = [name for name in ("reference", "prediction") if name not in loaded]
    if missing:
        raise ValueError(f"{path}: expected variables 'reference' and 'prediction', missing {missing}")
    return loaded
