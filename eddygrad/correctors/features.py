"""Input channels of a network: the state, fields computed from it, and physical parameters as constant channels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from eddygrad.solver.grid import Grid, parameter
from eddygrad.solver.step import Params
from eddygrad.solver.vector_calculus import pressure


class ComputedChannel(Protocol):
    """A channel computed from the state: ([S,] B, C, *grid) -> ([S,] B, 1, *grid). A frozen dataclass, whose `repr` is recorded as provenance."""

    def __call__(self, u: Tensor, params: Params) -> Tensor: ...


@dataclass(frozen=True)
class Features:
    """Channels of the input: (u - mean) / std, then fields computed from u, then a constant channel for each named parameter.

    Args:
        parameters:  name -> factor of the value; {"length": 1 / (16 pi)} gives D/8 for Kuramoto-Sivashinsky (List et al. 2024).
        mean, std:   per channel of the state [u], or one number for all.
        fields:      computed channels, e.g. `Pressure(grid)`, `Geometry(solver)`.
        reciprocals: name -> factor of one over the value; {"viscosity": .001} gives .001 Re.
    """

    parameters: Mapping[str, float] = field(default_factory=dict)
    mean: float | tuple[float, ...] = 0.0
    std: float | tuple[float, ...] = 1.0
    fields: tuple[ComputedChannel, ...] = ()
    reciprocals: Mapping[str, float] = field(default_factory=dict)

    @property
    def extra_channels(self) -> int:
        """Number of channels in addition to the state's."""
        return len(self.fields) + len(self.parameters) + len(self.reciprocals)

    def __call__(self, u: Tensor, params: Params, ndim: int) -> Tensor:
        """Return the input of the network.

        Args:
            u:      state ([S,] B, C, *grid).
            params: physical parameters.
            ndim:   number of grid axes.
        Returns: ([S,] B, C + fields + parameters + reciprocals, *grid).
        """
        computed = [channel(u, params) for channel in self.fields]
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
    """Return the features of List et al. 2024 for Kuramoto-Sivashinsky: a second channel D/8 = L / (16 pi)."""
    return Features({"length": 1 / (16 * math.pi)})


@dataclass(frozen=True)
class Pressure:
    """The kinematic pressure of a velocity as a channel, lap p = -div (u . grad) u with zero mean; see `vector_calculus.pressure`."""

    grid: Grid

    def __call__(self, u: Tensor, params: Params) -> Tensor:
        return pressure(u, self.grid)


@runtime_checkable
class FluidMask(Protocol):
    """Knows which cells are fluid: a staggered scheme, a user's own object."""

    def fluid(self, params: Params, like: Tensor) -> Tensor:
        """Return the mask of fluid cells (1, 1, *grid), dtype and device of `like`: 1 at centres in the fluid, 0 inside a body."""
        ...


@dataclass(frozen=True)
class Geometry:
    """The mask of fluid cells as a channel: 1, or 0 inside a body.

    The mask is taken at the cell centres, so that all components see the same body and mirrored flows mirrored masks; the faces of a component lie
    half a cell to one side. The sides of the box are not in the mask; a network with zero padding sees them.

    Args:
        domain: the solver, or another object with `fluid(params, like)`.
    Raises: ValueError for an object without `fluid`.
    """

    domain: FluidMask

    def __post_init__(self) -> None:
        if not isinstance(self.domain, FluidMask):
            raise ValueError(f"Geometry: expected an object with .fluid(params, like), e.g. a staggered solver, got {type(self.domain).__name__}")

    def __call__(self, u: Tensor, params: Params) -> Tensor:
        fluid = self.domain.fluid(params, u)
        return fluid.expand(*u.shape[: 1 - fluid.ndim], 1, *fluid.shape[2:])
