"""Each term's share of the sum of all weights at the end of a training, which makes weightings of different scales comparable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from eddygrad.studies.shared.statistics import geometric_mean
from eddygrad.studies.shared.strict_json import Array
from eddygrad.studies.shared.text_tables import Ranged, aligned, ranged
from eddygrad.studies.weightings.results.run import WeightingRun
from eddygrad.studies.weightings.results.study_results import WeightingResults


def shares(run: WeightingRun, update: float = np.inf) -> Mapping[str, Ranged]:
    """Return lam_k / sum_j lam_j by term: the geometric mean over the seeds that did not diverge, the lowest and the highest.

    Args:    run: a finished run. update: the last update to consider.
    Returns: the shares at the last point of the curves, not later than `update`, where all these seeds have weights; empty if fewer than two terms
             have a weight there.
    """
    curves = {name: value for name, value in run.curves.get("weights", {}).items() if value.size}
    if not curves:
        return {}
    stacked = np.stack(list(curves.values()))[:, ~np.array(run.diverged)]  # (terms, seeds, points)
    if not stacked.size:
        return {}
    known: NDArray[np.bool_] = np.asarray(np.isfinite(stacked).all(1) & (run.steps <= update))
    points = np.flatnonzero(known.any(0))
    if not points.size:
        return {}
    kept = known[:, points[-1]]
    last: Array = stacked[kept, :, points[-1]]
    total = last.sum(0)
    if kept.sum() < 2 or not (last > 0).all():
        return {}
    names = [name for name, own in zip(curves, kept) if own]
    return {name: (geometric_mean(part), float(part.min()), float(part.max())) for name, part in zip(names, last / total)}


def terms(runs: Sequence[WeightingRun]) -> list[str]:
    """Return the names of the terms that have a weight share in at least one run."""
    return list(dict.fromkeys(name for run in runs for name in shares(run)))


def table(results: WeightingResults, update: float = np.inf) -> str:
    """Return the shares as aligned text, one table per problem and optimiser for which at least two weightings have shares. Args: see `shares`."""
    tables = []
    for block, runs in results.blocks().items():
        names = terms(runs)
        lines = [[run.weighting, *(ranged(own.get(name)) for name in names)] for run in runs if (own := shares(run, update))]
        when = "the end" if update == np.inf else f"update {update:g}"
        title = f"{results.title(block)}: weights at {when} as shares of their sum, geometric mean (lowest to highest seed)"
        tables += [f"{title}\n{aligned(['', *names], lines)}"] if len(lines) > 1 else []
    return "\n\n".join(tables)
