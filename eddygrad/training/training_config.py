"""Settings of a training."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

from torch import Tensor

from eddygrad.training.gradients import Reduce
from eddygrad.training.guard import Guard
from eddygrad.training.optimizers.polish import Polish
from eddygrad.training.optimizers.registry import adam, find_optimizer
from eddygrad.training.refinement import Refinement, refine_pressure
from eddygrad.training.schedule import Constant, schedule
from eddygrad.training.weighting import Uniform
from eddygrad.training.weighting.registry import find_weighting


@dataclass
class TrainingConfig:
    """Settings of `train`: how long, how fast and how carefully.

    Args:
        steps:            updates.
        lr:               base learning rate.
        schedule:         its factor over the run: a `Schedule`, or a name as for `schedule`.
        optimizer:        parameter groups -> optimiser, or a name as for `find_optimizer`; Adam by default.
        horizon:          steps that `batch_at` is called with: a number, or a function of the update (curriculum).
        restarts:         updates that begin with a new optimiser, the weights kept (curriculum).
        polish:           the last updates by L-BFGS, with the weights of the losses frozen.
        weighting:        named losses -> named weights, a name or a function of losses; a run works with a copy.
        guard:            clipping, outlier skipping and freezing per seed.
        validate:         module -> error per seed (S,), called every `validate_every` updates and at the end; or several errors by name, of which
                          schedule and refinement observe the first.
        refinement:       refinement of an iterative solver; it observes the median of every validation over the finite seeds. `refine`
                          (module, iterations) sets the iterations.
        log_every:        updates between lines of metrics.jsonl.
        keep_log:         keep losses and weights of these updates in the run's curve; otherwise those of validations alone.
        diagnose_every:   updates between diagnoses of the terms' gradients, see `gradient_diagnostics`; None: no diagnosis.
        checkpoint_every: updates between checkpoints, if there is a folder.
        reduce:           mean of a tensor over processes, taken of losses and gradients before any statistic.
        select:           name of a parameter -> whether weightings see its gradient; by default all but coefficients of an equation.
    Raises: ValueError for numbers out of range, an unknown name, or a schedule or refinement that needs `validate`.
    """

    steps: int
    lr: float = 1e-3
    schedule: Any = field(default_factory=Constant)  # a Schedule after construction, as the next two
    optimizer: Any = adam
    horizon: int | Callable[[int], int] = 1
    restarts: Collection[int] = ()
    polish: Polish | None = None
    weighting: Any = field(default_factory=Uniform)
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
        self.schedule = schedule(self.schedule)
        if isinstance(self.optimizer, str):
            self.optimizer = find_optimizer(self.optimizer)[0]
        self.weighting = find_weighting(self.weighting)
        if isinstance(self.steps, bool) or not isinstance(self.steps, Integral):
            raise ValueError(f"fit: steps is a whole number of updates, got {self.steps!r}")
        if self.steps < 1 or not self.lr > 0 or min(self.validate_every, self.log_every, self.checkpoint_every, self.diagnose_every or 1) < 1:
            raise ValueError(f"fit: steps, lr and the intervals must be positive, got steps={self.steps}, lr={self.lr}")
        if self.schedule.needs_validation and self.validate is None:
            raise ValueError("fit: the plateau schedule needs a validation error; pass validate=, or another schedule")
        if self.refinement is not None and self.validate is None:
            raise ValueError("fit: refinement needs a validation error; pass validate=, or a solver with fixed iterations")
        if self.polish is not None and self.polish.steps >= self.steps:
            raise ValueError(f"fit: a polish of {self.polish.steps} updates leaves none of {self.steps}; take optimizer='lbfgs' for all of them")

    def polishes(self, step: int) -> bool:
        """Return whether update `step` belongs to the polish."""
        return self.polish is not None and step >= self.steps - self.polish.steps

    def horizon_at(self, step: int) -> int:
        """Return the steps unrolled at an update."""
        return self.horizon(step) if callable(self.horizon) else self.horizon
