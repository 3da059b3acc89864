"""Score any stepper on test trajectories: errors, spectrum, stability, and what a frame costs."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from eddygrad.datasets.dataset import Dataset
from eddygrad.evaluation import metrics
from eddygrad.solver.diagnostics import energy_spectrum
from eddygrad.solver.rollout import trajectory
from eddygrad.solver.step import FreeMask, Params, Step, Stepper, free_values

LONG_HORIZON = 750  # frames after the first, the longest that evaluate looks at unless told otherwise; the paper's longest test
_BLOWN_UP = 1e3  # times the largest |u| of the reference: from here a trajectory counts as diverged
_BANDS = ("band_low_final", "band_middle_final", "band_high_final")


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
        metrics:         name -> (S, samples); see `evaluate`.
        error_over_time: (S, H + 1), mean over samples of the paper's e(t).
        spectrum:        "k" (K,), the mode number m (shell of modes in more dimensions), "reference" (K,), "model" (S, K), NaN where no frame was
                         finite, and "dropped_frames" (S,), those that were not.
        prediction, reference: (S, samples, T, C, *grid) and (samples, T, C, *grid), the frames of the long window, for pictures.
        diverged:        per seed, trajectories of the long window that became non-finite or larger than 1000 times the reference.
        lengths:         of the domain, per sample; on a line. box: sides of the grid. channels: their names.
        scene:           sides and bodies as the data tell them, see `datasets.scene`.
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
    lengths: Sequence[float] = ()
    box: Sequence[float] = ()
    scene: Mapping[str, Any] | None = None
    channels: Sequence[str] = ()

    def charging(self, diverged: Sequence[bool]) -> Evaluation:
        """Seeds whose training diverged, scored with their last finite weights until here, count as diverged throughout.

        30 in every error, as in the paper's metric, 0 in every time.
        """
        for seed, lost in enumerate(diverged):
            if lost:
                for name, value in self.metrics.items():
                    value[seed] = 0.0 if "_time" in name else metrics.CLIPPED_ERROR
                self.error_over_time[seed] = metrics.CLIPPED_ERROR
                self.diverged[seed] = self.metrics["rellinf"].shape[1]
        return self

    def as_json(self) -> dict[str, Any]:
        """The `test` part of a run's JSON: `rellinf` in full, the other metrics to six digits, null for NaN."""
        return {
            "sets": list(self.sets),
            "horizon": self.error_over_time.shape[-1] - 1,
            "long_horizon": self.reference.shape[1] - 1,
            "dt": self.dt,
            "metrics": {name: value.tolist() if name == "rellinf" else _short(value.tolist()) for name, value in self.metrics.items()},
            "error_over_time": self.error_over_time.tolist(),
            "spectrum": {"axis": "mode", **{name: _short(value.tolist()) for name, value in self.spectrum.items()}},
            "inference_seconds_per_frame": self.seconds_per_frame,
            "inference_batch": self.batch,
            "diverged_samples": self.diverged,
        }


def _short(value: Any) -> Any:
    """Six digits, None for NaN and Inf: files of many seeds and samples stay small and are JSON for every reader."""
    if isinstance(value, list):
        return [_short(v) for v in value]
    return value if isinstance(value, int) else float(f"{value:.6g}") if math.isfinite(value) else None


