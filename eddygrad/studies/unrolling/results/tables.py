"""The results of a comparison of unrolling modalities as text, CSV and JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from eddygrad.studies.shared.comparison import Comparison, comparison_rows
from eddygrad.studies.shared.statistics import geometric_mean, paired
from eddygrad.studies.shared.text_tables import aligned, finite, interval, write_csv_pair, write_json
from eddygrad.studies.unrolling.results.comparisons import comparisons
from eddygrad.studies.unrolling.results.run import TASKS, TrainingCost, UnrollingRun
from eddygrad.studies.unrolling.results.study_results import UnrollingResults

COSTS = (("seconds_per_update", 1e3), ("graph_memory_mb", 1.0), ("peak_resident_mb", 1.0), ("inference_seconds_per_frame", 1e6))  # ms, MB, MB, us


def rows(results: UnrollingResults) -> list[dict[str, Any]]:
    """Return one row per run: error with its interval over seeds, diverged seeds and costs; None where a number does not exist."""
    return [_row(run, results.metric) for run in results.runs]


def _row(run: UnrollingRun, metric: str) -> dict[str, Any]:
    error = run.error(metric)
    ratio = paired(error, [1.0]) if np.all(error > 0) else None
    return {
        "name": run.name,
        "kind": run.kind,
        "task": TASKS.get(run.task, run.task) if run.task else None,
        "unroll": run.unroll,
        "group": run.group or None,
        "parameters": (run.network or {}).get("parameters"),
        "seeds": 0 if run.seeds == (None,) else len(run.seeds),
        "error": run.typical(metric),
        "low": finite(ratio.low) if ratio else None,
        "high": finite(ratio.high) if ratio else None,
        "median": float(np.median(error)),
        "median_state": run.typical_median(metric),
        "diverged_seeds": run.diverged_seeds,
        "diverged_tests": sum(run.test.diverged),
        "tests": len(run.seeds) * sum(s.samples for s in run.test.sets),
        **_costs(run.training),
        "inference_seconds_per_frame": run.test.seconds_per_frame,
        **{f"mean_{name}": finite(float(np.mean(values))) for name, values in run.test.metrics.items() if name != metric},
        **{f"median_{name}": finite(float(np.median(values))) for name, values in run.test.metrics.items() if name != metric},
        "by_set": _by_set(run, metric),
    }


def _costs(training: TrainingCost | None) -> dict[str, Any]:
    """Return the columns that only a trained run has; None for a baseline."""
    details = training.details if training else {}
    return {
        "updates": training.updates if training else None,
        "learning_rate": details.get("learning_rate"),
        "schedule": details.get("schedule"),
        "solver_calls_per_update": details.get("solver_calls_per_update"),
        "seconds_per_update": training.seconds_per_update if training else None,
        "training_seconds": training.seconds if training else None,
        "training_seconds_estimated": training.estimated if training else None,
        "graph_memory_mb": finite(training.graph_memory_mb) if training else None,
        "peak_resident_mb": finite(training.peak_resident_mb) if training else None,
        "skipped_updates": sum(training.skipped) if training else None,
    }


def _by_set(run: UnrollingRun, metric: str) -> dict[str, dict[str, Any]]:
    """Return, per test set, the geometric mean and the median of the error over seeds, and the mean share of the endpoint's sum over all samples."""
    shares = run.test.shares(metric)
    return {
        name: {"error": geometric_mean(error), "median": float(np.median(error)), "share": finite(float(np.mean(shares[name])))}
        for name, error in run.test.per_set(metric).items()
    }


def table(results: UnrollingResults, baselines: bool = False) -> str:
    """Return errors, costs and ratios as aligned text for a terminal.

    Args: results: of a study. baselines: whether ratios against baselines are included.
    """
    compared = [c for c in comparisons(results) if baselines or c.kind != "baseline"]
    head = ["run", "error", "95 % interval", "median", "median state", "diverged seeds", "tests", "ms/update", "graph MB", "peak MB", "us/frame"]
    title = f"{results.name}: {results.metric}, geometric mean over seeds (median: over seeds; median state: over test states)"
    parts = [f"{title}\n{aligned(head, [_line(row) for row in rows(results)])}"]
    head = ["ratio of", "ratio", "95 % interval", "medians", "median state", "p (Holm)", "", "paper"]
    for family in dict.fromkeys(c.family for c in compared):
        parts.append(f"{family}\n" + aligned(head, [_ratio(c) for c in compared if c.family == family]))
    return "\n\n".join([*parts, *_sets(results, compared)]) + "\n"


def _line(row: Mapping[str, Any]) -> list[str]:
    return [
        row["name"],
        f"{row['error']:.3g}",
        interval(row["low"], row["high"]),
        f"{row['median']:.3g}",
        f"{row['median_state']:.3g}",
        f"{row['diverged_seeds']}/{row['seeds']}" if row["seeds"] else "",
        f"{row['diverged_tests']}/{row['tests']}",
        *("" if row[key] is None else f"{row[key] * scale:.3g}" for key, scale in COSTS),
    ]


def _ratio(c: Comparison) -> list[str]:
    r = c.ratio
    p = f"{c.p_holm:.2g}" if isfinite(c.p_holm) else ""
    verdict = "significant" if c.significant else "not significant"
    ends = interval(r.low, r.high, missing="one seed: none")
    return [c.label, f"{r.ratio:.3g}", ends, f"{r.medians:.3g}", f"{c.median_state:.3g}", p, verdict, f"{c.paper:g}" if c.paper else ""]


def _sets(results: UnrollingResults, compared: Sequence[Comparison]) -> list[str]:
    """Return a table of each test set's share of the endpoint and of the ratios inside it; nothing for a single test set."""
    names = [s.name for s in results.runs[0].test.sets]
    if len(names) < 2:
        return []
    body = []
    for run in results.models:
        part = _by_set(run, results.metric)
        body.append([f"share of {run.name}", *(_percent(part[n]["share"]) for n in names)])
    for c in (c for c in compared if c.kind != "baseline"):
        label = c.label if c.kind == "task" else f"{c.label}, {c.family.rpartition(': ')[2]}"
        body.append([f"{label} ({c.group})", *(f"{c.by_set[n].ratio:.3g}" if n in c.by_set else "" for n in names)])
    return ["by test set: share of the endpoint's error, and ratios\n" + aligned(["", *names], body)]


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.0f} %"


def to_json(results: UnrollingResults, path: str | Path) -> Path:
    """Write every number of the report as JSON; null where a number does not exist."""
    content = {
        "schema": "eddygrad-results/1",
        "study": results.name,
        "metric": results.metric,
        "runs": rows(results),
        "ratios": comparison_rows(comparisons(results)),
    }
    write_json(Path(path), content)
    return Path(path)


def to_csv(results: UnrollingResults, path: str | Path) -> tuple[Path, Path]:
    """Write the runs to `path` and the ratios to `NAME-ratios.csv` in the same folder; returns both paths."""
    runs, ratios = rows(results), comparison_rows(comparisons(results))
    return write_csv_pair(Path(path), [_flat(row) for row in runs], [_flat(row) for row in ratios])


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """Write `by_set` as columns: "share D/8=1.40"."""
    parts = {f"{key} {name}": value for name, part in row["by_set"].items() for key, value in part.items()}
    return {**{k: v for k, v in row.items() if k != "by_set"}, **parts}
