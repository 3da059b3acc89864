"""Fields that a data set stores of each state: fewer points, or further fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor

from eddygrad.solver.downsample import Method, downsample
from eddygrad.solver.grid import Grid
from eddygrad.solver.transforms import limited
from eddygrad.solver.vector_calculus import pressure, vorticity


@runtime_checkable
class Stored(Protocol):
    """Maps states of the solver to the stored fields. A frozen dataclass; its `repr` goes into the header as provenance."""

    @property
    def grid(self) -> Grid:
        """Grid of the stored fields."""
        ...

    @property
    def channels(self) -> tuple[str, ...]:
        """Name of each stored channel."""
        ...

    @property
    def faces(self) -> bool:
        """Whether the stored velocities are on the faces of the cells of `grid`; figures draw them accordingly."""
        ...

    def __call__(self, u: Tensor) -> Tensor:
        """Return the stored fields (B, len(channels), *grid) of states (B, C, *solver's grid)."""
        ...


@dataclass(frozen=True)
class Downsampled:
    """Store the state on fewer points of the same box.

    With the method "staggered" the velocity is downsampled on faces; later channels, e.g. a pressure, are cell means and use the method "box".

    Args:
        source:   grid of the solver.
        shape:    stored points per axis.
        channels: name of each channel of the state.
        method:   see `downsample`.
        modes:    largest stored mode on every axis, e.g. that of a dealiased coarse solver; None stores all modes that the points resolve.
    """

    source: Grid
    shape: tuple[int, ...]
    channels: tuple[str, ...]
    method: Method = "spectral"
    modes: int | None = None

    @property
    def grid(self) -> Grid:
        """Grid of the stored fields."""
        return Grid(self.shape, self.source.length)

    @property
    def faces(self) -> bool:
        """Whether velocities are stored on faces: True for the method "staggered"."""
        return self.method == "staggered"

    def __call__(self, u: Tensor) -> Tensor:
        if self.faces and u.shape[1] > self.source.ndim:
            faces, rest = u.split([self.source.ndim, u.shape[1] - self.source.ndim], 1)
            return torch.cat([downsample(faces, self.source, self.shape, "staggered"), downsample(rest, self.source, self.shape, "box")], 1)
        coarse = downsample(u, self.source, self.shape, self.method)
        return coarse if self.modes is None else limited(coarse, self.grid, self.modes, self.shape)


@dataclass(frozen=True)
class FlowFields:
    """Store a velocity in the plane with its vorticity and pressure.

        (u, v) -> (u, v, w, p),   w = v_x - u_y,   lap p = div(-lambda (u . grad) u - beta |u|^2 u)

    Args:
        grid:      grid of the solver.
        advection: lambda of the pressure, see `pressure`.
        cubic:     beta of the pressure.
    """

    grid: Grid
    advection: float = 1.0
    cubic: float = 0.0
    faces: ClassVar[bool] = False

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the four stored channels."""
        return ("velocity_x", "velocity_y", "vorticity", "pressure")

    def __call__(self, u: Tensor) -> Tensor:
        return torch.cat([u, vorticity(u, self.grid), pressure(u, self.grid, self.advection, self.cubic)], 1)
