"""Runs of one setting with different seeds, put together as if all had been trained in one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import nan
from statistics import fmean

import numpy as np

from eddygrad.studies.runs import Array, Run, Test, Training


def joined_seeds(parts: Sequence[Run]) -> Run:
    """One run of all seeds, in this order: its name without the part's own ending, its pictures the first part's.

    Costs of training add up: they are those of the whole stack of seeds, one part after the other.
    """
    first = parts[0]
    trained = [part.training for part in parts]
    return replace(
        first,
        name=first.name.removesuffix(f"-s{first.seeds[0]}-{first.seeds[-1]}"),
        seeds=tuple(seed for part in parts for seed in part.seeds),
        training=_training([t for t in trained if t is not None]) if all(trained) else None,
        curve=_curve([part.curve or {} for part in parts]),
        test=_test([part.test for part in parts]),
    )


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
    """Points that all parts have; a part that lost all its seeds ends early and is NaN from there on."""
    longest = max(parts, key=lambda part: part["step"].size if part else 0)
    if not all(parts):
        return None
    steps = longest["step"]
    names = [name for name in longest if name != "step" and all(name in part for part in parts)]
    return {"step": steps, **{name: np.concatenate([_until(part[name], steps.size) for part in parts]) for name in names}}


def _until(values: Array, points: int) -> Array:
    return np.pad(values, ((0, 0), (0, points - values.shape[1])), constant_values=nan)


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
