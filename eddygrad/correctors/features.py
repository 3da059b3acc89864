"""What a network is shown: the state, and physical parameters as constant channels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from eddygrad.solver.grid import parameter
from eddygrad.solver.step import Params


@dataclass(frozen=True)
class Features:
    """Channels of the input: (u - mean) / std, then one constant channel scale * value for each named parameter.

    Args: parameters: name -> scale, e.g. {"length": 1 / (16 pi)} shows a Kuramoto-Sivashinsky network D/8 (List et al. 2024).
          mean, std:  per state channel [u], or one number for all.
    """

    parameters: Mapping[str, float] = field(default_factory=dict)
    mean: float | tuple[float, ...] = 0.0
    std: float | tuple[float, ...] = 1.0

    @property
    def extra_channels(self) -> int:
        return len(self.parameters)

    def __call__(self, u: Tensor, params: Params, ndim: int) -> Tensor:
        """([S,] B, C, *grid) -> ([S,] B, C + parameters, *grid)."""
        if self.mean != 0.0 or self.std != 1.0:
            shape = (-1,) + (1,) * ndim
            mean, std = (torch.as_tensor(v, dtype=torch.float64).to(u).reshape(shape) for v in (self.mean, self.std))
            u = (u - mean) / std
        if not self.parameters:
            return u
        constant = (*u.shape[: -ndim - 1], 1, *u.shape[-ndim:])
        channels = [u]
        for name, scale in self.parameters.items():
            value = parameter(params, name, "Features")
            value = value if isinstance(value, Tensor) else torch.tensor(value, dtype=torch.float64)
            channels.append((value.to(u) * scale).expand(constant))
        return torch.cat(channels, dim=-ndim - 1)


def domain_size() -> Features:
    """The paper's conditioning for Kuramoto-Sivashinsky: a second channel D/8 = L / (16 pi)."""
    return Features({"length": 1 / (16 * math.pi)})
