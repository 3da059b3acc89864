"""The conclusions of a comparison of loss weightings in words: which is best, which tie with it, and how it compares with uniform weights."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from eddygrad.plotting.html import Verdict
from eddygrad.plotting.style import factor, number
from eddygrad.studies.shared.comparison import Comparison
from eddygrad.studies.shared.statistics import Ratio
from eddygrad.studies.shared.text_tables import count, listed
from eddygrad.studies.weightings.results.comparisons import FIRST, between, comparisons, ties
from eddygrad.studies.weightings.results.run import FAILED, WeightingRun
from eddygrad.studies.weightings.results.study_results import WeightingResults


def verdicts(results: WeightingResults) -> list[Verdict]:
    """Return one verdict per problem and optimiser."""
    compared = comparisons(results)
    titles = {results.title(block): runs for block, runs in results.blocks().items()}
    return [_verdict(title, runs, [c for c in compared if c.family == title]) for title, runs in titles.items()]


def _verdict(title: str, runs: Sequence[WeightingRun], compared: Sequence[Comparison]) -> Verdict:
    best, tied = ties(runs)
    basis = f"{best.weighting} reaches {best.endpoint} {number(best.typical)}, the geometric mean over {count(len(best.seeds), 'seed')}."
    sentences = [basis, *_published(best), *_to_first(best, tied, runs), *_failed(runs)]
    rivals = [r for r in runs if r is not best]
    if not rivals:
        return Verdict(title, f"Only {best.weighting} was run: nothing to compare.", "", tuple(sentences))
    all_ratios = [(r, ratio) for r in rivals if (ratio := between(r, best)) is not None]
    ratios = [(r, ratio) for r, ratio in all_ratios if isfinite(ratio.low)]
    if all_ratios and not ratios:
        said = f"{best.weighting} is lowest; one seed cannot show whether that is more than chance."
        return Verdict(title, said, "not shown", tuple(sentences))
    lost, single = _not_significant(best, compared), [r.weighting for r, ratio in all_ratios if not isfinite(ratio.low)]
    sentences += [f"Only one seed compares with {listed(single)}: no interval."] if single else []
    mark = "not shown" if len(tied) + len(lost) + len(single) == len(rivals) else "tie"
    if tied:
        names = [r.weighting for r in tied]
        headline = f"{best.weighting} is lowest; {listed(names)} {'ties' if len(names) == 1 else 'tie'} with it."
        tie = f"A tie: the 95 % interval of the ratio of errors contains 1 ({_intervals(best, tied)})."
        return Verdict(title, headline, mark, (*sentences, tie, *_corrected(lost, compared)))
    if lost:
        said = f"{best.weighting} is lowest; after Holm's correction its gap to {listed(lost)} is not significant."
        return Verdict(title, said, mark, (*sentences, *_corrected(lost, compared)))
    if single:
        said = f"{best.weighting} is lowest; one seed cannot show whether its gap to {listed(single)} is more than chance."
        return Verdict(title, said, mark, tuple(sentences))
    return Verdict(title, f"{best.weighting} is best{_gap(ratios)}.", "clear", tuple(sentences))


def _gap(ratios: Sequence[tuple[WeightingRun, Ratio]]) -> str:
    """Return how far the best lies below the next, given the ratios of its rivals to it."""
    if not ratios:
        return ""
    nearest, ratio = min(ratios, key=lambda pair: pair[1].ratio)
    return f": {factor(ratio.ratio)} times below {nearest.weighting}, the next"


def _published(best: WeightingRun) -> list[str]:
    if not best.published:
        return []
    times = best.typical / best.published
    return [f"Published: {number(best.published)}, {factor(times if times >= 1 else 1 / times)} times {'below' if times >= 1 else 'above'}."]


def _to_first(best: WeightingRun, tied: Sequence[WeightingRun], runs: Sequence[WeightingRun]) -> list[str]:
    """Return a sentence that compares the best with the weighting `FIRST`."""
    first = next((r for r in runs if r.weighting == FIRST), None)
    if first is None or first is best:
        return [f"{FIRST} itself is the lowest."] if first else []
    ratio = between(best, first)
    if ratio is None:
        return []
    if first in tied:
        return [f"{best.weighting} has {factor(ratio.ratio)} times the error of {FIRST}{_ends(ratio)}, not shown to differ."]
    inverse = Ratio(1 / ratio.ratio, 1 / ratio.high, 1 / ratio.low, ratio.p, ratio.p_rank, 1 / ratio.medians, ratio.sizes, ratio.method)
    return [f"{FIRST} has {factor(inverse.ratio)} times its error{_ends(inverse)}."]


def _ends(r: Ratio) -> str:
    return f" (95 % interval {factor(r.low)} to {factor(r.high)})" if isfinite(r.low) else ""


def _intervals(best: WeightingRun, tied: Sequence[WeightingRun]) -> str:
    parts = [f"{r.weighting} {factor(ratio.low)} to {factor(ratio.high)}" for r in tied if (ratio := between(r, best)) is not None]
    return "; ".join(parts)


def _not_significant(best: WeightingRun, compared: Sequence[Comparison]) -> list[str]:
    """Return the rivals whose interval excludes a tie with the best, but whose ratio is not significant after Holm's correction."""
    pairs = [(c.first if c.second == best.weighting else c.second, c) for c in compared if best.weighting in (c.first, c.second)]
    return [rival for rival, c in pairs if isfinite(c.ratio.low) and not (c.ratio.tie or c.significant)]


def _corrected(lost: Sequence[str], compared: Sequence[Comparison]) -> list[str]:
    return [f"After Holm's correction over {count(len(compared), 'ratio')} the gap to {listed(lost)} is not significant."] if lost else []


def _failed(runs: Sequence[WeightingRun]) -> list[str]:
    """Return sentences that count failed and diverged seeds."""
    lost = [f"{sum(r.diverged)} with {r.weighting}" for r in runs if any(r.diverged)]
    diverged = [f"Diverged seeds, counted with the clipped error: {listed(lost)}."] if lost else []
    limit = f"(error above {FAILED:g})"
    if not any(r.failed for r in runs):
        return [f"No seed failed {limit}.", *diverged]
    if len(runs) > 1 and all(r.failed == len(r.seeds) for r in runs):
        return [f"Every seed failed {limit}.", *diverged]
    shares: dict[str, list[str]] = {}
    for r in sorted((r for r in runs if r.failed), key=lambda r: r.failed / len(r.seeds)):
        shares.setdefault(f"{r.failed} of {len(r.seeds)}", []).append(r.weighting)
    parts = "; ".join(f"{share} with {listed(names)}" for share, names in shares.items())
    return [f"Failed seeds {limit}: {parts}.", *diverged]
