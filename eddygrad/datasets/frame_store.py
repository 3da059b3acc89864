"""Storage of frames: one tensor in memory, or files read on demand. Row r = sample * frames + time."""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise
from typing import Protocol

import h5py
import numpy as np
import torch
from torch import Tensor

from eddygrad.datasets.manifest import Source
from eddygrad.datasets.read_shard import read_states, reading

_KEPT_OPEN = 64


class Storage(Protocol):
    """Frames by row number."""

    @property
    def device(self) -> torch.device:
        """Device of the frames."""
        ...

    @property
    def dtype(self) -> torch.dtype:
        """Floating-point type of the frames."""
        ...

    def rows(self, index: Tensor) -> Tensor:
        """Return the frames of these rows, (*index.shape, C, *grid)."""
        ...


class InMemory:
    """Trajectories (samples, T, C, *grid) as one tensor; reading rows is one flat index_select."""

    def __init__(self, u: Tensor) -> None:
        self.shape = u.shape[2:]
        self.flat = u.reshape(u.shape[0] * u.shape[1], -1)

    @property
    def device(self) -> torch.device:
        """Device of the frames."""
        return self.flat.device

    @property
    def dtype(self) -> torch.dtype:
        """Floating-point type of the frames."""
        return self.flat.dtype

    def rows(self, index: Tensor) -> Tensor:
        """Return the frames of these rows, (*index.shape, C, *grid)."""
        return self.flat.index_select(0, index.reshape(-1)).view(*index.shape, *self.shape)


class OnDisk:
    """Trajectories in files, read on demand. Contiguous states, as `generate` writes them, are memory-mapped; others are read in runs of frames."""

    device = torch.device("cpu")

    def __init__(self, source: Source) -> None:
        self.source = source
        header = source.header
        self.frames = int(header["frames"])
        self.shape = (len(header["channels"]), *header["grid_shape"])
        self.dtype = getattr(torch, header["dtype"])
        self._starts = np.cumsum([0] + [c.samples for c in source.contents])
        self._open: OrderedDict[int, np.memmap | h5py.Dataset] = OrderedDict()

    @property
    def nbytes(self) -> int:
        """Size of all states in bytes."""
        return self.source.samples * self.frames * int(np.prod(self.shape)) * self.dtype.itemsize

    def rows(self, index: Tensor) -> Tensor:
        """Return the frames of these rows, (*index.shape, C, *grid)."""
        rows = index.reshape(-1).cpu().numpy()
        shards = np.searchsorted(self._starts, rows // self.frames, side="right") - 1
        out = np.empty((len(rows), *self.shape), dtype=self.source.header["dtype"])
        for shard in np.unique(shards):
            positions = np.flatnonzero(shards == shard)
            with reading(self.source.files[shard]):
                self._gather(self._states(int(shard)), rows[positions] - self._starts[shard] * self.frames, positions, out)
        return torch.from_numpy(out).reshape(*index.shape, *self.shape)

    def _gather(self, states: np.memmap | h5py.Dataset, rows: np.ndarray, to: np.ndarray, out: np.ndarray) -> None:
        """Copy the frames `rows` of one file to out[to]."""
        if isinstance(states, np.memmap):
            out[to] = states[rows]
            return
        # A run ends where the next row is not the next frame of the same sample.
        breaks = np.flatnonzero((np.diff(rows) != 1) | (rows[1:] % self.frames == 0)) + 1
        for begin, end in pairwise([0, *breaks.tolist(), len(rows)]):
            sample, time = divmod(int(rows[begin]), self.frames)
            out[to[begin:end]] = states[sample, time : time + end - begin]

    def _states(self, shard: int) -> np.memmap | h5py.Dataset:
        if shard in self._open:
            self._open.move_to_end(shard)
            return self._open[shard]
        if len(self._open) >= _KEPT_OPEN:
            oldest = self._open.popitem(last=False)[1]
            if isinstance(oldest, h5py.Dataset):
                oldest.file.close()
        states = h5py.File(self.source.files[shard], "r")["u"]
        offset = states.id.get_offset()
        if offset is not None and states.chunks is None:
            shape = (states.shape[0] * states.shape[1], *self.shape)
            mapped = np.memmap(self.source.files[shard], dtype=states.dtype, mode="r", offset=offset, shape=shape)
            states.file.close()
            states = mapped
        self._open[shard] = states
        return states

    def load(self) -> Tensor:
        """Read all states as one tensor and check checksums and finiteness."""
        u = torch.empty(self.source.samples, self.frames, *self.shape, dtype=self.dtype)
        sample = 0
        for file, sha256 in zip(self.source.files, self.source.file_sha256):
            for states in read_states(file, sha256):
                u[sample] = torch.from_numpy(states)
                sample += 1
        return u


class Cached:
    """Files that fit in memory: read completely and checked when the first frame is needed."""

    def __init__(self, disk: OnDisk) -> None:
        self.disk = disk
        self.memory: InMemory | None = None

    @property
    def device(self) -> torch.device:
        """Device of the frames."""
        return self.disk.device

    @property
    def dtype(self) -> torch.dtype:
        """Floating-point type of the frames."""
        return self.disk.dtype

    def rows(self, index: Tensor) -> Tensor:
        """Return the frames of these rows, (*index.shape, C, *grid)."""
        if self.memory is None:
            self.memory = InMemory(self.disk.load())
        return self.memory.rows(index)
