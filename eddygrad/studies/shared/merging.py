"""Arrays of several runs of one setting, put together along their seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan

import numpy as np

from eddygrad.studies.shared.strict_json import Array


def at_steps(steps: Array, own: Array, values: Array) -> Array:
    """Return the values of a curve at more updates, NaN at those where it has no point.

    Args:
        steps:  sorted updates of the result (points,), all of `own` among them.
        own:    updates of the curve (own points,).
        values: the curve of every seed (seeds, own points).
    Returns: (seeds, points).
    """
    filled = np.full((values.shape[0], steps.size), nan)
    filled[:, np.searchsorted(steps, own)] = values
    return filled


def stacked_seeds(parts: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """Return the arrays that all parts have, concatenated along their first axis, the seeds."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0] if all(name in part for part in parts)}
