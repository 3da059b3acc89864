"""The folders of comparisons of loss weightings as they are read: `study.json` and the finished runs, one per setting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, combinations, product
from math import nan
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np

from eddygrad.studies.shared.statistics import geometric_mean, share
from eddygrad.studies.shared.strict_json import CLIP, Array, Entry, read_entry
from eddygrad.studies.shared.text_tables import listed
from eddygrad.studies.unrolling.results.load import configured
from eddygrad.studies.unrolling.results.merge_seeds import placed
from eddygrad.studies.weightings.results import layer_gradients as layers
from eddygrad.studies.weightings.results.layer_gradients import Layers
from eddygrad.studies.weightings.runner import SCHEMA

FAILED = 0.1
"""A run with a larger relative error has not found the solution."""


@dataclass(frozen=True)
class Run:
    """A problem, a weighting and an optimiser, with all seeds that were trained.

    Args:
        errors:    name -> (seeds,), the endpoint first. What is not finite, and every error of a seed that diverged, is `CLIP`; so is what is larger.
        unknown:   coefficients that were looked for -> as found (seeds,), NaN where not finite; none in files that do not say.
        steps:     updates at which `curves` have points (points,).
        layers:    gradients at the first and the last diagnosis, if there were any; of parts that were put together those of the first.
        curves:    "errors", "losses", "weights" and whatever else was written -> name -> (seeds, points), NaN where there is none.
        seconds_per_update, seconds: of the whole stack of seeds.
        frozen_at: the update before which a seed diverged and was left as it was, -1 where none did; before the first where a file does not say.
        polish:    of the updates, those by L-BFGS at the end. dtype: "" in files that do not say.
        published: the endpoint's published value. made: the weighting and the network as they were built.
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
    layers: tuple[Layers, ...] = ()
    polish: int = 0
    dtype: str = ""

    @property
    def block(self) -> tuple[str, str]:
        """Runs of one block are compared: the same problem and optimiser."""
        return self.problem, self.optimizer

    @property
    def endpoint(self) -> str:
        return next(iter(self.errors))

    @property
    def error(self) -> Array:
        """The endpoint, per seed."""
        return self.errors[self.endpoint]

    @property
    def typical(self) -> float:
        """Geometric mean of the endpoint over seeds."""
        return geometric_mean(self.error)

    @property
    def failed(self) -> int:
        """Seeds whose error is above `FAILED`, those that diverged among them."""
        return int((self.error > FAILED).sum())

    @property
    def failed_interval(self) -> tuple[float, float]:
        """Of their share, 95 %."""
        return share(self.failed, len(self.seeds))


@dataclass(frozen=True)
class Results:
    """The finished runs of a study, or of several read together, in the order of their plans.

    Args: configs: what `study.json` says, by folder.
    """

    configs: Mapping[Path, Mapping[str, Any]]
    runs: tuple[Run, ...]

    @property
    def folders(self) -> tuple[Path, ...]:
        return tuple(self.configs)

    @property
    def names(self) -> tuple[str, ...]:
        """Those of the studies; of studies that share one those of their folders."""
        own = tuple(str(config.get("name") or folder.resolve().name) for folder, config in self.configs.items())
        return own if len(set(own)) == len(own) else tuple(map(str, self.folders))

    @property
    def name(self) -> str:
        return listed(self.names)

    @property
    def weightings(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(run.weighting for run in self.runs))

    @property
    def missing(self) -> dict[tuple[str, str, str], int]:
        """How many seeds of a planned (problem, weighting, optimiser) no run has yet, where any."""
        there = {((run.problem, run.weighting, run.optimizer), seed) for run in self.runs for seed in run.seeds}
        return dict(Counter(setting for setting, seed in self._trainings if (setting, seed) not in there))

    @property
    def planned(self) -> int:
        """How many trainings the plans ask for, a seed each."""
        return len(self._trainings)

    @property
    def _trainings(self) -> dict[tuple[tuple[str, str, str], int], None]:
        """In the order of the plans; none of a folder without one."""
        found: dict[tuple[tuple[str, str, str], int], None] = {}
        for config in self.configs.values():
            if {"problem", "weighting", "optimizer", "seeds"} <= set(config):
                first = config.get("first_seed", 1)
                seeds = range(first, first + config["seeds"])
                settings = product(config["problem"], config["weighting"], config["optimizer"])
                found |= dict.fromkeys(product(settings, seeds))
        return found

    def blocks(self) -> dict[tuple[str, str], tuple[Run, ...]]:
        """Runs by (problem, optimiser)."""
        found: dict[tuple[str, str], tuple[Run, ...]] = {}
        for run in self.runs:
            found[run.block] = (*found.get(run.block, ()), run)
        return found

    def title(self, block: tuple[str, str]) -> str:
        """ "poisson:k=6, adam"; the optimiser goes unsaid where there is one only."""
        return block[0] if len({optimizer for _, optimizer in self.blocks()}) == 1 else ", ".join(block)