@torch.no_grad()
def evaluate(
    stepper: Stepper,
    data: Dataset,
    horizon: int,
    reference: Stepper | None = None,
    long_horizon: int | None = None,
    domain: FreeMask | None = None,
) -> Evaluation:
    """Roll `stepper` out from the first frame of every trajectory of `data` and compare.

    Over the first `horizon` frames (12 in the paper on a line, 250 on a plane): `rellinf`, e(t) and `mse`, the mean squared error of all channels,
    its frames clipped as e(t). In the last of them: `nrmse_final`, `vrmse_final`; on a line also `h1_final` and the error in the lower, middle and
    upper third of the modes, `band_low_final` and so on.

    Over the long window: `correlation_time` (below .2 for 8 frames) and `correlation_time_08` (first frame below .8); `rms_ratio`, prediction over
    reference; `spectrum_shape`, half the sum over modes of the difference of the shares of energy (0: same shape, 1: nothing in common); on a line
    `spectrum_error`; `divergence_time` where the reference stepper is given (1-D). What is not finite counts as 30, in `spectrum_shape` as 1.

    Values that sides or bodies fix count nowhere: means are over the free ones, and spectra are of fields that are zero elsewhere. A spectrum is the
    Fourier one on any box; what differs between sides that are not periodic stands in it as a jump.

    Args:
        long_horizon: frames after the first in the long window; None: all there are, at most 750. What comes later is not read.
        domain:       knows which values are free, the same for every stepper that is compared; None asks the stepper, and if it does not say, all.
    Raises: ValueError if the data are shorter than horizon or long_horizon, or long_horizon is shorter than the horizon.
    """
    long = _long_horizon(horizon, long_horizon, data.frames)
    window, ndim = data.windows(long, 0), data.grid.ndim
    truth, params = window.u, window.params
    like = truth[:, 0]
    step = stepper.at(params, like)
    seeds = getattr(stepper, "seeds", None)
    start = like if seeds is None else like.expand(len(seeds), *like.shape)
    inside = getattr(stepper, "stays_inside", False)
    whole = trajectory(step, start, long + 1, include_start=True, time_axis=1 if seeds is None else 2, inside=inside)
    whole = whole.unsqueeze(0) if seeds is None else whole
    free = free_values(stepper if domain is None else domain, params, like)
    counted, true = (whole, truth) if free is None else (whole * free, truth * free)
    error = metrics.error_over_time(counted[:, :, : horizon + 1], true[:, : horizon + 1], ndim, free)
    squared = metrics.mse(counted[:, :, : horizon + 1], true[:, : horizon + 1], ndim, free)
    scores = {
        "rellinf": error.mean(-1),
        "mse": squared,
        **_final(counted[:, :, horizon], true[:, horizon], data, free),
        **_duration(counted, true, data, free),
    }
    energy = torch.stack([energy_spectrum(u.double(), data.grid).energy for u in counted])
    true_energy = energy_spectrum(true.double(), data.grid).energy
    scores |= _attractor(energy, true_energy)
    if reference is not None:
        scores["divergence_time"] = _divergence_time(whole, reference, params, like) * data.dt
    lost = ~(torch.isfinite(whole).flatten(2).all(-1) & (whole.abs().flatten(2).amax(-1) < _BLOWN_UP * truth.abs().amax()))
    return Evaluation(
        metrics=scores,
        error_over_time=error.mean(1),
        spectrum=_spectrum(energy, true_energy),
        prediction=whole,
        reference=truth,
        diverged=lost.sum(1).tolist(),
        seconds_per_frame=seconds_per_frame(stepper, params, like),
        batch=len(like),
        sets=_sets(data),
        dt=data.dt,
        lengths=_lengths(data),
        box=data.grid.lengths,
        scene=data.attrs.get("scene"),
        channels=data.channels,
    )


def _long_horizon(horizon: int, long_horizon: int | None, frames: int) -> int:
    long = min(frames - 1, LONG_HORIZON) if long_horizon is None else long_horizon
    for name, value in (("horizon", horizon), ("long_horizon", long)):
        if value + 1 > frames:
            raise ValueError(f"evaluate: {name} {value} needs {value + 1} frames, got trajectories of {frames}; generate longer test data")
    if not 1 <= horizon <= long:
        raise ValueError(f"evaluate: expected 1 <= horizon <= long_horizon, got {horizon} and {long}; pass a longer long_horizon")
    return long


def _clipped(error: Tensor) -> Tensor:
    return torch.nan_to_num(error, nan=metrics.CLIPPED_ERROR, posinf=metrics.CLIPPED_ERROR).clamp(max=metrics.CLIPPED_ERROR)


def _final(u: Tensor, truth: Tensor, data: Dataset, free: Tensor | None) -> dict[str, Tensor]:
    """Errors of one frame: (S, samples) each. u: (S, samples, C, *grid). truth: (samples, C, *grid)."""
    ndim, u, truth = data.grid.ndim, u.unsqueeze(2), truth.unsqueeze(1)
    errors = {"nrmse_final": metrics.nrmse(u, truth, ndim, free), "vrmse_final": metrics.vrmse(u, truth, ndim, free)}
    if ndim == 1:
        errors["h1_final"] = metrics.h1(u, truth, data.params.get("length", data.grid.lengths[0]))
        errors |= dict(zip(_BANDS, metrics.band_errors(u, truth).unbind(-1), strict=True))
    return {name: _clipped(value[..., 0]) for name, value in errors.items()}


