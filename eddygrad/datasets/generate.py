"""Run a stepper over many initial states and store the trajectories: shard by shard, resumable, with provenance."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from eddygrad.datasets.dataset import Dataset, default_channels, header, open, sample_params
from eddygrad.datasets.format import MANIFEST, Header, Shard, canonical, read_contents, sha256_of_arrays, write_shard
from eddygrad.datasets.frame_diagnostics import Diagnose, FrameRecorder, check_diagnose, check_names, units_of
from eddygrad.datasets.geometry import describe_geometry
from eddygrad.datasets.kept_fields import Stored
from eddygrad.datasets.manifest import Manifest, source
from eddygrad.datasets.normalisation import pool, sample_moments
from eddygrad.runtime.progress import Bar, bar
from eddygrad.solver.grid import Grid
from eddygrad.solver.rollout import frames_of, repeat
from eddygrad.solver.step import Step, Stepper

Initial = Tensor | Callable[[range], Tensor]
_SHARD_BYTES = 256 * 2**20


def generate(
    stepper: Stepper,
    initial: Initial,
    params: Mapping[str, Tensor | float],
    path: str | Path | None,
    *,
    frames: int,
    stride: int = 1,
    warmup: int = 0,
    seed: int = 0,
    samples: int | None = None,
    shard_samples: int | None = None,
    compute_dtype: torch.dtype = torch.float64,
    store_dtype: torch.dtype = torch.float32,
    grid: Grid | None = None,
    channels: tuple[str, ...] | None = None,
    units: Mapping[str, str] | None = None,
    attrs: Mapping[str, Any] | None = None,
    stored: Stored | None = None,
    diagnose: Diagnose | None = None,
    device: torch.device | str = "cpu",
    progress: bool = True,
) -> Dataset:
    """Trajectories of `stepper` from many initial states, on disk or in memory.

        frame j = state after warmup + j stride steps,  j = 0 .. frames - 1      (the initial state is step 0)

    A shard is computed as one batch, written to a temporary name, synced and renamed, then entered in the manifest. A run that is killed at any
    moment continues when called again with the same arguments and ends with the same bits on the same machine.

    Args:
        initial:       (samples, C, *grid), or a function of a range of sample numbers that returns those states (then give `samples`).
        params:        physical parameters: numbers, (samples,) or (samples, 1, *1).
        path:          a folder of shards; a name that ends in ".nc" for one file; None keeps the data in memory.
        seed:          from which the initial states were drawn; provenance.
        shard_samples: samples per shard and batch; default about 256 MiB. Samples that share a parameter step faster side by side in one shard.
        grid, channels, units: default, those of the stepper and its equation.
        attrs:         more provenance, JSON values.
        stored:        what is kept of a state, e.g. fewer points or further fields; default, the state. It names grid and channels.
        diagnose:      numbers per frame of the solver's own state, e.g. `FlowDiagnostics`. What a stepper offers to be `observed` stands beside
                       them: of `AdaptiveSubsteps` the substeps of the `stride` steps before a frame and their largest Courant number.
    Returns: the opened data set; `dt` is stride * stepper.dt.
    Raises:  ValueError if an argument is out of range, a state or diagnostic becomes NaN or Inf (step and sample named), or `path` holds data of
             another configuration.
    """
    job = _plan(stepper, initial, params, frames, stride, warmup, samples, shard_samples, compute_dtype, store_dtype, grid, stored, diagnose, device)
    names = tuple(channels) if channels is not None else _channels(stepper, job)
    header = _header(job, seed, names, units, attrs, in_file=path is not None)
    with bar("generate", job.samples * frames, unit="frame", keep=False, show=progress) as shown:
        if path is None:
            return _in_memory(job.run_all(shown), job, header)
        if Path(path).suffix == ".nc":
            return _one_file(Path(path), job, header, shown)
        return _folder(Path(path), job, header, shown)


class _Frames(NamedTuple):
    """Trajectories (samples, T, C, *grid) and the numbers beside them, (samples, T) each."""

    u: Tensor
    diagnostics: dict[str, Tensor]


@dataclass(frozen=True)
class _Job:
    """Everything that decides the numbers."""

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
        return self.grid if self.stored is None else self.stored.grid

    def keep(self, u: Tensor) -> Tensor:
        return u if self.stored is None else self.stored(u)

    @property
    def spans(self) -> list[range]:
        return [range(a, min(a + self.shard_samples, self.samples)) for a in range(0, self.samples, self.shard_samples)]

    def states(self, span: range) -> Tensor:
        u = self.initial[span.start : span.stop] if isinstance(self.initial, Tensor) else self.initial(span)
        if u.ndim != self.grid.ndim + 2 or tuple(u.shape[2:]) != self.grid.shape or len(u) != len(span):
            raise ValueError(f"generate: initial: expected ({len(span)}, channel, {', '.join(map(str, self.grid.shape))}), got {tuple(u.shape)}")
        return u

    def run_all(self, shown: Bar) -> _Frames:
        """All samples, batched as the shards would be."""
        parts = [self.run(span, shown) for span in self.spans]
        recorded = {name: torch.cat([part.diagnostics[name] for part in parts]) for name in parts[0].diagnostics}
        return _Frames(torch.cat([part.u for part in parts]), recorded)

    def run(self, span: range, shown: Bar) -> _Frames:
        """Trajectories of these samples in the stored type, on the CPU."""
        u = self.states(span).to(self.device, self.compute_dtype)
        params = {name: value[span.start : span.stop].to(self.device) for name, value in self.params.items()}
        record = FrameRecorder(self.stepper, self.diagnose, len(span), self.frames, self.stride)
        step = self.stepper.at(params, u, record) if record.listens else self.stepper.at(params, u)
        out = torch.empty(len(span), self.frames, *self.keep(u).shape[1:], dtype=self.store_dtype)
        last, done = u, 0
        if self.warmup:
            shown.set_postfix_str(f"{self.warmup} steps of warm-up")
        for j, frame in enumerate(frames_of(step, u, self.frames, self.stride, self.warmup, include_start=True)):
            steps = self.warmup + j * self.stride
            out[:, j] = self.keep(frame)
            # A sum is finite only if its terms are; one that overflows is looked at term by term.
            if not bool(torch.isfinite(out[:, j].sum())) and not bool(torch.isfinite(out[:, j]).all()):
                raise ValueError(_where_not_finite(self, step, last, done, steps, span.start))
            record.frame(j, frame, steps, span.start)
            last, done = frame, steps
            if j == 0 and self.warmup:
                shown.set_postfix_str("", refresh=False)
            shown.update(len(span))
        return _Frames(out, record.values)


def _where_not_finite(job: _Job, step: Step, u: Tensor, k: int, end: int, first_sample: int) -> str:
    """Repeat the last steps one by one to say which step and samples."""
    while torch.isfinite(job.keep(u).to(job.store_dtype)).all() and k < end:
        u, k = repeat(step, u, 1, k), k + 1
    bad = (~torch.isfinite(job.keep(u).to(job.store_dtype)).flatten(1).all(1)).nonzero().flatten() + first_sample
    return (
        f"generate: expected finite states, got NaN or Inf after step {k} in sample {', '.join(map(str, bad.tolist()[:8]))}; "
        "take a smaller dt or more substeps, or a milder initial state"
    )


def _plan(
    stepper: Stepper, initial: Initial, params: Mapping[str, Tensor | float], frames: int, stride: int, warmup: int, samples: int | None,
    shard_samples: int | None, compute_dtype: torch.dtype, store_dtype: torch.dtype, grid: Grid | None,
    stored: Stored | None, diagnose: Diagnose | None, device: torch.device | str,
) -> _Job:  # fmt: skip
    if frames < 1 or stride < 1 or warmup < 0:
        raise ValueError(f"generate: needs frames >= 1, stride >= 1 and warmup >= 0, got frames={frames}, stride={stride}, warmup={warmup}")
    if isinstance(initial, Tensor):
        if samples not in (None, len(initial)):
            raise ValueError(f"generate: samples: expected {len(initial)} as in initial, got {samples}; leave it out")
        samples = len(initial)
    elif samples is None:
        raise ValueError("generate: initial is a function, so samples must be given; pass samples=...")
    if samples < 1 or (shard_samples is not None and shard_samples < 1):
        raise ValueError(f"generate: needs at least one sample and shard_samples >= 1, got samples={samples}, shard_samples={shard_samples}")
    found = grid if grid is not None else getattr(stepper, "grid", None)
    if found is None:
        example = initial if isinstance(initial, Tensor) else initial(range(1))
        found = Grid(tuple(example.shape[2:]))
    one = frames * _channels_of(initial, stored) * int(np.prod((found if stored is None else stored.grid).shape)) * store_dtype.itemsize
    size = shard_samples or max(1, min(samples, _SHARD_BYTES // one))
    columns = sample_params(params, samples, found.ndim)
    return _Job(
        stepper, initial, columns, frames, stride, warmup, samples, size, compute_dtype, store_dtype, found, stored, diagnose, torch.device(device)
    )


def _channels_of(initial: Initial, stored: Stored | None) -> int:
    if stored is not None:
        return len(stored.channels)
    return int((initial if isinstance(initial, Tensor) else initial(range(1))).shape[1])


def _channels(stepper: Stepper, job: _Job) -> tuple[str, ...]:
    if job.stored is not None:
        return job.stored.channels
    count = job.states(range(1)).shape[1]
    names = getattr(getattr(stepper, "equation", None), "channels", ())
    return tuple(names) if len(names) == count else default_channels(count)


def _header(
    job: _Job, seed: int, channels: tuple[str, ...], units: Mapping[str, str] | None, attrs: Mapping[str, Any] | None, in_file: bool
) -> Header:
    equation = getattr(job.stepper, "equation", None)
    known = {**getattr(equation, "parameters", {}), **(units or {})}
    dtype = str(job.store_dtype).removeprefix("torch.")
    base = header(job.stored_grid, job.stride * job.stepper.dt, job.frames, channels, {n: known.get(n, "1") for n in job.params}, dtype)
    example = job.states(range(1))
    count = job.keep(example).shape[1]
    if len(channels) != count:
        raise ValueError(f"generate: channels: expected one name per channel ({count}), got {list(channels)}")
    base |= _recorded(job, channels, units or {}, example)
    if job.stored is not None:
        base["stored"] = repr(job.stored)
    times = [(job.warmup + j * job.stride) * job.stepper.dt for j in range(job.frames)]
    scene = describe_geometry(job.stepper, job.stored_grid, job.stored is None or bool(getattr(job.stored, "faces", False)), job.params, times)
    if scene is not None:
        base["scene"] = scene
    base |= {"pde": getattr(equation, "name", ""), "stepper": repr(job.stepper), "stride": job.stride, "warmup": job.warmup, "seed": seed}
    base |= {"compute_dtype": str(job.compute_dtype).removeprefix("torch."), "device": job.device.type, **(attrs or {})}
    if in_file:  # what makes a second call the same call
        base |= {"samples": job.samples, "shard_samples": job.shard_samples}
        base["initial_sha256"] = sha256_of_arrays(job.states(job.spans[0] if callable(job.initial) else range(job.samples)).cpu().numpy())
        base["params_sha256"] = sha256_of_arrays(*[job.params[name].numpy() for name in sorted(job.params)])
        if isinstance(job.stepper, nn.Module):
            base["weights_sha256"] = sha256_of_arrays(*[value.detach().cpu().numpy() for _, value in sorted(job.stepper.state_dict().items())])
    return json.loads(canonical(base))


def _recorded(job: _Job, channels: tuple[str, ...], units: Mapping[str, str], example: Tensor) -> Header:
    """What the header says of diagnostics: nothing if there are none."""
    if job.diagnose is not None:
        check_diagnose(job.diagnose, job.grid, job.params, example)
    known = units_of(job.stepper, job.diagnose)
    check_names(known, (*job.params, *channels))
    named = {"diagnose": repr(job.diagnose)} if job.diagnose is not None else {}
    return named | ({"diagnostics": {name: units.get(name, unit) for name, unit in known.items()}} if known else {})


def _in_memory(made: _Frames, job: _Job, header: Header) -> Dataset:
    data = Dataset.from_tensor(made.u, job.params, job.stored_grid, header["dt"], header["channels"], diagnostics=made.diagnostics)
    return replace(data, attrs=header)


def _same_configuration(path: Path, found: Header, wanted: Header) -> None:
    different = [key for key in sorted({*found, *wanted}) if found.get(key) != wanted.get(key)]
    if different:
        key = different[0]
        raise ValueError(
            f"{path}: expected data of this configuration ({key}={wanted.get(key)!r}), got {key}={found.get(key)!r}; "
            "choose another path or delete the old data"
        )


def _one_file(path: Path, job: _Job, header: Header, shown: Bar) -> Dataset:
    if path.exists():
        _same_configuration(path, read_contents(path).header, header)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, job, range(job.samples), job.run_all(shown), header)
    return open(path)


def _write(path: Path, job: _Job, span: range, made: _Frames, header: Header) -> Shard:
    mean, variance = sample_moments(made.u)
    columns = {name: value[span.start : span.stop].reshape(-1).numpy() for name, value in job.params.items()}
    recorded = {name: value.numpy() for name, value in made.diagnostics.items()}
    return write_shard(path, made.u.numpy(), columns, mean.numpy(), variance.numpy(), header, span.start, recorded)


def _folder(folder: Path, job: _Job, header: Header, shown: Bar) -> Dataset:
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / MANIFEST).exists():
        manifest = Manifest.read(folder)
        _same_configuration(folder, manifest.header, header)
    else:
        manifest = Manifest(header, job.samples)
        manifest.write(folder)
    have = {shard.start: shard for shard in manifest.shards if (folder / shard.file).is_file()}
    for number, span in enumerate(job.spans):
        if span.start in have:
            shown.update(len(span) * job.frames)
            continue
        shard = _write(folder / f"shard-{number:05d}.nc", job, span, job.run(span, shown), header)
        have[span.start] = shard
        manifest = replace(manifest, shards=tuple(have[start] for start in sorted(have)), normalisation=None)
        manifest.write(folder)
    if manifest.normalisation is None:
        _finish(folder, manifest)
    return open(folder)


def _finish(folder: Path, manifest: Manifest) -> None:
    """Pool the moments of all samples and store the normalisation."""
    contents = source(folder).contents
    mean, variance = (torch.from_numpy(np.concatenate(parts)) for parts in ([c.mean for c in contents], [c.variance for c in contents]))
    replace(manifest, normalisation=pool(mean, variance)).write(folder)
