"""A user's function as a weighting, and the description of any weighting in the folder of a run."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from eddygrad.runtime.code_digest import code_digest
from eddygrad.training.weighting.base import Grads, Weighting


class Custom(Weighting):
    """A function (losses) or (losses, grads) -> weights, called at every update; while the weighting is frozen, its weights are the last ones.

        def relative(losses, grads):
            return {name: 1 / loss.detach() for name, loss in losses.items()}
    losses:  name -> () or (S,).
    grads:   name -> one gradient, or None, per parameter that counts (coefficients of an equation do not), in the parameter's shape; the seeds of a
             stack are the first axis.
    weights: name -> number, () or (S,); they have no gradient.
    A rule with state, or one that is evaluated now and then only, is a subclass of `AveragedWeighting`.

    Args:   rule: the function.
    Raises: TypeError for a function of other arguments; at a call, ValueError for a result that is not a weight for every loss.
    """

    def __init__(self, rule: Callable[..., Mapping[str, Any]]) -> None:
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        taken = [p for p in inspect.signature(rule).parameters.values() if p.kind in kinds]
        plain = [p for i, p in enumerate(taken) if p.default is inspect.Parameter.empty or (i == 1 and p.name in ("grads", "gradients"))]
        if len(plain) not in (1, 2):
            raise TypeError(f"weighting: a function takes (losses) or (losses, grads), got {', '.join(p.name for p in plain) or 'none'}")
        self.rule = rule
        self.needs = "gradients" if len(plain) == 2 else "losses"
        self._kept: dict[str, Tensor] = {}

    @property
    def due(self) -> bool:
        return not self.frozen

    def __call__(
        self, losses: Mapping[str, Tensor], grads: Grads | None = None, select: Sequence[int] | None = None, *, probes: Grads | None = None
    ) -> Mapping[str, Any]:
        if self.frozen and self._kept:
            return {name: self._kept[name].to(loss.device) for name, loss in losses.items()}
        counted = {name: [g for i, g in enumerate(parts) if select is None or i in select] for name, parts in (grads or {}).items()}
        weights = self.rule(losses, counted) if self.needs == "gradients" else self.rule(losses)
        if not isinstance(weights, Mapping) or set(weights) != set(losses):
            got = list(weights) if isinstance(weights, Mapping) else type(weights).__name__
            raise ValueError(f"weighting: {self!r}: expected a weight for each of {list(losses)}, got {got}")
        like = {name: loss.detach() for name, loss in losses.items()}
        self._kept = {name: torch.as_tensor(weight, dtype=like[name].dtype, device=like[name].device).detach() for name, weight in weights.items()}
        return dict(self._kept)

    def state_dict(self) -> dict[str, Any]:
        return {"frozen": self.frozen, "kept": dict(self._kept)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.frozen, self._kept = bool(state["frozen"]), dict(state["kept"])

    def __repr__(self) -> str:
        return f"{getattr(self.rule, '__name__', type(self.rule).__name__)} {code_digest(self.rule)}"


def as_weighting(value: Weighting | Callable[..., Mapping[str, Any]]) -> Weighting:
    """Return a weighting as it is, and a function as `Custom`. Raises TypeError for a function of other arguments."""
    return value if isinstance(value, Weighting) else Custom(value)


def known_as(value: Any) -> str:
    """Return a description that is the same in every process: the object's own `repr`, or a digest of its code and attributes."""
    return repr(value) if type(value).__repr__ is not object.__repr__ else f"{type(value).__qualname__} {code_digest(value)}"
