"""A rule of one's own as a weighting, and what a run that goes on knows any weighting by."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from eddygrad.runtime.code_digest import code_digest
from eddygrad.training.weighting.base import Grads


class Custom:
    """A function (losses) or (losses, grads) -> weights, asked at every update; while it is `frozen` its weights are the last.

        def relative(losses, grads):
            return {name: 1 / loss.detach() for name, loss in losses.items()}
    losses: name -> () or (S,). grads: name -> a gradient, or None, for each parameter that counts (no coefficient of an equation), in its shape that
    in a stack has seeds in front. weights: name -> number, () or (S,); they have no gradient. One that remembers, or looks only now and then, is a
    subclass of `Weighting`.

    Raises: TypeError for a function of other arguments; when it is asked ValueError for what is no weight for every loss.
    """

    def __init__(self, rule: Callable[..., Mapping[str, Any]]) -> None:
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        taken = [p for p in inspect.signature(rule).parameters.values() if p.kind in kinds]
        plain = [p for i, p in enumerate(taken) if p.default is inspect.Parameter.empty or (i == 1 and p.name in ("grads", "gradients"))]
        if len(plain) not in (1, 2):
            raise TypeError(f"weighting: a function of one's own takes (losses) or (losses, grads), got {', '.join(p.name for p in plain) or 'none'}")
        self.rule, self.looks_at, self.frozen = rule, ("losses", "gradients")[len(plain) - 1], False
        self._kept: dict[str, Tensor] = {}

    @property
    def due(self) -> bool:
        return not self.frozen

    @property
    def wants_gradients(self) -> bool:
        return self.due and self.looks_at == "gradients"

    def announced(self, names: Collection[str]) -> None:
        """It looks every time."""

    def __call__(self, losses: Mapping[str, Tensor], grads: Grads | None = None, select: Sequence[int] | None = None) -> Mapping[str, Any]:
        if self.frozen and self._kept:
            return {name: self._kept[name].to(loss.device) for name, loss in losses.items()}
        counted = {name: [g for i, g in enumerate(parts) if select is None or i in select] for name, parts in (grads or {}).items()}
        weights = self.rule(losses, counted) if self.looks_at == "gradients" else self.rule(losses)
        if not isinstance(weights, Mapping) or set(weights) != set(losses):
            got = list(weights) if isinstance(weights, Mapping) else type(weights).__name__
            raise ValueError(f"weighting: {self!r} gives a weight for each of {list(losses)}, got {got}")
        like = {name: loss.detach() for name, loss in losses.items()}
        self._kept = {name: torch.as_tensor(weight, dtype=like[name].dtype, device=like[name].device).detach() for name, weight in weights.items()}
        return dict(self._kept)

    def state_dict(self) -> dict[str, Any]:
        return {"frozen": self.frozen, "kept": dict(self._kept)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.frozen, self._kept = bool(state["frozen"]), dict(state["kept"])

    def __repr__(self) -> str:
        return f"{getattr(self.rule, '__name__', type(self.rule).__name__)} {code_digest(self.rule)}"


def as_weighting(asked: Any) -> Any:
    """A weighting as it is; a plain function as `Custom`."""
    return asked if hasattr(asked, "wants_gradients") else Custom(asked)


def known_as(weighting: Any) -> str:
    """What describes it wherever it stands in memory: what it says of itself, or its code and attributes."""
    says = type(weighting).__repr__ is not object.__repr__
    return repr(weighting) if says else f"{type(weighting).__qualname__} {code_digest(weighting)}"
