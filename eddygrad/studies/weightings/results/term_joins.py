"""What becomes of the endpoint when a term joins a training that is under way: how much is forgotten, and whether it comes back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eddygrad.studies.shared.statistics import geometric_mean
from eddygrad.studies.shared.strict_json import CLIP, Array
from eddygrad.studies.shared.text_tables import Ranged, aligned, ranged
from eddygrad.studies.weightings.results.load import Results, Run


@dataclass(frozen=True)
class Join:
    """Errors per seed (seeds,) around the moment when terms join; the stretch after it ends where the next ones join, or with the training.

    Args:
        terms:   that are there at the first look after.
        updates: at the last look before and at the first look after.
        before:  at the last look before. highest: each seed's largest of the stretch; `at`: updates of it. last: at the end of the stretch.
        later:   at the look nearest to so many updates after the last look before; None where that was not asked for, or lies beyond the stretch.
    """

    run: Run
    terms: tuple[str, ...]
    updates: tuple[int, int]
    before: Array
    highest: Array
    at: Array
    last: Array
    later: Array | None = None

    def row(self) -> dict[str, Any]:
        """One flat row: geometric means over seeds, "times" the geometric mean, lowest and highest of the ratios to `before`, "at" the median.

        No "times" where an error before is zero.
        """
        moments = {"highest": self.highest, "later": self.later, "last": self.last}
        return {
            "problem": self.run.problem,
            "optimizer": self.run.optimizer,
            "weighting": self.run.weighting,
            "terms": list(self.terms),
            "before": geometric_mean(self.before),
            **{name: None if value is None else geometric_mean(value) for name, value in moments.items()},
            **{f"{name}_times": _times(value, self.before) for name, value in moments.items()},
            "last_before": self.updates[0],
            "first_after": self.updates[1],
            "at": float(np.median(self.at)),
        }


def joins(run: Run, after: int | None = None) -> list[Join]:
    """Every moment when terms are there that were not at the look before; none at the first look. `after`: see `Join.later`.

    Looks are those at which the errors of all seeds are known. A seed that diverged has the error `CLIP` from then on, as in all results. Of a term
    that is alone nothing is written but the error, so that it is named from the moment on when another joins it.
    """
    error = run.curves["errors"].get(run.endpoint)
    if error is None:
        return []
    frozen = np.array([at if at >= 0 else np.inf for at in run.frozen_at])
    error = np.where(run.steps > frozen[:, None], CLIP, error)
    looked = np.isfinite(error).all(0)
    steps, error = run.steps[looked], error[:, looked]
    losses = run.curves.get("losses", {})
    there = {name: list(map(any, np.isfinite(value[:, looked]).T)) for name, value in losses.items()}
    begun = [i for i in range(1, steps.size) if any(seen[i] and not seen[i - 1] for seen in there.values())]
    found = []
    for i, end in zip(begun, [*begun[1:], steps.size]):
        terms = tuple(name for name, seen in there.items() if seen[i])
        found.append(_join(run, terms, steps[i - 1 : end], error[:, i - 1 : end], after))
    return found


def _join(run: Run, terms: tuple[str, ...], steps: Array, error: Array, after: int | None) -> Join:
    """From the last look before to the end of the stretch."""
    stretch, later = error[:, 1:], None
    if after is not None and steps[0] + after <= steps[-1]:
        later = stretch[:, np.abs(steps[1:] - steps[0] - after).argmin()]
    updates, at = (int(steps[0]), int(steps[1])), steps[1:][stretch.argmax(1)]
    return Join(run, terms, updates, error[:, 0], stretch.max(1), np.asarray(at, dtype=float), stretch[:, -1], later)


def _times(value: Array | None, before: Array) -> Ranged | None:
    if value is None or not before.all():
        return None
    ratio = value / before
    return geometric_mean(ratio), float(ratio.min()), float(ratio.max())


def rows(runs: Sequence[Run], after: int | None = None) -> list[dict[str, Any]]:
    """One row for each run and each moment when terms join."""
    return [join.row() for run in runs for join in joins(run, after)]


def table(found: Results, after: int | None = None) -> str:
    """The rows as aligned plain text, a table for each problem and optimiser; empty where no term joins."""
    head = ["", "terms", "before", "highest", "times", "after", *([f"{after} later", "times"] if after is not None else []), "at last", "times"]
    tables = []
    for block, runs in found.blocks().items():
        lines = [_line(row, after) for row in rows(runs, after)]
        title = f"{found.title(block)}: {runs[0].endpoint} when terms join, geometric mean (lowest to highest seed)"
        tables += [f"{title}\n{aligned(head, lines)}"] if lines else []
    return "\n\n".join(tables)


def _line(row: Mapping[str, Any], after: int | None) -> list[str]:
    moments = [*_moment(row, "highest"), f"{row['at'] - row['last_before']:.0f} updates"]
    later = _moment(row, "later") if after is not None else []
    return [row["weighting"], ", ".join(row["terms"]), f"{row['before']:.3g}", *moments, *later, *_moment(row, "last")]


def _moment(row: Mapping[str, Any], name: str) -> Iterator[str]:
    value = row[name]
    yield "" if value is None else f"{value:.3g}"
    yield ranged(row[f"{name}_times"])
