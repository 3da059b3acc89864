"""The computation behind `generate`: everything that decides the numbers of a data set, and the loop over steps and frames."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from eddygrad.datasets.format import Header, canonical, sha256_of_arrays
from eddygrad.datasets.frame_diagnostics import Diagnose
from eddygrad.datasets.frame_recorder import FrameRecorder, check_diagnose, units_of
from eddygrad.datasets.geometry import describe_geometry
from eddygrad.datasets.header import check_names, default_channels, make_header, sample_params
from eddygrad.datasets.kept_fields import Stored
from eddygrad.runtime.progress import Bar
from eddygrad.solver.grid import Grid
from eddygrad.solver.step import Step, Stepper, info_of
from eddygrad.solver.unroll import frames_of, repeat

Initial = Tensor | Callable[[range], Tensor]
_SHARD_BYTES = 256 * 2**20


class Trajectories(NamedTuple):
    """Stored states (samples, frames, C, *grid) and recorded numbers, name -> (samples, frames)."""

    u: Tensor
    diagnostics: dict[str, Tensor]


@dataclass(frozen=True)
class GenerationJob:
    """Everything that decides the numbers of a data set; the fields are the arguments of `generate`, checked and completed."""

    stepper: Stepper
    initial: Initial
    params: dict[str, Tensor]
    frames: int
    stride: int
    warmup: int
    samples: int
    shard_samples: int
    compute_dtype: torch.dtype
    store_dtype: torch.dtype
    grid: Grid
    stored: Stored | None
    diagnose: Diagnose | None
    device: torch.device

    @property
    def stored_grid(self) -> Grid:
        """Grid of the stored fields."""
        return self.grid if self.stored is None else self.stored.grid

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the stored channels: those of `stored`, else of the equation if it has as many as the state, else ("u0", "u1", ...)."""
        if self.stored is not None:
            return self.stored.channels
        count = self.states(range(1)).shape[1]
        equation = info_of(self.stepper).equation
        names = () if equation is None else tuple(equation.channels)
        return names if len(names) == count else default_channels(count)

    @property
    def spans(self) -> list[range]:
        """Ranges of samples that are computed as one batch and stored as one shard."""
        return [range(a, min(a + self.shard_samples, self.samples)) for a in range(0, self.samples, self.shard_samples)]

    def keep(self, u: Tensor) -> Tensor:
        """Return the stored fields of states (B, C, *grid)."""
        return u if self.stored is None else self.stored(u)

    def states(self, span: range) -> Tensor:
        """Return the initial states (len(span), C, *grid) of a range of samples.

        Raises: ValueError for another shape.
        """
        u = self.initial[span.start : span.stop] if isinstance(self.initial, Tensor) else self.initial(span)
        if u.ndim != self.grid.ndim + 2 or tuple(u.shape[2:]) != self.grid.shape or len(u) != len(span):
            raise ValueError(f"generate: initial: expected ({len(span)}, channel, {', '.join(map(str, self.grid.shape))}), got {tuple(u.shape)}")
        return u

    def run_all(self, shown: Bar) -> Trajectories:
        """Compute all samples, in the same batches as shards would be."""
        parts = [self.run(span, shown) for span in self.spans]
        recorded = {name: torch.cat([part.diagnostics[name] for part in parts]) for name in parts[0].diagnostics}
        return Trajectories(torch.cat([part.u for part in parts]), recorded)

    def run(self, span: range, shown: Bar) -> Trajectories:
        """Compute a range of samples as one batch.

        Args:    span: numbers of the samples. shown: the progress bar.
        Returns: trajectories in the stored dtype, on the CPU.
        Raises:  ValueError if a state or a recorded number is not finite.
        """
        u = self.states(span).to(self.device, self.compute_dtype)
        params = {name: value[span.start : span.stop].to(self.device) for name, value in self.params.items()}
        recorder = FrameRecorder(self.stepper, self.diagnose, len(span), self.frames, self.stride)
        step = self.stepper.at(params, u, recorder) if recorder.observes else self.stepper.at(params, u)
        out = torch.empty(len(span), self.frames, *self.keep(u).shape[1:], dtype=self.store_dtype)
        previous, steps_before = u, 0
        if self.warmup:
            shown.set_postfix_str(f"{self.warmup} steps of warm-up")
        for j, frame in enumerate(frames_of(step, u, self.frames, self.stride, self.warmup, include_start=True)):
            steps = self.warmup + j * self.stride
            out[:, j] = self.keep(frame)
            # A finite sum has finite terms. A sum that is not finite may have overflowed, so its terms are checked.
            if not bool(torch.isfinite(out[:, j].sum())) and not bool(torch.isfinite(out[:, j]).all()):
                raise ValueError(_where_not_finite(self, step, previous, steps_before, steps, span.start))
            recorder.frame(j, frame, steps, span.start)
            previous, steps_before = frame, steps
            if j == 0 and self.warmup:
                shown.set_postfix_str("", refresh=False)
            shown.update(len(span))
        return Trajectories(out, recorder.values)

    def header(self, seed: int, channels: tuple[str, ...], units: Mapping[str, str], attrs: Mapping[str, Any], in_file: bool) -> Header:
        """Return the header of the data set.

        Args:
            seed:     of the initial states.
            channels: name of each stored channel.
            units:    units that replace those of the equation and of the recorded numbers.
            attrs:    further attributes.
            in_file:  whether to add digests of the initial states, parameters and weights, by which a second call is recognised.
        Raises: ValueError for another number of channels, bad diagnostics, or a name that is used twice.
        """
        info, example = info_of(self.stepper), self.states(range(1))
        pde, parameters = ("", {}) if info.equation is None else (info.equation.name, info.equation.parameters)
        unit, dtype = {**parameters, **units}, str(self.store_dtype).removeprefix("torch.")
        dt = self.stride * self.stepper.dt
        base = make_header(self.stored_grid, dt, self.frames, channels, {name: unit.get(name, "1") for name in self.params}, dtype)
        count = self.keep(example).shape[1]
        if len(channels) != count:
            raise ValueError(f"generate: channels: expected one name per channel ({count}), got {list(channels)}")
        base |= self._recorded(channels, units, example)
        if self.stored is not None:
            base["stored"] = repr(self.stored)
        times = [(self.warmup + j * self.stride) * self.stepper.dt for j in range(self.frames)]
        geometry = describe_geometry(self.stepper, self.stored_grid, self.stored is None or self.stored.faces, self.params, times)
        if geometry is not None:
            base["scene"] = geometry
        base |= {"pde": pde, "stepper": repr(self.stepper), "stride": self.stride, "warmup": self.warmup, "seed": seed}
        base |= {"compute_dtype": str(self.compute_dtype).removeprefix("torch."), "device": self.device.type, **attrs}
        return json.loads(canonical(base | self._digests() if in_file else base))

    def _recorded(self, channels: tuple[str, ...], units: Mapping[str, str], example: Tensor) -> Header:
        """Attributes about recorded numbers; empty if none are recorded."""
        if self.diagnose is not None:
            check_diagnose(self.diagnose, self.grid, self.params, example)
        known = units_of(self.stepper, self.diagnose)
        check_names(known, (*self.params, *channels))
        named = {"diagnose": repr(self.diagnose)} if self.diagnose is not None else {}
        return named | ({"diagnostics": {name: units.get(name, unit) for name, unit in known.items()}} if known else {})

    def _digests(self) -> Header:
        """Sizes and digests by which a second call with the same arguments is recognised."""
        states = self.states(self.spans[0] if callable(self.initial) else range(self.samples))
        digests: Header = {"samples": self.samples, "shard_samples": self.shard_samples}
        digests["initial_sha256"] = sha256_of_arrays(states.cpu().numpy())
        digests["params_sha256"] = sha256_of_arrays(*[self.params[name].numpy() for name in sorted(self.params)])
        if isinstance(self.stepper, nn.Module):
            weights = sorted(self.stepper.state_dict().items())
            digests["weights_sha256"] = sha256_of_arrays(*[value.detach().cpu().numpy() for _, value in weights])
        return digests


