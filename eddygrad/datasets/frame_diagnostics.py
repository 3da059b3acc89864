"""Diagnostics: numbers that are computed from the solver's state and stored with every frame."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from eddygrad.runtime.memory import ordinary_tensors
from eddygrad.solver.grid import Grid
from eddygrad.solver.transforms import fft, nyquist_free


@runtime_checkable
class Diagnose(Protocol):
    """Maps states of the solver to numbers. A frozen dataclass; its `repr` goes into the header as provenance."""

    @property
    def grid(self) -> Grid | None:
        """Grid of the states that it takes; None if it takes any."""
        ...

    @property
    def units(self) -> Mapping[str, str]:
        """Name -> unit of each number."""
        ...

    def __call__(self, u: Tensor) -> Mapping[str, Tensor]:
        """Return each number by name, (B,), of states (B, C, *grid)."""
        ...


@dataclass(frozen=True)
class FlowDiagnostics:
    """Kinetic energy, enstrophy and greatest speed of a periodic velocity in two or three dimensions.

        kinetic_energy = <|u|^2> / 2 [m^2/s^2],   enstrophy = <|curl u|^2> / 2 [1/s^2],   greatest_speed = max_x |u| [m/s]
        <|curl u|^2> = sum_k sum_{i<j} |k_i u_hat_j - k_j u_hat_i|^2 / N^2           (Parseval; N grid points in total)

    The maximum is taken over the grid points. Sums are computed in float64.

    Args:   grid: grid of the solver.
    Raises: ValueError for a grid of one axis; at a call, for a state with another number of points or components.
    """

    grid: Grid

    def __post_init__(self) -> None:
        if self.grid.ndim < 2:
            raise ValueError(f"FlowDiagnostics: expected a grid of two or three axes, got {self.grid.shape}; a flow on a line has no curl")

    @property
    def units(self) -> Mapping[str, str]:
        """Name -> unit of each number."""
        return {"kinetic_energy": "m^2/s^2", "enstrophy": "1/s^2", "greatest_speed": "m/s"}

    def __call__(self, u: Tensor) -> dict[str, Tensor]:
        """Return each number by name, (B,), of states (B, C, *grid)."""
        self.grid.check(u)
        if u.shape[1] != self.grid.ndim:
            raise ValueError(f"FlowDiagnostics: expected {self.grid.ndim} velocity components, got {u.shape[1]} channels")
        first, *others = u.unbind(1)
        speed2 = first.square()
        for component in others:
            speed2.addcmul_(component, component)
        energy = 0.5 * _square_sum(u) / math.prod(self.grid.shape)
        return {"kinetic_energy": energy, "enstrophy": self._enstrophy(u), "greatest_speed": speed2.flatten(1).amax(1).double().sqrt()}

    def _enstrophy(self, u: Tensor) -> Tensor:
        k = _weighted_wavenumbers(self.grid, u.dtype, u.device)
        u_hat = torch.view_as_real(fft(u, self.grid)).unbind(1)
        pairs = list(itertools.combinations(range(self.grid.ndim), 2))
        parts = [_square_sum((k[i] * u_hat[j]).addcmul_(k[j], u_hat[i], value=-1)) for i, j in pairs]
        return parts[0] if len(parts) == 1 else torch.stack(parts).sum(0)


@dataclass(frozen=True)
class FaceDiagnostics:
    """Kinetic energy and greatest speed of face velocities with any boundary conditions.

        kinetic_energy = <|u|^2> / 2 [m^2/s^2] over the stored faces,   greatest_speed = max |u| [m/s] over the cells

    For the speed, each component is the mean of a cell's two faces, see `centred`. Channels after the velocity are ignored. Sums are computed in
    float64.

    Args:
        grid:     grid of the solver.
        periodic: for each axis, whether it is periodic.
    Raises: ValueError for another number of flags; at a call, for a state with another number of points or too few channels.
    """

    grid: Grid
    periodic: tuple[bool, ...]

    def __post_init__(self) -> None:
        if len(self.periodic) != self.grid.ndim:
            raise ValueError(f"FaceDiagnostics: expected a flag for each of {self.grid.ndim} axes, got {self.periodic}")

    @property
    def units(self) -> Mapping[str, str]:
        """Name -> unit of each number."""
        return {"kinetic_energy": "m^2/s^2", "greatest_speed": "m/s"}

    def __call__(self, u: Tensor) -> dict[str, Tensor]:
        """Return each number by name, (B,), of states (B, C, *grid)."""
        self.grid.check(u)
        if u.shape[1] < self.grid.ndim:
            raise ValueError(f"FaceDiagnostics: expected {self.grid.ndim} face velocities, got {u.shape[1]} channels")
        velocity = u[:, : self.grid.ndim]
        speed2 = torch.stack([c.square() for c in centred(velocity, self.periodic).unbind(1)]).sum(0)
        energy = 0.5 * _square_sum(velocity) / math.prod(self.grid.shape)
        return {"kinetic_energy": energy, "greatest_speed": speed2.flatten(1).amax(1).double().sqrt()}


def centred(u: Tensor, periodic: Sequence[bool]) -> Tensor:
    """Return the velocity at the cell centres, the mean of a cell's two faces.

    Along an axis that is not periodic the lower face of the first cell is not stored, so that the first cell takes the value of its upper face.

    Args: u: face velocities (B, D, *grid). periodic: for each axis, whether it is periodic.
    """
    parts = []
    for axis, (component, period) in enumerate(zip(u.unbind(1), periodic, strict=True)):
        dim = axis - len(periodic)
        n = component.shape[dim]
        first = component.narrow(dim, n - 1 if period else 0, 1)
        lower = torch.cat([first, component.narrow(dim, 0, n - 1)], dim)
        parts.append(0.5 * (lower + component))
    return torch.stack(parts, 1)


def _square_sum(x: Tensor) -> Tensor:
    """Sum of squares over all axes but the first, in float64."""
    return torch.linalg.vector_norm(x.flatten(1), dim=1, dtype=torch.float64).square()


@lru_cache(maxsize=8)
def _weighted_wavenumbers(grid: Grid, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, ...]:
    """sqrt(w / 2) k_i / N without the Nyquist mode of its axis, (*K, 2), so that a plain sum of squares is the enstrophy.

    w is the weight of a column of the half spectrum: 1 for the first column and, if their number is even, the last; 2 for all others.
    """
    with ordinary_tensors():
        column = grid.modes(device)[-1]
        once = (column == 0) | (2 * column.abs() == grid.shape[-1])
        scale = torch.where(once, 0.5, 1.0).to(torch.float64).sqrt() / math.prod(grid.shape)
        k = [scale * axis * nyquist_free(grid, a, device) for a, axis in enumerate(grid.wavenumbers(device=device))]
        # One factor each for real and imaginary part, so that the product runs as one contiguous loop.
        return tuple(torch.stack([axis, axis], -1).to(dtype) for axis in k)
