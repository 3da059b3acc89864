"""What a network is shown: the state, and physical parameters as constant channels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from eddygrad.solver.grid import Grid, parameter
from eddygrad.solver.step import Params
from eddygrad.solver.vector_calculus import pressure


class Shown(Protocol):
    """One further channel, computed from the state: ([S,] B, C, *grid) -> ([S,] B, 1, *grid). A frozen dataclass: its `repr` is provenance."""

    def __call__(self, u: Tensor, params: Params) -> Tensor: ...


@dataclass(frozen=True)
class Features:
    """Channels of the input: (u - mean) / std, then fields computed from u, then a constant channel for each named parameter.

    Args: parameters:  name -> scale of the value, e.g. {"length": 1 / (16 pi)} shows a Kuramoto-Sivashinsky network D/8 (List et al. 2024).
          reciprocals: name -> scale of one over the value, e.g. {"viscosity": .001} shows .001 Re.
          fields:      further channels, e.g. `Pressure(grid)`, `Geometry(solver)`.
          mean, std:   per state channel [u], or one number for all.
    """

    parameters: Mapping[str, float] = field(default_factory=dict)
    mean: float | tuple[float, ...] = 0.0
    std: float | tuple[float, ...] = 1.0
    fields: tuple[Shown, ...] = ()
    reciprocals: Mapping[str, float] = field(default_factory=dict)

    @property
    def extra_channels(self) -> int:
        return len(self.fields) + len(self.parameters) + len(self.reciprocals)

    def __call__(self, u: Tensor, params: Params, ndim: int) -> Tensor:
        """([S,] B, C, *grid) -> ([S,] B, C + fields + parameters + reciprocals, *grid)."""
        computed = [shown(u, params) for shown in self.fields]
        if self.mean != 0.0 or self.std != 1.0:
            shape = (-1,) + (1,) * ndim
            mean, std = (torch.as_tensor(v, dtype=torch.float64).to(u).reshape(shape) for v in (self.mean, self.std))
            u = (u - mean) / std
        constants = [(name, scale, 1) for name, scale in self.parameters.items()] + [(name, scale, -1) for name, scale in self.reciprocals.items()]
        if not computed and not constants:
            return u
        like = (*u.shape[: -ndim - 1], 1, *u.shape[-ndim:])
        channels = [u, *computed]
        for name, scale, power in constants:
            value = parameter(params, name, "Features")
            value = value if isinstance(value, Tensor) else torch.tensor(value, dtype=torch.float64)
            channels.append((value**power * scale).to(u).expand(like))
        return torch.cat(channels, dim=-ndim - 1)


def domain_size() -> Features:
    """The paper's conditioning for Kuramoto-Sivashinsky: a second channel D/8 = L / (16 pi)."""
    return Features({"length": 1 / (16 * math.pi)})


@dataclass(frozen=True)
class Pressure:
    """The kinematic pressure of a velocity as a channel: lap p = -div (u . grad) u, zero mean; see `vector_calculus.pressure`."""

    grid: Grid

    def __call__(self, u: Tensor, params: Params) -> Tensor:
        return pressure(u, self.grid)


class Fluid(Protocol):
    """What knows where there is fluid: a staggered scheme, a user's own object."""

    def fluid(self, params: Params, like: Tensor) -> Tensor:
        """(1, 1, *grid) in the dtype and on the device of `like`: 1 at the centres of cells in the fluid, 0 inside a body."""
        ...


@dataclass(frozen=True)
class Geometry:
    """Where there is fluid as a channel: 1, or 0 inside a body.

    It is taken at the centres of cells: one channel shows every component the same body, and mirrored flows mirrored ones, while the faces of a
    component lie half a cell to one side. Sides are not shown; networks padded by zeros see where the box ends.

    Args:   domain: the solver, or what else has `fluid(params, like)`.
    Raises: ValueError for a domain without it.
    """

    domain: Fluid

    def __post_init__(self) -> None:
        if not hasattr(self.domain, "fluid"):
            raise ValueError(f"Geometry: the domain must say where there is fluid (.fluid(params, like)), got {type(self.domain).__name__}")

    def __call__(self, u: Tensor, params: Params) -> Tensor:
        fluid = self.domain.fluid(params, u)
        return fluid.expand(*u.shape[: 1 - fluid.ndim], 1, *fluid.shape[2:])
