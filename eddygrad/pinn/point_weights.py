"""Weights of single points within a loss: by causality, by their residuals, learned against the network."""

from __future__ import annotations

import abc
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from eddygrad.training.gradients import Reduce


class PointWeights(abc.ABC):
    """Weights w of points within a loss, L = mean_i w_i r_i^2. What it remembers belongs to one training.

    While it is `frozen` its weights are those of the last call before. Where the points are spread over processes, `reduce` is that of the training.
    """

    frozen = False
    reduce: Reduce | None = None

    @abc.abstractmethod
    def weights(self, square: Tensor, x: Tensor, numbers: Tensor | None) -> Tensor:
        """w at these squares, (N,) or (S, N).

        Args: x: points ([S,] N, inputs). numbers: which points of the whole set they are, None for all of it in its order.
        """

    @property
    def options(self) -> dict[str, Any]:
        """What makes it, beside the class."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """What an interrupted training needs to go on with the same weights."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:  # noqa: B027  some remember nothing
        """Take what `state_dict` gave."""


class Causal(PointWeights):
    """Later times count once earlier ones are fulfilled.

        L = mean_i w_i L_i,   w_i = exp(-tolerance sum_{j < i} L_j),   L_i mean of r^2 over chunk i of time
        Wang, Sankaran, Perdikaris 2022 (arXiv 2203.07404)
    Args:   axis: column of the points that is time. span: first and last time. chunks: of equal length. tolerance: epsilon there.
    Raises: ValueError for no chunks, an empty span or a tolerance that is not positive.
    """

    def __init__(self, axis: int, span: tuple[float, float], chunks: int = 16, tolerance: float = 1.0) -> None:
        if chunks < 1 or not span[1] > span[0] or not tolerance > 0:
            raise ValueError(f"Causal: expected chunks, a span that goes forward and a tolerance above 0, got {chunks}, {span} and {tolerance}")
        self.axis, self.span, self.chunks, self.tolerance = axis, span, chunks, tolerance
        self._last: Tensor | None = None
        self._means: Tensor | None = None  # of the chunks when they last had points

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
            if self._means is not None:  # a batch may leave a chunk without points, which is not fulfilled for that
                means = torch.where(count > 0, means, self._means.to(means))
            self._means = means
            earlier = torch.cat([torch.zeros_like(means[..., :1]), means[..., :-1]], -1).cumsum(-1)
            self._last = torch.exp(-self.tolerance * earlier)
        share = square.shape[-1] / (filled * (count > 0).sum(-1, keepdim=True))  # a mean over chunks of means over their points
        return (self._last.to(square) * share).gather(-1, place)

    def _summed(self, place: Tensor, value: Tensor) -> Tensor:
        """Over the points of each chunk ([S,] chunks), the mean over processes."""
        found = value.new_zeros(*value.shape[:-1], self.chunks).scatter_add(-1, place, value)
        return found if self.reduce is None else self.reduce(found)

    def state_dict(self) -> dict[str, Any]:
        return {name: value.clone() for name, value in (("last", self._last), ("means", self._means)) if value is not None}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._last, self._means = (state[name].clone() if name in state else None for name in ("last", "means"))


class Remembered(PointWeights):
    """A number per point and seed that every update moves."""

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
        """The numbers after an update at which their points had these squares."""

    @abc.abstractmethod
    def factor(self, kept: Tensor) -> Tensor:
        """w of these numbers."""

    def _grown(self, square: Tensor, count: int) -> Tensor:
        self._kept = None if self._kept is None else self._kept.to(square.device)  # a checkpoint is read on the CPU
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
    """w <- decay w + rate |r| / max|r|,   L = mean (w r)^2            Anagnostopoulos, Toscano, Stergiopulos, Karniadakis 2024 (arXiv 2307.00379)

    Bounded by rate / (1 - decay). All weights begin at one. Not for points that are spread over processes, which do not know the largest of all.
    """

    def __init__(self, decay: float = 0.999, rate: float = 0.01) -> None:
        if not (0 < decay < 1 and rate > 0):
            raise ValueError(f"ResidualAttention: expected a decay between 0 and 1 and a rate above 0, got {decay} and {rate}")
        super().__init__()
        self.decay, self.rate = decay, rate

    @property
    def options(self) -> dict[str, Any]:
        return {"decay": self.decay, "rate": self.rate}

    def moved(self, kept: Tensor, square: Tensor) -> Tensor:
        if self.reduce is not None:
            raise ValueError("ResidualAttention: no process of several knows the largest residual of all points; take SelfAdaptive or Causal")
        size = square.sqrt()
        largest = size.amax(-1, keepdim=True)
        return self.decay * kept + self.rate * torch.where(largest > 0, size / largest, 0.0)

    def factor(self, kept: Tensor) -> Tensor:
        return kept.square()


class SelfAdaptive(Remembered):
    """w ascends where the network descends, L = mean w^2 r^2                                       McClenny, Braga-Neto 2023 (arXiv 2009.04544)

        w <- w + rate  w r^2 / mean(w r^2)  min(1, mean r^2 / mean r_0^2),   r_0 at the first update
    Along the gradient of L by w. As it stands that has the units of r^2, and no rate serves residuals of 1e-3 and of 1e3; the authors leave units to
    Adam. Here the mean weight grows by the rate at an update, less as the residual falls below what it was at first, so that of two terms that one
    grows more which is learned less; `most` bounds the weights.
    """

    def __init__(self, rate: float = 0.01, most: float = math.inf) -> None:
        if not (rate > 0 and most > 1):
            raise ValueError(f"SelfAdaptive: expected a rate above 0 and a bound above 1, got {rate} and {most}")
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
        self._first = torch.where(first > 0, first, now)  # what is fulfilled at first begins later
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
