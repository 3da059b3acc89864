"""Score any stepper on test trajectories: errors, spectrum, stability, and the time per frame.

Metrics of an `Evaluation`, each (S, samples). Over the first `horizon` frames (12 in the paper on a line, 250 on a plane):

    rellinf                     mean of e(t), see `metrics.error_over_time`                              List et al. 2024
    mse                         mean squared error of all channels, its frames clipped as e(t) is
    nrmse_final, vrmse_final    errors of the last of these frames; on a line also h1_final and the error in the lower, middle and upper third of
                                the modes, band_low_final, band_middle_final, band_high_final

Over the long window:

    correlation_time            time at which the correlation falls below .2 for 8 frames; correlation_time_08: first time below .8
    rms_ratio                   root mean square of the prediction over that of the reference
    spectrum_shape              half the sum over modes of the difference of the shares of energy (0: same shape, 1: no common mode)
    spectrum_error              on a line
    divergence_time             on a line, where the reference stepper is given

A value that is not finite counts as 30, in spectrum_shape as 1. Values that boundary conditions or bodies fix do not count: means are over the free
values, and spectra are of fields that are zero elsewhere. A spectrum is the Fourier spectrum on every box; between boundaries that are not periodic
the difference of their values appears in it as a jump.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from eddygrad.datasets.dataset import Dataset
from eddygrad.evaluation import metrics
from eddygrad.evaluation.cost import seconds_per_frame
from eddygrad.solver.diagnostics import energy_spectrum
from eddygrad.solver.step import FreeMask, Params, Stepper, free_values, info_of
from eddygrad.solver.unroll import trajectory

LONG_HORIZON = 750  # frames after the first: the default limit of the long window, the paper's longest test
_BLOWN_UP = 1e3  # a trajectory counts as diverged from this multiple of the reference's largest |u|
_BANDS = ("band_low_final", "band_middle_final", "band_high_final")


@dataclass
class Evaluation:
    """Scores of a stepper. The leading axis S is the seed, one entry for a stepper without a stack.

    Args:
        metrics:         name -> (S, samples); the module's docstring lists them.
        error_over_time: (S, H + 1), mean over samples of the paper's e(t).
        spectrum:        "k" (K,), the mode number m (shell of modes in more dimensions), "reference" (K,), "model" (S, K), NaN where no frame was
                         finite, and "dropped_frames" (S,), the number of frames that were not.
        prediction, reference: (S, samples, T, C, *grid) and (samples, T, C, *grid), the frames of the long window, for pictures.
        diverged:        per seed, trajectories of the long window that became non-finite or larger than 1000 times the reference.
        seconds_per_frame, batch: wall time of one frame of all samples at once, and their number.
        sets:            named test sets in the order of samples: name, kind, params, samples.
        dt:              time between frames [s].
        lengths:         length of the domain per sample, on a line [m]. box: lengths of the grid's axes [m].
        scene:           boundary conditions and bodies as the data set stores them, see `datasets.geometry`. channels: names of the state's channels.
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
        """Count seeds whose training diverged as diverged throughout; until here they were scored with their last finite weights.

        Every error of such a seed becomes 30, as in the paper's metric, and every time 0. Args: diverged: per seed.
        """
        for seed, lost in enumerate(diverged):
            if lost:
                for name, value in self.metrics.items():
                    value[seed] = 0.0 if "_time" in name else metrics.CLIPPED_ERROR
                self.error_over_time[seed] = metrics.CLIPPED_ERROR
                self.diverged[seed] = self.metrics["rellinf"].shape[1]
        return self

    def as_json(self) -> dict[str, Any]:
        """Return the `test` part of a run's JSON: `rellinf` in full, the other metrics to six digits, null for NaN."""
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
    """Round to six digits, with None for NaN and Inf: files of many seeds and samples stay small and are valid JSON."""
    if isinstance(value, list):
        return [_short(v) for v in value]
    return value if isinstance(value, int) else float(f"{value:.6g}") if math.isfinite(value) else None


