"""What a data set keeps of a state: another grid, further fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from eddygrad.solver.downsample import Method, downsample
from eddygrad.solver.grid import Grid
from eddygrad.solver.transforms import limited
from eddygrad.solver.vector_calculus import pressure, vorticity


class Stored(Protocol):
    """A frozen dataclass that maps states (B, C, *grid) to what is written, (B, len(channels), *grid); its `repr` is provenance.

    One that keeps face velocities on the faces of its own cells says so by an attribute `faces`, True; they are drawn as such.
    """

    @property
    def grid(self) -> Grid: ...
    @property
    def channels(self) -> tuple[str, ...]: ...
    def __call__(self, u: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Downsampled:
    """The state on fewer points of the same box, by a named operator.

    Args: source: the solver's grid. shape: points per axis that are kept. channels: names of the state's channels. method: see `downsample`.
          modes: the largest mode that is kept on every axis, e.g. that of a dealiased coarse solver; None keeps what the points hold.
    With "staggered" the channels behind the velocity, a pressure, are means of cells and are kept by "box".
    """

    source: Grid
    shape: tuple[int, ...]
    channels: tuple[str, ...]
    method: Method = "spectral"
    modes: int | None = None

    @property
    def grid(self) -> Grid:
        return Grid(self.shape, self.source.length)

    @property
    def faces(self) -> bool:
        return self.method == "staggered"

    def __call__(self, u: Tensor) -> Tensor:
        if self.faces and u.shape[1] > self.source.ndim:
            faces, rest = u.split([self.source.ndim, u.shape[1] - self.source.ndim], 1)
            return torch.cat([downsample(faces, self.source, self.shape, "staggered"), downsample(rest, self.source, self.shape, "box")], 1)
        coarse = downsample(u, self.source, self.shape, self.method)
        return coarse if self.modes is None else limited(coarse, self.grid, self.modes, self.shape)


@dataclass(frozen=True)
class FlowFields:
    """A plane velocity with its vorticity and its pressure beside it.

        (u, v) -> (u, v, w, p),   w = v_x - u_y,   lap p = div(-lambda (u . grad) u - beta |u|^2 u)
    Args: grid: the solver's. advection, cubic: lambda and beta of the pressure, see `pressure`.
    """

    grid: Grid
    advection: float = 1.0
    cubic: float = 0.0

    @property
    def channels(self) -> tuple[str, ...]:
        return ("velocity_x", "velocity_y", "vorticity", "pressure")

    def __call__(self, u: Tensor) -> Tensor:
        return torch.cat([u, vorticity(u, self.grid), pressure(u, self.grid, self.advection, self.cubic)], 1)
