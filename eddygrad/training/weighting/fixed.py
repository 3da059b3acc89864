"""Weights that do not change: equal, given, and optimal for a known solution."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from eddygrad.training.weighting.base import Grads
from eddygrad.training.weighting.steady import Steady


class Fixed(Steady):
    """lam_k as given.

    Args:   weights: by name; each above zero.
    Raises: ValueError for a weight that is not positive, and at a call for a loss without one.
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        for name, weight in weights.items():
            if not (weight > 0 and math.isfinite(weight)):
                raise ValueError(f"{type(self).__name__}: the weight of {name!r} must be positive, got {weight}")
        self.weights = dict(weights)

    def __call__(self, losses: Mapping[str, Tensor], grads: Grads | None = None, select: Sequence[int] | None = None) -> dict[str, Tensor]:
        missing = [name for name in losses if name not in self.weights]
        if missing:
            raise ValueError(f"{type(self).__name__}: no weight for the loss {missing[0]!r}, only for {list(self.weights)}")
        return {name: torch.full_like(loss.detach(), self.weights[name]) for name, loss in losses.items()}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.weights})"


class EpsilonOptimal(Fixed):
    """lam_k = (1 / I_k) / sum_j (1 / I_j), I_k the integral of the square of what term k differentiates    van der Meer et al. 2020

    All terms then contribute alike to an error of relative size epsilon. The solution must be known in advance.

    Args: integrals: I_k by name; for the Poisson problem of Maddu et al. 2021 as their code has it, {"pde": w^4, "boundary": 1}.
    """

    def __init__(self, integrals: Mapping[str, float]) -> None:
        for name, integral in integrals.items():
            if not (integral > 0 and math.isfinite(integral)):
                raise ValueError(f"EpsilonOptimal: the integral of {name!r} must be positive, got {integral}")
        total = sum(1 / integral for integral in integrals.values())
        super().__init__({name: 1 / integral / total for name, integral in integrals.items()})