class _Rollout(NamedTuple):
    """Frames of the long window, and both fields with zeros in place of values that are not free."""

    whole: Tensor  # (S, samples, T, C, *grid)
    truth: Tensor  # (samples, T, C, *grid)
    counted: Tensor
    true: Tensor
    free: Tensor | None
    params: Params


@torch.no_grad()
def evaluate(
    stepper: Stepper,
    data: Dataset,
    horizon: int,
    reference: Stepper | None = None,
    long_horizon: int | None = None,
    domain: FreeMask | None = None,
) -> Evaluation:
    """Roll `stepper` out from the first frame of every trajectory and compare with the data. The module's docstring lists the metrics.

    Args:
        stepper:      any stepper; every seed of a stack is scored.
        data:         test trajectories.
        horizon:      frames after the first for errors.
        reference:    the stepper that made the data, for `divergence_time`.
        long_horizon: frames after the first in the long window; None: all frames, at most 750. Later frames are not read.
        domain:       says which values are free, the same for every compared stepper; None asks the stepper, and if it does not say, all are.
    Raises: ValueError if the data are shorter than horizon or long_horizon, or long_horizon is shorter than the horizon.
    """
    long = _long_horizon(horizon, long_horizon, data.frames)
    run = _roll_out(stepper, data, long, stepper if domain is None else domain)
    error, scores = _errors(run, data, horizon)
    energy = torch.stack([energy_spectrum(u.double(), data.grid).energy for u in run.counted])
    true_energy = energy_spectrum(run.true.double(), data.grid).energy
    scores |= _attractor(energy, true_energy)
    like = run.truth[:, 0]
    if reference is not None:
        scores["divergence_time"] = _divergence_time(run.whole, reference, run.params, like) * data.dt
    return Evaluation(
        metrics=scores,
        error_over_time=error.mean(1),
        spectrum=_spectrum(energy, true_energy),
        prediction=run.whole,
        reference=run.truth,
        diverged=_diverged(run),
        seconds_per_frame=seconds_per_frame(stepper, run.params, like),
        batch=len(like),
        **_about(data),
    )


def _roll_out(stepper: Stepper, data: Dataset, long: int, domain: object) -> _Rollout:
    window, info = data.windows(long, 0), info_of(stepper)
    truth, params = window.u, window.params
    like = truth[:, 0]
    step = stepper.at(params, like)
    seeds = info.seeds
    start = like if seeds is None else like.expand(len(seeds), *like.shape)
    whole = trajectory(step, start, long + 1, include_start=True, time_axis=1 if seeds is None else 2, inside=info.stays_inside)
    whole = whole.unsqueeze(0) if seeds is None else whole
    free = free_values(domain, params, like)
    counted, true = (whole, truth) if free is None else (whole * free, truth * free)
    return _Rollout(whole, truth, counted, true, free, params)


def _errors(run: _Rollout, data: Dataset, horizon: int) -> tuple[Tensor, dict[str, Tensor]]:
    """Return e(t) of the first frames (S, samples, horizon + 1), and all errors and times."""
    ndim, predicted, true = data.grid.ndim, run.counted[:, :, : horizon + 1], run.true[:, : horizon + 1]
    error = metrics.error_over_time(predicted, true, ndim, run.free)
    squared = metrics.mse(predicted, true, ndim, run.free)
    return error, {
        "rellinf": error.mean(-1),
        "mse": squared,
        **_final(run.counted[:, :, horizon], run.true[:, horizon], data, run.free),
        **_duration(run.counted, run.true, data, run.free),
    }


def _diverged(run: _Rollout) -> list[int]:
    """Count per seed the trajectories that became non-finite or far larger than the reference."""
    whole = run.whole
    lost = ~(torch.isfinite(whole).flatten(2).all(-1) & (whole.abs().flatten(2).amax(-1) < _BLOWN_UP * run.truth.abs().amax()))
    counts: list[int] = lost.sum(1).tolist()
    return counts


