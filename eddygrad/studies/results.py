"""A study's results: load the folder, compare its models, and give the numbers as text, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations, product
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from eddygrad.studies.runs import TASKS, Run, read
from eddygrad.studies.statistics import Ratio, holm, paired, unpaired

PAPER_PREDICTION_TO_CORRECTION = 4.5  # List et al. 2024, abstract: prediction with WIG / correction with NOG
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


@dataclass(frozen=True)
class Comparison:
    """One ratio of a family; `p_holm` is corrected inside the family; `paper` is the published value where there is one."""

    family: str
    kind: str
    group: str
    first: str
    second: str
    label: str
    ratio: Ratio
    p_holm: float = float("nan")
    paper: float | None = None

    @property
    def significant(self) -> bool:
        """At the level of the interval, after Holm's correction."""
        return self.p_holm < 1 - self.ratio.level


def load(folder: str | Path) -> Study:
    """Read a study folder: `study.json` (optional) and `runs/*.json`.

    Raises: ValueError, one line, if there is no finished run, a file is not what the schema says, or two runs have one name or one setting.
    """
    folder = Path(folder)
    paths = sorted((folder / "runs").glob("*.json"))
    if not paths:
        raise ValueError(f"{folder}: expected finished runs as runs/NAME.json, got none; run the study first")
    runs = [read(path) for path in paths]
    config = _config(folder / "study.json")
    for what, keys in (("name", [r.name for r in runs]), ("setting", [(r.group, r.task, r.unroll) if r.kind == "model" else r.name for r in runs])):
        seen: dict[object, Run] = {}
        for key, run in zip(keys, runs, strict=True):
            if key in seen:
                raise ValueError(f"{run.path}: same {what} as {seen[key].path.name}: {key}; give one of them a 'group' of its own or remove it")
            seen[key] = run
    study = Study(folder, config, tuple(sorted(runs, key=_rank)))
    _check_tests(study)
    return study


def _check_tests(study: Study) -> None:
    """All runs must have met the same test, and the endpoint must be an error that all of them have."""
    first = study.runs[0]
    if study.metric.endswith("_time"):
        raise ValueError(f"{study.folder}: endpoint: expected an error (less is better), got {study.metric!r}; take rellinf or nrmse_final")
    for run in study.runs:
        if study.metric not in run.test.metrics:
            raise ValueError(f"{run.path}: endpoint: expected metric {study.metric!r}, got only {sorted(run.test.metrics)}; evaluate the run again")
        if (run.test.sets, run.test.horizon) != (first.test.sets, first.test.horizon):
            raise ValueError(
                f"{run.path}: test: expected the sets and horizon of {first.path.name}, got others; evaluate all runs on the same states"
            )


def _config(path: Path) -> Mapping[str, Any]:
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
    """The trajectories beside a run, `reference`, `uncorrected` and `prediction` (set, time, x), or None if there are none."""
    path = run.path.with_suffix(".nc")
    if not path.exists():
        return None
    with xr.open_dataset(path, engine="h5netcdf") as data:
        loaded = data.load()
    missing = [name for name in ("reference", "prediction") if name not in loaded]
    if missing:
        raise ValueError(f"{path}: expected variables 'reference' and 'prediction' (set, time, x), missing {missing}")
    return loaded


def compare(first: Run, second: Run, metric: str = "rellinf", level: float = 0.95) -> Ratio:
    """Ratio of the errors of two runs: paired where the seeds agree or `second` has none, else unpaired."""
    a, b = first.error(metric), second.error(metric)
    if set(first.seeds) == set(second.seeds):
        order = [second.seeds.index(seed) for seed in first.seeds]
        return paired(a, b[order], level)
    return paired(a, b, level) if second.seeds == (None,) else unpaired(a, b, level)


