"""A study folder as it is read: `study.json` and the finished runs, in the order in which they are shown."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import xarray as xr

from eddygrad.studies.shared.strict_json import Entry
from eddygrad.studies.unrolling.results.merge_seeds import joined_seeds
from eddygrad.studies.unrolling.results.run import Run, parse, read

_ORDER = {"ONE": 0, "NOG": 1, "WIG": 2}


@dataclass(frozen=True)
class Study:
    """A study folder: `study.json` and the finished runs, models first, in the order in which they are shown."""

    folder: Path
    config: Mapping[str, Any]
    runs: tuple[Run, ...]

    @property
    def name(self) -> str:
        return str(self.config.get("name") or self.folder.resolve().name)

    @property
    def metric(self) -> str:
        """The endpoint, an error: named in study.json as "endpoint" or its "metric", else `rellinf`."""
        endpoint = self.config.get("endpoint")
        if isinstance(endpoint, Mapping) and "metric" in endpoint:
            return str(endpoint["metric"])
        return endpoint if isinstance(endpoint, str) and endpoint in self.runs[0].test.metrics else "rellinf"

    @property
    def models(self) -> tuple[Run, ...]:
        return tuple(r for r in self.runs if r.kind == "model")

    @property
    def baselines(self) -> tuple[Run, ...]:
        return tuple(r for r in self.runs if r.kind == "baseline")

    @property
    def recipe(self) -> str:
        return str(self.config.get("recipe") or "")

    @property
    def finished(self) -> str:
        """Date of the last run, empty where none was written down."""
        return max((str(r.environment.get("finished", "")) for r in self.runs), default="")

    @property
    def side_by_side(self) -> int | None:
        """How many runs shared the machine while costs were measured: 0 if they were timed alone, None if nobody wrote it down."""
        counts = [0 if "costs" in r.environment else r.environment.get("side_by_side") for r in self.models]
        return None if None in counts else max((int(n) for n in counts if n is not None), default=0)

    def exact(self, baseline: Run) -> bool:
        """Does it compute the reference itself, up to round-off: an error a million times below every model's?"""
        return baseline.typical(self.metric) < 1e-6 * min((r.typical(self.metric) for r in self.models), default=1.0)

    def cells(self) -> dict[tuple[str, str], tuple[Run, ...]]:
        """Models by (group, task): what is compared at equal network and equal updates."""
        cells: dict[tuple[str, str], tuple[Run, ...]] = {}
        for run in self.models:
            key = (run.group, run.task or "")
            cells[key] = cells.get(key, ()) + (run,)
        return cells


def load(folder: str | Path) -> Study:
    """Read a study folder: `study.json` (optional) and `runs/*.json`.

    Raises: ValueError, one line, if there is no finished run, a file is not what the schema says, or two runs have one name or one setting.
    """
    folder = Path(folder)
    paths = sorted((folder / "runs").glob("*.json"))
    if not paths:
        raise ValueError(f"{folder}: expected finished runs as runs/NAME.json, got none; run the study first")
    return _assembled(folder, configured(folder), [read(path) for path in paths])


def from_records(folder: Path, config: Mapping[str, Any], records: Mapping[str, Mapping[str, Any]]) -> Study:
    """Return the study whose files would have this content, without writing them.

    Args:
        folder:  the folder's name, for errors.
        config:  content of study.json.
        records: name of the file, without its ending -> content of RUN.json.
    Raises: ValueError as `load`.
    """
    runs = [parse(Entry(folder / "runs" / f"{name}.json", "", json.loads(json.dumps(record)))) for name, record in sorted(records.items())]
    return _assembled(folder, config, runs)


