"""Losses and gradients of given spreads, for the tests of weightings."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from eddygrad.training.weighting import Weighting

P = 400
SHAPES = ((10, 20), (200,))


def drawn(*scales: float, seed: int = 0, seeds: int | None = None, mean: float = 0.3) -> tuple[dict[str, Tensor], dict[str, tuple[Tensor, ...]]]:
    """Losses and gradients of the terms a, b, c, ... with spreads about these scales."""
    g = torch.Generator().manual_seed(seed)
    lead = () if seeds is None else (seeds,)
    losses, grads = {}, {}
    for name, scale in zip("abcdef", scales):
        losses[name] = scale * (1 + torch.rand(lead, generator=g, dtype=torch.float64))
        grads[name] = tuple(scale * (mean + torch.randn(*lead, *shape, generator=g, dtype=torch.float64)) for shape in SHAPES)
    return losses, grads


def flat(parts: tuple[Tensor, ...]) -> Tensor:
    return torch.cat([part.flatten() for part in parts])


def settled(weighting: Weighting, losses: dict[str, Tensor], grads: dict[str, Any], calls: int = 60) -> dict[str, float]:
    for _ in range(calls):
        weights = weighting(losses, grads)
    return {name: float(weight) for name, weight in weights.items()}
