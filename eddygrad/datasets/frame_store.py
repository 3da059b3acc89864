"""Where frames come from: one tensor in memory, or shards read on demand. Row r = sample * frames + time."""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise
from typing import Protocol

import h5py
import numpy as np
import torch
from torch import Tensor

from eddygrad.datasets.format import read_states, reading
from eddygrad.datasets.manifest import Source

_KEPT_OPEN = 64


class Storage(Protocol):
    """Frames by row number; `rows` keeps the shape of `index` and appends (C, *grid)."""

    @property
    def device(self) -> torch.device: ...
    @property
    def dtype(self) -> torch.dtype: ...
    def rows(self, index: Tensor) -> Tensor: ...


class InMemory:
    """Trajectories (samples, T, C, *grid) as one tensor; a gather is one flat index_select."""

    def __init__(self, u: Tensor) -> None:
        self.shape = u.shape[2:]
        self.flat = u.reshape(u.shape[0] * u.shape[1], -1)

    @property
    def device(self) -> torch.device:
        return self.flat.device

    @property
    def dtype(self) -> torch.dtype:
        return self.flat.dtype

    def rows(self, index: Tensor) -> Tensor:
        return self.flat.index_select(0, index.reshape(-1)).view(*index.shape, *self.shape)


class OnDisk:
    """Trajectories in files, read on demand. Contiguous states, as `generate` writes them, are mapped into memory, others read run by run."""

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
        return self.source.samples * self.frames * int(np.prod(self.shape)) * self.dtype.itemsize

    def rows(self, index: Tensor) -> Tensor:
        rows = index.reshape(-1).cpu().numpy()
        shards = np.searchsorted(self._starts, rows // self.frames, side="right") - 1
        out = np.empty((len(rows), *self.shape), dtype=self.source.header["dtype"])
        for shard in np.unique(shards):
            here = np.flatnonzero(shards == shard)
            with reading(self.source.files[shard]):
                self._gather(self._states(int(shard)), rows[here] - self._starts[shard] * self.frames, here, out)
        return torch.from_numpy(out).reshape(*index.shape, *self.shape)

    def _gather(self, states: np.memmap | h5py.Dataset, rows: np.ndarray, to: np.ndarray, out: np.ndarray) -> None:
        """out[to] = the frames `rows` of one file."""
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
        """Everything as one tensor, checksums and finiteness checked on the way."""
        u = torch.empty(self.source.samples, self.frames, *self.shape, dtype=self.dtype)
        at = 0
        for file, sha256 in zip(self.source.files, self.source.file_sha256):
            for states in read_states(file, sha256):
                u[at] = torch.from_numpy(states)
                at += 1
        return u


class Cached:
    """Files that fit in memory: read whole, and checked, when the first frame is asked for."""

    def __init__(self, disk: OnDisk) -> None:
        self.disk = disk
        self.memory: InMemory | None = None

    @property
    def device(self) -> torch.device:
        return self.disk.device

    @property
    def dtype(self) -> torch.dtype:
        return self.disk.dtype

    def rows(self, index: Tensor) -> Tensor:
        if self.memory is None:
            self.memory = InMemory(self.disk.load())
        return self.memory.rows(index)
