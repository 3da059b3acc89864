"""The optimiser of every phase of a training, and what an optimiser that searches along lines needs: one loss, its units and a closure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from eddygrad.training.freezing import frozen
from eddygrad.training.loss_balancing import Balance
from eddygrad.training.optimizers.registry import searches
from eddygrad.training.protocols import Phases, Stateful
from eddygrad.training.seed_stack import SeedStack
from eddygrad.training.training_config import TrainingConfig

_LOSS_UNIT, _SLOPE_UNIT = 1e-8, 1e-7  # unit of a line search, as parts of the loss with which it begins and of its gradient


class OptimizerPhases:
    """The optimiser of this update: a new one after a restart, where the polish begins, and for a line search where the loss changes.

    Args:
        plan:    the training.
        stack:   parameters of all seeds.
        balance: weighted sum of the losses, evaluated again along a line.
        phases:  updates at which terms join and leave.
        parts:   state that is frozen while a loss is evaluated again and during the polish.
    Raises: ValueError for a polish or a line search that cannot work with these losses and this weighting.
    """

    def __init__(self, plan: TrainingConfig, stack: SeedStack, balance: Balance, phases: Phases, parts: Sequence[Stateful]) -> None:
        self.plan, self.stack, self.balance, self.phases, self.parts = plan, stack, balance, phases, parts
        self.weighting = balance.weighting
        self._check_polish()
        self._held = self.weighting.frozen
        self.freeze(False)
        self.optimizer = self.create(0)

    def begin(self, step: int) -> None:
        """Create the optimiser of update `step` if a phase begins there, and freeze the weights of a polish."""
        restarts = step in self.plan.restarts or self.plan.polishes(step) > self.plan.polishes(step - 1)
        changes = searches(self.optimizer) and step in (*self.phases.joins, *self.phases.leaves)
        if restarts or changes:
            self.resume(step)
        if changes:
            self.weighting.force()

    def resume(self, step: int) -> None:
        """Create the optimiser of update `step`, with weights frozen if it belongs to the polish."""
        self.optimizer = self.create(step)
        self.freeze(self.plan.polishes(step))

    def create(self, step: int) -> torch.optim.Optimizer:
        """Return a new optimiser of the kind that update `step` has.

        Raises: ValueError for a line search with a weighting that changes its weights gradually or combines gradients itself.
        """
        plan = self.plan
        polish = plan.polish if plan.polishes(step) else None
        make, rate = (plan.optimizer, plan.lr) if polish is None else (polish.optimizer, polish.lr)
        optimizer = self.stack.optimizer(make, rate)
        if searches(optimizer) and self.weighting.combines:
            raise ValueError(f"fit: a line search needs one loss, but the update of {self.weighting!r} is not the gradient of a loss")
        if searches(optimizer) and polish is None:
            if self.weighting.gradual:
                raise ValueError(
                    f"fit: L-BFGS searches along lines of one loss, but {type(self.weighting).__name__} changes its weights from update to update; "
                    "end with a polish, which freezes them"
                )
            self.weighting.correct()  # a line search sees the weights of a single evaluation: they must not be averaged with 1
        return optimizer

    def freeze(self, polishing: bool) -> None:
        """Freeze weights and per-update state during the polish; a weighting that was frozen before stays so."""
        self.weighting.freeze(self._held or polishing)
        for part in self.parts:
            part.freeze(polishing)

    def hold_weights(self, step: int) -> None:
        """After the weights changed, start a new line search and freeze them: curvature measured under other weights does not apply."""
        if self.balance.looked and searches(self.optimizer):
            self.optimizer = self.create(step)
            self.weighting.freeze(True)

    def step(self, objective: Callable[[Any], Mapping[str, Tensor]], window: Any, total: Tensor, active: Sequence[bool]) -> None:
        """Make one step with the assigned gradients.

        Args:
            objective: window -> named losses.
            window:    batch of this update.
            total:     weighted loss per seed.
            active:    seeds that are updated.
        """
        step: Callable[..., Any] = self.optimizer.step
        step(self._closure(objective, window, total, active) if searches(self.optimizer) else None)

    def _closure(self, objective: Callable[[Any], Mapping[str, Tensor]], window: Any, total: Tensor, active: Sequence[bool]) -> Callable[[], Tensor]:
        """Return a function that evaluates the loss at the current weights and assigns its gradient.

        Loss and gradient are divided by a unit far below the first loss: torch's L-BFGS ignores curvature where y . s is below 1e-10, however small
        the loss has become. In float32 the unit is not so small that the square of a slope overflows.
        """
        group = self.optimizer.param_groups[0]
        if "unit" not in group:
            slopes = [float(torch.linalg.vector_norm(p.grad)) for p in group["params"] if p.grad is not None and p.dtype == torch.float32]
            unit = max(_LOSS_UNIT * float(total), _SLOPE_UNIT * max(slopes, default=0.0))
            group["unit"] = unit if 0 < unit < math.inf else 1.0
        unit = group["unit"]
        for p in group["params"]:
            p.grad = None if p.grad is None else p.grad / unit
        first: list[Tensor] = [total / unit]  # loss and gradient at the start of the line are known already

        def closure() -> Tensor:
            if first:
                return first.pop()
            with frozen(*self.parts):
                loss, grad = self.balance.again(objective(window))
            self.stack.assign(grad / unit, active)
            return loss / unit

        return closure

    def _check_polish(self) -> None:
        """Raise now if the polishing phase could not start later."""
        plan = self.plan
        if plan.polish is None:
            return
        self.create(plan.steps)
        joins, leaves = ([at for at in times if at < plan.steps] for times in self.phases)
        times = [at for at in joins if plan.polishes(at)] + [at for at in leaves if plan.polishes(at - 1)]
        if times:
            raise ValueError(f"fit: a term joins or leaves at update {times[0]}, within the last {plan.polish.steps}, which polish one loss")
