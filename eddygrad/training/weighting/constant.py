"""Weights that do not change: equal, given, and optimal for a known solution."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from eddygrad.training.weighting.base import Grads, Weighting


class ConstantWeights(Weighting):
    """Base of weightings without state: they are never due and always frozen."""

    _frozen = True

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Accept an empty state. Raises ValueError for the state of a weighting that has one."""
        if state:
            raise ValueError(f"{type(self).__name__}: expected an empty state, got {sorted(state)}; it belongs to another weighting")


class Uniform(ConstantWeights):
    """lam_k = 1 for every named loss."""

    def __call__(
        self, losses: Mapping[str, Tensor], grads: Grads | None = None, select: Sequence[int] | None = None, *, probes: Grads | None = None
    ) -> dict[str, float]:
        return {name: 1.0 for name in losses}

    def __repr__(self) -> str:
        return "Uniform()"


class Fixed(ConstantWeights):
    """Given weights lam_k.

    Args:   weights: name -> weight above zero.
    Raises: ValueError for a weight that is not positive; at a call, for a loss without a weight.
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        for name, weight in weights.items():
            if not (weight > 0 and math.isfinite(weight)):
                raise ValueError(f"{type(self).__name__}: the weight of {name!r} must be positive, got {weight}")
        self.weights = dict(weights)

    def __call__(
        self, losses: Mapping[str, Tensor], grads: Grads | None = None, select: Sequence[int] | None = None, *, probes: Grads | None = None
    ) -> dict[str, Tensor]:
        missing = [name for name in losses if name not in self.weights]
        if missing:
            raise ValueError(f"{type(self).__name__}: no weight for the loss {missing[0]!r}, only for {list(self.weights)}")
        return {name: torch.full_like(loss.detach(), self.weights[name]) for name, loss in losses.items()}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.weights})"


class EpsilonOptimal(Fixed):
    """lam_k = (1 / I_k) / sum_j (1 / I_j), I_k the integral of the squared derivatives in term k    van der Meer et al. 2020

    All terms then contribute equally to an error of relative size epsilon. The solution must be known in advance.

    Args:   integrals: name -> I_k; the code of Maddu et al. 2021 uses {"pde": w^4, "boundary": 1} for its Poisson problem.
    Raises: ValueError for an integral that is not positive.
    """

    def __init__(self, integrals: Mapping[str, float]) -> None:
        for name, integral in integrals.items():
            if not (integral > 0 and math.isfinite(integral)):
                raise ValueError(f"EpsilonOptimal: the integral of {name!r} must be positive, got {integral}")
        total = sum(1 / integral for integral in integrals.values())
        super().__init__({name: 1 / integral / total for name, integral in integrals.items()})
