"""The training loop."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from eddygrad.runtime.interrupt import Waiting, waiting
from eddygrad.runtime.progress import Bar, bar
from eddygrad.solver.unroll import BatchAt, Window
from eddygrad.training import run_log, run_state
from eddygrad.training.checkpoint import digest, save_weights
from eddygrad.training.gradients import gradients
from eddygrad.training.loss_balancing import Balance
from eddygrad.training.optimizers.line_search import OptimizerPhases
from eddygrad.training.protocols import HasState, Stateful, Trainable, as_trainable
from eddygrad.training.schedule import set_rates
from eddygrad.training.seed_stack import SeedStack
from eddygrad.training.training_config import TrainingConfig
from eddygrad.training.weighting.custom import as_weighting

Objective = Callable[..., dict[str, Tensor]]


@dataclass
class Fit:
    """Result of a training: the module, trained in place, with its curve, counters per seed and seconds."""

    module: nn.Module
    steps: int
    curve: list[dict[str, Any]]
    seconds: float
    skipped: list[int]
    clipped: list[int]
    frozen_at: list[int]

    @property
    def diverged(self) -> list[bool]:
        """Seeds that were frozen because their loss or gradient was not finite."""
        return [at >= 0 for at in self.frozen_at]


class Loop:
    """One run of `train` as an object: `update` makes one update, `state` is what a checkpoint holds.

    Args:
        module:    any `nn.Module`, or a `Trainable`; trained in place.
        objective: window -> named losses, () or (S,) each.
        batch_at:  (step, horizon) -> window.
        training:  settings; the run works with copies of what has state.
    """

    def __init__(self, module: nn.Module, objective: Objective, batch_at: BatchAt, training: TrainingConfig) -> None:
        refinement = None if training.refinement is None else replace(training.refinement)
        training = replace(training, schedule=training.schedule.fresh(), refinement=refinement)
        self.module, self.objective, self.batch_at, self.training = module, objective, batch_at, training
        trainable = as_trainable(module)
        self.seeds = trainable.seeds
        self.stack = SeedStack(module, None if self.seeds is None else len(self.seeds))
        self.guard = training.guard.start(self.stack.count)
        self.weighting = deepcopy(as_weighting(training.weighting))
        names = {id(p): name for name, p in module.named_parameters()}
        counted = self._counted(trainable, names)
        self.balance = Balance(self.weighting, self.stack, counted, trainable.probes, training.reduce, [names[id(p)] for p in self.stack.params])
        batches: Mapping[str, Stateful] = batch_at.stateful() if isinstance(batch_at, HasState) else {}
        self.stateful: dict[str, Stateful] = {
            f"{i} {n}": part for i, parts in enumerate((trainable.stateful(), batches)) for n, part in parts.items()
        }
        for part in self.stateful.values():
            part.reduce_with(training.reduce)
        self.phases = OptimizerPhases(training, self.stack, self.balance, trainable.phases(), list(self.stateful.values()))
        self.start = {
            "dtype": str(self.stack.buffer.dtype).removeprefix("torch."),
            "device": self.stack.buffer.device.type,
            "initial weights": digest(self.stack.buffer),
        }
        self.step, self.seconds, self.curve = 0, 0.0, []  # type: int, float, list[dict[str, Any]]
        self.refine()

    def _counted(self, trainable: Trainable, names: Mapping[int, str]) -> list[int]:
        """Numbers of the parameters whose gradients a weighting sees."""
        excluded, select = {id(p) for p in trainable.excluded()}, self.training.select
        counted = [i for i, p in enumerate(self.stack.params) if id(p) not in excluded and (select is None or select(names[id(p)]))]
        if select is not None and not counted:
            raise ValueError(f"fit: select leaves no parameter for the weighting; the parameters are {', '.join(names.values())}")
        return counted

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """The optimiser of this update."""
        return self.phases.optimizer

    @property
    def over(self) -> bool:
        """Whether all updates are done, or every seed has diverged."""
        return self.step >= self.training.steps or not any(self.guard.alive)

    @property
    def lost(self) -> list[int]:
        """Seeds that have diverged and are frozen."""
        names = self.seeds or range(self.stack.count)
        return [seed for seed, alive in zip(names, self.guard.alive) if not alive]

    def update(self) -> Tensor:
        """Update every seed that is alive once; return the total loss per seed (S,) before the update."""
        plan = self.training
        self.phases.begin(self.step)
        window = self.batch_at(self.step, plan.horizon_at(self.step))
        diagnosed = plan.diagnose_every is not None and (self.step + 1) % plan.diagnose_every == 0
        total, grad = self.balance(self.objective(window), window, diagnosed)
        self.phases.hold_weights(self.step)
        terms = {name: pair["loss"] for name, pair in self.balance.terms.items()}
        active = self.guard.admit(total, grad, self.step, self.seeds, lambda: self._diverging_sample(window), terms)
        active = [on and not plan.schedule.stopped(i) for i, on in enumerate(active)]
        self.stack.assign(grad, active)
        if not plan.polishes(self.step):
            set_rates(self.optimizer, plan.lr, plan.schedule, self.step, plan.steps)
        self.phases.step(self.objective, window, total, active)
        self.step += 1
        return total.reshape(-1)

    def _diverging_sample(self, window: Any) -> int | None:
        """Return the first sample of a single run's window whose own loss or gradient is not finite."""
        if not isinstance(window, Window) or window.time_axis != 1:
            return None
        batch = len(window.u)
        for i in range(batch):
            params = {name: value[i : i + 1] if value.ndim and len(value) == batch else value for name, value in window.params.items()}
            losses = self.objective(Window(window.u[i : i + 1], params))
            grads = gradients(losses, self.stack.params)
            if not all(torch.isfinite(t).all() for t in (*losses.values(), *(g for part in grads.values() for g in part if g is not None))):
                return i
        return None

    @torch.no_grad()
    def validate(self) -> dict[str, list[float]]:
        """Return validation errors per seed by name; schedule and refinement observe the first of them."""
        assert self.training.validate is not None
        result = self.training.validate(self.module)
        named = result if isinstance(result, Mapping) else {"validation": result}
        errors = next(iter(named.values())).reshape(-1)
        self.training.schedule.observe(errors)
        finite = [error for error in errors.tolist() if math.isfinite(error)]
        if self.training.refinement is not None and self.training.refinement.observe(statistics.median(finite) if finite else math.nan):
            self.refine()
        return {name: value.reshape(-1).tolist() for name, value in named.items()}

    def refine(self) -> None:
        """Set the solver's iterations to those of the refinement."""
        if self.training.refinement is not None:
            self.training.refine(self.module, self.training.refinement.iterations)

    def state(self) -> dict[str, Any]:
        """Return everything that an interrupted run needs to continue bitwise."""
        return run_state.state_of(self)

    def load(self, state: dict[str, Any]) -> None:
        """Continue from `state`. Raises ValueError if that run began with other weights, in another precision or on another kind of device."""
        run_state.restore(self, state)

    def result(self) -> Fit:
        """Return the module with curve, counters and seconds."""
        guard = self.guard
        return Fit(self.module, self.step, self.curve, self.seconds, list(guard.skipped), list(guard.clipped), list(guard.frozen_at))

    def close(self) -> None:
        """Unfreeze weights and state, and take no more means over processes."""
        self.phases.freeze(False)
        for part in self.stateful.values():
            part.reduce_with(None)