def _assembled(folder: Path, config: Mapping[str, Any], runs: Sequence[Run]) -> Study:
    """Merge runs of different seeds, check that all can be compared, and put them in order."""
    runs = together(runs)
    for what, keys in (("name", [r.name for r in runs]), ("setting", [(r.group, r.task, r.unroll) if r.kind == "model" else r.name for r in runs])):
        seen: dict[object, Run] = {}
        for key, run in zip(keys, runs, strict=True):
            if key in seen:
                raise ValueError(f"{run.path}: same {what} as {seen[key].path.name}: {key}; give one of them a 'group' of its own or remove it")
            seen[key] = run
    study = Study(folder, config, tuple(sorted(_pooled(runs), key=_rank)))
    _check_tests(study)
    return study


def together(runs: Sequence[Run]) -> list[Run]:
    """Runs of one setting that trained different seeds are one run of all of them."""
    parts: dict[object, list[Run]] = {}
    for run in runs:
        parts.setdefault((run.group, run.task, run.unroll) if run.kind == "model" else run.path, []).append(run)
    joined = []
    for same in parts.values():
        seeds = [seed for run in same for seed in run.seeds]
        apart = len(same) > 1 and len(set(seeds)) == len(seeds)
        joined += [joined_seeds(sorted(same, key=lambda r: r.seeds))] if apart else same
    return joined


def _pooled(runs: Sequence[Run]) -> list[Run]:
    """Models of one task and architecture cost the same at inference: each gets the median of their times, which differ by noise only."""
    times: dict[tuple[Any, ...], list[float]] = {}
    for run in runs:
        times.setdefault(_architecture(run), []).append(run.test.seconds_per_frame)
    return [replace(r, test=replace(r.test, seconds_per_frame=median(times[_architecture(r)]))) for r in runs]


def _architecture(run: Run) -> tuple[Any, ...]:
    if run.kind == "baseline":
        return (run.name,)
    return run.task, json.dumps(run.network, sort_keys=True), run.test.batch, run.environment.get("threads")


def _check_tests(study: Study) -> None:
    """All runs must have met the same test, and the endpoint must be an error that all of them have."""
    first = study.runs[0]
    if "_time" in study.metric or study.metric == "rms_ratio":
        raise ValueError(f"{study.folder}: endpoint: expected an error (less is better), got {study.metric!r}; take rellinf or nrmse_final")
    for run in study.runs:
        if study.metric not in run.test.metrics:
            raise ValueError(f"{run.path}: endpoint: expected metric {study.metric!r}, got only {sorted(run.test.metrics)}; evaluate the run again")
        if (run.test.sets, run.test.horizon) != (first.test.sets, first.test.horizon):
            raise ValueError(
                f"{run.path}: test: expected the sets and horizon of {first.path.name}, got others; evaluate all runs on the same states"
            )


def configured(folder: str | Path) -> Mapping[str, Any]:
    """The content of `study.json`, empty where there is none. Raises ValueError, one line, if it is no JSON object."""
    path = Path(folder) / "study.json"
    if not path.exists():
        return {}
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: expected JSON, got {error}") from None
    if not isinstance(config, dict):
        raise ValueError(f"{path}: expected a JSON object, got {type(config).__name__}")
    return config


def _rank(run: Run) -> tuple[Any, ...]:
    parameters = (run.network or {}).get("parameters") or 0
    updates = run.training.updates if run.training else 0
    reach = run.reach.partition("/")[0]
    if run.kind == "baseline":
        return True, run.test.seconds_per_frame, run.name
    return (
        run.kind == "baseline",
        parameters,
        updates,
        run.group,
        run.task or "",
        _ORDER.get(run.modality, 9),
        int(reach) if reach.isdigit() else 0,
        run.name,
    )


def fields(run: Run) -> xr.Dataset | None:
    """The trajectories beside a run, `reference`, `uncorrected` and `prediction`, (set, time, x) or (set, time, channel, x, y), or None."""
    path = run.path.with_suffix(".nc")
    if not path.exists():
        return None
    with xr.open_dataset(path, engine="h5netcdf") as data:
        loaded = data.load()
    missing = [name for name in ("reference", "prediction") if name not in loaded]
    if missing:
        raise ValueError(f"{path}: expected variables 'reference' and 'prediction', missing {missing}")
    return loaded
