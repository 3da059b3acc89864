"""The ratios of a comparison of loss weightings: every weighting over uniform weights and over the best, with ties and Holm's correction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import isfinite

from eddygrad.studies.shared.comparison import Comparison, corrected
from eddygrad.studies.shared.statistics import Ratio, by_seed
from eddygrad.studies.weightings.results.run import WeightingRun
from eddygrad.studies.weightings.results.study_results import WeightingResults

FIRST = "uniform"
"""The weighting with which all others are compared."""


def comparisons(results: WeightingResults) -> list[Comparison]:
    """Return the ratios of the endpoint within each block, each pair once: all weightings over `FIRST`, and all over the best.

    Ratios are paired by seed, p-values are corrected by Holm within a block.
    """
    return [c for block, runs in results.blocks().items() for c in corrected(list(_block(results.title(block), runs)))]


def _block(title: str, runs: Sequence[WeightingRun]) -> Iterator[Comparison]:
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


def between(first: WeightingRun, second: WeightingRun) -> Ratio | None:
    """Return the ratio of the endpoints of two runs, paired by seed; None if an error is zero.

    If one run has seeds that the other lacks, only the shared seeds count, provided that there are at least two and that their ratio lies on the
    same side of 1 as the ratio of all seeds.

    A diverged seed counts with the clipped error, which widens the interval whatever the other seeds show. So if one run lost more seeds, and is also
    worse on the seeds that neither run lost, the p-values are those of these seeds, and `apart` is set if their interval excludes 1.
    """
    if min(first.error.min(), second.error.min()) <= 0:
        return None
    shared = {*first.seeds} & {*second.seeds}
    (one, first_lost), (other, second_lost) = (_endpoints(run, shared if len(shared) > 1 else {*run.seeds}) for run in (first, second))
    ratio = by_seed(one, other)
    if (ratio.ratio > 1) != (first.typical > second.typical):
        (one, first_lost), (other, second_lost) = (_endpoints(run, {*run.seeds}) for run in (first, second))
        ratio = by_seed(one, other)
    more, lost = len(first_lost) - len(second_lost), first_lost | second_lost
    rest = [{seed: error for seed, error in own.items() if seed not in lost} for own in (one, other)]
    if not more or min(map(len, rest)) < 2:
        return ratio
    kept = by_seed(rest[0], rest[1])
    if (kept.ratio > 1) != (more > 0):
        return ratio
    return replace(ratio, p=kept.p, p_rank=kept.p_rank, apart=not kept.low <= 1 <= kept.high)


def _endpoints(run: WeightingRun, seeds: set[int]) -> tuple[dict[int, float], set[int]]:
    """Return the errors of these seeds, {seed: error}, and the seeds among them that diverged."""
    kept = [(seed, error, lost) for seed, error, lost in zip(run.seeds, run.error.tolist(), run.diverged) if seed in seeds]
    return {seed: error for seed, error, _ in kept}, {seed for seed, _, lost in kept if lost}


def ties(runs: Sequence[WeightingRun]) -> tuple[WeightingRun, list[WeightingRun]]:
    """Return the run with the lowest error, and the runs that tie with it: the 95 % interval of their ratio to it contains 1.

    A ratio without an interval, from one seed, is no tie.
    """
    best = min(runs, key=lambda r: r.typical)
    return best, [r for r in runs if r is not best and (ratio := between(r, best)) is not None and ratio.tie and isfinite(ratio.low)]


def verdict(c: Comparison) -> str:
    """Return the outcome of a comparison in one or two words.

    "one seed":        one seed gives no interval.
    "tie":             the 95 % interval of the ratio contains 1, and so does the interval of the seeds that neither run lost.
    "not shown":       the interval excludes 1, but the ratio is not significant after Holm's correction.
    "lower", "higher": the error of the first weighting is significantly lower or higher.
    """
    if not isfinite(c.ratio.low):
        return "one seed"
    if c.ratio.tie:
        return "tie"
    return "not shown" if not c.significant else "lower" if c.ratio.ratio < 1 else "higher"
