"""Every named loss counts alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor


class Uniform:
    """weight_k = 1 for every named loss."""

    wants_gradients = False
    due = False

    def __call__(
        self, losses: Mapping[str, Tensor], grads: Mapping[str, Sequence[Tensor | None]] | None = None, select: Sequence[int] | None = None
    ) -> dict[str, float]:
        return {name: 1.0 for name in losses}

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Nothing to load."""

    def __repr__(self) -> str:
        return "Uniform()"
