"""One finished run of a comparison of loss weightings: its JSON as a typed record, read strictly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import nan
from pathlib import Path
from typing import Any

import numpy as np

from eddygrad.studies.shared.statistics import geometric_mean, share
from eddygrad.studies.shared.strict_json import CLIP, Array, Entry, read_entry
from eddygrad.studies.weightings.results import layer_gradients as layers
from eddygrad.studies.weightings.results.layer_gradients import LayerGradients

SCHEMA = "eddygrad-pinn/1"
FAILED = 0.1
"""A seed with a larger relative error has failed: it has not found the solution."""


@dataclass(frozen=True)
class WeightingRun:
    """A problem, a weighting and an optimiser, with all seeds that were trained.

    Args:
        published:    the endpoint's published value, None if there is none.
        reference:    name of the loss term whose weight stays 1.
        made:         the weighting and the network as they were built.
        updates, learning_rate, schedule: of the training. polish: how many of the last updates were made by L-BFGS.
        seconds, seconds_per_update: of the whole stack of seeds. threads: of the process.
        diverged:     whether a seed diverged. frozen_at: the update before which it diverged and was frozen, -1 if it did not; 0 in files without it.
        errors:       name -> (seeds,), the endpoint first. A value that is larger than `CLIP` or not finite, and every error of a seed that diverged,
                      is `CLIP`.
        unknown:      name of an unknown coefficient -> the value found (seeds,), NaN if it is not finite; empty in files without it.
        steps:        updates at which `curves` have points (points,).
        curves:       "errors", "losses", "weights" and other groups -> name -> (seeds, points), NaN where a curve has no value.
        layers:       gradients by layer at the first and the last diagnosis; those of the first part where runs were merged.
        dtype:        floating point type; "" in files without it.
    """

    problem: str
    weighting: str
    optimizer: str
    seeds: tuple[int, ...]
    published: float | None
    reference: str
    made: Mapping[str, Any]
    updates: int
    learning_rate: float
    schedule: str
    seconds: float
    seconds_per_update: float
    threads: int
    diverged: tuple[bool, ...]
    frozen_at: tuple[int, ...]
    errors: Mapping[str, Array]
    unknown: Mapping[str, Array]
    steps: Array
    curves: Mapping[str, Mapping[str, Array]]
    environment: Mapping[str, Any]
    path: Path
    layers: tuple[LayerGradients, ...] = ()
    polish: int = 0
    dtype: str = ""

    @property
    def block(self) -> tuple[str, str]:
        """Problem and optimiser: runs of one block are compared with each other."""
        return self.problem, self.optimizer

    @property
    def setting(self) -> tuple[str, str, str]:
        """Problem, weighting and optimiser."""
        return self.problem, self.weighting, self.optimizer

    @property
    def endpoint(self) -> str:
        """Name of the error that decides."""
        return next(iter(self.errors))

    @property
    def error(self) -> Array:
        """The endpoint of every seed (seeds,)."""
        return self.errors[self.endpoint]

    @property
    def typical(self) -> float:
        """Geometric mean of the endpoint over seeds."""
        return geometric_mean(self.error)

    @property
    def failed(self) -> int:
        """Number of seeds whose error is above `FAILED`, diverged ones included."""
        return int((self.error > FAILED).sum())

    @property
    def failed_interval(self) -> tuple[float, float]:
        """95 % score interval of the share of failed seeds."""
        return share(self.failed, len(self.seeds))


def frozen_updates(runs: Sequence[WeightingRun]) -> Array:
    """Return the update before which each seed of these runs diverged, infinity for those that did not (seeds,)."""
    return np.array([at if at >= 0 else np.inf for run in runs for at in run.frozen_at])


def read(path: Path) -> WeightingRun:
    """Read RUN.json. Raises: ValueError, one line with the file, the entry, the expected and the actual content."""
    entry = read_entry(path, SCHEMA)
    training = entry.child("training")
    seeds, diverged = _seeds(entry, training)
    errors = entry.child("errors")
    if not errors.values:
        raise entry.fail("errors", "at least one", "none")
    unknown = entry.child("unknown") if "unknown" in entry.values else None
    steps, curves = _curve(entry.child("curve"), len(seeds))
    run = WeightingRun(
        problem=entry.text("problem"),
        weighting=entry.text("weighting"),
        optimizer=entry.text("optimizer"),
        seeds=seeds,
        published=None if entry.get("published") is None else entry.number("published"),
        reference=entry.text("reference"),
        made=entry.child("made").values,
        **_training(training, diverged),
        errors={name: errors.array(name, (len(seeds),)) for name in errors.values},
        unknown={} if unknown is None else {name: unknown.array(name, (len(seeds),)) for name in unknown.values},
        steps=steps,
        curves=curves,
        environment=entry.child("environment").values,
        path=path,
        layers=layers.read(entry),
    )
    return _clip_diverged(run)


def _seeds(entry: Entry, training: Entry) -> tuple[tuple[int, ...], tuple[bool, ...]]:
    """Return the seeds and whether each diverged."""
    seeds = entry.sequence("seeds")
    if not seeds or len(set(map(str, seeds))) != len(seeds) or not all(type(seed) is int for seed in seeds):
        raise entry.fail("seeds", "distinct whole numbers", repr(seeds))
    diverged = training.sequence("diverged")
    if len(diverged) != len(seeds) or not all(isinstance(lost, bool) for lost in diverged):
        raise training.fail("diverged", f"{len(seeds)} entries true or false, one per seed", repr(diverged))
    return tuple(seeds), tuple(diverged)


def _training(training: Entry, diverged: tuple[bool, ...]) -> dict[str, Any]:
    """Return the fields of `WeightingRun` that the training's part of the file holds."""
    return {
        "updates": int(training.number("updates")),
        "learning_rate": training.number("learning_rate"),
        "schedule": training.text("schedule"),
        "seconds": training.number("seconds"),
        "seconds_per_update": training.number("seconds_per_update"),
        "threads": int(training.number("threads", 1)),
        "diverged": diverged,
        "frozen_at": _frozen(training, diverged),
        "polish": int(training.number("polish")) if training.values.get("polish") is not None else 0,
        "dtype": training.text("dtype") if "dtype" in training.values else "",
    }


