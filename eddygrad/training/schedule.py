"""Learning rates: pure functions of the step, and one that watches the validation error of each seed."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor


class Schedule(Protocol):
    """Factor of the base learning rate at an update."""

    def factor(self, step: int, steps: int) -> float: ...


@dataclass(frozen=True)
class Constant:
    """factor = 1."""

    def factor(self, step: int, steps: int) -> float:
        return 1.0


@dataclass(frozen=True)
class Exponential:
    """factor = rate^floor(step / every); the paper's Kuramoto-Sivashinsky runs use .9 every 2000."""

    rate: float = 0.9
    every: int = 2000

    def factor(self, step: int, steps: int) -> float:
        return self.rate ** (step // self.every)


@dataclass(frozen=True)
class Cosine:
    """factor falls from 1 to `final` as half a cosine over the run, after a linear rise over `warmup` updates."""

    final: float = 0.01
    warmup: int = 0

    def factor(self, step: int, steps: int) -> float:
        if step < self.warmup:
            return (step + 1) / self.warmup
        x = (step - self.warmup) / max(1, steps - self.warmup)
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * min(1.0, x))) / 2


@dataclass(frozen=True)
class Drops:
    """factor = rate^n after n of the moments `at`, which are shares of the run, e.g. (1 / 3, 2 / 3)."""

    at: tuple[float, ...] = (0.5, 0.75)
    rate: float = 0.1

    def factor(self, step: int, steps: int) -> float:
        return self.rate ** sum(step >= round(share * steps) for share in self.at)


@dataclass
class Plateau:
    """Per seed: where the validation error has not fallen by `threshold` (relative) for `patience` validations, the factor is multiplied by `rate`.

    Below `stop` the seed is stopped. State: best error, validations since, factor; part of the checkpoint.
    """

    rate: float = 0.5
    patience: int = 5
    threshold: float = 0.01
    stop: float = 1e-3
    state: dict[str, list[float]] = field(default_factory=dict, repr=False, compare=False)

    def factor(self, step: int, steps: int) -> float:
        return 1.0

    def observe(self, errors: Tensor) -> None:
        """Take the validation errors (S,) of this moment."""
        s = self.state
        if not s:
            s.update(best=[math.inf] * len(errors), waited=[0.0] * len(errors), factor=[1.0] * len(errors))
        for i, error in enumerate(errors.tolist()):
            if error < s["best"][i] * (1 - self.threshold):
                s["best"][i], s["waited"][i] = error, 0.0
                continue
            s["waited"][i] += 1
            if s["waited"][i] > self.patience:
                s["factor"][i], s["waited"][i] = s["factor"][i] * self.rate, 0.0

    def seed_factor(self, index: int) -> float:
        return self.state["factor"][index] if self.state else 1.0

    def stopped(self, index: int) -> bool:
        return self.seed_factor(index) < self.stop


SCHEDULES: dict[str, Any] = {"constant": Constant, "exponential": Exponential, "cosine": Cosine, "drops": Drops, "plateau": Plateau}


def schedule(name: str) -> Any:
    """A schedule with its defaults by name. Raises ValueError for another name."""
    if name not in SCHEDULES:
        raise ValueError(f"schedule: expected one of {sorted(SCHEDULES)}, got {name!r}")
    return SCHEDULES[name]()


def set_rates(optimizer: torch.optim.Optimizer, base: float, plan: Schedule, step: int, steps: int) -> None:
    """Write this update's learning rate into every seed's group."""
    common = base * plan.factor(step, steps)
    for index, group in enumerate(optimizer.param_groups):
        group["lr"] = common * plan.seed_factor(index) if isinstance(plan, Plateau) else common
