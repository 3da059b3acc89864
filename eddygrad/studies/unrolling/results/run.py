"""One finished run of a comparison of unrolling modalities: its JSON as a typed record, read strictly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import nan
from pathlib import Path
from typing import Any

import numpy as np

from eddygrad.evaluation.metrics import CLIPPED_ERROR as CLIP
from eddygrad.studies.shared.statistics import geometric_mean
from eddygrad.studies.shared.strict_json import Array, Entry, read_entry

SCHEMA = "eddygrad-run/1"


@dataclass(frozen=True)
class TestSet:
    """A named group of test trajectories: an interpolation or an extrapolation in `params`."""

    __test__ = False  # not a test case of pytest
    name: str
    kind: str
    samples: int
    params: Mapping[str, float]


@dataclass(frozen=True)
class TestScores:
    """The scores of a run on the test sets.

    Args:
        sets:              the test sets, in the order of their samples.
        horizon:           frames of the endpoint. dt: time between frames.
        metrics:           name -> (seeds, samples), samples in the order of the sets.
        error_over_time:   e(t) averaged over samples, clipped at 30 (seeds, horizon + 1).
        spectrum:          "k", the mode number, and "reference" (K,); "model" (seeds, K); None if not measured.
        seconds_per_frame: time of one frame of all test trajectories at once [s]. batch: number of these trajectories.
        diverged:          number of test trajectories that diverged in the long window, per seed.
    """

    __test__ = False
    sets: tuple[TestSet, ...]
    horizon: int
    dt: float
    metrics: Mapping[str, Array]
    error_over_time: Array
    spectrum: Mapping[str, Array] | None
    seconds_per_frame: float
    batch: int
    diverged: tuple[int, ...]

    def per_set(self, metric: str) -> dict[str, Array]:
        """Return the mean of a metric over the samples of each test set: {set: (seeds,)}."""
        values = self.metrics[metric]
        ends = np.cumsum([s.samples for s in self.sets])
        return {s.name: values[:, end - s.samples : end].mean(1) for s, end in zip(self.sets, ends, strict=True)}

    def shares(self, metric: str) -> dict[str, Array]:
        """Return each test set's share of the sum of a metric over all samples: {set: (seeds,)}; the shares of a seed add up to 1."""
        total, per_set = self.metrics[metric].sum(1), self.per_set(metric)
        none = np.full_like(total, nan)
        return {s.name: np.divide(s.samples * per_set[s.name], total, out=none.copy(), where=total > 0) for s in self.sets}


@dataclass(frozen=True)
class TrainingCost:
    """Cost and outcome of a run's training; times and memory are those of the whole stack of seeds.

    Args:
        updates:          number of updates.
        seconds:          duration of the training. seconds_per_update: of one update [s].
        graph_memory_mb:  memory that an update's graph keeps for its backward pass [MB], NaN if not measured; "peak_memory_mb" in older files.
        peak_resident_mb: largest resident memory in an update above that before it [MB], NaN if not measured.
        diverged:         whether the training diverged, per seed. skipped: number of skipped updates, per seed.
        details:          the training's part of the file.
    """

    updates: int
    seconds: float
    seconds_per_update: float
    graph_memory_mb: float
    peak_resident_mb: float
    diverged: tuple[bool, ...]
    skipped: tuple[int, ...]
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def estimated(self) -> bool:
        """Whether `seconds` is the time of one update, measured later, times the number of updates."""
        return "seconds_as_run" in self.details


@dataclass(frozen=True)
class UnrollingRun:
    """One row of a study: a model trained with several seeds, or a baseline, whose seeds are (None,)."""

    name: str
    kind: str
    task: str | None
    unroll: str | None
    network: Mapping[str, Any] | None
    group_name: str | None
    seeds: tuple[int | None, ...]
    training: TrainingCost | None
    curve: Mapping[str, Array] | None
    test: TestScores
    environment: Mapping[str, Any]
    path: Path

    @property
    def modality(self) -> str:
        """ONE, NOG, WIG, ...; the name of a baseline."""
        return self.name if self.unroll is None else self.unroll.partition(":")[0].upper()

    @property
    def reach(self) -> str:
        """Frames of unrolling: "3" for "nog:3"; empty for ONE."""
        return "" if self.unroll is None else self.unroll.partition(":")[2]

    @property
    def short(self) -> str:
        """Modality and frames of unrolling: "NOG 3"."""
        return f"{self.modality} {self.reach}".strip()

    @property
    def network_label(self) -> str:
        """The network with its size: "ResNet(16, 4)"."""
        if self.network is None:
            return ""
        sizes = [str(self.network[k]) for k in ("width", "depth") if self.network.get(k) is not None]
        if not sizes and self.network.get("parameters"):
            return f"{self.network.get('name', 'network')} of {self.network['parameters']:,} parameters"
        return f"{self.network.get('name', 'network')}({', '.join(sizes)})"

    @property
    def group(self) -> str:
        """Network and number of updates, or the name that the file gives: runs of one group are compared with each other."""
        if self.group_name is not None:
            return self.group_name
        return self.network_label + (f", {self.training.updates:,} updates" if self.training else "")

    @property
    def block(self) -> tuple[str, str]:
        """Group and task: modalities of one block are compared with each other."""
        return self.group, self.task or ""

    @property
    def label(self) -> str:
        """Task, modality and frames: "correction NOG 3"; the name of a baseline."""
        return self.name if self.task is None else f"{TASKS.get(self.task, self.task)} {self.modality}{self.reach and ' ' + self.reach}"

    def error(self, metric: str = "rellinf") -> Array:
        """Return the mean of a metric over all test samples (seeds,)."""
        return self.test.metrics[metric].mean(1)

    def typical(self, metric: str = "rellinf") -> float:
        """Return the geometric mean of the error over seeds."""
        return geometric_mean(self.error(metric))

    def typical_median(self, metric: str = "rellinf") -> float:
        """Return the same with the median over test samples in place of their mean, so that a few hard trajectories do not decide."""
        return geometric_mean(np.median(self.test.metrics[metric], axis=1))

    @property
    def diverged_seeds(self) -> int:
        """Number of seeds whose training diverged."""
        return sum(self.training.diverged) if self.training else 0

    @property
    def diverged_tests(self) -> str:
        """Test trajectories of all seeds that diverged in the long window, and all test trajectories: "3 / 640"."""
        return f"{sum(self.test.diverged)} / {len(self.seeds) * sum(s.samples for s in self.test.sets)}"