def _duration(whole: Tensor, truth: Tensor, data: Dataset, free: Tensor | None) -> dict[str, Tensor]:
    """How long the prediction follows the reference, and on a line how its spectrum differs: (S, samples) each."""
    rho = metrics.correlation(whole, truth, data.grid.ndim, free)
    scores = {
        "correlation_time": metrics.correlation_time(rho) * data.dt,
        "correlation_time_08": metrics.correlation_time(rho, 0.8, run=1) * data.dt,
    }
    return scores | ({"spectrum_error": metrics.spectrum_error(whole, truth)} if data.grid.ndim == 1 else {})


def _attractor(energy: Tensor, true_energy: Tensor) -> dict[str, Tensor]:
    """Root mean square and shares of energy, over all frames: (S, samples) each. Energies: (..., samples, T, K)."""
    model, truth = energy.mean(-2), true_energy.mean(-2)
    total, true_total = model.sum(-1, keepdim=True), truth.sum(-1, keepdim=True)
    shape = 0.5 * (model / total - truth / true_total).abs().sum(-1)
    return {"rms_ratio": _clipped((total / true_total).sqrt().squeeze(-1)), "spectrum_shape": torch.nan_to_num(shape, nan=1.0)}


def _sets(data: Dataset) -> list[dict[str, Any]]:
    """The named test sets, in order of samples; a selection of a data set is one set."""
    sets = data.attrs.get("sets", [])
    whole = [{"name": "test", "kind": "test", "params": {}, "samples": data.samples}]
    return list(sets) if sum(s["samples"] for s in sets) == data.samples else whole


def _lengths(data: Dataset) -> list[float]:
    """A parameter of that name replaces the grid's own."""
    if data.grid.ndim > 1:
        return []
    given = data.params.get("length")
    return [data.grid.lengths[0]] * data.samples if given is None else given.flatten().tolist()


def _divergence_time(whole: Tensor, reference: Stepper, params: Params, like: Tensor) -> Tensor:
    step = reference.at(params, like)
    following = torch.stack([step(whole[:, :, t]) for t in range(whole.shape[2] - 1)], 2)
    return metrics.divergence_time(whole, following)


def _spectrum(energy: Tensor, true_energy: Tensor) -> dict[str, Tensor]:
    """Mean spectrum over samples and frames that are finite, on mode numbers: domains of several lengths share one axis."""
    finite = torch.isfinite(energy).all(-1)
    kept = torch.where(finite.unsqueeze(-1), energy, 0.0).flatten(1, -2).sum(1) / finite.flatten(1).sum(1).unsqueeze(-1)
    return {
        "k": torch.arange(energy.shape[-1]),
        "reference": true_energy.flatten(0, -2).mean(0),
        "model": kept,
        "dropped_frames": (~finite).flatten(1).sum(1),
    }


@torch.no_grad()
def seconds_per_frame(stepper: Stepper, params: Params, like: Tensor, repeats: int = 7, frames: int = 10) -> float:
    """Median time of one frame of one network or solver for this batch [s].

    A stack is timed by its first entry, a step that stays inside without entering.
    """
    network = getattr(stepper, "network", None)
    if getattr(stepper, "seeds", None) is not None and hasattr(network, "entry"):
        stepper = stepper.with_network(network.entry(0))  # type: ignore[attr-defined, union-attr]
    step: Any = stepper.at(params, like)
    inside = getattr(stepper, "stays_inside", False)
    times = []
    for _ in range(repeats):
        u = state = step.enter(like) if inside else like
        _wait(like.device)
        begin = time.perf_counter()
        for k in range(frames):
            state = step.inner(state, k) if inside else step(state, k)
            u = step.leave(state) if inside else state
        _wait(u.device)
        times.append((time.perf_counter() - begin) / frames)
    return statistics.median(times)


def _wait(device: torch.device) -> None:
    """Until an accelerator has done what it was asked."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
