"""Runs of one setting with different seeds, put together as if all had been trained in one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import nan
from statistics import fmean

import numpy as np

from eddygrad.studies.unrolling.results.run import Array, Run, Test, Training


def joined_seeds(parts: Sequence[Run]) -> Run:
    """One run of all seeds, in this order: its name without the part's own ending.

    Its pictures are those of the part whose median error is nearest to that of all.

    Costs of training add up: they are those of the whole stack of seeds, one part after the other.

    Raises: ValueError, one line, for parts with other tests, learning rate, schedule or batch.
    """
    first = parts[0]
    for part in parts[1:]:
        _check_alike(first, part)
    trained = [part.training for part in parts]
    return replace(
        first,
        path=_middle(parts).path,
        name=first.name.removesuffix(f"-s{first.seeds[0]}-{first.seeds[-1]}"),
        seeds=tuple(seed for part in parts for seed in part.seeds),
        training=_training([t for t in trained if t is not None]) if all(trained) else None,
        curve=_curve([part.curve or {} for part in parts]),
        test=_test([part.test for part in parts]),
    )


def _check_alike(first: Run, part: Run) -> None:
    for what, a, b in (
        ("test sets", first.test.sets, part.test.sets),
        ("horizon", first.test.horizon, part.test.horizon),
        ("dt", first.test.dt, part.test.dt),
        ("metrics", sorted(first.test.metrics), sorted(part.test.metrics)),
        *((key, _detail(first, key), _detail(part, key)) for key in ("learning_rate", "schedule", "batch")),
    ):
        if a != b:
            raise ValueError(f"{part.path}: expected the {what} of {first.path.name}, another part of this run, {a!r}, got {b!r}; do this part again")


def _detail(run: Run, key: str) -> object:
    return None if run.training is None else run.training.details.get(key)


def _middle(parts: Sequence[Run]) -> Run:
    """The part whose own median error is nearest to that of all seeds: its pictures show such a seed."""
    metric = next(iter(parts[0].test.metrics))
    middle = np.median(np.concatenate([part.error(metric) for part in parts]))
    return min(parts, key=lambda part: abs(float(np.median(part.error(metric)) - middle)))


def _training(parts: Sequence[Training]) -> Training:
    return replace(
        parts[0],
        seconds=sum(p.seconds for p in parts),
        seconds_per_update=sum(p.seconds_per_update for p in parts),
        graph_memory_mb=sum(p.graph_memory_mb for p in parts),
        peak_resident_mb=sum(p.peak_resident_mb for p in parts),
        diverged=tuple(d for p in parts for d in p.diverged),
        skipped=tuple(s for p in parts for s in p.skipped),
    )


def _curve(parts: Sequence[Mapping[str, Array]]) -> Mapping[str, Array] | None:
    """At the updates of any part; NaN where a part has no point: one that lost all its seeds ends early."""
    if not all(parts):
        return None
    steps = np.unique(np.concatenate([part["step"] for part in parts]))
    names = [name for name in parts[0] if name != "step" and all(name in part for part in parts)]
    return {"step": steps, **{name: np.concatenate([placed(steps, part["step"], part[name]) for part in parts]) for name in names}}


def placed(steps: Array, own: Array, values: Array) -> Array:
    """Values (seeds, points) at more points, NaN where they have none."""
    found = np.full((values.shape[0], steps.size), nan)
    found[:, np.searchsorted(steps, own)] = values
    return found


def _test(parts: Sequence[Test]) -> Test:
    first, spectra = parts[0], [part.spectrum for part in parts]
    metrics = {name: np.concatenate([part.metrics[name] for part in parts]) for name in first.metrics}
    spectrum = {**spectra[0], "model": np.concatenate([s["model"] for s in spectra if s])} if spectra[0] is not None and all(spectra) else None
    return replace(
        first,
        metrics=metrics,
        error_over_time=np.concatenate([part.error_over_time for part in parts]),
        spectrum=spectrum,
        seconds_per_frame=fmean(part.seconds_per_frame for part in parts),
        diverged=tuple(d for part in parts for d in part.diverged),
    )
