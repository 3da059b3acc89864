"""The unknown coefficients of an equation as a training found them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eddygrad.studies.shared.text_tables import Ranged, aligned, ranged
from eddygrad.studies.weightings.results.load import Results, Run


def names(runs: Sequence[Run]) -> list[str]:
    """Of all coefficients that any of the runs looked for."""
    return list(dict.fromkeys(name for run in runs for name in run.unknown))


def spread(run: Run, name: str) -> Ranged | None:
    """Median over seeds, lowest and highest, of those whose coefficient is a number; one that diverged counts as it was left. None without any."""
    found = run.unknown.get(name)
    values = np.empty(0) if found is None else found[np.isfinite(found)]
    if not values.size:
        return None
    return float(np.median(values)), float(values.min()), float(values.max())


def table(found: Results) -> str:
    """Aligned plain text, a table for each problem and optimiser; empty where nothing was unknown."""
    tables = []
    for block, runs in found.blocks().items():
        heads = names(runs)
        lines = [[run.weighting, *(ranged(spread(run, name), 4) for name in heads)] for run in runs if run.unknown]
        title = f"{found.title(block)}: coefficients that were found, median (lowest to highest seed)"
        tables += [f"{title}\n{aligned(['', *heads], lines)}"] if lines else []
    return "\n\n".join(tables)
