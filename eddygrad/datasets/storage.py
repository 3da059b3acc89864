"""Where frames come from: one tensor in memory, or shards read on demand. Row r = sample * frames + time."""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise
from typing import Protocol

import h5netcdf
import numpy as np
import torch
from torch import Tensor

from eddygrad.datasets.format import open_file, read_states, reading
from eddygrad.datasets.manifest import Source

_OPEN_FILES = 16


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
    """Trajectories in files, read run by run of consecutive frames; a few files stay open."""

    device = torch.device("cpu")

    def __init__(self, source: Source) -> None:
        self.source = source
        header = source.header
        self.frames = int(header["frames"])
        self.shape = (len(header["channels"]), *header["grid_shape"])
        self.dtype = getattr(torch, header["dtype"])
        self._starts = np.cumsum([0] + [c.samples for c in source.contents])
        self._handles: OrderedDict[int, h5netcdf.File] = OrderedDict()

    @property
    def nbytes(self) -> int:
        return self.source.samples * self.frames * int(np.prod(self.shape)) * self.dtype.itemsize

    def rows(self, index: Tensor) -> Tensor:
        rows = index.reshape(-1).cpu().numpy()
        out = np.empty((len(rows), *self.shape), dtype=self.source.header["dtype"])
        # A run ends where the next row is not the next frame of the same sample.
        breaks = np.flatnonzero((np.diff(rows) != 1) | (rows[1:] % self.frames == 0)) + 1
        bounds = [0, *breaks.tolist(), len(rows)] if len(rows) else []
        for begin, end in pairwise(bounds):
            sample, time = divmod(int(rows[begin]), self.frames)
            shard = int(np.searchsorted(self._starts, sample, side="right")) - 1
            states = self._file(shard).variables["u"]
            with reading(self.source.files[shard]):
                out[begin:end] = states[sample - int(self._starts[shard]), time : time + end - begin]
        return torch.from_numpy(out).reshape(*index.shape, *self.shape)

    def load(self) -> Tensor:
        """Everything as one tensor, checksums and finiteness checked on the way."""
        u = torch.empty(self.source.samples, self.frames, *self.shape, dtype=self.dtype)
        at = 0
        for file, sha256 in zip(self.source.files, self.source.file_sha256):
            for states in read_states(file, sha256):
                u[at] = torch.from_numpy(states)
                at += 1
        return u

    def _file(self, shard: int) -> h5netcdf.File:
        if shard in self._handles:
            self._handles.move_to_end(shard)
        else:
            if len(self._handles) >= _OPEN_FILES:
                self._handles.popitem(last=False)[1].close()
            self._handles[shard] = open_file(self.source.files[shard])
        return self._handles[shard]


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
