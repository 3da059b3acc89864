"""What came of a comparison of loss weightings, as text, CSV and JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from eddygrad.studies.shared.statistics import Ratio, by_seed, geometric_mean, paired
from eddygrad.studies.shared.strict_json import Array
from eddygrad.studies.shared.text_tables import aligned, count, finite, write_csv, write_json
from eddygrad.studies.unrolling.results import tables
from eddygrad.studies.unrolling.results.comparisons import Comparison, corrected
from eddygrad.studies.weightings.results import coefficients, term_joins, weight_shares
from eddygrad.studies.weightings.results.load import FAILED, Results, Run, load

FIRST = "uniform"
"""The weighting to which all others are compared."""
_TOLD = 4  # settings that are missing, by name


def rows(found: Results) -> list[dict[str, Any]]:
    """One row per problem, optimiser and weighting: the endpoint with its interval over seeds, failed seeds, the published value and what it cost."""
    return [_row(run) for run in found.runs]


def _row(run: Run) -> dict[str, Any]:
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
    """Errors over seeds in six numbers: geometric mean with its 95 % t-interval on the log scale, median, lowest and highest seed.

        exp(m +- t_{n-1} s / sqrt(n)),   m and s: mean and standard deviation of log e

    Args:    error: one per seed (seeds,).
    Returns: "error", "low", "high", "median", "lowest", "highest"; no interval for one seed or an error of zero.
    """
    interval = paired(error, [1.0]) if np.all(error > 0) else None
    return {
        "error": geometric_mean(error),
        "low": finite(interval.low) if interval else None,
        "high": finite(interval.high) if interval else None,
        "median": float(np.median(error)),
        "lowest": float(error.min()),
        "highest": float(error.max()),
    }


def percent(interval: tuple[float, float]) -> str:
    """An interval of shares."""
    return f"{100 * interval[0]:.0f} to {100 * interval[1]:.0f} %"


def comparisons(found: Results) -> list[Comparison]:
    """Ratios of the endpoint, paired by seed, Holm's correction within a block, each pair once: all to `FIRST`, all to the best."""
    return [c for block, runs in found.blocks().items() for c in corrected(list(_block(found.title(block), runs)))]


def _block(title: str, runs: Sequence[Run]) -> Iterator[Comparison]:
    best = min(runs, key=lambda r: r.typical)
    first = next((r for r in runs if r.weighting == FIRST), best)
    pairs = [("first", r, first) for r in runs if r is not first]
    pairs += [("best", r, best) for r in runs if r is not best and r is not first and best is not first]
    for kind, a, b in pairs:
        ratio = between(a, b)
        if ratio is not None:
            paper = a.published / b.published if a.published and b.published else None
            label = f"{a.weighting} / {b.weighting}{' (unpaired)' if ratio.method == 'Welch t' else ''}"
            yield Comparison(title, kind, title, a.weighting, b.weighting, label, ratio, paper=paper)


def between(first: Run, second: Run) -> Ratio | None:
    """The ratio of the endpoints of two runs, paired by seed; None where an error is zero.

    Where one has seeds that the other lacks, of those that both have, if these are two at least and do not say the opposite of all.

    A diverged seed counts with the clipped error, which widens the interval whatever the others say: where the side that lost more seeds is worse on
    those that neither lost too, the p-value is theirs, and the two are `apart` where their interval says so.
    """
    if min(first.error.min(), second.error.min()) <= 0:
        return None
    shared = {*first.seeds} & {*second.seeds}
    (one, gone), (other, away) = (_endpoints(run, shared if len(shared) > 1 else {*run.seeds}) for run in (first, second))
    ratio = by_seed(one, other)
    if (ratio.ratio > 1) != (first.typical > second.typical):
        (one, gone), (other, away) = (_endpoints(run, {*run.seeds}) for run in (first, second))
        ratio = by_seed(one, other)
    more, lost = len(gone) - len(away), gone | away
    rest = [{seed: error for seed, error in own.items() if seed not in lost} for own in (one, other)]
    if not more or min(map(len, rest)) < 2:
        return ratio
    kept = by_seed(rest[0], rest[1])
    if (kept.ratio > 1) != (more > 0):
        return ratio
    return replace(ratio, p=kept.p, p_rank=kept.p_rank, apart=not kept.low <= 1 <= kept.high)


def _endpoints(run: Run, seeds: set[int]) -> tuple[dict[int, float], set[int]]:
    """Errors of these seeds, and which of them diverged."""
    every = zip(run.seeds, run.error.tolist(), run.diverged)
    kept = [(seed, error, lost) for seed, error, lost in every if seed in seeds]
    return {seed: error for seed, error, _ in kept}, {seed for seed, _, lost in kept if lost}


def ties(runs: Sequence[Run]) -> tuple[Run, list[Run]]:
    """The run with the lowest error, and those whose gap to it is below the spread of the seeds, of which there must be several."""
    best = min(runs, key=lambda r: r.typical)
    return best, [r for r in runs if r is not best and (ratio := between(r, best)) is not None and ratio.tie and isfinite(ratio.low)]


def verdict(c: Comparison) -> str:
    """A tie is a gap below the spread of the seeds: the 95 % interval of the ratio contains 1, and so does that of the seeds that neither side lost.

    One that an interval tells apart and Holm's correction does not is not shown.
    """
    if not isfinite(c.ratio.low):
        return "one seed"
    if c.ratio.tie:
        return "tie"
    return "not shown" if not c.significant else "lower" if c.ratio.ratio < 1 else "higher"


