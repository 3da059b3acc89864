"""Losses and gradients of given spreads, and small modules with two and three losses, for the tests of weightings."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from eddygrad.training.loop import train
from eddygrad.training.training_config import TrainingConfig
from eddygrad.training.weighting import Aggregated, Weighting

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


class TwoLosses(nn.Module):
    """A line a x + b whose value and slope are asked for, the slope's loss a thousand times as large."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.linspace(-1, 1, 12))

    def losses(self, step: int) -> dict[str, Tensor]:
        x = torch.linspace(0, 1, 12) + 0.01 * step
        return {"a": (self.w * x - 1).square().mean(), "b": 1e3 * (self.w - x).square().mean()}

    def probes(self, step: int, draw: int = 0) -> dict[str, Tensor]:
        x, signs = torch.linspace(0, 1, 12) + 0.01 * step, 1 - 2 * ((torch.arange(12) * (step + draw + 3) // 2) % 2)
        return {"a": (signs * (self.w * x - 1)).sum() / 12**0.5, "b": 1e3**0.5 * (signs * (self.w - x)).sum() / 12**0.5}


class ThreeLosses(TwoLosses):
    """With a third loss, of which the order in which PCGrad takes them matters; S seeds of them."""

    def __init__(self, seeds: tuple[int, ...]) -> None:
        super().__init__()
        self.seeds = seeds
        start = torch.stack([torch.linspace(-1, 1, 12) + 0.1 * seed for seed in seeds])
        self.w = nn.Parameter(start)

    def losses(self, step: int) -> dict[str, Tensor]:
        x = torch.linspace(0, 1, 12)
        residuals = {"a": self.w * x - 1, "b": self.w - x - 0.3, "c": self.w.flip(1) + 0.5 * self.w * x}
        return {name: r.square().mean(1) for name, r in residuals.items()}


def trained_by_aggregator(seeds: tuple[int, ...], steps: int, folder: Any = None, aggregator: Any = "PCGrad") -> Tensor:
    module = ThreeLosses(seeds)
    plan = TrainingConfig(steps=steps, lr=0.01, weighting=Aggregated(aggregator), checkpoint_every=5)
    train(module, module.losses, lambda step, horizon: step, plan, folder)
    return module.w.detach().clone()
