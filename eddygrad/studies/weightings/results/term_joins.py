"""The endpoint before and after a term joins a running training: how much the network forgets, and whether it recovers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eddygrad.studies.shared.statistics import geometric_mean
from eddygrad.studies.shared.strict_json import CLIP, Array
from eddygrad.studies.shared.text_tables import Ranged, aligned, ranged
from eddygrad.studies.weightings.results.run import WeightingRun, frozen_updates
from eddygrad.studies.weightings.results.study_results import WeightingResults


@dataclass(frozen=True)
class TermJoin:
    """Errors of every seed (seeds,) around the update at which terms join the loss.

    The stretch after it ends where the next terms join, or with the training. Errors are known at the points of the curves only.

    Args:
        terms:   names of the terms in the loss at the first point after the join.
        updates: updates of the last point before and of the first point after the join.
        before:  error at the last point before.
        highest: largest error in the stretch. at: updates at which each seed has it.
        last:    error at the end of the stretch.
        later:   error at the point nearest to a given number of updates after the last point before; None without a number, or beyond the stretch.
    """

    run: WeightingRun
    terms: tuple[str, ...]
    updates: tuple[int, int]
    before: Array
    highest: Array
    at: Array
    last: Array
    later: Array | None = None

    def row(self) -> dict[str, Any]:
        """Return one flat row: geometric means over seeds, and the median over seeds for "at".

        "times" holds the geometric mean, the lowest and the highest of the ratios to `before`, None if an error before is zero.
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


def joins(run: WeightingRun, after: int | None = None) -> list[TermJoin]:
    """Return every point of the curves at which a term has joined since the point before.

    Only points at which the errors of all seeds are known count. A seed that diverged has the error `CLIP` from then on, as in all results. The loss
    and the weight of a term that is alone are not recorded, so a first term is named from the point on where another joins it.

    Args: run: a finished run. after: number of updates after the join for `TermJoin.later`.
    """
    error = run.curves["errors"].get(run.endpoint)
    if error is None:
        return []
    error = np.where(run.steps > frozen_updates([run])[:, None], CLIP, error)
    known = np.isfinite(error).all(0)
    steps, error = run.steps[known], error[:, known]
    losses = run.curves.get("losses", {})
    active = {name: list(map(any, np.isfinite(value[:, known]).T)) for name, value in losses.items()}
    begun = [i for i in range(1, steps.size) if any(on[i] and not on[i - 1] for on in active.values())]
    found = []
    for i, end in zip(begun, [*begun[1:], steps.size]):
        terms = tuple(name for name, on in active.items() if on[i])
        found.append(_join(run, terms, steps[i - 1 : end], error[:, i - 1 : end], after))
    return found


def _join(run: WeightingRun, terms: tuple[str, ...], steps: Array, error: Array, after: int | None) -> TermJoin:
    """Return the join whose stretch these points cover, the last point before it included."""
    stretch, later = error[:, 1:], None
    if after is not None and steps[0] + after <= steps[-1]:
        later = stretch[:, np.abs(steps[1:] - steps[0] - after).argmin()]
    updates, at = (int(steps[0]), int(steps[1])), steps[1:][stretch.argmax(1)]
    return TermJoin(run, terms, updates, error[:, 0], stretch.max(1), np.asarray(at, dtype=float), stretch[:, -1], later)


def _times(value: Array | None, before: Array) -> Ranged | None:
    if value is None or not before.all():
        return None
    ratio = value / before
    return geometric_mean(ratio), float(ratio.min()), float(ratio.max())


def rows(runs: Sequence[WeightingRun], after: int | None = None) -> list[dict[str, Any]]:
    """Return one row for each run and each update at which terms join. Args: see `joins`."""
    return [join.row() for run in runs for join in joins(run, after)]


def table(results: WeightingResults, after: int | None = None) -> str:
    """Return the rows as aligned text, one table per problem and optimiser; empty if no term joins. Args: see `joins`."""
    head = ["", "terms", "before", "highest", "times", "after", *([f"{after} later", "times"] if after is not None else []), "at last", "times"]
    tables = []
    for block, runs in results.blocks().items():
        lines = [_line(row, after) for row in rows(runs, after)]
        title = f"{results.title(block)}: {runs[0].endpoint} when terms join, geometric mean (lowest to highest seed)"
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