def train(
    module: nn.Module,
    objective: Objective,
    batch_at: BatchAt,
    training: TrainingConfig,
    folder: str | Path | None = None,
    *,
    progress: bool = False,
    title: str = "fit",
    description: dict[str, Any] | None = None,
) -> Fit:
    """Train `module` in place, as a function of (configuration, seed, step): a killed run continues bitwise.

    With a folder an interrupt (Ctrl-C, SIGTERM) saves a checkpoint at the end of the update; a second one ends the process at once.

    Args:
        module, objective, batch_at, training: see `Loop`.
        folder:      holds checkpoint, metrics.jsonl and final weights; a checkpoint is resumed, a run of another configuration or start refused.
        progress:    show a bar, with this `title`.
        description: configuration to keep with the checkpoint.
    Returns: curve, counters, seconds of training (validation excluded).
    Raises:  ValueError for a folder of another run; FloatingPointError for a single run that diverges, or a stack lost before its first update.
             A stack that loses its last seed later ends early. Each lost seed is a RuntimeWarning.
    """
    loop = Loop(module, objective, batch_at, training)
    described, folder = description or {}, None if folder is None else Path(folder)
    with (
        run_log.metrics_log(folder, run_state.resume(loop, folder, described)) as log,
        bar(title, training.steps, loop.step, show=progress) as shown,
        waiting(folder is not None and training.reduce is None) as interrupt,  # processes side by side would wait for one that left
        closing(loop),
    ):
        while not loop.over and not interrupt.asked:
            run_log.record(loop, log, _interval(loop, shown, interrupt), shown)
            if folder and log and (loop.step % training.checkpoint_every == 0 or loop.over or interrupt.asked):
                run_state.save(loop, folder, log.position(), described)
    if folder is not None:
        save_weights(folder / "weights.safetensors", module.state_dict(), {"module": repr(module), **loop.start, **described})
    return loop.result()


def _interval(loop: Loop, shown: Bar, interrupt: Waiting) -> Tensor:
    """Make updates until something is to be logged or saved, or an interrupt; return the loss per seed of the last one."""
    start, begin = time.perf_counter(), loop.step
    loss = loop.update()
    while not (loop.over or interrupt.asked or run_log.due(loop)):
        loss = loop.update()
    loop.seconds += time.perf_counter() - start
    shown.update(loop.step - begin)
    return loss