def comparison_rows(compared: Sequence[Comparison]) -> list[dict[str, Any]]:
    """One flat row per ratio; None where a number does not exist."""
    kept = [{k: v for k, v in row.items() if k not in ("by_set", "median_state", "group")} for row in tables.comparison_rows(compared)]
    return [{**row, "verdict": verdict(c)} for row, c in zip(kept, compared)]


def table(found: Results) -> str:
    """Errors, failures, costs and ratios as aligned plain text, for a terminal."""
    head = f"{found.name}: geometric mean over seeds; failed: error above {FAILED:g}, with the 95 % interval of its share"
    return "\n\n".join([head, *unfinished(found), *_tables(found)]) + "\n"


def unfinished(found: Results) -> list[str]:
    """What is still missing of the plans, as a sentence, where anything is."""
    if not found.missing:
        return []
    several = ", ".join(f"{', '.join(setting)} ({count(seeds, 'seed')})" for setting, seeds in list(found.missing.items())[:_TOLD])
    more = f" and {len(found.missing) - _TOLD} more settings" if len(found.missing) > _TOLD else ""
    return [f"not finished, {sum(found.missing.values())} of {found.planned} trainings are missing: {several}{more}"]


def _tables(found: Results) -> Iterator[str]:
    compared = comparisons(found)
    for block, runs in found.blocks().items():
        others = list(dict.fromkeys(name for run in runs for name in run.errors if name != run.endpoint))
        head = ["weighting", runs[0].endpoint, "95 % interval", "median", "lowest", "highest", "failed", "published", "times", "ms/update", *others]
        yield f"{found.title(block)}\n" + aligned(head, [_line(run, others) for run in runs])
    head = ["ratio of", "ratio", "95 % interval", "medians", "p (Holm)", "", "published"]
    for title in dict.fromkeys(c.family for c in compared):
        yield f"{title}: ratios of errors, paired by seed\n" + aligned(head, [_ratio(c) for c in compared if c.family == title])
    yield from filter(None, (coefficients.table(found), term_joins.table(found), weight_shares.table(found)))


def _line(run: Run, others: Sequence[str]) -> list[str]:
    row = _row(run)
    interval = "" if row["low"] is None else f"{row['low']:.3g} .. {row['high']:.3g}"
    published = ["", ""] if run.published is None else [f"{run.published:g}", f"{row['to_published']:.2g}"]
    return [
        run.weighting,
        f"{row['error']:.3g}",
        interval,
        *(f"{row[key]:.3g}" for key in ("median", "lowest", "highest")),
        f"{run.failed}/{len(run.seeds)} ({percent(run.failed_interval)})",
        *published,
        f"{1e3 * run.seconds_per_update:.3g}",
        *(f"{geometric_mean(run.errors[name]):.3g}" if name in run.errors else "" for name in others),
    ]


def _ratio(c: Comparison) -> list[str]:
    r = c.ratio
    interval = f"{r.low:.3g} .. {r.high:.3g}" if isfinite(r.low) else ""
    p = f"{c.p_holm:.2g}" if isfinite(c.p_holm) else ""
    return [c.label, f"{r.ratio:.3g}", interval, f"{r.medians:.3g}", p, verdict(c), f"{c.paper:.2g}" if c.paper else ""]


def to_json(found: Results, path: str | Path) -> Path:
    """Write everything that the report says in numbers; null where a number does not exist."""
    content = {"schema": "eddygrad-pinn-results/1", "study": found.name, "runs": rows(found), "ratios": comparison_rows(comparisons(found))}
    content["joins"] = term_joins.rows(found.runs)
    content["missing"] = [{**dict(zip(("problem", "weighting", "optimizer"), key)), "seeds": seeds} for key, seeds in found.missing.items()]
    write_json(Path(path), content)
    return Path(path)


def to_csv(found: Results, path: str | Path) -> tuple[Path, Path]:
    """Write the rows to `path` and the ratios beside it as `NAME-ratios.csv`; returns both."""
    path = Path(path)
    second = path.with_name(f"{path.stem}-ratios{path.suffix}")
    write_csv(path, [_flat(row) for row in rows(found)])
    write_csv(second, comparison_rows(comparisons(found)))
    return path, second


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """Seeds as text, the other errors as columns of their own: "coefficients", "coefficients low", ...; "share of pde" of the weights likewise."""
    parts = {name if key == "error" else f"{name} {key}": value for name, part in row["others"].items() for key, value in part.items()}
    parts |= {f"{name} found": values[0] for name, values in row["unknown"].items() if values}
    parts |= {f"share of {name}": share["share"] for name, share in row["shares"].items()}
    return {**{k: v for k, v in row.items() if k not in ("others", "shares", "unknown")}, "seeds": " ".join(map(str, row["seeds"])), **parts}


__all__ = [
    "FAILED",
    "FIRST",
    "Comparison",
    "Results",
    "Run",
    "between",
    "comparison_rows",
    "comparisons",
    "load",
    "percent",
    "rows",
    "spread",
    "table",
    "ties",
    "to_csv",
    "to_json",
    "verdict",
]
