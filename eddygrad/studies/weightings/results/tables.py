"""The results of a comparison of loss weightings as text, CSV and JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from eddygrad.studies.shared import comparison
from eddygrad.studies.shared.comparison import Comparison
from eddygrad.studies.shared.statistics import geometric_mean, paired
from eddygrad.studies.shared.strict_json import Array
from eddygrad.studies.shared.text_tables import aligned, count, finite, interval, write_csv_pair, write_json
from eddygrad.studies.weightings.results import coefficients, term_joins, weight_shares
from eddygrad.studies.weightings.results.comparisons import comparisons, verdict
from eddygrad.studies.weightings.results.run import FAILED, WeightingRun
from eddygrad.studies.weightings.results.study_results import WeightingResults

_NAMED = 4  # missing settings that are listed by name


def rows(results: WeightingResults) -> list[dict[str, Any]]:
    """Return one row per run: the endpoint with its interval over seeds, failed seeds, the published value and costs; None if missing."""
    return [_row(run) for run in results.runs]


def _row(run: WeightingRun) -> dict[str, Any]:
    return {
        "problem": run.problem,
        "optimizer": run.optimizer,
        "weighting": run.weighting,
        "endpoint": run.endpoint,
        "seeds": list(run.seeds),
        **spread(run.error),
        "failed": run.failed,
        "failed_share": run.failed / len(run.seeds),
        "failed_low": run.failed_interval[0],
        "failed_high": run.failed_interval[1],
        "diverged": sum(run.diverged),
        "published": run.published,
        "to_published": run.typical / run.published if run.published else None,
        "updates": run.updates,
        "learning_rate": run.learning_rate,
        "schedule": run.schedule,
        "seconds_per_update": run.seconds_per_update,
        "seconds": run.seconds,
        "threads": run.threads,
        "network": run.made.get("network"),
        "parameters": run.made.get("parameters"),
        "unknown": {name: coefficients.spread(run, name) for name in run.unknown},
        "shares": {name: dict(zip(("share", "lowest", "highest"), share)) for name, share in weight_shares.shares(run).items()},
        "others": {name: spread(value) for name, value in run.errors.items() if name != run.endpoint},
    }


def spread(error: Array) -> dict[str, float | None]:
    """Return six numbers for errors over seeds: geometric mean, its 95 % t-interval on the log scale, median, lowest and highest seed.

        exp(m +- t_{n-1} s / sqrt(n)),   m and s: mean and standard deviation of log e

    Args:    error: one per seed (seeds,).
    Returns: "error", "low", "high", "median", "lowest", "highest"; no interval for one seed or an error of zero.
    """
    ratio = paired(error, [1.0]) if np.all(error > 0) else None
    return {
        "error": geometric_mean(error),
        "low": finite(ratio.low) if ratio else None,
        "high": finite(ratio.high) if ratio else None,
        "median": float(np.median(error)),
        "lowest": float(error.min()),
        "highest": float(error.max()),
    }


def percent(ends: tuple[float, float]) -> str:
    """Return an interval of shares as text: "3 to 40 %"."""
    return f"{100 * ends[0]:.0f} to {100 * ends[1]:.0f} %"


def comparison_rows(compared: Sequence[Comparison]) -> list[dict[str, Any]]:
    """Return one flat row per ratio with its verdict; None where a number does not exist."""
    kept = [{k: v for k, v in row.items() if k not in ("by_set", "median_state", "group")} for row in comparison.comparison_rows(compared)]
    return [{**row, "verdict": verdict(c)} for row, c in zip(kept, compared)]


def table(results: WeightingResults) -> str:
    """Return errors, failed seeds, costs and ratios as aligned text for a terminal."""
    head = f"{results.name}: geometric mean over seeds; failed: error above {FAILED:g}, with the 95 % interval of its share"
    return "\n\n".join([head, *unfinished(results), *_tables(results)]) + "\n"


def unfinished(results: WeightingResults) -> list[str]:
    """Return a sentence that lists the planned trainings without a finished run; nothing if all are finished."""
    if not results.missing:
        return []
    several = ", ".join(f"{', '.join(setting)} ({count(seeds, 'seed')})" for setting, seeds in list(results.missing.items())[:_NAMED])
    more = f" and {len(results.missing) - _NAMED} more settings" if len(results.missing) > _NAMED else ""
    return [f"not finished, {sum(results.missing.values())} of {results.planned} trainings are missing: {several}{more}"]


def _tables(results: WeightingResults) -> Iterator[str]:
    compared = comparisons(results)
    for block, runs in results.blocks().items():
        others = list(dict.fromkeys(name for run in runs for name in run.errors if name != run.endpoint))
        head = ["weighting", runs[0].endpoint, "95 % interval", "median", "lowest", "highest", "failed", "published", "times", "ms/update", *others]
        yield f"{results.title(block)}\n" + aligned(head, [_line(run, others) for run in runs])
    head = ["ratio of", "ratio", "95 % interval", "medians", "p (Holm)", "", "published"]
    for title in dict.fromkeys(c.family for c in compared):
        yield f"{title}: ratios of errors, paired by seed\n" + aligned(head, [_ratio(c) for c in compared if c.family == title])
    yield from filter(None, (coefficients.table(results), term_joins.table(results), weight_shares.table(results)))


def _line(run: WeightingRun, others: Sequence[str]) -> list[str]:
    row = _row(run)
    published = ["", ""] if run.published is None else [f"{run.published:g}", f"{row['to_published']:.2g}"]
    return [
        run.weighting,
        f"{row['error']:.3g}",
        interval(row["low"], row["high"]),
        *(f"{row[key]:.3g}" for key in ("median", "lowest", "highest")),
        f"{run.failed}/{len(run.seeds)} ({percent(run.failed_interval)})",
        *published,
        f"{1e3 * run.seconds_per_update:.3g}",
        *(f"{geometric_mean(run.errors[name]):.3g}" if name in run.errors else "" for name in others),
    ]


def _ratio(c: Comparison) -> list[str]:
    r = c.ratio
    p = f"{c.p_holm:.2g}" if isfinite(c.p_holm) else ""
    return [c.label, f"{r.ratio:.3g}", interval(r.low, r.high), f"{r.medians:.3g}", p, verdict(c), f"{c.paper:.2g}" if c.paper else ""]


def to_json(results: WeightingResults, path: str | Path) -> Path:
    """Write every number of the report as JSON; null where a number does not exist."""
    content = {
        "schema": "eddygrad-pinn-results/1",
        "study": results.name,
        "runs": rows(results),
        "ratios": comparison_rows(comparisons(results)),
        "joins": term_joins.rows(results.runs),
        "missing": [{**dict(zip(("problem", "weighting", "optimizer"), key)), "seeds": seeds} for key, seeds in results.missing.items()],
    }
    write_json(Path(path), content)
    return Path(path)


def to_csv(results: WeightingResults, path: str | Path) -> tuple[Path, Path]:
    """Write the runs to `path` and the ratios to `NAME-ratios.csv` in the same folder; returns both paths."""
    return write_csv_pair(Path(path), [_flat(row) for row in rows(results)], comparison_rows(comparisons(results)))


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """Write nested entries of a row as columns: "coefficients", "coefficients low", "nu found", "share of pde"; seeds become text."""
    parts = {name if key == "error" else f"{name} {key}": value for name, part in row["others"].items() for key, value in part.items()}
    parts |= {f"{name} found": values[0] for name, values in row["unknown"].items() if values}
    parts |= {f"share of {name}": share["share"] for name, share in row["shares"].items()}
    return {**{k: v for k, v in row.items() if k not in ("others", "shares", "unknown")}, "seeds": " ".join(map(str, row["seeds"])), **parts}
