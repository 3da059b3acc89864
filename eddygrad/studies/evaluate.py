"""Score any stepper on test trajectories: errors, spectrum, stability, and what a frame costs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from eddygrad.datasets.dataset import Dataset
from eddygrad.solver.diagnostics import energy_spectrum
from eddygrad.solver.rollout import trajectory
from eddygrad.solver.step import Params, Step, Stepper
from eddygrad.training import metrics

_BLOWN_UP = 1e3  # times the largest |u| of the reference: from here a trajectory counts as diverged


@dataclass(frozen=True)
class Persistence:
    """The baseline that nothing happens: u+ = u."""

    dt: float
    differentiable: bool = True

    def at(self, params: Params, like: Tensor, observe: Any = None) -> Step:
        return lambda u, k=0: u


@dataclass
class Evaluation:
    """What a stepper achieved; the leading axis is the seed, one entry for a stepper without a stack.

    Args:
        metrics:         name -> (S, samples).
        error_over_time: (S, H + 1), mean over samples of the paper's e(t).
        spectrum:        "k", "reference", "model" (S, K).
        prediction, reference: (S, samples, T, C, *grid) and (samples, T, C, *grid), all frames, for pictures.
        diverged:        per seed, trajectories of the long window that became non-finite or larger than 1000 times the reference.
    """

    metrics: dict[str, Tensor]
    error_over_time: Tensor
    spectrum: dict[str, Tensor]
    prediction: Tensor
    reference: Tensor
    diverged: list[int]
    seconds_per_frame: float
    batch: int
    sets: Sequence[dict[str, Any]] = field(default_factory=list)
    dt: float = 1.0

    def charging(self, diverged: Sequence[bool]) -> Evaluation:
        """Seeds whose training diverged, scored with their last finite weights until here, count as diverged throughout: 30 in the paper's metric."""
        for seed, lost in enumerate(diverged):
            if lost:
                self.metrics["rellinf"][seed] = metrics.CLIPPED_ERROR
                self.error_over_time[seed] = metrics.CLIPPED_ERROR
                self.diverged[seed] = self.metrics["rellinf"].shape[1]
        return self

    def as_json(self) -> dict[str, Any]:
        """The `test` part of a run's JSON."""
        return {
            "sets": list(self.sets),
            "horizon": self.error_over_time.shape[-1] - 1,
            "dt": self.dt,
            "metrics": {name: value.tolist() for name, value in self.metrics.items()},
            "error_over_time": self.error_over_time.tolist(),
            "spectrum": {name: value.tolist() for name, value in self.spectrum.items()},
            "inference_seconds_per_frame": self.seconds_per_frame,
            "inference_batch": self.batch,
            "diverged_samples": self.diverged,
        }


@torch.no_grad()
def evaluate(stepper: Stepper, data: Dataset, horizon: int, reference: Stepper | None = None) -> Evaluation:
    """Roll `stepper` out from the first frame of every trajectory of `data` and compare.

    `rellinf`, `nrmse_final` and e(t) over the first `horizon` frames (SYSTEMS of the paper: 12), `correlation_time` and `spectrum_error` over all
    frames of the data, `divergence_time` where the reference stepper is given (1-D).

    Raises: ValueError if the data are shorter than the horizon.
    """
    if horizon + 1 > data.frames:
        raise ValueError(f"evaluate: horizon {horizon} needs {horizon + 1} frames, got trajectories of {data.frames}; generate longer test data")
    truth, params, ndim = data.all(), data.params, data.grid.ndim
    like = truth[:, 0]
    step = stepper.at(params, like)
    seeds = getattr(stepper, "seeds", None)
    start = like if seeds is None else like.expand(len(seeds), *like.shape)
    whole = trajectory(step, start, data.frames, include_start=True, time_axis=1 if seeds is None else 2)
    whole = whole.unsqueeze(0) if seeds is None else whole
    u, ref = whole[:, :, : horizon + 1], truth[:, : horizon + 1]
    error = metrics.error_over_time(u, ref, ndim)
    scores = {
        "rellinf": error.mean(-1),
        "nrmse_final": metrics.nrmse(u, ref, ndim)[..., -1].nan_to_num(nan=metrics.CLIPPED_ERROR).clamp(max=metrics.CLIPPED_ERROR),
        "correlation_time": metrics.correlation_time(metrics.correlation(whole, truth, ndim)) * data.dt,
    }
    if ndim == 1:
        scores["spectrum_error"] = metrics.spectrum_error(whole, truth)
    if reference is not None:
        scores["divergence_time"] = _divergence_time(whole, reference, params, like) * data.dt
    lost = ~(torch.isfinite(whole).flatten(2).all(-1) & (whole.abs().flatten(2).amax(-1) < _BLOWN_UP * truth.abs().amax()))
    return Evaluation(
        metrics=scores,
        error_over_time=error.mean(1),
        spectrum=_spectrum(whole, truth, data),
        prediction=whole,
        reference=truth,
        diverged=lost.sum(1).tolist(),
        seconds_per_frame=seconds_per_frame(stepper, params, like),
        batch=len(like),
        sets=_sets(data),
        dt=data.dt,
    )


def _sets(data: Dataset) -> list[dict[str, Any]]:
    """The named test sets, in order of samples; a selection of a data set is one set."""
    sets = data.attrs.get("sets", [])
    whole = [{"name": "test", "kind": "test", "params": {}, "samples": data.samples}]
    return list(sets) if sum(s["samples"] for s in sets) == data.samples else whole


def _divergence_time(whole: Tensor, reference: Stepper, params: Params, like: Tensor) -> Tensor:
    step = reference.at(params, like)
    following = torch.stack([step(whole[:, :, t].clamp(-1e4, 1e4)) for t in range(whole.shape[2] - 1)], 2)
    return metrics.divergence_time(whole, following)


def _spectrum(whole: Tensor, truth: Tensor, data: Dataset) -> dict[str, Tensor]:
    """Mean energy spectrum over samples and frames, on mode numbers (domains of several lengths share one axis)."""
    finite = torch.nan_to_num(whole, nan=0.0, posinf=0.0, neginf=0.0)
    model = energy_spectrum(finite.double(), data.grid)
    reference = energy_spectrum(truth.double(), data.grid)
    return {
        "k": model.k.reshape(-1),
        "reference": reference.energy.flatten(0, -2).mean(0),
        "model": model.energy.flatten(1, -2).mean(1),
    }


@torch.no_grad()
def seconds_per_frame(stepper: Stepper, params: Params, like: Tensor, repeats: int = 7, frames: int = 10) -> float:
    """Median time of one frame of one network or solver for this batch [s]; a stack is timed by its first entry."""
    network = getattr(stepper, "network", None)
    if getattr(stepper, "seeds", None) is not None and hasattr(network, "entry"):
        stepper = stepper.with_network(network.entry(0))  # type: ignore[attr-defined, union-attr]
    step = stepper.at(params, like)
    times = []
    for _ in range(repeats):
        u, begin = like, time.perf_counter()
        for k in range(frames):
            u = step(u, k)
        if u.is_cuda:
            torch.cuda.synchronize()
        times.append((time.perf_counter() - begin) / frames)
    return statistics.median(times)
