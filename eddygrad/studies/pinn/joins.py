"""What becomes of the endpoint when a term joins a training that is under way: how much is forgotten, and whether it comes back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eddygrad.studies.entry import Array
from eddygrad.studies.pinn.finished import Results, Run
from eddygrad.studies.statistics import geometric_mean
from eddygrad.studies.written import aligned


@dataclass(frozen=True)
class Join:
    """Errors per seed (seeds,) around the moment when terms join; `at` and `highest` belong to the stretch until the next ones join.

    Args:
        terms:   that are there from then on.
        updates: at the last look before and at the first look after.
        before:  at the last look before. highest: each seed's largest until the next terms join, or the end; `at`: updates of it.
        last:    at the end of that stretch.
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
        """One flat row; errors are geometric means over seeds, `times` geometric means, lowest and highest of the ratios to `before`."""
        moments = {"highest": self.highest, "later": self.later, "last": self.last}
        times = {f"{name}_times": _times(value, self.before) for name, value in moments.items()}
        return {
            "problem": self.run.problem,
            "optimizer": self.run.optimizer,
            "weighting": self.run.weighting,
            "terms": list(self.terms),
            "before": geometric_mean(self.before),
            **{name: None if value is None else geometric_mean(value) for name, value in moments.items()},
            **times,
            "last_before": self.updates[0],
            "first_after": self.updates[1],
            "at": float(np.median(self.at)),
        }


def joins(run: Run, after: int | None = None) -> list[Join]:
    """Every moment when terms are there that were not at the look before; none at the first look. `after`: see `Join.later`.

    Of a term that is alone nothing is written but the error, so that it is named from the moment on when another joins it.
    """
    there: dict[str, NDArray[np.bool_]] = {name: np.asarray(np.isfinite(value).any(0)) for name, value in run.curves.get("losses", {}).items()}
    begun = np.zeros(run.steps.size, dtype=bool)
    for seen in there.values():
        begun[1:] |= seen[1:] & ~seen[:-1]
    error = run.curves["errors"].get(run.endpoint)
    if error is None:
        return []
    places = np.flatnonzero(begun).tolist()
    terms = [tuple(name for name, seen in there.items() if seen[i]) for i in places]
    return [_join(run, error, names, i, end, after) for names, i, end in zip(terms, places, [*places[1:], run.steps.size])]


def _join(run: Run, error: Array, terms: tuple[str, ...], i: int, end: int, after: int | None) -> Join:
    steps, stretch, before = run.steps[i:end], error[:, i:end], error[:, i - 1]
    later = None
    if after is not None and run.steps[i - 1] + after <= steps[-1]:
        later = stretch[:, np.abs(steps - run.steps[i - 1] - after).argmin()]
    top = np.nanargmax(stretch, 1)
    updates = int(run.steps[i - 1]), int(steps[0])
    return Join(run, terms, updates, before, np.nanmax(stretch, 1), steps[top].astype(float), stretch[:, -1], later)


def _times(value: Array | None, before: Array) -> list[float] | None:
    if value is None:
        return None
    ratio = value / before
    return [geometric_mean(ratio), float(ratio.min()), float(ratio.max())]


def rows(found: Results, after: int | None = None) -> list[dict[str, Any]]:
    """One row for each run and each moment when terms join."""
    return [join.row() for run in found.runs for join in joins(run, after)]


def table(found: Results, after: int | None = None) -> str:
    """The rows as aligned plain text; empty where no term joins."""
    head = ["", "terms", "before", "highest", "times", "after", *([f"{after} later", "times"] if after is not None else []), "at last", "times"]
    lines = [_line(row, after) for row in rows(found, after)]
    title = f"{found.name}: {found.runs[0].endpoint} when terms join, geometric mean (lowest to highest seed)"
    return f"{title}\n{aligned(head, lines)}" if lines else ""


def _line(row: dict[str, Any], after: int | None) -> list[str]:
    moments = [*_moment(row, "highest"), f"{row['at'] - row['last_before']:.0f} updates"]
    later = _moment(row, "later") if after is not None else []
    return [row["weighting"], ", ".join(row["terms"]), f"{row['before']:.3g}", *moments, *later, *_moment(row, "last")]


def _moment(row: dict[str, Any], name: str) -> Iterator[str]:
    times = row[f"{name}_times"]
    yield "" if times is None else f"{row[name]:.3g}"
    yield "" if times is None else "{:.3g} ({:.3g} .. {:.3g})".format(*times)
