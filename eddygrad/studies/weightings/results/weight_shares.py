"""What share of all weights each term has where a training ends: how weightings of different scales are compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from eddygrad.studies.shared.statistics import geometric_mean
from eddygrad.studies.shared.strict_json import Array
from eddygrad.studies.shared.text_tables import Ranged, aligned, ranged
from eddygrad.studies.weightings.results.load import Results, Run


def shares(run: Run, update: float = np.inf) -> Mapping[str, Ranged]:
    """lam_k / sum_j lam_j by term: geometric mean over the seeds that did not diverge, lowest and highest.

    At the last look, up to that update, at which all of these have weights; nothing where fewer than two terms are weighted then.
    """
    curves = {name: value for name, value in run.curves.get("weights", {}).items() if value.size}
    if not curves:
        return {}
    stacked = np.stack(list(curves.values()))[:, ~np.array(run.diverged)]  # (terms, seeds, looks)
    if not stacked.size:
        return {}
    there: NDArray[np.bool_] = np.asarray(np.isfinite(stacked).all(1) & (run.steps <= update))
    looks = np.flatnonzero(there.any(0))
    if not looks.size:
        return {}
    kept = there[:, looks[-1]]
    last: Array = stacked[kept, :, looks[-1]]
    total = last.sum(0)
    if kept.sum() < 2 or not (last > 0).all():
        return {}
    names = [name for name, own in zip(curves, kept) if own]
    return {name: (geometric_mean(part), float(part.min()), float(part.max())) for name, part in zip(names, last / total)}


def terms(runs: Sequence[Run]) -> list[str]:
    """Of which any of them has a share."""
    return list(dict.fromkeys(name for run in runs for name in shares(run)))


def table(found: Results, update: float = np.inf) -> str:
    """Shares, as `shares` has them, as aligned plain text, a table for each problem and optimiser where more than one weighting has them."""
    tables = []
    for block, runs in found.blocks().items():
        names = terms(runs)
        lines = [[run.weighting, *(ranged(own.get(name)) for name in names)] for run in runs if (own := shares(run, update))]
        when = "the end" if update == np.inf else f"update {update:g}"
        title = f"{found.title(block)}: weights at {when} as shares of their sum, geometric mean (lowest to highest seed)"
        tables += [f"{title}\n{aligned(['', *names], lines)}"] if len(lines) > 1 else []
    return "\n\n".join(tables)
