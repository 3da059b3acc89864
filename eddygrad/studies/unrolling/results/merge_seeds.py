"""Runs of one setting with different seeds, merged as if all seeds had been trained in one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean

import numpy as np

from eddygrad.studies.shared.merging import at_steps, stacked_seeds
from eddygrad.studies.shared.strict_json import Array
from eddygrad.studies.unrolling.results.run import TestScores, TrainingCost, UnrollingRun


def merged_seeds(parts: Sequence[UnrollingRun]) -> UnrollingRun:
    """Return one run of all seeds, in this order; its name lacks the ending that names a part's seeds.

    Costs of training add up, as if the parts were trained one after the other. The pictures are those of the part whose median error is nearest to
    the median over all seeds.

    Raises: ValueError, one line, for parts with other tests, learning rate, schedule or batch.
    """
    first = parts[0]
    for part in parts[1:]:
        _check_alike(first, part)
    trained = [part.training for part in parts]
    return replace(
        first,
        path=_median_part(parts).path,
        name=first.name.removesuffix(f"-s{first.seeds[0]}-{first.seeds[-1]}"),
        seeds=tuple(seed for part in parts for seed in part.seeds),
        training=_training([t for t in trained if t is not None]) if all(trained) else None,
        curve=_curve([part.curve or {} for part in parts]),
        test=_test([part.test for part in parts]),
    )


def _check_alike(first: UnrollingRun, part: UnrollingRun) -> None:
    for what, a, b in (
        ("test sets", first.test.sets, part.test.sets),
        ("horizon", first.test.horizon, part.test.horizon),
        ("dt", first.test.dt, part.test.dt),
        ("metrics", sorted(first.test.metrics), sorted(part.test.metrics)),
        *((key, _detail(first, key), _detail(part, key)) for key in ("learning_rate", "schedule", "batch")),
    ):
        if a != b:
            raise ValueError(f"{part.path}: expected the {what} of {first.path.name}, another part of this run, {a!r}, got {b!r}; do this part again")


def _detail(run: UnrollingRun, key: str) -> object:
    return None if run.training is None else run.training.details.get(key)


def _median_part(parts: Sequence[UnrollingRun]) -> UnrollingRun:
    """Return the part whose median error is nearest to the median over all seeds: its pictures show a typical seed."""
    metric = next(iter(parts[0].test.metrics))
    middle = np.median(np.concatenate([part.error(metric) for part in parts]))
    return min(parts, key=lambda part: abs(float(np.median(part.error(metric)) - middle)))


def _training(parts: Sequence[TrainingCost]) -> TrainingCost:
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
    """Merge curves at the updates of any part; NaN where a part has no point, because all its seeds diverged and it ended early."""
    if not all(parts):
        return None
    steps = np.unique(np.concatenate([part["step"] for part in parts]))
    curves = [{name: at_steps(steps, part["step"], value) for name, value in part.items() if name != "step"} for part in parts]
    return {"step": steps, **stacked_seeds(curves)}


def _test(parts: Sequence[TestScores]) -> TestScores:
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
