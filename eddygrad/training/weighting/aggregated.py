"""Weighted gradients that pull apart are combined by one of torchjd's aggregators, which avoid or resolve the conflict."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from eddygrad.training.weighting.uniform import Uniform
from eddygrad.training.weighting.weighting import Grads


class Aggregated:
    """A weighting, then in place of the sum of the weighted gradients what an aggregator makes of them.

        update = A([lam_1 g_1; ...; lam_K g_K]),   A ConFIG, PCGrad, UPGrad, ... of `torchjd.aggregation`
        eg.Aggregated("ConFIG", eg.InverseDirichlet(reference="pde"))
    Args:   aggregator: an object that maps (K, P) to (P,), or the name of one of torchjd's. weighting: before it; uniform by default.
    Raises: ImportError where torchjd is not installed, ValueError for a name that it does not have, TypeError for what is no aggregator.
    """

    def __init__(self, aggregator: Any, weighting: Any = None) -> None:
        self.aggregator = _named(aggregator) if isinstance(aggregator, str) else aggregator
        if not callable(self.aggregator) or (hasattr(aggregator, "state_dict") and hasattr(aggregator, "due")):
            raise TypeError(f"Aggregated: expected an aggregator first, then a weighting, got {aggregator!r}")
        self.weighting = Uniform() if weighting is None else weighting

    due = property(lambda self: self.weighting.due)
    looks_at = property(lambda self: getattr(self.weighting, "looks_at", "losses"))

    def announced(self, names: Collection[str]) -> None:
        getattr(self.weighting, "announced", lambda names: None)(names)

    wants_gradients = True  # at every call: the update itself is made of them

    def __call__(self, losses: Mapping[str, Tensor], grads: Grads | None = None, select: Sequence[int] | None = None) -> dict[str, Any]:
        found: dict[str, Any] = self.weighting(losses, grads, select)
        return found

    @torch.no_grad()
    def combine(self, rows: Tensor) -> Tensor:
        """Weighted gradients (S, K, P) -> (S, P), each seed by itself; of one that is not finite the sum, for the guard to see."""
        return torch.stack([self.aggregator(matrix) if bool(matrix.isfinite().all()) else matrix.sum(0) for matrix in rows])

    def state_dict(self) -> dict[str, Any]:
        found: dict[str, Any] = self.weighting.state_dict()
        return found

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.weighting.load_state_dict(state)

    def __repr__(self) -> str:
        return f"Aggregated({self.aggregator!r}, {self.weighting!r})"


def _named(name: str) -> Any:
    try:
        from torchjd import aggregation
    except ImportError as missing:
        raise ImportError("Aggregated: the conflict-resolving aggregators are torchjd's; pip install 'eddygrad[aggregation]'") from missing
    known = sorted(n for n, found in vars(aggregation).items() if isinstance(found, type) and issubclass(found, aggregation.Aggregator))
    if name not in known:
        raise ValueError(f"Aggregated: expected one of {', '.join(known)}, got {name!r}")
    return getattr(aggregation, name)()