def load(*folders: str | Path) -> Results:
    """Read the folder of a comparison of loss weightings, or several as if they were one: weightings or seeds that were added later.

    Raises: ValueError, one line, if there is no finished run, a file is not what the schema says, or runs do not belong together: parts of a setting
            that share a seed, or weightings of one problem and optimiser with another network, learning rate or number of updates.
    """
    configs = {Path(folder): _config(Path(folder)) for folder in folders}
    settings: dict[tuple[str, str, str], list[Run]] = {}
    for folder in configs:
        for run in map(read, _paths(folder)):
            settings.setdefault((run.problem, run.weighting, run.optimizer), []).append(run)
    runs = [joined(sorted(parts, key=lambda r: r.seeds)) for parts in settings.values()]
    places = {key: _places([config.get(key) or () for config in configs.values()]) for key in ("problem", "weighting", "optimizer")}
    last = max(map(len, places.values()))
    found = Results(configs, tuple(sorted(runs, key=lambda r: tuple(places[key].get(getattr(r, key), last) for key in places))))
    for block in found.blocks().values():
        _check_budget(block)
    return found


def _config(folder: Path) -> Mapping[str, Any]:
    config = configured(folder)
    if config.get("kind", "pinn") != "pinn":
        raise ValueError(f"{folder}: study.json: expected kind 'pinn', got {config['kind']!r}; eddygrad report {folder} knows all kinds")
    return config


def _paths(folder: Path) -> list[Path]:
    paths = sorted((folder / "runs").glob("*.json"))
    if not paths:
        raise ValueError(f"{folder}: expected finished runs as runs/NAME.json, got none; run the study first")
    return paths


def _places(plans: Iterable[Iterable[str]]) -> dict[str, int]:
    """Where each text stands in the plans, one after the other."""
    return {text: i for i, text in enumerate(dict.fromkeys(chain.from_iterable(plans)))}


def _check_budget(runs: Sequence[Run]) -> None:
    """Errors of different networks, or of trainings of another length or precision, are not compared."""
    first = next((run for run in runs if not all(run.diverged)), runs[0])
    for run in runs:
        _check_alike(first, run, "to which it would be compared", _made("network"), _made("problem"))


def _made(name: str) -> tuple[str, Callable[[Run], Any]]:
    return name, lambda run: run.made.get(name)


def _check_alike(first: Run, run: Run, why: str, *further: tuple[str, Callable[[Run], Any]]) -> None:
    """Raises ValueError, one line, where two were trained otherwise; one that lost all its seeds ended early, and a file may not tell its dtype."""
    told: list[tuple[str, Callable[[Run], Any]]] = [
        *further,
        *((name.replace("_", " "), attrgetter(name)) for name in ("learning_rate", "schedule", "polish")),
    ]
    told += [("updates", attrgetter("updates"))] if not (all(first.diverged) or all(run.diverged)) else []
    told += [("dtype", attrgetter("dtype"))] if first.dtype and run.dtype else []
    for what, of in told:
        if of(first) != of(run):
            raise ValueError(f"{run.path}: expected the {what} of {first.path}, {why}, {of(first)!r}, got {of(run)!r}")


def read(path: Path) -> Run:
    """Read RUN.json. Raises ValueError, one line with the file, the entry, what was expected and what was got."""
    entry = read_entry(path, SCHEMA)
    seeds = entry.sequence("seeds")
    if not seeds or len(set(map(str, seeds))) != len(seeds) or not all(type(seed) is int for seed in seeds):
        raise entry.fail("seeds", "distinct whole numbers", repr(seeds))
    training = entry.child("training")
    diverged = training.sequence("diverged")
    if len(diverged) != len(seeds) or not all(isinstance(lost, bool) for lost in diverged):
        raise training.fail("diverged", f"{len(seeds)} entries true or false, one per seed", repr(diverged))
    errors, curve = entry.child("errors"), entry.child("curve")
    if not errors.values:
        raise entry.fail("errors", "at least one", "none")
    unknown = entry.child("unknown") if "unknown" in entry.values else None
    steps = curve.array("step", (None,), finite=True)
    groups = [name for name, content in curve.values.items() if isinstance(content, dict)]
    curves = {group: _curves(curve.child(group), steps.size, len(seeds)) for group in groups}
    if "errors" not in curves:
        raise curve.fail("errors", "an object", f"only {groups}")
    run = Run(
        problem=entry.text("problem"),
        weighting=entry.text("weighting"),
        optimizer=entry.text("optimizer"),
        seeds=tuple(seeds),
        published=None if entry.get("published") is None else entry.number("published"),
        reference=entry.text("reference"),
        made=entry.child("made").values,
        updates=int(training.number("updates")),
        learning_rate=training.number("learning_rate"),
        schedule=training.text("schedule"),
        seconds=training.number("seconds"),
        seconds_per_update=training.number("seconds_per_update"),
        threads=int(training.number("threads", 1)),
        diverged=tuple(diverged),
        frozen_at=_frozen(training, diverged),
        errors={name: errors.array(name, (len(seeds),)) for name in errors.values},
        unknown={} if unknown is None else {name: unknown.array(name, (len(seeds),)) for name in unknown.values},
        steps=steps,
        curves=curves,
        environment=entry.child("environment").values,
        path=path,
        layers=layers.read(entry),
        polish=int(training.number("polish")) if training.values.get("polish") is not None else 0,
        dtype=training.text("dtype") if "dtype" in training.values else "",
    )
    return _counted(run)


