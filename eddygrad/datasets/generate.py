"""`generate`: run a stepper over many initial states and store the trajectories, shard by shard, resumable, with provenance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eddygrad.datasets.dataset import Dataset, open
from eddygrad.datasets.format import MANIFEST, Header, Shard, write_shard
from eddygrad.datasets.frame_diagnostics import Diagnose
from eddygrad.datasets.generation_job import GenerationJob, Initial, Trajectories, make_job
from eddygrad.datasets.kept_fields import Stored
from eddygrad.datasets.manifest import Manifest, find_source
from eddygrad.datasets.normalisation import pool, sample_moments
from eddygrad.datasets.read_shard import read_contents
from eddygrad.runtime.progress import Bar, bar
from eddygrad.solver.grid import Grid
from eddygrad.solver.step import Stepper


def generate(
    stepper: Stepper, initial: Initial, params: Mapping[str, Tensor | float], path: str | Path | None, *,
    frames: int, stride: int = 1, warmup: int = 0, seed: int = 0, samples: int | None = None, shard_samples: int | None = None,
    compute_dtype: torch.dtype = torch.float64, store_dtype: torch.dtype = torch.float32, grid: Grid | None = None,
    channels: tuple[str, ...] | None = None, units: Mapping[str, str] | None = None, attrs: Mapping[str, Any] | None = None,
    stored: Stored | None = None, diagnose: Diagnose | None = None, device: torch.device | str = "cpu", progress: bool = True,
) -> Dataset:  # fmt: skip
    """Run a stepper from many initial states and store the trajectories.

        frame j = state after warmup + j stride steps,  j = 0 .. frames - 1      (the initial state is step 0)

    A shard is computed as one batch, written atomically and then entered in the manifest. A call that was killed continues when it is repeated with
    the same arguments, and ends with the same bits on the same machine.

    Args:
        stepper, frames, stride, warmup: the solver; frames per trajectory, steps between frames, steps before frame 0.
        initial:       (samples, C, *grid), or a function that maps a range of sample numbers to these states (then give `samples`).
        params:        physical parameters: name -> a number, (samples,) or (samples, 1, *1).
        path:          a folder of shards, a name that ends in ".nc" for one file, or None to keep the data in memory.
        seed:          seed of the initial states, recorded as provenance.
        samples, shard_samples: number of trajectories; samples per batch and shard, default about 256 MiB. Samples with equal parameters step faster.
        compute_dtype, store_dtype, device: dtype and device of the computation, dtype of the stored states.
        grid, channels, units: default, those of the stepper and its equation.
        attrs:         further provenance, JSON values.
        stored:        maps a state to the stored fields, e.g. `Downsampled`, and names their grid and channels; default, the whole state.
        diagnose:      numbers of the solver's state per frame, e.g. `FlowDiagnostics`. What the stepper reports about its steps is added, e.g. by
                       `AdaptiveSubsteps` the number of substeps and the largest Courant number since the frame before.
        progress:      whether to show a progress bar.
    Returns: the opened data set; its `dt` is stride * stepper.dt.
    Raises:  ValueError if an argument is out of range, a state or number is not finite, or `path` holds data of another configuration.
    """
    sizes, dtypes = (frames, stride, warmup, samples, shard_samples), (compute_dtype, store_dtype)
    job = make_job(stepper, initial, params, *sizes, *dtypes, grid, stored, diagnose, device)
    header = job.header(seed, job.channels if channels is None else tuple(channels), units or {}, attrs or {}, in_file=path is not None)
    with bar("generate", job.samples * frames, unit="frame", keep=False, show=progress) as shown:
        return _in_memory(job, header, shown) if path is None else _on_disk(Path(path), job, header, shown)


def _in_memory(job: GenerationJob, header: Header, shown: Bar) -> Dataset:
    made = job.run_all(shown)
    data = Dataset.from_tensor(made.u, job.params, job.stored_grid, header["dt"], header["channels"], diagnostics=made.diagnostics)
    return replace(data, attrs=header)


def _on_disk(path: Path, job: GenerationJob, header: Header, shown: Bar) -> Dataset:
    """Write one file if the name ends in ".nc", else a folder of shards, and open it."""
    if path.suffix == ".nc":
        _write_file(path, job, header, shown)
    else:
        _write_folder(path, job, header, shown)
    return open(path)


def _write_file(path: Path, job: GenerationJob, header: Header, shown: Bar) -> None:
    if path.exists():
        _check_configuration(path, read_contents(path).header, header)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, job, range(job.samples), job.run_all(shown), header)


def _write_folder(folder: Path, job: GenerationJob, header: Header, shown: Bar) -> None:
    """Write the shards that are missing, each followed by a new manifest, and at last the normalisation."""
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / MANIFEST).exists():
        manifest = Manifest.read(folder)
        _check_configuration(folder, manifest.header, header)
    else:
        manifest = Manifest(header, job.samples)
        manifest.write(folder)
    written = {shard.start: shard for shard in manifest.shards if (folder / shard.file).is_file()}
    for number, span in enumerate(job.spans):
        if span.start in written:
            shown.update(len(span) * job.frames)
            continue
        written[span.start] = _write(folder / f"shard-{number:05d}.nc", job, span, job.run(span, shown), header)
        manifest = replace(manifest, shards=tuple(written[start] for start in sorted(written)), normalisation=None)
        manifest.write(folder)
    if manifest.normalisation is None:
        contents = find_source(folder).contents
        mean, variance = (torch.from_numpy(np.concatenate(parts)) for parts in ([c.mean for c in contents], [c.variance for c in contents]))
        replace(manifest, normalisation=pool(mean, variance)).write(folder)


def _check_configuration(path: Path, existing: Header, wanted: Header) -> None:
    different = [key for key in sorted({*existing, *wanted}) if existing.get(key) != wanted.get(key)]
    if different:
        key = different[0]
        raise ValueError(
            f"{path}: expected data of this configuration ({key}={wanted.get(key)!r}), got {key}={existing.get(key)!r}; "
            "choose another path or delete the old data"
        )


def _write(path: Path, job: GenerationJob, span: range, made: Trajectories, header: Header) -> Shard:
    mean, variance = sample_moments(made.u)
    columns = {name: value[span.start : span.stop].reshape(-1).numpy() for name, value in job.params.items()}
    recorded = {name: value.numpy() for name, value in made.diagnostics.items()}
    return write_shard(path, made.u.numpy(), columns, mean.numpy(), variance.numpy(), header, span.start, recorded)