TASKS = {"correct": "correction", "predict": "prediction"}


def read(path: Path) -> UnrollingRun:
    """Read RUN.json. Raises: ValueError, one line with the file, the entry, the expected and the actual content."""
    return parse(read_entry(path, SCHEMA))


def parse(entry: Entry) -> UnrollingRun:
    """Return the run that the content of a RUN.json describes. Raises: ValueError as `read`."""
    path, raw = entry.path, entry.values
    kind = entry.text("kind")
    if kind not in ("model", "baseline"):
        raise ValueError(f"{path}: kind: expected 'model' or 'baseline', got {kind!r}")
    seeds = tuple(entry.sequence("seeds"))
    if not seeds or len(set(seeds)) != len(seeds):
        raise ValueError(f"{path}: seeds: expected distinct seeds, [null] for a baseline, got {list(seeds)}")
    task, unroll = raw.get("task"), raw.get("unroll")
    if kind == "model" and not (task and unroll and raw.get("network") and raw.get("training")):
        raise ValueError(f"{path}: a model needs 'task', 'unroll', 'network' and 'training'; one of them is empty")
    training = _training(entry.child("training"), len(seeds)) if raw.get("training") else None
    curve = _curve(entry.child("curve"), len(seeds)) if raw.get("curve") else None
    test = _test(entry.child("test"), len(seeds))
    environment = entry.child("environment").values
    return UnrollingRun(entry.text("name"), kind, task, unroll, raw.get("network"), raw.get("group"), seeds, training, curve, test, environment, path)


def _training(entry: Entry, seeds: int) -> TrainingCost:
    diverged = tuple(bool(d) for d in entry.sequence("diverged"))
    skipped = tuple(int(s) for s in entry.sequence("skipped_updates"))
    if len(diverged) != seeds or len(skipped) != seeds:
        raise entry.fail("diverged", f"{seeds} entries, one per seed, as in skipped_updates", f"{len(diverged)} and {len(skipped)}")
    seconds, per_update = entry.number("seconds"), entry.number("seconds_per_update")
    graph = entry.optional("graph_memory_mb", "peak_memory_mb")
    peak = entry.optional("peak_resident_mb")
    return TrainingCost(int(entry.number("updates")), seconds, per_update, graph, peak, diverged, skipped, entry.values)


def _curve(entry: Entry, seeds: int) -> Mapping[str, Array]:
    """Return loss and validation against the update as (seeds, points); files hold them in either order."""
    steps = entry.array("step", (None,))
    curve = {"step": steps}
    for key in ("loss", "validation"):
        if entry.values.get(key):
            value = entry.array(key, (None, None))
            if value.shape not in ((steps.size, seeds), (seeds, steps.size)):
                raise entry.fail(key, f"shape ({steps.size}, {seeds}): points by seeds", f"{value.shape}")
            curve[key] = value.T if value.shape == (steps.size, seeds) else value
    return curve


def _test(entry: Entry, seeds: int) -> TestScores:
    sets = tuple(_test_set(entry, i, s) for i, s in enumerate(entry.sequence("sets")))
    samples, horizon = sum(s.samples for s in sets), int(entry.number("horizon", 1))
    metrics_entry = entry.child("metrics")
    metrics = {name: metrics_entry.array(name, (seeds, samples), finite=name == "rellinf") for name in metrics_entry.values}
    if not metrics:
        raise entry.fail("metrics", "at least 'rellinf'", "none")
    error = np.nan_to_num(entry.array("error_over_time", (seeds, None)), nan=CLIP, posinf=CLIP).clip(0, CLIP)
    spectrum = None
    if entry.values.get("spectrum"):
        part = entry.child("spectrum")
        k = part.array("k", (None,))
        if part.values.get("axis") != "mode" and k.size > 1 and k[1] > k[0]:  # older files: multiples of 2 pi over the grid's own length
            k = np.round(k / (k[1] - k[0]))
        spectrum = {"k": k, "reference": part.array("reference", k.shape), "model": part.array("model", (seeds, k.size))}
    diverged = tuple(int(d) for d in entry.sequence("diverged_samples"))
    if len(diverged) != seeds:
        raise entry.fail("diverged_samples", f"{seeds} counts, one per seed", len(diverged))
    cost = entry.number("inference_seconds_per_frame")
    return TestScores(sets, horizon, entry.number("dt"), metrics, error, spectrum, cost, int(entry.number("inference_batch", 1)), diverged)


def _test_set(entry: Entry, index: int, raw: Any) -> TestSet:
    if not isinstance(raw, dict):
        raise entry.fail(f"sets[{index}]", "an object with name, kind, samples and params", type(raw).__name__)
    part = Entry(entry.path, f"{entry.where}sets[{index}].", raw)
    return TestSet(part.text("name"), str(raw.get("kind", "")), int(part.number("samples", 1)), dict(raw.get("params") or {}))
