"""Trajectories and their parameters, from memory or from disk, seen through selections that copy nothing."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from eddygrad._version import __version__
from eddygrad.datasets import format as fmt
from eddygrad.datasets.frame_diagnostics import per_frame
from eddygrad.datasets.frame_store import Cached, InMemory, OnDisk, Storage
from eddygrad.datasets.manifest import source
from eddygrad.datasets.normalisation import Normalisation, pool, sample_moments
from eddygrad.datasets.windows import WindowBatches, window_count
from eddygrad.runtime.randomness import generator
from eddygrad.solver.grid import Grid
from eddygrad.solver.rollout import Window

MEMORY_LIMIT = 2 * 2**30


class Split(NamedTuple):
    """Three parts of a data set, by trajectory; all carry the normalisation of `train`."""

    train: Dataset
    val: Dataset
    test: Dataset


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Trajectories (samples, frames, C, *grid), `dt` apart, with one number per sample for each physical parameter.

    Made by `open`, `generate` or `Dataset.from_tensor`. `select`, `take` and `split` return views; the states are stored once.

    Args:
        params:        name -> (samples, 1, *1), float64.
        diagnostics:   name -> (samples, frames), float64: numbers that were recorded with the frames; empty if none were.
        attrs:         provenance: the header of the file.
        normalisation: mean and std per channel, from these samples or, after `split`, from the training part.
    """

    store: Storage
    grid: Grid
    channels: tuple[str, ...]
    dt: float
    frames: int
    params: dict[str, Tensor]
    attrs: dict[str, Any]
    normalisation: Normalisation
    index: Tensor  # (samples,), position of each sample in the store
    stored_frames: int
    moments: tuple[Tensor, Tensor] = field(default=(torch.empty(0), torch.empty(0)))  # mean and variance (samples, channel)
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
        """A data set from trajectories in memory.

        Args:    u: (samples, T, C, *grid), any device. params: numbers, (samples,) or (samples, 1, *1).
                 grid: default, the shape of `u` on a side of 2 pi. dt: time between frames [s].
                 units: of the parameters and diagnostics. diagnostics: name -> (samples, T), numbers beside the frames.
                 provenance: further attributes, e.g. pde="...".
        Raises:  ValueError if the shapes do not fit, a name is taken, or `u` or a diagnostic holds NaN or Inf.
        """
        if u.ndim < 4 or u.ndim > 6 or not u.is_floating_point():
            raise ValueError(
                f"from_tensor: expected floating point (samples, time, channel, x[, y, z]), got {u.dtype} {tuple(u.shape)}; add missing axes"
            )
        grid = Grid(tuple(u.shape[3:])) if grid is None else grid
        if grid.shape != tuple(u.shape[3:]) or not dt > 0:
            raise ValueError(
                f"from_tensor: expected trailing axes {grid.shape} and dt > 0, got {tuple(u.shape)} and dt={dt}; pass the grid of the data"
            )
        bad = ~torch.isfinite(u).flatten(2).all(-1)
        if bad.any():
            sample, frame = bad.nonzero()[0].tolist()
            raise ValueError(f"from_tensor: expected finite numbers, got NaN or Inf in sample {sample}, frame {frame}; drop that trajectory")
        columns = sample_params(params or {}, len(u), grid.ndim)
        names = tuple(channels) if channels is not None else default_channels(u.shape[2])
        if len(names) != u.shape[2]:
            raise ValueError(f"from_tensor: expected {u.shape[2]} channel names, got {list(names)}")
        recorded = per_frame(diagnostics or {}, len(u), u.shape[1], (*columns, *names))
        unit = {n: (units or {}).get(n, "1") for n in (*columns, *recorded)}
        if recorded:
            provenance["diagnostics"] = {n: unit[n] for n in recorded}
        attrs = header(grid, dt, u.shape[1], names, {n: unit[n] for n in columns}, str(u.dtype).removeprefix("torch."), **provenance)
        moments = sample_moments(u)
        index = torch.arange(len(u))
        return Dataset(
            InMemory(u), grid, names, float(dt), u.shape[1], columns, attrs, pool(*moments), index, u.shape[1], moments, diagnostics=recorded
        )

    @property
    def samples(self) -> int:
        return len(self.index)

    @property
    def dtype(self) -> torch.dtype:
        return self.store.dtype

    @property
    def fingerprint(self) -> str:
        """Digest of what is in these trajectories: mean and variance of every sample and channel, parameters, diagnostics, length and dt."""
        values = [t.double().cpu().contiguous().numpy().tobytes() for t in (*self.moments, *(self.params[name] for name in sorted(self.params)))]
        for name in sorted(self.diagnostics):
            values += [name.encode(), self.diagnostics[name].cpu().contiguous().numpy().tobytes()]
        return hashlib.sha256(b"".join([*values, repr((self.frames, self.first, self.dt, self.grid)).encode()])).hexdigest()[:16]

    def __len__(self) -> int:
        return self.samples

    def __getitem__(self, sample: int) -> Tensor:
        """One trajectory: (frames, C, *grid). Raises TypeError for a slice or a list, IndexError behind the last sample."""
        if isinstance(sample, bool) or not hasattr(sample, "__index__"):
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
        """Frames by index; `samples` and `times` broadcast against each other, e.g. (n, 1) and (T,).

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
        """Every frame: (samples, frames, C, *grid)."""
        return self.frames_at(torch.arange(self.samples).unsqueeze(1), torch.arange(self.frames))

    def windows(self, horizon: int, starts: Sequence[int] | int = 0) -> Window:
        """Windows for evaluation: every sample from each start frame, samples outermost: u (samples * len(starts), horizon + 1, C, *grid).

        Raises: ValueError if a window leaves the trajectory.
        """
        begin = torch.tensor([starts] if isinstance(starts, int) else list(starts), dtype=torch.int64)
        latest = window_count(1, self.frames, horizon) - 1
        if begin.numel() == 0 or begin.min() < 0 or begin.max() > latest:
            raise ValueError(f"windows: starts must be in 0 .. {latest} for horizon {horizon} in {self.frames} frames, got {starts}")
        samples = torch.arange(self.samples)
        u = self.frames_at(samples.reshape(-1, 1, 1), begin.reshape(-1, 1) + torch.arange(horizon + 1)).flatten(0, 1)
        return Window(u, {name: value.repeat_interleave(len(begin), 0).to(u.device) for name, value in self.params.items()})

    def batches(self, batch: int, seeds: int | Sequence[int] | None = None, stride: int = 1) -> WindowBatches:
        """Training windows: a pure function of (step, horizon).

        Args:    batch: windows B per seed. seeds: of a sequence each draws its own windows, u is (S, B, T, C, *grid); an integer (None: 0)
                 draws as that entry of a stack does, without the leading axis. stride: frames from one frame of a window to the next.
        Returns: `batch_at(step, horizon) -> Window` of horizon + 1 frames; ValueError there if the horizon does not fit.
        """
        return WindowBatches(self, batch, seeds, stride)

    def select(self, samples: Tensor | Sequence[int]) -> Dataset:
        """These samples, in this order; the normalisation becomes theirs."""
        chosen = torch.as_tensor(samples, dtype=torch.int64).reshape(-1).cpu()
        if chosen.numel() and (chosen.min() < 0 or chosen.max() >= self.samples):
            raise ValueError(f"select: samples must be in 0 .. {self.samples - 1}, got {int(chosen.min())} .. {int(chosen.max())}")
        moments = (self.moments[0][chosen], self.moments[1][chosen])
        params, recorded = ({name: v[chosen.to(v.device)] for name, v in held.items()} for held in (self.params, self.diagnostics))
        index, normalisation = self.index[chosen], pool(*moments)
        return dataclasses.replace(self, params=params, diagnostics=recorded, index=index, moments=moments, normalisation=normalisation)

    def take(self, fraction: float) -> Dataset:
        """The first part of each trajectory, at least one frame; the normalisation stays that of the whole trajectories."""
        if not 0 < fraction <= 1:
            raise ValueError(f"take: fraction must be in (0, 1], got {fraction}")
        frames = max(1, round(fraction * self.frames))
        return dataclasses.replace(self, frames=frames, diagnostics={name: value[:, :frames] for name, value in self.diagnostics.items()})

    def split(self, val: float = 0.1, test: float = 0.2, seed: int = 0) -> Split:
        """Training, validation and test part by trajectory, a pure function of (number of samples, val, test, seed).

        A part that is asked for gets at least one trajectory; val=0 or test=0 gives an empty part. Inside a part the order of samples is kept.

        Raises: ValueError if a fraction is out of range or there are too few trajectories.
        """
        if not (0 <= val < 1 and 0 <= test < 1 and val + test < 1):
            raise ValueError(f"split: val and test must be fractions that leave something for training, got val={val}, test={test}")
        n_val, n_test = (max(1, round(share * self.samples)) if share > 0 else 0 for share in (val, test))
        if n_val + n_test >= self.samples:
            raise ValueError(
                f"split: expected more than {n_val + n_test} trajectories for val={val}, test={test}, got {self.samples}; generate more or ask for 0"
            )
        order = torch.randperm(self.samples, generator=generator(seed, "split"))
        val_part, test_part, train_part = (torch.sort(part).values for part in order.split([n_val, n_test, self.samples - n_val - n_test]))
        train = self.select(train_part)
        rest = [dataclasses.replace(self.select(part), normalisation=train.normalisation) for part in (val_part, test_part)]
        return Split(train, *rest)

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Dataset:
        """These samples and frames as one tensor in memory on a device, in a type; parameters and diagnostics stay float64."""
        u = self.all().to(device=device, dtype=dtype)
        params, recorded = ({name: value.to(u.device) for name, value in held.items()} for held in (self.params, self.diagnostics))
        attrs = {**self.attrs, "frames": self.frames, "dtype": str(u.dtype).removeprefix("torch.")}
        here = dataclasses.replace(self, store=InMemory(u), index=torch.arange(self.samples), stored_frames=self.frames, first=0)
        return dataclasses.replace(here, params=params, diagnostics=recorded, attrs=attrs)

    def save(self, path: str | Path) -> Dataset:
        """Write these samples and frames as one NetCDF-4 file, atomically, and open it."""
        u = self.all().cpu()
        columns = {name: value.reshape(-1).cpu().numpy() for name, value in self.params.items()}
        attrs = {**self.attrs, "frames": self.frames, "dtype": str(u.dtype).removeprefix("torch.")}
        mean, variance = sample_moments(u)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        recorded = {name: value.cpu().numpy() for name, value in self.diagnostics.items()}
        fmt.write_shard(Path(path), u.numpy(), columns, mean.numpy(), variance.numpy(), attrs, 0, recorded)
        return open(path)


def open(path: str | Path, memory_limit: int = MEMORY_LIMIT) -> Dataset:
    """Open a NetCDF-4 file or a folder of shards; headers are checked now, states when they are first read.

    Args:   memory_limit: up to this many bytes the states are held in memory, read and checked whole at first use; above, windows are read
            from disk on demand, unchecked: call `validate` once.
    Raises: ValueError in one line if something is missing, truncated, damaged or incomplete.
    """
    found = source(path)
    attrs = found.header
    grid = Grid(tuple(attrs["grid_shape"]), tuple(attrs["grid_length"]))
    columns = {name: np.concatenate([c.params[name] for c in found.contents]) for name in attrs["parameters"]}
    params = {name: torch.from_numpy(column).reshape(-1, *[1] * (grid.ndim + 1)) for name, column in columns.items()}
    moments = (
        torch.from_numpy(np.concatenate([c.mean for c in found.contents])),
        torch.from_numpy(np.concatenate([c.variance for c in found.contents])),
    )
    recorded = {name: torch.from_numpy(np.concatenate([c.diagnostics[name] for c in found.contents])) for name in attrs.get("diagnostics", ())}
    disk = OnDisk(found)
    store: Storage = Cached(disk) if disk.nbytes <= memory_limit else disk
    frames, index = int(attrs["frames"]), torch.arange(found.samples)
    channels, dt = tuple(attrs["channels"]), float(attrs["dt"])
    return Dataset(store, grid, channels, dt, frames, params, dict(attrs), pool(*moments), index, frames, moments, diagnostics=recorded)


def default_channels(count: int) -> tuple[str, ...]:
    """("u",) or ("u0", "u1", ...)."""
    return ("u",) if count == 1 else tuple(f"u{i}" for i in range(count))


def header(grid: Grid, dt: float, frames: int, channels: Sequence[str], units: Mapping[str, str], dtype: str, **more: Any) -> fmt.Header:
    """The attributes of a file; `more` overrides and adds (pde, stepper, stride, warmup, seed, digests)."""
    base: fmt.Header = {"schema": fmt.SCHEMA, "pde": "", "stepper": "", "dt": float(dt), "stride": 1, "warmup": 0, "seed": 0, "eddygrad": __version__}
    base |= {"grid_shape": list(grid.shape), "grid_length": list(grid.lengths), "channels": list(channels), "parameters": dict(units)}
    return base | {"frames": int(frames), "dtype": dtype} | more


def sample_params(params: Mapping[str, Tensor | float], samples: int, ndim: int) -> dict[str, Tensor]:
    """Each parameter as (samples, 1, *1) in float64; a number serves all samples.

    Raises: ValueError for a reserved name or another number of values.
    """
    columns = {}
    for name, value in params.items():
        if name in fmt.RESERVED or not name.isidentifier():
            raise ValueError(f"params: {name!r} cannot name a parameter in a file (reserved: {', '.join(fmt.RESERVED)}); rename it")
        flat = torch.as_tensor(value, dtype=torch.float64).detach().reshape(-1).cpu()
        if flat.numel() not in (1, samples):
            raise ValueError(f"params: {name!r} needs one number, or one per sample ({samples}), got {flat.numel()}")
        columns[name] = flat.expand(samples).reshape(-1, *[1] * (ndim + 1)).clone()
    return columns