def comparisons(study: Study, level: float = 0.95) -> list[Comparison]:
    """The standard families, each corrected by Holm: modalities within a task, tasks across, models against baselines.

    modality: NOG / ONE, WIG / ONE, WIG / NOG per group and task (all pairs, where there are more);
    task:     prediction / correction per group, with WIG / NOG as in the paper, else the same modality;
    baseline: each model against each baseline. A baseline that computes the reference itself has no ratio and is left out.
    """
    families: dict[str, list[Comparison]] = {}

    def add(kind: str, family: str, first: Run, second: Run, label: str, paper: float | None = None) -> None:
        ratio = compare(first, second, study.metric, level)
        families.setdefault(family, []).append(Comparison(family, kind, first.group, first.name, second.name, label, ratio, paper=paper))

    cells = study.cells()
    for (group, task), runs in cells.items():
        for b, a in combinations(runs, 2):
            add("modality", f"{group}: {TASKS.get(task, task)}", a, b, f"{_short(a)} / {_short(b)}")
    for group, task in cells:
        if task == "predict" and (group, "correct") in cells:
            for a, b in product(cells[group, "predict"], cells[group, "correct"]):
                of_paper = (a.modality, b.modality) == ("WIG", "NOG") and a.reach == b.reach
                if of_paper or a.unroll == b.unroll:
                    label = f"prediction {_short(a)} / correction {_short(b)}"
                    add("task", f"{group}: prediction / correction", a, b, label, PAPER_PREDICTION_TO_CORRECTION if of_paper else None)
    for (group, task), runs in cells.items():
        for a, b in product(runs, study.baselines):
            if not study.exact(b):
                add("baseline", f"{group}: {TASKS.get(task, task)} against baselines", a, b, f"{a.label} / {b.name}")
    return [corrected for family in families.values() for corrected in _holm(family)]


def _short(run: Run) -> str:
    return f"{run.modality} {run.reach}".strip()


def _holm(family: Sequence[Comparison]) -> list[Comparison]:
    return [replace(c, p_holm=p) for c, p in zip(family, holm([c.ratio.p for c in family]), strict=True)]


def rows(study: Study) -> list[dict[str, Any]]:
    """One row per run: error with its interval over seeds, diverged seeds, and what it cost. None where a number does not exist."""
    return [_row(run, study.metric) for run in study.runs]


def _row(run: Run, metric: str) -> dict[str, Any]:
    error, training = run.error(metric), run.training
    spread = paired(error, [1.0]) if np.all(error > 0) else None
    return {
        "name": run.name,
        "kind": run.kind,
        "task": TASKS.get(run.task, run.task) if run.task else None,
        "unroll": run.unroll,
        "group": run.group or None,
        "parameters": (run.network or {}).get("parameters"),
        "seeds": 0 if run.seeds == (None,) else len(run.seeds),
        "error": run.typical(metric),
        "low": _finite(spread.low) if spread else None,
        "high": _finite(spread.high) if spread else None,
        "median": float(np.median(error)),
        "diverged_seeds": run.diverged_seeds,
        "diverged_tests": sum(run.test.diverged),
        "tests": len(run.seeds) * sum(s.samples for s in run.test.sets),
        "updates": training.updates if training else None,
        "learning_rate": training.details.get("learning_rate") if training else None,
        "schedule": training.details.get("schedule") if training else None,
        "solver_calls_per_update": training.details.get("solver_calls_per_update") if training else None,
        "seconds_per_update": training.seconds_per_update if training else None,
        "training_seconds": training.seconds if training else None,
        "peak_memory_mb": _finite(training.peak_memory_mb) if training else None,
        "skipped_updates": sum(training.skipped) if training else None,
        "inference_seconds_per_frame": run.test.seconds_per_frame,
        **{f"mean_{name}": _finite(float(np.mean(values))) for name, values in run.test.metrics.items() if name != metric},
    }


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None


