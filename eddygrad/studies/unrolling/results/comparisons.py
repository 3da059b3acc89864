"""The ratios of a comparison of unrolling modalities: modality against modality, prediction against correction, models against baselines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np

from eddygrad.studies.shared.comparison import Comparison, corrected
from eddygrad.studies.shared.statistics import Ratio, by_seed, paired
from eddygrad.studies.shared.strict_json import Array
from eddygrad.studies.unrolling.results.run import TASKS, UnrollingRun
from eddygrad.studies.unrolling.results.study_results import UnrollingResults

PAPER_PREDICTION_TO_CORRECTION = 4.5  # List et al. 2024, abstract: prediction with WIG / correction with NOG
# Ratios of List et al. 2024 at a setting and a number of parameters; their solver for Kolmogorov flow is a PISO scheme.
PAPER_MODALITIES = {("kolmogorov", "correct", 32_376): {("nog:4", "one"): 1.00, ("wig:4", "one"): 0.89}}


def compare(first: UnrollingRun, second: UnrollingRun, metric: str = "rellinf", level: float = 0.95) -> Ratio:
    """Return the ratio of the errors of two runs: paired if the seeds agree or `second` has none, else unpaired.

    Args: first: run above the line. second: run below it. metric: the error. level: of the interval.
    """
    return _ratio(first, second, first.error(metric), second.error(metric), level)


def _ratio(first: UnrollingRun, second: UnrollingRun, a: Array, b: Array, level: float) -> Ratio:
    if second.seeds == (None,):
        return paired(a, b, level)
    return by_seed(dict(zip(first.seeds, a)), dict(zip(second.seeds, b)), level)


def compare_by_set(first: UnrollingRun, second: UnrollingRun, metric: str = "rellinf", level: float = 0.95) -> dict[str, Ratio]:
    """Return the ratio inside each test set, {set: ratio}, without sets in which an error is zero. Args: see `compare`."""
    a, b = first.test.per_set(metric), second.test.per_set(metric)
    return {name: _ratio(first, second, a[name], b[name], level) for name in a if np.all(a[name] > 0) and np.all(b[name] > 0)}


@dataclass(frozen=True)
class _Pair:
    """Two runs to compare, with their place in a family."""

    kind: str
    family: str
    first: UnrollingRun
    second: UnrollingRun
    label: str
    paper: float | None = None


def comparisons(results: UnrollingResults, level: float = 0.95) -> list[Comparison]:
    """Return the ratios of the three kinds of families, each family corrected by Holm.

    modality: all pairs within a task: NOG / ONE, WIG / ONE, WIG / NOG;
    task:     prediction / correction per group, with WIG / NOG as in the paper, else with the same modality;
    baseline: each model against each baseline, without baselines that compute the reference itself.
    """
    families: dict[str, list[Comparison]] = {}
    for pair in [*_modalities(results), *_tasks(results), *_baselines(results)]:
        families.setdefault(pair.family, []).append(_compared(pair, results.metric, level))
    return [c for family in families.values() for c in corrected(family)]


def _compared(pair: _Pair, metric: str, level: float) -> Comparison:
    first, second = pair.first, pair.second
    below = second.typical_median(metric)
    return Comparison(
        pair.family,
        pair.kind,
        first.group,
        first.name,
        second.name,
        pair.label,
        compare(first, second, metric, level),
        paper=pair.paper,
        by_set=compare_by_set(first, second, metric, level) if len(first.test.sets) > 1 else {},
        median_state=first.typical_median(metric) / below if below else float("nan"),
    )


def _modalities(results: UnrollingResults) -> Iterator[_Pair]:
    for (group, task), runs in results.blocks().items():
        published = PAPER_MODALITIES.get((results.recipe, task, (runs[0].network or {}).get("parameters", 0)), {})
        for b, a in combinations(runs, 2):
            paper = published.get((a.unroll or "", b.unroll or ""))
            yield _Pair("modality", f"{group}: {TASKS.get(task, task)}", a, b, f"{a.short} / {b.short}", paper)


def _tasks(results: UnrollingResults) -> Iterator[_Pair]:
    blocks = results.blocks()
    for group, task in blocks:
        if task == "predict" and (group, "correct") in blocks:
            for a, b in product(blocks[group, "predict"], blocks[group, "correct"]):
                of_paper = (a.modality, b.modality) == ("WIG", "NOG") and a.reach == b.reach
                if of_paper or a.unroll == b.unroll:
                    label = f"prediction {a.short} / correction {b.short}"
                    yield _Pair("task", f"{group}: prediction / correction", a, b, label, PAPER_PREDICTION_TO_CORRECTION if of_paper else None)


def _baselines(results: UnrollingResults) -> Iterator[_Pair]:
    for (group, task), runs in results.blocks().items():
        for a, b in product(runs, results.baselines):
            if not results.exact(b):
                yield _Pair("baseline", f"{group}: {TASKS.get(task, task)} against baselines", a, b, f"{a.label} / {b.name}")
