"""Weights of single points within a loss: by causality, by residuals, or learned against the network."""

from __future__ import annotations

import abc
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from eddygrad.training.gradients import Reduce
from eddygrad.training.protocols import Stateful


class PointWeights(Stateful, abc.ABC):
    """Base of weights w of points within a loss, L = mean_i w_i r_i^2. Its state belongs to one training.

    While `frozen`, the weights of the last call are returned again. If points are spread over processes, `reduce` is the mean over processes.
    """

    reduce: Reduce | None = None

    def reduce_with(self, reduce: Reduce | None) -> None:
        self.reduce = reduce

    @abc.abstractmethod
    def weights(self, square: Tensor, x: Tensor, numbers: Tensor | None) -> Tensor:
        """Return the weights, (N,) or (S, N).

        Args:
            square:  squared residuals, (N,) or (S, N).
            x:       points, (N, inputs) or (S, N, inputs).
            numbers: numbers of the points in the whole set; None for the whole set in order.
        """

    @property
    def options(self) -> dict[str, Any]:
        """Constructor arguments that identify the rule."""
        return {}


class Causal(PointWeights):
    """Causal weights: later times count once the residual at earlier times is small.

        L = mean_i w_i L_i,   w_i = exp(-tolerance sum_{j < i} L_j),   L_i mean of r^2 over chunk i of time
        Wang, Sankaran, Perdikaris 2022 (arXiv 2203.07404)
    Args:
        axis:      column of the points that is time.
        span:      first and last time.
        chunks:    number of chunks of equal length.
        tolerance: epsilon of the paper.
    Raises: ValueError for no chunks, an empty span or a tolerance that is not positive.
    """

    def __init__(self, axis: int, span: tuple[float, float], chunks: int = 16, tolerance: float = 1.0) -> None:
        if chunks < 1 or not span[1] > span[0] or not tolerance > 0:
            raise ValueError(f"pinn.Causal: expected chunks >= 1, span start < end and tolerance > 0, got {chunks}, {span} and {tolerance}")
        self.axis, self.span, self.chunks, self.tolerance = axis, span, chunks, tolerance
        self._last: Tensor | None = None
        self._means: Tensor | None = None  # of each chunk when it last had points

    @property
    def options(self) -> dict[str, Any]:
        return {"axis": self.axis, "span": self.span, "chunks": self.chunks, "tolerance": self.tolerance}

    def weights(self, square: Tensor, x: Tensor, numbers: Tensor | None) -> Tensor:
        place = ((x[..., self.axis] - self.span[0]) / (self.span[1] - self.span[0]) * self.chunks).long().clamp(0, self.chunks - 1)
        place = place.expand(square.shape)
        count = self._summed(place, torch.ones_like(square))
        filled = torch.where(count > 0, count, 1.0)
        if self._last is None or not self.frozen:
            means = self._summed(place, square) / filled
            if self._means is not None:  # a chunk without points in this batch keeps its last mean
                means = torch.where(count > 0, means, self._means.to(means))
            self._means = means
            earlier = torch.cat([torch.zeros_like(means[..., :1]), means[..., :-1]], -1).cumsum(-1)
            self._last = torch.exp(-self.tolerance * earlier)
        share = square.shape[-1] / (filled * (count > 0).sum(-1, keepdim=True))  # a mean over chunks of means over their points
        return (self._last.to(square) * share).gather(-1, place)

    def _summed(self, place: Tensor, value: Tensor) -> Tensor:
        """Return the sum over the points of each chunk, ([S,] chunks), averaged over processes."""
        found = value.new_zeros(*value.shape[:-1], self.chunks).scatter_add(-1, place, value)
        return found if self.reduce is None else self.reduce(found)

    def state_dict(self) -> dict[str, Any]:
        return {name: value.clone() for name, value in (("last", self._last), ("means", self._means)) if value is not None}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._last, self._means = (state[name].clone() if name in state else None for name in ("last", "means"))


