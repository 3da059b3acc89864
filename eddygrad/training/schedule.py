"""Learning-rate schedules: functions of the step, and `Plateau`, which adapts to the validation error of each seed."""

from __future__ import annotations

import abc
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from eddygrad.runtime.options import parameters
from eddygrad.runtime.specs import Registry


class Schedule(abc.ABC):
    """Factor of the base learning rate at an update.

    A schedule that adapts to validation errors overrides `observe`, `seed_factor`, `stopped` and the state; the base does nothing there.
    """

    needs_validation: ClassVar[bool] = False

    @abc.abstractmethod
    def factor(self, step: int, steps: int) -> float:
        """Return the factor of all seeds at update `step` of `steps`."""

    def fresh(self) -> Schedule:
        """Return the same schedule for a new run."""
        return self

    def observe(self, errors: Tensor) -> None:  # noqa: B027  a schedule of the step alone ignores errors
        """Take the validation errors (S,) of this update."""

    def seed_factor(self, index: int) -> float:
        """Return the further factor of one seed."""
        return 1.0

    def stopped(self, index: int) -> bool:
        """Return whether this seed trains no further."""
        return False

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:  # noqa: B027  a schedule of the step alone has no state
        """Restore what `state_dict` returned."""


@dataclass(frozen=True)
class Constant(Schedule):
    """factor = 1."""

    def factor(self, step: int, steps: int) -> float:
        return 1.0


@dataclass(frozen=True)
class Exponential(Schedule):
    """factor = rate^floor(step / every); the paper's Kuramoto-Sivashinsky runs use .9 every 2000."""

    rate: float = 0.9
    every: int = 2000

    def factor(self, step: int, steps: int) -> float:
        return self.rate ** (step // self.every)


@dataclass(frozen=True)
class Cosine(Schedule):
    """factor falls from 1 to `final` as half a cosine over the run, after a linear rise over `warmup` updates."""

    final: float = 0.01
    warmup: int = 0

    def factor(self, step: int, steps: int) -> float:
        if step < self.warmup:
            return (step + 1) / self.warmup
        x = (step - self.warmup) / max(1, steps - self.warmup)
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * min(1.0, x))) / 2


@dataclass(frozen=True)
class Drops(Schedule):
    """factor = rate^n after n of the times `at`, which are fractions of the run, e.g. (1 / 3, 2 / 3); as text "drops:at=0.5/0.75".

    Raises: ValueError for times that are not numbers between 0 and 1.
    """

    at: tuple[float, ...] | str = (0.5, 0.75)
    rate: float = 0.1

    def __post_init__(self) -> None:
        try:
            times = tuple(map(float, self.at.split("/"))) if isinstance(self.at, str) else tuple(self.at)
            valid = all(0 <= time <= 1 for time in times)
        except (TypeError, ValueError):
            valid = False
        if not valid:
            raise ValueError(f"schedule: drops: expected fractions of the run such as (0.5, 0.75) or 0.5/0.75, got {self.at!r}")
        object.__setattr__(self, "at", times)

    def factor(self, step: int, steps: int) -> float:
        return self.rate ** sum(step >= round(float(time) * steps) for time in self.at)


@dataclass
class Plateau(Schedule):
    """Multiply a seed's factor by `rate` when its validation error has not fallen by `threshold` (relative) for `patience` validations.

    A seed whose factor is below `stop` is stopped. State per seed: best error, validations since then, factor.
    """

    needs_validation: ClassVar[bool] = True
    rate: float = 0.5
    patience: int = 5
    threshold: float = 0.01
    stop: float = 1e-3
    state: dict[str, list[float]] = field(default_factory=dict, repr=False, compare=False)

    def factor(self, step: int, steps: int) -> float:
        return 1.0

    def observe(self, errors: Tensor) -> None:
        """Take the validation errors (S,) of this update."""
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

    def fresh(self) -> Plateau:
        return replace(self, state={})

    def seed_factor(self, index: int) -> float:
        return self.state["factor"][index] if self.state else 1.0

    def stopped(self, index: int) -> bool:
        return self.seed_factor(index) < self.stop

    def state_dict(self) -> dict[str, Any]:
        return self.state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.state = dict(state)


SCHEDULES: Registry[type[Schedule]] = Registry(
    "schedule", {"constant": Constant, "exponential": Exponential, "cosine": Cosine, "drops": Drops, "plateau": Plateau}
)


def schedule(value: str | Schedule) -> Schedule:
    """Return a schedule from its name with options, e.g. "cosine:warmup=100", or the schedule itself.

    Raises: ValueError for an unknown name or option, or an object that is no `Schedule`.
    """
    if isinstance(value, Schedule):
        return value
    if not isinstance(value, str):
        raise ValueError(f"schedule: expected a name or a schedule such as Drops((0.5, 0.75)), got {value!r}")
    spec = SCHEDULES.spec(value)
    return SCHEDULES[spec.name](**SCHEDULES.options(spec, parameters(SCHEDULES[spec.name], but=("state",))))


def set_rates(optimizer: torch.optim.Optimizer, base: float, plan: Schedule, step: int, steps: int) -> None:
    """Set the learning rate of every seed's parameter group for this update.

    Args:
        optimizer: one parameter group per seed.
        base:      base learning rate.
        plan:      schedule.
        step:      number of the update. steps: updates of the training.
    """
    common = base * plan.factor(step, steps)
    for index, group in enumerate(optimizer.param_groups):
        group["lr"] = common * plan.seed_factor(index)
