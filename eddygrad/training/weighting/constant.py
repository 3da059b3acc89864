"""Every named loss counts alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from eddygrad.training.weighting.steady import Steady


class Uniform(Steady):
    """weight_k = 1 for every named loss."""

    def __call__(
        self, losses: Mapping[str, Tensor], grads: Mapping[str, Sequence[Tensor | None]] | None = None, select: Sequence[int] | None = None
    ) -> dict[str, float]:
        return {name: 1.0 for name in losses}

    def __repr__(self) -> str:
        return "Uniform()"
