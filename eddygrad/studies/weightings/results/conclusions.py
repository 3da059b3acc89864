"""The answer of a comparison of loss weightings in words, from its numbers: which is best, what ties with it, how far below uniform it is."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from eddygrad.plotting.style import factor, number
from eddygrad.studies.shared.statistics import Ratio
from eddygrad.studies.shared.text_tables import count, listed
from eddygrad.studies.unrolling.results.conclusions import Verdict
from eddygrad.studies.weightings.results.tables import FAILED, FIRST, Comparison, Results, Run, between, comparisons, ties


def verdicts(found: Results) -> list[Verdict]:
    """One verdict per problem and optimiser."""
    compared = comparisons(found)
    return [_verdict(found.title(block), runs, [c for c in compared if c.family == found.title(block)]) for block, runs in found.blocks().items()]


def _verdict(title: str, runs: Sequence[Run], compared: Sequence[Comparison]) -> Verdict:
    best, equals = ties(runs)
    basis = f"{best.weighting} reaches {best.endpoint} {number(best.typical)}, the geometric mean over {count(len(best.seeds), 'seed')}."
    sentences = [basis, *_published(best), *_to_first(best, equals, runs), *_failed(runs)]
    rivals = [r for r in runs if r is not best]
    if not rivals:
        return Verdict(title, f"Only {best.weighting} was run: nothing to compare.", "", tuple(sentences))
    ratios = [(r, ratio) for r in rivals if (ratio := between(r, best)) is not None]
    if ratios and not any(isfinite(ratio.low) for _, ratio in ratios):
        said = f"{best.weighting} is lowest; one seed cannot tell whether that is more than chance."
        return Verdict(title, said, "not shown", tuple(sentences))
    lost, alone = _lost(best, compared), [r.weighting for r, ratio in ratios if not isfinite(ratio.low)]
    ratios = [(r, ratio) for r, ratio in ratios if isfinite(ratio.low)]
    sentences += [f"One seed cannot tell of {listed(alone)}."] if alone else []
    mark = "not shown" if len(equals) + len(lost) + len(alone) == len(rivals) else "tie"
    if not equals and lost:
        said = f"{best.weighting} is lowest; after Holm's correction its gap to {listed(lost)} is not significant."
        return Verdict(title, said, mark, (*sentences, *_corrected(lost, compared)))
    if not equals and alone:
        said = f"{best.weighting} is lowest; one seed cannot tell whether its gap to {listed(alone)} is more than chance."
        return Verdict(title, said, mark, tuple(sentences))
    if not equals:
        nearest, ratio = min(ratios, key=lambda pair: pair[1].ratio, default=(rivals[0], None))
        gap = f": {factor(ratio.ratio)} times below {nearest.weighting}, the next" if ratio else ""
        return Verdict(title, f"{best.weighting} is best{gap}.", "clear", tuple(sentences))
    names = [r.weighting for r in equals]
    headline = f"{best.weighting} is lowest; {listed(names)} {'ties' if len(names) == 1 else 'tie'} with it."
    tied = f"A tie: the 95 % interval of the ratio of errors contains 1 ({_intervals(best, equals)})."
    return Verdict(title, headline, mark, (*sentences, tied, *_corrected(lost, compared)))


def _published(best: Run) -> list[str]:
    if not best.published:
        return []
    times = best.typical / best.published
    return [f"Published: {number(best.published)}, {factor(times if times >= 1 else 1 / times)} times {'below' if times >= 1 else 'above'}."]


def _to_first(best: Run, equals: Sequence[Run], runs: Sequence[Run]) -> list[str]:
    first = next((r for r in runs if r.weighting == FIRST), None)
    if first is None or first is best:
        return [f"{FIRST} itself is the lowest."] if first else []
    ratio = between(best, first)
    if ratio is None:
        return []
    if first in equals:
        return [f"Against {FIRST}: {factor(ratio.ratio)} times its error{_ends(ratio)}, not shown to differ."]
    inverse = Ratio(1 / ratio.ratio, 1 / ratio.high, 1 / ratio.low, ratio.p, ratio.p_rank, 1 / ratio.medians, ratio.sizes, ratio.method)
    return [f"{FIRST} has {factor(inverse.ratio)} times its error{_ends(inverse)}."]


def _ends(r: Ratio) -> str:
    return f" (95 % interval {factor(r.low)} to {factor(r.high)})" if isfinite(r.low) else ""


def _intervals(best: Run, equals: Sequence[Run]) -> str:
    parts = [f"{r.weighting} {factor(ratio.low)} to {factor(ratio.high)}" for r in equals if (ratio := between(r, best)) is not None]
    return "; ".join(parts)


def _lost(best: Run, compared: Sequence[Comparison]) -> list[str]:
    """Rivals that the intervals tell from the best and Holm's correction does not."""
    pairs = [(c.first if c.second == best.weighting else c.second, c) for c in compared if best.weighting in (c.first, c.second)]
    return [rival for rival, c in pairs if isfinite(c.ratio.low) and not (c.ratio.tie or c.significant)]


def _corrected(lost: Sequence[str], compared: Sequence[Comparison]) -> list[str]:
    return [f"After Holm's correction over {count(len(compared), 'ratio')} the gap to {listed(lost)} is not significant."] if lost else []


def _failed(runs: Sequence[Run]) -> list[str]:
    lost = [f"{sum(r.diverged)} with {r.weighting}" for r in runs if any(r.diverged)]
    diverged = [f"Diverged, counted with the clipped error: {listed(lost)}."] if lost else []
    limit = f"(error above {FAILED:g})"
    if not any(r.failed for r in runs):
        return [f"No run failed {limit}.", *diverged]
    if len(runs) > 1 and all(r.failed == len(r.seeds) for r in runs):
        return [f"Every run failed {limit}.", *diverged]
    shares: dict[str, list[str]] = {}
    for r in sorted((r for r in runs if r.failed), key=lambda r: r.failed / len(r.seeds)):
        shares.setdefault(f"{r.failed} of {len(r.seeds)}", []).append(r.weighting)
    parts = "; ".join(f"{share} with {listed(names)}" for share, names in shares.items())
    return [f"Failed runs {limit}: {parts}.", *diverged]
