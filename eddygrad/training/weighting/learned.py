"""Weights that are learned together with the network: GradNorm, its form without gradients, uncertainty weighting."""

from __future__ import annotations

import abc
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from eddygrad.training.weighting.averaged import AveragedWeighting
from eddygrad.training.weighting.base import Terms
from eddygrad.training.weighting.by_losses import begun


class Learned(AveragedWeighting):
    """Base of weights from one number z_k per term and seed; Adam updates z_k once per evaluation.

    Args:
        lr:      learning rate of Adam.
        average, options: see `AveragedWeighting`.
    Raises: ValueError for a learning rate that is not positive.
    """

    gradual = True

    def __init__(self, lr: float, average: float = 1.0, **options: Any) -> None:
        super().__init__(average, **options)
        if not lr > 0:
            raise ValueError(f"{type(self).__name__}: lr must be positive, got {lr}")
        self.lr = lr
        self._z: dict[str, Tensor] = {}
        self._adam: dict[str, list[Tensor]] = {}  # first and second moments, steps

    @abc.abstractmethod
    def slope(self, terms: Terms, z: Tensor) -> Tensor:
        """Return the derivative of the objective by z, (S, K)."""

    @abc.abstractmethod
    def weights_of(self, z: Tensor, active: Tensor) -> Tensor:
        """Return the weights (S, K) of z for the active terms."""

    def proposed(self, terms: Terms) -> Tensor:
        zero = torch.zeros(len(terms.losses), dtype=torch.float64)
        z = torch.stack([self._z.get(name, zero) for name in terms.names], 1)
        slope = self.slope(terms, z)
        moved = []
        for k, name in enumerate(terms.names):
            first, second, steps = self._adam.get(name, [zero, zero, zero])
            ok = slope[:, k].isfinite() & terms.active[:, k]
            g = torch.where(ok, slope[:, k], 0.0)
            first, second, steps = 0.9 * first + 0.1 * g, 0.999 * second + 0.001 * g * g, steps + 1
            self._adam[name] = [first, second, steps]
            change = first / (1 - 0.9**steps) / ((second / (1 - 0.999**steps)).sqrt() + 1e-8)
            moved.append(torch.where(ok, z[:, k] - self.lr * change, z[:, k]))
        self._z |= dict(zip(terms.names, moved))
        return self.weights_of(torch.stack(moved, 1), terms.active)

    def _forget(self, name: str) -> None:
        super()._forget(name)
        for kept in (self._z, self._adam):
            kept.pop(name, None)

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "z": dict(self._z), "adam": {name: list(parts) for name, parts in self._adam.items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self._z, self._adam = dict(state["z"]), {name: list(parts) for name, parts in state["adam"].items()}

    @property
    def options(self) -> dict[str, Any]:
        return {"lr": self.lr, **super().options}


class GradNorm(Learned):
    """GradNorm: all weighted gradients get the same length, longer for terms that fall more slowly        Chen et al. 2018 (arXiv 1711.02257)

        minimise sum_k |G_k - mean(G) r_k^alpha|,  G_k = lam_k |g_k|,  r_k = (L_k / L_k(0)) / mean,  with a constant target;   lam = K softmax(z)
    The sum of the weights is K, the number of active terms, by construction.

    Args:
        alpha:   strength of the asymmetry; 0 gives equal lengths.
        lr, options: see `Learned`.
    """

    def __init__(self, alpha: float = 1.5, lr: float = 0.025, **options: Any) -> None:
        super().__init__(lr, **options)
        self.alpha = alpha
        self._first: dict[str, Tensor] = {}

    def sizes(self, terms: Terms) -> Tensor:
        """Return the balanced sizes |g_k|, (S, K)."""
        return torch.linalg.vector_norm(terms.rows.double(), dim=2).cpu()

    def slope(self, terms: Terms, z: Tensor) -> Tensor:
        first = begun(self._first, terms)
        idle = ~terms.active | (first == 0)
        fallen = (terms.losses / first).masked_fill(idle, math.nan)
        rate = (fallen / fallen.nanmean(1, keepdim=True)) ** self.alpha
        weights, sizes = self.weights_of(z, ~idle), self.sizes(terms)
        own = (weights * sizes).masked_fill(idle, math.nan)
        by_weight = torch.sign(own - own.nanmean(1, keepdim=True) * rate) * sizes
        # lam = K p, p = softmax(z): d/dz_j = sum_k by_weight_k K p_k (1[k=j] - p_j)
        pulled = by_weight * weights
        return pulled - weights / (~idle).sum(1, keepdim=True) * pulled.nansum(1, keepdim=True)

    def weights_of(self, z: Tensor, active: Tensor) -> Tensor:
        return active.sum(1, keepdim=True) * torch.softmax(z.masked_fill(~active, -math.inf), 1)

    def _forget(self, name: str) -> None:
        super()._forget(name)
        self._first.pop(name, None)

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "first": dict(self._first)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self._first = dict(state["first"])

    @property
    def options(self) -> dict[str, Any]:
        return {"alpha": self.alpha, **super().options}


class ResNorm(GradNorm):
    """GradNorm with the losses L_k instead of their gradients' lengths: it needs no gradients        NVIDIA Modulus, residual normalisation"""

    needs = "losses"

    def sizes(self, terms: Terms) -> Tensor:
        return terms.losses


class Homoscedastic(Learned):
    """Each term's weight is the precision of its noise, learned with the network        Kendall, Gal, Cipolla 2018 (arXiv 1705.07115)

    minimise sum_k exp(-z_k) L_k + z_k over z as well;   lam_k = exp(-z_k), 1 / L_k in equilibrium
    """

    needs = "losses"

    def __init__(self, lr: float = 1e-2, **options: Any) -> None:
        super().__init__(lr, **options)

    def slope(self, terms: Terms, z: Tensor) -> Tensor:
        return 1 - torch.exp(-z) * terms.losses

    def weights_of(self, z: Tensor, active: Tensor) -> Tensor:
        return torch.exp(-z)
