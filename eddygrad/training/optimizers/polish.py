"""A polish: the last updates of a training by an optimiser that searches along lines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from eddygrad.training.optimizers.registry import lbfgs


@dataclass(frozen=True)
class Polish:
    """The last updates of a training by L-BFGS, with weights of terms and points frozen and no points drawn anew.

    A line search compares losses, so the loss must stay the same function: full batches, no term that joins or leaves meanwhile, a single seed and no
    aggregator.

    Args:
        steps:     number of updates, part of the training's.
        lr:        first length of a step.
        optimizer: parameter groups -> optimiser.
    Raises: ValueError for numbers that are not positive.
    """

    steps: int
    lr: float = 1.0
    optimizer: Callable[[Any], torch.optim.Optimizer] = lbfgs

    def __post_init__(self) -> None:
        if self.steps < 1 or not self.lr > 0:
            raise ValueError(f"polish: expected steps of at least 1 and a rate above 0, got {self.steps} and {self.lr}")
