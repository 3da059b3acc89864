"""Weights from the history of the losses L_k: SoftAdapt and relative balancing with random lookback."""

from __future__ import annotations

import abc
import math
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from eddygrad.runtime.randomness import generator
from eddygrad.training.weighting.averaged import AveragedWeighting
from eddygrad.training.weighting.base import Terms


class ByLosses(AveragedWeighting):
    """Base of rules that compare losses with those of the previous and of the first evaluation."""

    needs = "losses"
    gradual = True

    def __init__(self, average: float = 1.0, **options: Any) -> None:
        super().__init__(average, **options)
        self._first: dict[str, Tensor] = {}
        self._last: dict[str, Tensor] = {}

    def proposed(self, terms: Terms) -> Tensor:
        first = begun(self._first, terms)
        last = torch.stack([self._last.get(name, loss) for name, loss in zip(terms.names, terms.losses.unbind(1))], 1)
        hat = self.balanced(terms, first, last)
        self._last = dict(zip(terms.names, terms.losses.unbind(1)))
        return hat

    @abc.abstractmethod
    def balanced(self, terms: Terms, first: Tensor, last: Tensor) -> Tensor:
        """Return lam_hat (S, K).

        Args:
            terms: terms with their losses now.
            first: losses of the first evaluation, (S, K).
            last:  losses of the previous evaluation, (S, K).
        """

    def _forget(self, name: str) -> None:
        super()._forget(name)
        for kept in (self._first, self._last):
            kept.pop(name, None)

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "first": dict(self._first), "last": dict(self._last)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self._first, self._last = dict(state["first"]), dict(state["last"])


def begun(first: dict[str, Tensor], terms: Terms) -> Tensor:
    """Return the first nonzero losses of the terms, (S, K), and keep them in `first`."""
    for name, loss in zip(terms.names, terms.losses.unbind(1)):
        known = first.get(name, loss)
        first[name] = torch.where(known == 0, loss, known)
    return torch.stack([first[name] for name in terms.names], 1)


class SoftAdapt(ByLosses):
    """lam_hat = K softmax(beta s), s_k = L_k - previous L_k: slow or rising terms get more        Heydari, Thompson, Mehmood 2019 (arXiv 1912.12355)

    Args:
        beta:    sharpness.
        form:    "plain"; "normalised", s / sum |s|; "loss-weighted", normalised and multiplied by L_k before the sum is set to K.
        options: see `AveragedWeighting`.
    Raises: ValueError for another form.
    """

    def __init__(self, beta: float = 0.1, form: Literal["plain", "normalised", "loss-weighted"] = "normalised", **options: Any) -> None:
        super().__init__(**options)
        if form not in ("plain", "normalised", "loss-weighted"):
            raise ValueError(f"SoftAdapt: form is plain, normalised or loss-weighted, got {form!r}")
        self.beta, self.form = beta, form

    def balanced(self, terms: Terms, first: Tensor, last: Tensor) -> Tensor:
        there = terms.active
        s = torch.where(there, terms.losses - last, 0.0)
        if self.form != "plain":
            s = s / s.abs().sum(1, keepdim=True).clamp(min=1e-300)
        shares = torch.softmax((self.beta * s).masked_fill(~there, -math.inf), 1)
        if self.form == "loss-weighted":
            shares = shares * terms.losses
            shares = shares / shares.sum(1, keepdim=True)
        return there.sum(1, keepdim=True) * shares

    @property
    def options(self) -> dict[str, Any]:
        return {"beta": self.beta, "form": self.form, **super().options}


class ReLoBRaLo(ByLosses):
    """Relative loss balancing with random lookback        Bischof, Kraus 2021 (arXiv 2110.09813)

        bal(t') = K softmax(L_k(t) / (T L_k(t')));   lam(t) = a (r lam(t-1) + (1 - r) bal(0)) + (1 - a) bal(t-1),   r one with probability p, else 0
    Whether an evaluation looks back to the first one is drawn from (seed, call).

    Args:
        memory:      a.
        recall:      p.
        temperature: T.
        seed:        seed of r.
        options:     see `AveragedWeighting`.
    Raises: ValueError for numbers out of range.
    """

    def __init__(self, memory: float = 0.999, recall: float = 0.9999, temperature: float = 0.1, seed: int = 0, **options: Any) -> None:
        super().__init__(**options)
        if not 0 <= memory < 1 or not 0 <= recall <= 1 or not temperature > 0:
            raise ValueError(f"ReLoBRaLo: expected memory and recall in [0, 1] and temperature > 0, got {memory}, {recall} and {temperature}")
        self.memory, self.recall, self.temperature, self.seed = memory, recall, temperature, seed

    def balanced(self, terms: Terms, first: Tensor, last: Tensor) -> Tensor:
        to_first, to_last = (self._relative(terms.losses, before) for before in (first, last))
        draw = torch.rand((), generator=generator(self.seed, "lookback", self.calls))
        past = terms.weights if float(draw) < self.recall else to_first
        return self.memory * past + (1 - self.memory) * to_last

    def _relative(self, losses: Tensor, before: Tensor) -> Tensor:
        """Return bal(t') of the terms whose losses are and were nonzero; NaN for the others."""
        idle = (losses == 0) | (before == 0)
        shares = torch.softmax((losses / (self.temperature * before)).masked_fill(idle, -math.inf), 1)
        return ((~idle).sum(1, keepdim=True) * shares).masked_fill(idle, math.nan)

    @property
    def options(self) -> dict[str, Any]:
        return {"memory": self.memory, "recall": self.recall, "temperature": self.temperature, "seed": self.seed, **super().options}
