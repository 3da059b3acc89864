"""What a training is: a function of these settings, a seed and the update."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

import torch
from torch import Tensor

from eddygrad.training.gradients import Reduce
from eddygrad.training.guard import Guard
from eddygrad.training.optimizers.polish import Polish
from eddygrad.training.optimizers.registry import adam
from eddygrad.training.refinement import Refinement, refine_pressure
from eddygrad.training.schedule import Constant, Plateau, Schedule
from eddygrad.training.weighting import Uniform


@dataclass
class TrainingConfig:
    """How long, how fast and how carefully `train` trains.

    Args:
        steps:         updates.
        lr:            base learning rate.
        schedule:      its factor over the run.
        optimizer:     parameter groups -> optimiser; Adam by default.
        horizon:       steps that `batch_at` is asked for at an update: a number, or a function of the update (curriculum).
        restarts:      updates before which the optimiser begins anew, the weights kept (curriculum).
        polish:        its last updates by L-BFGS, with the weights of the losses at rest.
        weighting:     named losses -> named weights, see `training.weighting`; a run works with a copy.
        guard:         clipping, outlier skipping, freezing per seed.
        validate:      module -> error per seed (S,), asked every `validate_every` updates and at the end; or several by name, of which schedules and
                       refinement watch the first.
        refinement:    of an iterative solver, told of every validation's median over the seeds that have one; `refine` (module, iterations) sets
                       what it decides.
        log_every:     updates between lines of metrics.jsonl.
        keep_log:      keep losses and weights of these updates in the run's curve, where otherwise those of validations alone are kept.
        diagnose_every: updates between diagnoses of the terms' gradients, written there too (see `diagnosis`); None for none.
        reduce:        mean over processes of a tensor, taken of losses and gradients before anything looks at them.
        checkpoint_every: updates between checkpoints (a folder given).
        select:        name of a parameter -> does it count for weightings; all do by default, but coefficients of an equation.
    """

    steps: int
    lr: float = 1e-3
    schedule: Schedule = field(default_factory=Constant)
    optimizer: Callable[[Any], torch.optim.Optimizer] = adam
    horizon: int | Callable[[int], int] = 1
    restarts: Collection[int] = ()
    polish: Polish | None = None
    weighting: Callable[..., Mapping[str, float | Tensor]] = field(default_factory=Uniform)
    guard: Guard = field(default_factory=Guard)
    validate: Callable[[Any], Tensor | Mapping[str, Tensor]] | None = None
    refinement: Refinement | None = None
    refine: Callable[[Any, int], None] = refine_pressure
    validate_every: int = 1000
    log_every: int = 100
    keep_log: bool = False
    diagnose_every: int | None = None
    checkpoint_every: int = 1000
    reduce: Reduce | None = None
    select: Callable[[str], bool] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.steps, bool) or not isinstance(self.steps, Integral):
            raise ValueError(f"fit: steps is a whole number of updates, got {self.steps!r}")
        if self.steps < 1 or not self.lr > 0 or min(self.validate_every, self.log_every, self.checkpoint_every, self.diagnose_every or 1) < 1:
            raise ValueError(f"fit: steps, lr and the intervals must be positive, got steps={self.steps}, lr={self.lr}")
        if isinstance(self.schedule, Plateau) and self.validate is None:
            raise ValueError("fit: the plateau schedule watches a validation error; pass validate=, or another schedule")
        if self.refinement is not None and self.validate is None:
            raise ValueError("fit: refinement watches a validation error; pass validate=, or a solver of fixed iterations")

        if self.polish is not None and self.polish.steps >= self.steps:
            raise ValueError(f"fit: {self.polish.steps} updates of polish leave none of {self.steps}; take an optimizer of that kind for all of them")

    def polishes(self, step: int) -> bool:
        """Does update `step` belong to the polish?"""
        return self.polish is not None and step >= self.steps - self.polish.steps

    def horizon_at(self, step: int) -> int:
        return self.horizon(step) if callable(self.horizon) else self.horizon
