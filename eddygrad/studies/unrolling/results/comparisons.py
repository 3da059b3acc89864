"""What is compared in a study: ratios of errors with their intervals, in families, and inside each test set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, product

import numpy as np

from eddygrad.studies.shared.statistics import Ratio, by_seed, holm, paired
from eddygrad.studies.unrolling.results.load import Study
from eddygrad.studies.unrolling.results.run import TASKS, Array, Run

PAPER_PREDICTION_TO_CORRECTION = 4.5  # List et al. 2024, abstract: prediction with WIG / correction with NOG
# Ratios of List et al. 2024 at a setting and a number of parameters; their solver for Kolmogorov flow is a PISO scheme.
PAPER_MODALITIES = {("kolmogorov", "correct", 32_376): {("nog:4", "one"): 1.00, ("wig:4", "one"): 0.89}}


@dataclass(frozen=True)
class Comparison:
    """One ratio of a family.

    Args:
        p_holm:       corrected inside the family. paper: the published value where there is one.
        by_set:       the ratio inside each test set, uncorrected: one set of large errors can decide the whole.
        median_state: the ratio with the median over test states in place of their mean.
    """

    family: str
    kind: str
    group: str
    first: str
    second: str
    label: str
    ratio: Ratio
    p_holm: float = float("nan")
    paper: float | None = None
    by_set: Mapping[str, Ratio] = field(default_factory=dict)
    median_state: float = float("nan")

    @property
    def significant(self) -> bool:
        """At the level of the interval, after Holm's correction."""
        return self.p_holm < 1 - self.ratio.level


def compare(first: Run, second: Run, metric: str = "rellinf", level: float = 0.95) -> Ratio:
    """Ratio of the errors of two runs: paired where the seeds agree or `second` has none, else unpaired."""
    return _ratio(first, second, first.error(metric), second.error(metric), level)


def _ratio(first: Run, second: Run, a: Array, b: Array, level: float) -> Ratio:
    if second.seeds == (None,):
        return paired(a, b, level)
    return by_seed(dict(zip(first.seeds, a)), dict(zip(second.seeds, b)), level)


def compare_by_set(first: Run, second: Run, metric: str = "rellinf", level: float = 0.95) -> dict[str, Ratio]:
    """The ratio inside each test set; sets in which an error is zero have none."""
    a, b = first.test.per_set(metric), second.test.per_set(metric)
    return {name: _ratio(first, second, a[name], b[name], level) for name in a if np.all(a[name] > 0) and np.all(b[name] > 0)}


def comparisons(study: Study, level: float = 0.95) -> list[Comparison]:
    """The standard families, each corrected by Holm: modalities within a task, tasks across, models against baselines.

    modality: NOG / ONE, WIG / ONE, WIG / NOG per group and task (all pairs, where there are more);
    task:     prediction / correction per group, with WIG / NOG as in the paper, else the same modality;
    baseline: each model against each baseline. A baseline that computes the reference itself has no ratio and is left out.
    """
    families: dict[str, list[Comparison]] = {}

    def add(kind: str, family: str, first: Run, second: Run, label: str, paper: float | None = None) -> None:
        ratio, below = compare(first, second, study.metric, level), second.typical_median(study.metric)
        parts = compare_by_set(first, second, study.metric, level) if len(first.test.sets) > 1 else {}
        state = first.typical_median(study.metric) / below if below else float("nan")
        compared = Comparison(family, kind, first.group, first.name, second.name, label, ratio, paper=paper, by_set=parts, median_state=state)
        families.setdefault(family, []).append(compared)

    cells = study.cells()
    for (group, task), runs in cells.items():
        published = PAPER_MODALITIES.get((study.recipe, task, (runs[0].network or {}).get("parameters", 0)), {})
        for b, a in combinations(runs, 2):
            paper = published.get((a.unroll or "", b.unroll or ""))
            add("modality", f"{group}: {TASKS.get(task, task)}", a, b, f"{_short(a)} / {_short(b)}", paper)
    for group, task in cells:
        if task == "predict" and (group, "correct") in cells:
            for a, b in product(cells[group, "predict"], cells[group, "correct"]):
                of_paper = (a.modality, b.modality) == ("WIG", "NOG") and a.reach == b.reach
                if of_paper or a.unroll == b.unroll:
                    label = f"prediction {_short(a)} / correction {_short(b)}"
                    add("task", f"{group}: prediction / correction", a, b, label, PAPER_PREDICTION_TO_CORRECTION if of_paper else None)
    for (group, task), runs in cells.items():
        for a, b in product(runs, study.baselines):
            if not study.exact(b):
                add("baseline", f"{group}: {TASKS.get(task, task)} against baselines", a, b, f"{a.label} / {b.name}")
    return [c for family in families.values() for c in corrected(family)]


def _short(run: Run) -> str:
    return f"{run.modality} {run.reach}".strip()


def corrected(family: Sequence[Comparison]) -> list[Comparison]:
    """With p-values after Holm."""
    return [replace(c, p_holm=p) for c, p in zip(family, holm([c.ratio.p for c in family]), strict=True)]
