"""Runs of one setting with different seeds, merged as if all seeds had been trained in one run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations
from operator import attrgetter
from typing import Any

import numpy as np

from eddygrad.studies.shared.merging import at_steps, stacked_seeds
from eddygrad.studies.shared.strict_json import CLIP, Array
from eddygrad.studies.weightings.results.run import WeightingRun, frozen_updates

Attribute = tuple[str, Callable[[WeightingRun], Any]]


def merged_seeds(parts: Sequence[WeightingRun]) -> WeightingRun:
    """Return one run of all seeds; costs add up, as if the parts were trained one after the other.

    Raises: ValueError, one line, for parts that share a seed or were trained differently.
    """
    first = parts[0]
    if len(parts) == 1:
        return first
    _check_seeds(parts)
    whole = next((part for part in parts if not all(part.diverged)), first)
    for part in parts:
        check_alike(whole, part, "another part of this run", *((what, attrgetter(what)) for what in ("made", "reference", "published", "endpoint")))
    steps = np.unique(np.concatenate([part.steps for part in parts]))
    return replace(
        first,
        seeds=tuple(seed for part in parts for seed in part.seeds),
        updates=max(part.updates for part in parts),
        seconds=sum(part.seconds for part in parts),
        seconds_per_update=sum(part.seconds_per_update for part in parts),
        diverged=tuple(diverged for part in parts for diverged in part.diverged),
        frozen_at=tuple(at for part in parts for at in part.frozen_at),
        errors=stacked_seeds([part.errors for part in parts]),
        unknown=stacked_seeds([part.unknown for part in parts]),
        steps=steps,
        curves=_curves(parts, steps),
    )


def _check_seeds(parts: Sequence[WeightingRun]) -> None:
    for part, other in combinations(parts, 2):
        shared = sorted(set(part.seeds) & set(other.seeds))
        if shared:
            raise ValueError(f"{other.path}: expected other seeds than {part.path}, which has the same setting, got {shared} again; remove one")


def check_alike(first: WeightingRun, run: WeightingRun, why: str, *further: Attribute) -> None:
    """Raise ValueError, one line, if two runs were trained differently.

    The number of updates is not compared with a run whose seeds all diverged, which ended early; nor the dtype with a file that has none.

    Args:
        first:   the run that gives the expected values. run: the run to check.
        why:     for the error: how `first` relates to `run`.
        further: (name, function of a run) of more values that must agree.
    """
    names = ["learning_rate", "schedule", "polish"]
    names += [] if all(first.diverged) or all(run.diverged) else ["updates"]
    names += ["dtype"] if first.dtype and run.dtype else []
    attributes: list[Attribute] = [*further, *((name.replace("_", " "), attrgetter(name)) for name in names)]
    for what, value in attributes:
        if value(first) != value(run):
            raise ValueError(f"{run.path}: expected the {what} of {first.path}, {why}, {value(first)!r}, got {value(run)!r}")


def _curves(parts: Sequence[WeightingRun], steps: Array) -> dict[str, dict[str, Array]]:
    """Return the curves that all parts have, at the updates of any part."""
    curves = {
        group: stacked_seeds([{name: at_steps(steps, part.steps, value) for name, value in part.curves[group].items()} for part in parts])
        for group in parts[0].curves
        if all(group in part.curves for part in parts)
    }
    frozen = frozen_updates(parts)
    for name, value in curves["errors"].items():  # a part whose seeds all diverged ends early
        after = np.isnan(value) & (steps > frozen[:, None]) & np.isfinite(value).any(0)
        curves["errors"][name] = np.where(after, CLIP, value)
    return curves