def _frozen(training: Entry, diverged: Sequence[bool]) -> tuple[int, ...]:
    if "frozen_at" not in training.values:
        return tuple(0 if lost else -1 for lost in diverged)
    updates = training.array("frozen_at", (len(diverged),), finite=True)
    return tuple(int(at) if lost else -1 for at, lost in zip(updates, diverged))


def _curve(curve: Entry, seeds: int) -> tuple[Array, dict[str, dict[str, Array]]]:
    """Return the updates of the points (points,), and group -> name -> (seeds, points)."""
    steps = curve.array("step", (None,), finite=True)
    groups = [name for name, content in curve.values.items() if isinstance(content, dict)]
    curves = {group: _curves(curve.child(group), steps.size, seeds) for group in groups}
    if "errors" not in curves:
        raise curve.fail("errors", "an object", f"only {groups}")
    return steps, curves


def _curves(entry: Entry, points: int, seeds: int) -> dict[str, Array]:
    """Turn lists over points of lists over seeds into (seeds, points). A point may be None, which is NaN, or one number for all seeds."""
    curves = {}
    for name in entry.values:
        rows = [point if isinstance(point, list) else [point] * seeds for point in entry.sequence(name)]
        if len(rows) != points or any(len(row) != seeds for row in rows):
            raise entry.fail(name, f"{points} points of {seeds} seeds", f"{len(rows)} points of {sorted({len(row) for row in rows})} seeds")
        curves[name] = Entry(entry.path, entry.where, {name: rows}).array(name, (points, seeds)).T if points else np.empty((seeds, 0))
    return curves


def _clip_diverged(run: WeightingRun) -> WeightingRun:
    """Set errors that diverged or are not finite to `CLIP`, so that no seed is dropped; along the curves too, where an error was measured."""
    lost, after = np.array(run.diverged), frozen_updates([run])[:, None] < run.steps
    errors = {name: np.where(lost, CLIP, _clipped(value)) for name, value in run.errors.items()}
    along = {name: np.where(np.isfinite(value).any(0), np.where(after, CLIP, _clipped(value)), nan) for name, value in run.curves["errors"].items()}
    return replace(run, errors=errors, curves={**run.curves, "errors": along})


def _clipped(value: Array) -> Array:
    return np.nan_to_num(value, nan=CLIP, posinf=CLIP).clip(max=CLIP)
