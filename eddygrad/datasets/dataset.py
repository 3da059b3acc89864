"""`Dataset`: trajectories with their physical parameters, in memory or on disk. Selections are views and copy no states."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, SupportsIndex

import numpy as np
import torch
from torch import Tensor

from eddygrad.datasets.format import write_shard
from eddygrad.datasets.frame_store import Cached, InMemory, OnDisk, Storage
from eddygrad.datasets.header import checked_diagnostics, checked_grid, default_channels, make_header, sample_params
from eddygrad.datasets.manifest import find_source
from eddygrad.datasets.normalisation import Normalisation, pool, sample_moments
from eddygrad.datasets.windows import WindowBatches, window_count
from eddygrad.runtime.randomness import generator
from eddygrad.solver.grid import Grid
from eddygrad.solver.unroll import Window

MEMORY_LIMIT = 2 * 2**30


class Split(NamedTuple):
    """Three parts of a data set, by trajectory; all three have the normalisation of `train`."""

    train: Dataset
    val: Dataset
    test: Dataset


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Trajectories (samples, frames, C, *grid) with one number per sample for each physical parameter.

    Made by `open`, `generate` or `Dataset.from_tensor`. `select`, `take` and `split` return views; the states are stored once.

    Args:
        store:         holds the states, in memory or on disk.
        grid:          of the states.
        channels:      name of each channel.
        dt:            time between frames [s].
        frames:        frames per trajectory in this view.
        params:        physical parameters: name -> (samples, 1, *1), float64.
        attrs:         provenance: the header of the file.
        normalisation: mean and std per channel, from these samples or, after `split`, from the training part.
        index:         position of each sample in the store, (samples,).
        stored_frames: frames per trajectory in the store.
        moments:       mean and variance of each sample and channel, (samples, C) each.
        first:         first stored frame of this view.
        diagnostics:   numbers recorded per frame: name -> (samples, frames), float64; empty if none were recorded.
    """

    store: Storage
    grid: Grid
    channels: tuple[str, ...]
    dt: float
    frames: int
    params: dict[str, Tensor]
    attrs: dict[str, Any]
    normalisation: Normalisation
    index: Tensor
    stored_frames: int
    moments: tuple[Tensor, Tensor] = field(default=(torch.empty(0), torch.empty(0)))
    first: int = 0
    diagnostics: Mapping[str, Tensor] = field(default_factory=dict)

    @staticmethod
    def from_tensor(
        u: Tensor,
        params: Mapping[str, Tensor | float] | None = None,
        grid: Grid | None = None,
        dt: float = 1.0,
        channels: Sequence[str] | None = None,
        units: Mapping[str, str] | None = None,
        diagnostics: Mapping[str, Tensor] | None = None,
        **provenance: Any,
    ) -> Dataset:
        """Make a data set of trajectories in memory.

        Args:
            u:           states (samples, frames, C, *grid), floating point, on any device.
            params:      physical parameters: name -> a number, (samples,) or (samples, 1, *1).
            grid:        of the states; default, their shape on a side of 2 pi.
            dt:          time between frames [s].
            channels:    name of each channel.
            units:       units of the parameters and diagnostics; default "1".
            diagnostics: numbers recorded per frame: name -> (samples, frames).
            provenance:  further attributes, e.g. pde="...".
        Raises: ValueError if the shapes do not fit, a name is taken, or `u` or a diagnostic holds NaN or Inf.
        """
        grid = checked_grid(u, grid, dt)
        samples, frames, count = u.shape[:3]
        columns = sample_params(params or {}, samples, grid.ndim)
        names = tuple(channels) if channels is not None else default_channels(count)
        if len(names) != count:
            raise ValueError(f"from_tensor: expected {count} channel names, got {list(names)}")
        recorded = checked_diagnostics(diagnostics or {}, samples, frames, (*columns, *names))
        unit = {n: (units or {}).get(n, "1") for n in (*columns, *recorded)}
        if recorded:
            provenance["diagnostics"] = {n: unit[n] for n in recorded}
        attrs = make_header(grid, dt, frames, names, {n: unit[n] for n in columns}, str(u.dtype).removeprefix("torch."), **provenance)
        moments, index = sample_moments(u), torch.arange(samples)
        normalisation = pool(*moments)
        return Dataset(InMemory(u), grid, names, float(dt), frames, columns, attrs, normalisation, index, frames, moments, diagnostics=recorded)

    @property
    def samples(self) -> int:
        """Number of trajectories."""
        return len(self.index)

    @property
    def dtype(self) -> torch.dtype:
        """Floating-point type of the states."""
        return self.store.dtype

    @property
    def fingerprint(self) -> str:
        """Digest of this view: moments of every sample and channel, parameters, diagnostics, frames, dt and grid. It does not read the states."""
        values = [t.double().cpu().contiguous().numpy().tobytes() for t in (*self.moments, *(self.params[name] for name in sorted(self.params)))]
        for name in sorted(self.diagnostics):
            values += [name.encode(), self.diagnostics[name].cpu().contiguous().numpy().tobytes()]
        return hashlib.sha256(b"".join([*values, repr((self.frames, self.first, self.dt, self.grid)).encode()])).hexdigest()[:16]

    def __len__(self) -> int:
        return self.samples

    def __getitem__(self, sample: int) -> Tensor:
        """Return one trajectory (frames, C, *grid).

        Raises: TypeError for a slice or a list; IndexError if there are fewer samples.
        """
        if isinstance(sample, bool) or not isinstance(sample, SupportsIndex):
            raise TypeError(f"data[i] is trajectory i, got {type(sample).__name__}; take select([...]) for several, all() for every one as a tensor")
        if not -self.samples <= sample < self.samples:
            raise IndexError(f"data[i]: i must be in {-self.samples} .. {self.samples - 1}, got {sample}")
        return self.frames_at(int(sample) % self.samples, torch.arange(self.frames))

    def __repr__(self) -> str:
        size = " x ".join(map(str, (self.samples, self.frames, len(self.channels), *self.grid.shape)))
        recorded = f"diagnostics={sorted(self.diagnostics)}, " if self.diagnostics else ""
        dtype = str(self.dtype).removeprefix("torch.")
        return f"Dataset({size}, channels={list(self.channels)}, dt={self.dt:g}, params={sorted(self.params)}, {recorded}{dtype})"

    def frames_at(self, samples: Tensor | Sequence[int] | int, times: Tensor | Sequence[int] | int) -> Tensor:
        """Return frames by index; `samples` and `times` broadcast against each other, e.g. (n, 1) and (T,).

        Returns: (*broadcast shape, C, *grid).
        Raises:  ValueError if an index is out of range.
        """
        s, t = torch.broadcast_tensors(torch.as_tensor(samples, dtype=torch.int64), torch.as_tensor(times, dtype=torch.int64))
        for name, index, size in (("samples", s, self.samples), ("times", t, self.frames)):
            if index.numel() and (index.min() < 0 or index.max() >= size):
                raise ValueError(f"frames_at: {name} must be in 0 .. {size - 1}, got {int(index.min())} .. {int(index.max())}")
        rows = self.index[s.cpu()] * self.stored_frames + self.first + t.cpu()
        return self.store.rows(rows.to(self.store.device))

    def all(self) -> Tensor:
        """Return all states (samples, frames, C, *grid)."""
        return self.frames_at(torch.arange(self.samples).unsqueeze(1), torch.arange(self.frames))

    def windows(self, horizon: int, starts: Sequence[int] | int = 0) -> Window:
        """Return windows for evaluation: each sample from each start frame.

        Args:    horizon: frames after the first. starts: first frames of the windows.
        Returns: a window with u (samples * len(starts), horizon + 1, C, *grid); the start frame varies fastest.
        Raises:  ValueError if a window leaves the trajectory.
        """
        begin = torch.tensor([starts] if isinstance(starts, int) else list(starts), dtype=torch.int64)
        latest = window_count(1, self.frames, horizon) - 1
        if begin.numel() == 0 or begin.min() < 0 or begin.max() > latest:
            raise ValueError(f"windows: starts must be in 0 .. {latest} for horizon {horizon} in {self.frames} frames, got {starts}")
        samples = torch.arange(self.samples)
        u = self.frames_at(samples.reshape(-1, 1, 1), begin.reshape(-1, 1) + torch.arange(horizon + 1)).flatten(0, 1)
        return Window(u, {name: value.repeat_interleave(len(begin), 0).to(u.device) for name, value in self.params.items()})

    def batches(self, batch: int, seeds: int | Sequence[int] | None = None, stride: int = 1) -> WindowBatches:
        """Return the training windows as a pure function of (step, horizon).

        Args:
            batch:  windows B per seed.
            seeds:  a sequence gives stacked batches u (S, B, T, C, *grid), in which each seed draws its own windows. An integer (None: 0) gives
                    u (B, T, C, *grid), the windows that this seed draws in a stack.
            stride: frames from one frame of a window to the next.
        Returns: `batch_at(step, horizon) -> Window` of T = horizon + 1 frames; it raises ValueError if the horizon does not fit.
        """
        return WindowBatches(self, batch, seeds, stride)

    def select(self, samples: Tensor | Sequence[int]) -> Dataset:
        """Return a view of these samples, in this order, with their own normalisation.

        Raises: ValueError if a sample is out of range.
        """
        chosen = torch.as_tensor(samples, dtype=torch.int64).reshape(-1).cpu()
        if chosen.numel() and (chosen.min() < 0 or chosen.max() >= self.samples):
            raise ValueError(f"select: samples must be in 0 .. {self.samples - 1}, got {int(chosen.min())} .. {int(chosen.max())}")
        moments = (self.moments[0][chosen], self.moments[1][chosen])
        params, recorded = ({name: v[chosen.to(v.device)] for name, v in held.items()} for held in (self.params, self.diagnostics))
        index, normalisation = self.index[chosen], pool(*moments)
        return dataclasses.replace(self, params=params, diagnostics=recorded, index=index, moments=moments, normalisation=normalisation)

    def take(self, fraction: float) -> Dataset:
        """Return a view of the first part of each trajectory, at least one frame. The normalisation stays that of the whole trajectories.

        Raises: ValueError if the fraction is not in (0, 1].
        """
        if not 0 < fraction <= 1:
            raise ValueError(f"take: fraction must be in (0, 1], got {fraction}")
        frames = max(1, round(fraction * self.frames))
        return dataclasses.replace(self, frames=frames, diagnostics={name: value[:, :frames] for name, value in self.diagnostics.items()})

    def split(self, val: float = 0.1, test: float = 0.2, seed: int = 0) -> Split:
        """Split the trajectories at random into a training, a validation and a test part; inside a part they keep their order.

        Args:
            val:  fraction for validation; 0 gives an empty part, a positive fraction at least one trajectory.
            test: fraction for testing, likewise.
            seed: of the random order, which depends on nothing but the number of samples and this seed.
        Raises: ValueError if a fraction is out of range or there are too few trajectories.
        """
        if not (0 <= val < 1 and 0 <= test < 1 and val + test < 1):
            raise ValueError(f"split: val and test must be fractions that leave something for training, got val={val}, test={test}")
        n_val, n_test = (max(1, round(share * self.samples)) if share > 0 else 0 for share in (val, test))
        if n_val + n_test >= self.samples:
            raise ValueError(
                f"split: expected more than {n_val + n_test} trajectories for val={val}, test={test}, got {self.samples}; make more or set one to 0"
            )
        order = torch.randperm(self.samples, generator=generator(seed, "split"))
        val_part, test_part, train_part = (torch.sort(part).values for part in order.split([n_val, n_test, self.samples - n_val - n_test]))
        train = self.select(train_part)
        rest = [dataclasses.replace(self.select(part), normalisation=train.normalisation) for part in (val_part, test_part)]
        return Split(train, *rest)

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Dataset:
        """Copy these samples and frames into one tensor on a device and in a dtype; parameters and diagnostics stay float64."""
        u = self.all().to(device=device, dtype=dtype)
        params, recorded = ({name: value.to(u.device) for name, value in held.items()} for held in (self.params, self.diagnostics))
        attrs = {**self.attrs, "frames": self.frames, "dtype": str(u.dtype).removeprefix("torch.")}
        copy = dataclasses.replace(self, store=InMemory(u), index=torch.arange(self.samples), stored_frames=self.frames, first=0)
        return dataclasses.replace(copy, params=params, diagnostics=recorded, attrs=attrs)

    def save(self, path: str | Path) -> Dataset:
        """Write these samples and frames as one NetCDF-4 file, atomically, and return the opened file."""
        u = self.all().cpu()
        columns = {name: value.reshape(-1).cpu().numpy() for name, value in self.params.items()}
        attrs = {**self.attrs, "frames": self.frames, "dtype": str(u.dtype).removeprefix("torch.")}
        mean, variance = sample_moments(u)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        recorded = {name: value.cpu().numpy() for name, value in self.diagnostics.items()}
        write_shard(Path(path), u.numpy(), columns, mean.numpy(), variance.numpy(), attrs, 0, recorded)
        return open(path)


