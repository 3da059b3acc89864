"""A study's results as text, CSV and JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from eddygrad.studies.shared.statistics import Ratio, geometric_mean, paired
from eddygrad.studies.shared.text_tables import aligned, finite, write_csv, write_json, write_text
from eddygrad.studies.unrolling.results.comparisons import Comparison, compare, comparisons
from eddygrad.studies.unrolling.results.load import Study, fields, load
from eddygrad.studies.unrolling.results.run import TASKS, Run

COSTS = (("seconds_per_update", 1e3), ("graph_memory_mb", 1.0), ("peak_resident_mb", 1.0), ("inference_seconds_per_frame", 1e6))  # ms, MB, MB, us


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
        "low": finite(spread.low) if spread else None,
        "high": finite(spread.high) if spread else None,
        "median": float(np.median(error)),
        "median_state": run.typical_median(metric),
        "diverged_seeds": run.diverged_seeds,
        "diverged_tests": sum(run.test.diverged),
        "tests": len(run.seeds) * sum(s.samples for s in run.test.sets),
        "updates": training.updates if training else None,
        "learning_rate": training.details.get("learning_rate") if training else None,
        "schedule": training.details.get("schedule") if training else None,
        "solver_calls_per_update": training.details.get("solver_calls_per_update") if training else None,
        "seconds_per_update": training.seconds_per_update if training else None,
        "training_seconds": training.seconds if training else None,
        "training_seconds_estimated": training.estimated if training else None,
        "graph_memory_mb": finite(training.graph_memory_mb) if training else None,
        "peak_resident_mb": finite(training.peak_resident_mb) if training else None,
        "skipped_updates": sum(training.skipped) if training else None,
        "inference_seconds_per_frame": run.test.seconds_per_frame,
        **{f"mean_{name}": finite(float(np.mean(values))) for name, values in run.test.metrics.items() if name != metric},
        **{f"median_{name}": finite(float(np.median(values))) for name, values in run.test.metrics.items() if name != metric},
        "by_set": _by_set(run, metric),
    }


def _by_set(run: Run, metric: str) -> dict[str, dict[str, Any]]:
    """Per test set: geometric mean of the error over seeds, their median, and the mean share of the endpoint's sum over all trajectories."""
    shares = run.test.shares(metric)
    return {
        name: {"error": geometric_mean(error), "median": float(np.median(error)), "share": finite(float(np.mean(shares[name])))}
        for name, error in run.test.per_set(metric).items()
    }


def comparison_rows(found: Sequence[Comparison]) -> list[dict[str, Any]]:
    """One flat row per comparison; None where a number does not exist."""
    flat = []
    for c in found:
        numbers = {k: finite(v) if isinstance(v, float) else v for k, v in asdict(c.ratio).items() if k != "sizes"}
        flat.append(
            {
                **{k: getattr(c, k) for k in ("kind", "family", "group", "label", "first", "second", "paper")},
                **numbers,
                "p_holm": finite(c.p_holm),
                "n_first": c.ratio.sizes[0],
                "n_second": c.ratio.sizes[1],
                "median_state": finite(c.median_state),
                "by_set": {name: {k: finite(getattr(r, k)) for k in ("ratio", "low", "high", "medians")} for name, r in c.by_set.items()},
            }
        )
    return flat


def table(study: Study, baselines: bool = False) -> str:
    """Errors, costs and ratios as aligned plain text, for a terminal; `baselines` adds the ratios against baselines."""
    found = [c for c in comparisons(study) if baselines or c.kind != "baseline"]
    head = ["run", "error", "95 % interval", "median", "median state", "diverged seeds", "tests", "ms/update", "graph MB", "peak MB", "us/frame"]
    body = []
    for r in rows(study):
        interval = "" if r["low"] is None else f"{r['low']:.3g} .. {r['high']:.3g}"
        diverged = f"{r['diverged_seeds']}/{r['seeds']}" if r["seeds"] else ""
        tests = f"{r['diverged_tests']}/{r['tests']}"
        cost = ["" if r[k] is None else f"{r[k] * scale:.3g}" for k, scale in COSTS]
        body.append([r["name"], f"{r['error']:.3g}", interval, f"{r['median']:.3g}", f"{r['median_state']:.3g}", diverged, tests, *cost])
    text = f"{study.name}: {study.metric}, geometric mean over seeds (median: over seeds; median state: over test states)\n" + aligned(head, body)
    for family in dict.fromkeys(c.family for c in found):
        head = ["ratio of", "ratio", "95 % interval", "medians", "median state", "p (Holm)", "", "paper"]
        lines = [
            [
                *(c.label, f"{c.ratio.ratio:.3g}", _between(c.ratio), f"{c.ratio.medians:.3g}", f"{c.median_state:.3g}"),
                *(*_p(c), f"{c.paper:g}" if c.paper else ""),
            ]
            for c in found
            if c.family == family
        ]
        text += f"\n\n{family}\n" + aligned(head, lines)
    return text + _sets(study, found) + "\n"


def _sets(study: Study, found: Sequence[Comparison]) -> str:
    """A second small table: what each test set makes of the endpoint, and the ratios inside it."""
    names = [s.name for s in study.runs[0].test.sets]
    if len(names) < 2:
        return ""
    body = []
    for run in study.models:
        part = _by_set(run, study.metric)
        body.append([f"share of {run.name}", *(_percent(part[n]["share"]) for n in names)])
    for c in (c for c in found if c.kind != "baseline"):
        label = c.label if c.kind == "task" else f"{c.label}, {c.family.rpartition(': ')[2]}"
        body.append([f"{label} ({c.group})", *(f"{c.by_set[n].ratio:.3g}" if n in c.by_set else "" for n in names)])
    return "\n\nby test set: share of the endpoint's error, and ratios\n" + aligned(["", *names], body)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.0f} %"


def _between(r: Ratio) -> str:
    return f"{r.low:.3g} .. {r.high:.3g}" if isfinite(r.low) else "one seed: none"


def _p(c: Comparison) -> list[str]:
    return [f"{c.p_holm:.2g}" if isfinite(c.p_holm) else "", "significant" if c.significant else "not significant"]


def to_csv(study: Study, path: str | Path) -> tuple[Path, Path]:
    """Write the runs to `path` and the ratios beside it as `NAME-ratios.csv`; returns both."""
    path = Path(path)
    second = path.with_name(f"{path.stem}-ratios{path.suffix}")
    for target, nested in ((path, rows(study)), (second, comparison_rows(comparisons(study)))):
        write_csv(target, [_flat(row) for row in nested])
    return path, second


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """`by_set` as columns of their own: "share D/8=1.40"."""
    parts = {f"{key} {name}": value for name, part in row["by_set"].items() for key, value in part.items()}
    return {**{k: v for k, v in row.items() if k != "by_set"}, **parts}


def to_json(study: Study, path: str | Path) -> Path:
    """Write everything that the report says in numbers; null where a number does not exist."""
    content = {
        "schema": "eddygrad-results/1",
        "study": study.name,
        "metric": study.metric,
        "runs": rows(study),
        "ratios": comparison_rows(comparisons(study)),
    }
    write_json(Path(path), content)
    return Path(path)


__all__ = [
    "Comparison",
    "Study",
    "compare",
    "comparison_rows",
    "comparisons",
    "fields",
    "load",
    "rows",
    "table",
    "to_csv",
    "to_json",
    "write_text"
]  # fmt: skip