class Remembered(PointWeights):
    """Base of weights that keep a number per point and seed, changed at every update."""

    def __init__(self) -> None:
        self._kept: Tensor | None = None

    def weights(self, square: Tensor, x: Tensor, numbers: Tensor | None) -> Tensor:
        chosen = torch.arange(square.shape[-1]) if numbers is None else numbers.cpu()
        kept = self._grown(square, int(chosen.max()) + 1)
        if torch.is_grad_enabled() and not self.frozen:
            kept[..., chosen] = self.moved(kept[..., chosen], square)
        return self.factor(kept[..., chosen])

    @abc.abstractmethod
    def moved(self, kept: Tensor, square: Tensor) -> Tensor:
        """Return the numbers after an update with these squared residuals."""

    @abc.abstractmethod
    def factor(self, kept: Tensor) -> Tensor:
        """Return the weights of these numbers."""

    def _grown(self, square: Tensor, count: int) -> Tensor:
        self._kept = None if self._kept is None else self._kept.to(square.device)  # checkpoints are loaded on the CPU
        have = 0 if self._kept is None else self._kept.shape[-1]
        if have < count:
            more = torch.ones(*square.shape[:-1], count - have, dtype=square.dtype, device=square.device)
            self._kept = more if self._kept is None else torch.cat([self._kept, more], -1)
        assert self._kept is not None
        return self._kept

    def state_dict(self) -> dict[str, Any]:
        return {} if self._kept is None else {"kept": self._kept.clone()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._kept = state["kept"].clone() if "kept" in state else None


class ResidualAttention(Remembered):
    """Residual-based attention (Anagnostopoulos, Toscano, Stergiopulos, Karniadakis 2024, arXiv 2307.00379).

        w <- decay w + rate |r| / max|r|,   L = mean (w r)^2
    Weights start at one and are bounded by rate / (1 - decay). Not for points spread over processes, because none knows the largest residual.

    Args:
        decay: factor of the old weight.
        rate:  factor of the relative residual.
    Raises: ValueError for numbers out of range.
    """

    def __init__(self, decay: float = 0.999, rate: float = 0.01) -> None:
        if not (0 < decay < 1 and rate > 0):
            raise ValueError(f"pinn.ResidualAttention: expected a decay between 0 and 1 and a rate above 0, got {decay} and {rate}")
        super().__init__()
        self.decay, self.rate = decay, rate

    @property
    def options(self) -> dict[str, Any]:
        return {"decay": self.decay, "rate": self.rate}

    def moved(self, kept: Tensor, square: Tensor) -> Tensor:
        if self.reduce is not None:
            raise ValueError("pinn.ResidualAttention: with several processes none knows the largest residual; use SelfAdaptive or Causal")
        size = square.sqrt()
        largest = size.amax(-1, keepdim=True)
        return self.decay * kept + self.rate * torch.where(largest > 0, size / largest, 0.0)

    def factor(self, kept: Tensor) -> Tensor:
        return kept.square()


class SelfAdaptive(Remembered):
    """Self-adaptive weights: they ascend the loss while the network descends it (McClenny, Braga-Neto 2023, arXiv 2009.04544).

        L = mean w^2 r^2,   w <- w + rate  w r^2 / mean(w r^2)  min(1, mean r^2 / mean r_0^2),   r_0 at the first update
    The published step along dL/dw has the units of r^2, so that no rate suits residuals of 1e-3 and 1e3; the authors leave units to Adam. Here the
    mean weight grows by `rate` per update, less as the residual falls below its first value: of two terms, the one learned less grows more.

    Args:
        rate: growth of the mean weight per update.
        most: upper bound of the weights.
    Raises: ValueError for numbers out of range.
    """

    def __init__(self, rate: float = 0.01, most: float = math.inf) -> None:
        if not (rate > 0 and most > 1):
            raise ValueError(f"pinn.SelfAdaptive: expected a rate above 0 and a bound above 1, got {rate} and {most}")
        super().__init__()
        self.rate, self.most = rate, most
        self._first: Tensor | None = None  # ([S,] 1)

    @property
    def options(self) -> dict[str, Any]:
        return {"rate": self.rate, "most": self.most}

    def moved(self, kept: Tensor, square: Tensor) -> Tensor:
        ascent = kept * square
        mean, now = self._mean(ascent), self._mean(square)
        first = now if self._first is None else self._first.to(square)
        self._first = torch.where(first > 0, first, now)  # a residual of zero at first is replaced by a later one
        share = torch.where(mean > 0, ascent / mean, 0.0) * torch.where(self._first > 0, now / self._first, 0.0).clamp(max=1)
        return (kept + self.rate * share).clamp(max=self.most)

    def _mean(self, value: Tensor) -> Tensor:
        mean = value.mean(-1, keepdim=True)
        return mean if self.reduce is None else self.reduce(mean)

    def factor(self, kept: Tensor) -> Tensor:
        return kept.square()

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), **({} if self._first is None else {"first": self._first.clone()})}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self._first = state["first"].clone() if "first" in state else None