def open(path: str | Path, memory_limit: int = MEMORY_LIMIT) -> Dataset:
    """Open a data set on disk: a NetCDF-4 file or a folder of shards. Headers are checked now, states when they are first read.

    Args:
        path:         the file or folder.
        memory_limit: a data set of at most this many bytes is read into memory and checked at first use. A larger one is read from disk window by
                      window without checks: call `validate` once.
    Raises: ValueError if the data set is missing, truncated, damaged or incomplete.
    """
    source = find_source(path)
    attrs = source.header
    grid = Grid(tuple(attrs["grid_shape"]), tuple(attrs["grid_length"]))
    columns = {name: np.concatenate([c.params[name] for c in source.contents]) for name in attrs["parameters"]}
    params = {name: torch.from_numpy(column).reshape(-1, *[1] * (grid.ndim + 1)) for name, column in columns.items()}
    moments = (
        torch.from_numpy(np.concatenate([c.mean for c in source.contents])),
        torch.from_numpy(np.concatenate([c.variance for c in source.contents])),
    )
    recorded = {name: torch.from_numpy(np.concatenate([c.diagnostics[name] for c in source.contents])) for name in attrs.get("diagnostics", ())}
    disk = OnDisk(source)
    store: Storage = Cached(disk) if disk.nbytes <= memory_limit else disk
    frames, index = int(attrs["frames"]), torch.arange(source.samples)
    channels, dt = tuple(attrs["channels"]), float(attrs["dt"])
    return Dataset(store, grid, channels, dt, frames, params, dict(attrs), pool(*moments), index, frames, moments, diagnostics=recorded)