def _frozen(training: Entry, diverged: Sequence[bool]) -> tuple[int, ...]:
    if "frozen_at" not in training.values:
        return tuple(0 if lost else -1 for lost in diverged)
    found = training.array("frozen_at", (len(diverged),), finite=True)
    return tuple(int(at) if lost else -1 for at, lost in zip(found, diverged))


def _curves(entry: Entry, points: int, seeds: int) -> dict[str, Array]:
    """Lists over points of lists over seeds as (seeds, points). A point may be None, or one number for all seeds; None is NaN."""
    found = {}
    for name in entry.values:
        rows = [point if isinstance(point, list) else [point] * seeds for point in entry.sequence(name)]
        if len(rows) != points or any(len(row) != seeds for row in rows):
            raise entry.fail(name, f"{points} points of {seeds} seeds", f"{len(rows)} points of {sorted({len(row) for row in rows})} seeds")
        found[name] = Entry(entry.path, entry.where, {name: rows}).array(name, (points, seeds)).T if points else np.empty((seeds, 0))
    return found


def _counted(run: Run) -> Run:
    """No seed is dropped: its error is `CLIP` where it diverged or is not finite; along the curve too, wherever the errors were looked at."""
    lost = np.array(run.diverged)
    errors = {name: np.where(lost, CLIP, _clipped(value)) for name, value in run.errors.items()}
    after = np.array([at if at >= 0 else np.inf for at in run.frozen_at])[:, None] < run.steps
    along = {name: np.where(np.isfinite(value).any(0), np.where(after, CLIP, _clipped(value)), nan) for name, value in run.curves["errors"].items()}
    return replace(run, errors=errors, curves={**run.curves, "errors": along})


def _clipped(value: Array) -> Array:
    return np.nan_to_num(value, nan=CLIP, posinf=CLIP).clip(max=CLIP)


def joined(parts: Sequence[Run]) -> Run:
    """Runs of one setting with different seeds as one run of all of them; their costs add up, one part after the other.

    Raises: ValueError, one line, for parts that share a seed or were trained differently.
    """
    first = parts[0]
    if len(parts) == 1:
        return first
    for part, other in combinations(parts, 2):
        shared = sorted(set(part.seeds) & set(other.seeds))
        if shared:
            raise ValueError(f"{other.path}: expected other seeds than {part.path}, which has the same setting, got {shared} again; remove one")
    whole = next((part for part in parts if not all(part.diverged)), first)
    for part in parts:
        _check_alike(whole, part, "another part of this run", *((what, attrgetter(what)) for what in ("made", "reference", "published", "endpoint")))
    steps = np.unique(np.concatenate([part.steps for part in parts]))
    lost = np.array([diverged for part in parts for diverged in part.diverged])
    curves = {
        group: _stacked([{name: placed(steps, part.steps, value) for name, value in part.curves[group].items()} for part in parts])
        for group in first.curves
        if all(group in part.curves for part in parts)
    }
    gone = np.array([at if at >= 0 else np.inf for part in parts for at in part.frozen_at])
    for name, value in curves["errors"].items():  # a part that lost all its seeds ends early
        after = np.isnan(value) & (steps > gone[:, None]) & np.isfinite(value).any(0)
        curves["errors"][name] = np.where(after, CLIP, value)
    return replace(
        first,
        seeds=tuple(seed for part in parts for seed in part.seeds),
        updates=max(part.updates for part in parts),
        seconds=sum(part.seconds for part in parts),
        seconds_per_update=sum(part.seconds_per_update for part in parts),
        diverged=tuple(lost.tolist()),
        frozen_at=tuple(at for part in parts for at in part.frozen_at),
        errors=_stacked([part.errors for part in parts]),
        unknown=_stacked([part.unknown for part in parts]),
        steps=steps,
        curves=curves,
    )


def _stacked(parts: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """What all parts have, their seeds one after the other."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0] if all(name in part for part in parts)}