def _about(data: Dataset) -> dict[str, Any]:
    return {
        "sets": _sets(data),
        "dt": data.dt,
        "lengths": _lengths(data),
        "box": data.grid.lengths,
        "scene": data.attrs.get("scene"),
        "channels": data.channels,
    }


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
    """Return errors of one frame, (S, samples) each, from u (S, samples, C, *grid) and truth (samples, C, *grid)."""
    ndim, u, truth = data.grid.ndim, u.unsqueeze(2), truth.unsqueeze(1)
    errors = {"nrmse_final": metrics.nrmse(u, truth, ndim, free), "vrmse_final": metrics.vrmse(u, truth, ndim, free)}
    if ndim == 1:
        errors["h1_final"] = metrics.h1(u, truth, data.params.get("length", data.grid.lengths[0]))
        errors |= dict(zip(_BANDS, metrics.band_errors(u, truth).unbind(-1), strict=True))
    return {name: _clipped(value[..., 0]) for name, value in errors.items()}


def _duration(whole: Tensor, truth: Tensor, data: Dataset, free: Tensor | None) -> dict[str, Tensor]:
    """Return the times for which the prediction follows the reference [s] and, on a line, the error of its spectrum: (S, samples) each."""
    rho = metrics.correlation(whole, truth, data.grid.ndim, free)
    scores = {
        "correlation_time": metrics.correlation_time(rho) * data.dt,
        "correlation_time_08": metrics.correlation_time(rho, 0.8, run=1) * data.dt,
    }
    return scores | ({"spectrum_error": metrics.spectrum_error(whole, truth)} if data.grid.ndim == 1 else {})


def _attractor(energy: Tensor, true_energy: Tensor) -> dict[str, Tensor]:
    """Compare root mean square and shares of energy over all frames, (S, samples) each; energies are (..., samples, T, K)."""
    model, truth = energy.mean(-2), true_energy.mean(-2)
    total, true_total = model.sum(-1, keepdim=True), truth.sum(-1, keepdim=True)
    shape = 0.5 * (model / total - truth / true_total).abs().sum(-1)
    return {"rms_ratio": _clipped((total / true_total).sqrt().squeeze(-1)), "spectrum_shape": torch.nan_to_num(shape, nan=1.0)}


def _sets(data: Dataset) -> list[dict[str, Any]]:
    """Return the named test sets in the order of samples; a selection of a data set is one set."""
    sets = data.attrs.get("sets", [])
    whole = [{"name": "test", "kind": "test", "params": {}, "samples": data.samples}]
    return list(sets) if sum(s["samples"] for s in sets) == data.samples else whole


def _lengths(data: Dataset) -> list[float]:
    """Return the length per sample on a line: the parameter "length" where the data have one, else the grid's."""
    if data.grid.ndim > 1:
        return []
    given = data.params.get("length")
    return [data.grid.lengths[0]] * data.samples if given is None else given.flatten().tolist()


def _divergence_time(whole: Tensor, reference: Stepper, params: Params, like: Tensor) -> Tensor:
    step = reference.at(params, like)
    following = torch.stack([step(whole[:, :, t]) for t in range(whole.shape[2] - 1)], 2)
    return metrics.divergence_time(whole, following)


def _spectrum(energy: Tensor, true_energy: Tensor) -> dict[str, Tensor]:
    """Average spectra over samples and finite frames, on mode numbers, so that domains of several lengths share one axis."""
    finite = torch.isfinite(energy).all(-1)
    kept = torch.where(finite.unsqueeze(-1), energy, 0.0).flatten(1, -2).sum(1) / finite.flatten(1).sum(1).unsqueeze(-1)
    return {
        "k": torch.arange(energy.shape[-1]),
        "reference": true_energy.flatten(0, -2).mean(0),
        "model": kept,
        "dropped_frames": (~finite).flatten(1).sum(1),
    }
