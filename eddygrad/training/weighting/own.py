"""A rule of one's own as a weighting, and what a run that goes on knows any weighting by."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from eddygrad.solver.digest import code_digest
from eddygrad.training.weighting.weighting import Grads


class Own:
    """A function (losses) or (losses, grads) -> weights, asked at every update; it remembers nothing.

        def relative(losses, grads):
            return {name: 1 / loss.detach() for name, loss in losses.items()}
    losses: name -> () or (S,). grads: name -> a gradient, or None, for each parameter that counts (no coefficient of an equation), in its shape that
    in a stack has seeds in front. weights: name -> number, () or (S,). One that remembers, or looks only now and then, is a subclass of `Weighting`.

    Raises: TypeError for a function of other arguments; when it is asked ValueError for what is no weight for every loss.
    """

    due = False

    def __init__(self, rule: Callable[..., Mapping[str, Any]]) -> None:
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        plain = [p for p in inspect.signature(rule).parameters.values() if p.kind in kinds and p.default is inspect.Parameter.empty]
        if len(plain) not in (1, 2):
            raise TypeError(f"weighting: a function of one's own takes (losses) or (losses, grads), got {', '.join(p.name for p in plain) or 'none'}")
        self.rule, self.wants_gradients = rule, len(plain) == 2

    def __call__(self, losses: Mapping[str, Tensor], grads: Grads | None = None, select: Sequence[int] | None = None) -> Mapping[str, Any]:
        counted = {name: [g for i, g in enumerate(parts) if select is None or i in select] for name, parts in (grads or {}).items()}
        weights = self.rule(losses, counted) if self.wants_gradients else self.rule(losses)
        if not isinstance(weights, Mapping) or set(weights) != set(losses):
            got = list(weights) if isinstance(weights, Mapping) else type(weights).__name__
            raise ValueError(f"weighting: {self!r} gives a weight for each of {list(losses)}, got {got}")
        return weights

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Nothing to load."""

    def __repr__(self) -> str:
        return f"{getattr(self.rule, '__name__', type(self.rule).__name__)} {code_digest(self.rule)}"


def as_weighting(asked: Any) -> Any:
    """A weighting as it is; a plain function as `Own`."""
    return asked if hasattr(asked, "wants_gradients") else Own(asked)


def known_as(weighting: Any) -> str:
    """What describes it wherever it stands in memory: what it says of itself, or its code and attributes."""
    says = type(weighting).__repr__ is not object.__repr__
    return repr(weighting) if says else f"{type(weighting).__qualname__} {code_digest(weighting)}"