def comparison_rows(found: Sequence[Comparison]) -> list[dict[str, Any]]:
    """One flat row per comparison; None where a number does not exist."""
    flat = []
    for c in found:
        numbers = {k: _finite(v) if isinstance(v, float) else v for k, v in asdict(c.ratio).items() if k != "sizes"}
        flat.append(
            {
                **{k: getattr(c, k) for k in ("kind", "family", "group", "label", "first", "second", "paper")},
                **numbers,
                "p_holm": _finite(c.p_holm),
                "n_first": c.ratio.sizes[0],
                "n_second": c.ratio.sizes[1],
            }
        )
    return flat


def table(study: Study, baselines: bool = False) -> str:
    """Errors, costs and ratios as aligned plain text, for a terminal; `baselines` adds the ratios against baselines."""
    found = [c for c in comparisons(study) if baselines or c.kind != "baseline"]
    head = ["run", "error", "95 % interval", "median", "diverged seeds", "tests", "ms/update", "MB", "us/frame"]
    body = []
    for r in rows(study):
        interval = "" if r["low"] is None else f"{r['low']:.3g} .. {r['high']:.3g}"
        diverged = f"{r['diverged_seeds']}/{r['seeds']}" if r["seeds"] else ""
        tests = f"{r['diverged_tests']}/{r['tests']}"
        cost = [
            "" if r[k] is None else f"{r[k] * scale:.3g}"
            for k, scale in (("seconds_per_update", 1e3), ("peak_memory_mb", 1), ("inference_seconds_per_frame", 1e6))
        ]
        body.append([r["name"], f"{r['error']:.3g}", interval, f"{r['median']:.3g}", diverged, tests, *cost])
    text = f"{study.name}: {study.metric}, geometric mean over seeds\n" + _align(head, body)
    for family in dict.fromkeys(c.family for c in found):
        lines = [[c.label, f"{c.ratio.ratio:.3g}", _between(c.ratio), *_p(c), f"{c.paper:g}" if c.paper else ""] for c in found if c.family == family]
        text += f"\n\n{family}\n" + _align(["ratio of", "ratio", "95 % interval", "p (Holm)", "", "paper"], lines)
    return text + "\n"


def _between(r: Ratio) -> str:
    return f"{r.low:.3g} .. {r.high:.3g}" if isfinite(r.low) else "one seed: none"


def _p(c: Comparison) -> list[str]:
    return [f"{c.p_holm:.2g}" if isfinite(c.p_holm) else "", "significant" if c.significant else "not significant"]


def _align(head: list[str], body: list[list[str]]) -> str:
    widths = [max(len(row[i]) for row in [head, *body]) for i in range(len(head))]
    lines = [[*head], ["-" * w for w in widths], *body]
    return "\n".join(
        "  ".join(cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))).rstrip() for row in lines
    )


def to_csv(study: Study, path: str | Path) -> tuple[Path, Path]:
    """Write the runs to `path` and the ratios beside it as `NAME-ratios.csv`; returns both."""
    path = Path(path)
    second = path.with_name(f"{path.stem}-ratios{path.suffix}")
    for target, flat in ((path, rows(study)), (second, comparison_rows(comparisons(study)))):
        text = io.StringIO()
        writer = csv.DictWriter(text, list(dict.fromkeys(k for row in flat for k in row)), lineterminator="\n")
        writer.writeheader()
        writer.writerows(flat)
        write_text(target, text.getvalue())
    return path, second


def to_json(study: Study, path: str | Path) -> Path:
    """Write everything that the report says in numbers; null where a number does not exist."""
    content = {
        "schema": "eddygrad-results/1",
        "study": study.name,
        "metric": study.metric,
        "runs": rows(study),
        "ratios": comparison_rows(comparisons(study)),
    }
    write_text(Path(path), json.dumps(content, indent=1, allow_nan=False) + "\n")
    return Path(path)


def write_text(path: Path, text: str) -> None:
    """Write whole or not at all: a temporary name, synced, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