def make_job(
    stepper: Stepper, initial: Initial, params: Mapping[str, Tensor | float], frames: int, stride: int, warmup: int, samples: int | None,
    shard_samples: int | None, compute_dtype: torch.dtype, store_dtype: torch.dtype, grid: Grid | None,
    stored: Stored | None, diagnose: Diagnose | None, device: torch.device | str,
) -> GenerationJob:  # fmt: skip
    """Check the arguments of `generate` and complete those that have a default.

    Args: stepper, initial, params, frames, stride, warmup, samples, shard_samples, compute_dtype, store_dtype, grid, stored, diagnose, device: see
          `generate`.
    Raises: ValueError if an argument is out of range or contradicts another.
    """
    if frames < 1 or stride < 1 or warmup < 0:
        raise ValueError(f"generate: needs frames >= 1, stride >= 1 and warmup >= 0, got frames={frames}, stride={stride}, warmup={warmup}")
    if stored is not None and not isinstance(stored, Stored):
        raise ValueError(f"generate: stored: expected a callable with `grid`, `channels` and `faces`, got {type(stored).__name__}; see `Stored`")
    samples = _sample_count(initial, samples)
    if samples < 1 or (shard_samples is not None and shard_samples < 1):
        raise ValueError(f"generate: needs at least one sample and shard_samples >= 1, got samples={samples}, shard_samples={shard_samples}")
    grid = info_of(stepper).grid if grid is None else grid
    if grid is None:
        grid = Grid(tuple(_example(initial).shape[2:]))
    channels = len(stored.channels) if stored is not None else int(_example(initial).shape[1])
    sample_bytes = frames * channels * int(np.prod((grid if stored is None else stored.grid).shape)) * store_dtype.itemsize
    size = shard_samples or max(1, min(samples, _SHARD_BYTES // sample_bytes))
    columns = sample_params(params, samples, grid.ndim)
    return GenerationJob(
        stepper, initial, columns, frames, stride, warmup, samples, size, compute_dtype, store_dtype, grid, stored, diagnose, torch.device(device)
    )


def _sample_count(initial: Initial, samples: int | None) -> int:
    if not isinstance(initial, Tensor):
        if samples is None:
            raise ValueError("generate: initial is a function, so samples must be given; pass samples=...")
        return samples
    if samples not in (None, len(initial)):
        raise ValueError(f"generate: samples: expected {len(initial)} as in initial, got {samples}; leave it out")
    return len(initial)


def _example(initial: Initial) -> Tensor:
    return initial if isinstance(initial, Tensor) else initial(range(1))


def _where_not_finite(job: GenerationJob, step: Step, u: Tensor, k: int, end: int, first_sample: int) -> str:
    """Repeat the steps k .. end one by one from the state `u`, and return a message that names the step and the samples."""
    while torch.isfinite(job.keep(u).to(job.store_dtype)).all() and k < end:
        u, k = repeat(step, u, 1, k), k + 1
    bad = (~torch.isfinite(job.keep(u).to(job.store_dtype)).flatten(1).all(1)).nonzero().flatten() + first_sample
    return (
        f"generate: expected finite states, got NaN or Inf after step {k} in sample {', '.join(map(str, bad.tolist()[:8]))}; "
        "take a smaller dt or more substeps, or a milder initial state"
    )
