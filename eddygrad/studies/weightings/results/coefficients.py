"""The unknown coefficients of an equation, as estimated by the trainings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eddygrad.studies.shared.text_tables import Ranged, aligned, ranged
from eddygrad.studies.weightings.results.run import WeightingRun
from eddygrad.studies.weightings.results.study_results import WeightingResults


def names(runs: Sequence[WeightingRun]) -> list[str]:
    """Return the names of the coefficients that at least one run estimated."""
    return list(dict.fromkeys(name for run in runs for name in run.unknown))


def spread(run: WeightingRun, name: str) -> Ranged | None:
    """Return the median, the lowest and the highest estimate over seeds; None if no seed has one.

    Seeds whose estimate is not finite are left out; a seed that diverged counts with its last estimate.

    Args: run: a finished run. name: of the coefficient.
    """
    estimates = run.unknown.get(name)
    values = np.empty(0) if estimates is None else estimates[np.isfinite(estimates)]
    if not values.size:
        return None
    return float(np.median(values)), float(values.min()), float(values.max())


def table(results: WeightingResults) -> str:
    """Return the estimates as aligned text, one table per problem and optimiser; empty if no coefficient was unknown."""
    tables = []
    for block, runs in results.blocks().items():
        heads = names(runs)
        lines = [[run.weighting, *(ranged(spread(run, name), 4) for name in heads)] for run in runs if run.unknown]
        title = f"{results.title(block)}: coefficients that were found, median (lowest to highest seed)"
        tables += [f"{title}\n{aligned(['', *heads], lines)}"] if lines else []
    return "\n\n".join(tables)
