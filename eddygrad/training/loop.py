"""The training loop."""

from __future__ import annotations

import inspect
import json
import math
import statistics
import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from eddygrad.runtime.interrupt import Waiting, waiting
from eddygrad.runtime.progress import Bar, bar
from eddygrad.solver.rollout import BatchAt, Window
from eddygrad.training.checkpoint import MetricsLog, difference, digest, load_state, save_state, save_weights
from eddygrad.training.freezing import at_rest
from eddygrad.training.gradients import Reduce, gradients
from eddygrad.training.loss_balancing import Balance
from eddygrad.training.optimizers.registry import searches
from eddygrad.training.schedule import Plateau, set_rates
from eddygrad.training.seed_stack import SeedStack
from eddygrad.training.training_config import TrainingConfig
from eddygrad.training.weighting.custom import as_weighting

_FINE, _STEEP = 1e-8, 1e-7  # of the loss with which a search along lines begins, and of its gradient: its unit


@dataclass
class Fit:
    """What came of a run: the trained module is changed in place; here are its curve, counters and cost."""

    module: nn.Module
    steps: int
    curve: list[dict[str, Any]]
    seconds: float
    skipped: list[int]
    clipped: list[int]
    frozen_at: list[int]

    @property
    def diverged(self) -> list[bool]:
        return [at >= 0 for at in self.frozen_at]


class Loop:
    """One run of `train`, as an object: `update(step)` is one update; the state is what a checkpoint holds."""

    def __init__(self, module: nn.Module, objective: Callable[..., dict[str, Tensor]], batch_at: BatchAt, training: TrainingConfig) -> None:
        # Whoever counts or watches starts anew: a plan serves many runs.
        if isinstance(training.schedule, Plateau):
            training = replace(training, schedule=replace(training.schedule, state={}))
        if training.refinement is not None:
            training = replace(training, refinement=replace(training.refinement))
        self.module, self.objective, self.batch_at, self.training = module, objective, batch_at, training
        self.seeds: tuple[int, ...] | None = getattr(module, "seeds", None)
        self.stack = SeedStack(module, None if self.seeds is None else len(self.seeds))
        self.guard = training.guard.start(self.stack.count)
        self.weighting: Any = deepcopy(as_weighting(training.weighting))
        own = getattr(module, "coefficients", None)  # of an equation: no part of what a weighting looks at
        apart = {id(p) for p in (own() if inspect.ismethod(own) else ())}
        names = {id(p): name for name, p in module.named_parameters()}
        counted = [i for i, p in enumerate(self.stack.params) if id(p) not in apart and (training.select is None or training.select(names[id(p)]))]
        if training.select is not None and not counted:
            raise ValueError(f"fit: select leaves no parameter for the weighting to look at; they are {', '.join(names.values())}")
        named = [names[id(p)] for p in self.stack.params]
        self.balance = Balance(self.weighting, self.stack, counted, getattr(module, "probes", None), training.reduce, named)
        self.companions = {f"{i} {name}": part for i, who in enumerate((module, batch_at)) for name, part in _companions(who).items()}
        self._share(training.reduce)
        self._check_polish()
        self._held = bool(self.weighting.frozen)
        self._rest(False)
        self.optimizer = self._optimizer(0)
        self.start = {
            "dtype": str(self.stack.buffer.dtype).removeprefix("torch."),
            "device": self.stack.buffer.device.type,
            "initial weights": digest(self.stack.buffer),
        }
        self.step, self.seconds, self.curve = 0, 0.0, []  # type: int, float, list[dict[str, Any]]
        self._refine()

    @property
    def over(self) -> bool:
        """All updates are done, or nobody is left to make them."""
        return self.step >= self.training.steps or not any(self.guard.alive)

    @property
    def lost(self) -> list[int]:
        """Seeds that have diverged and are frozen."""
        names = self.seeds or range(self.stack.count)
        return [seed for seed, alive in zip(names, self.guard.alive) if not alive]

    def update(self) -> Tensor:
        """One update of every seed that is alive; returns the total loss per seed (S,) before it."""
        plan = self.training
        begins = self.step in plan.restarts or plan.polishes(self.step) > plan.polishes(self.step - 1)
        another = searches(self.optimizer) and self.step in self._changes
        if begins or another:
            self.optimizer = self._optimizer(self.step)
            self._rest(plan.polishes(self.step))
        if another and hasattr(self.weighting, "ask"):
            self.weighting.ask()
        window = self.batch_at(self.step, plan.horizon_at(self.step))
        diagnosed = plan.diagnose_every is not None and (self.step + 1) % plan.diagnose_every == 0
        total, grad = self.balance(self.objective(window), window, diagnosed)
        self._hold()
        terms = {name: pair["loss"] for name, pair in self.balance.terms.items()}
        active = self.guard.admit(total, grad, self.step, self.seeds, lambda: self._culprit(window), terms)
        if isinstance(plan.schedule, Plateau):
            active = [on and not plan.schedule.stopped(i) for i, on in enumerate(active)]
        self.stack.assign(grad, active)
        if not plan.polishes(self.step):
            set_rates(self.optimizer, plan.lr, plan.schedule, self.step, plan.steps)
        step: Callable[..., Any] = self.optimizer.step
        step(self._searching(window, total, active) if searches(self.optimizer) else None)
        self.step += 1
        return total.reshape(-1)

    def _check_polish(self) -> None:
        """What would end the training where its polish begins ends it here."""
        plan = self.training
        if plan.polish is None:
            return
        self._optimizer(plan.steps)
        joins, leaves = ([at for at in getattr(self.module, what, ()) if at < plan.steps] for what in ("joins", "leaves"))
        moments = [at for at in joins if plan.polishes(at)] + [at for at in leaves if plan.polishes(at - 1)]
        if moments:
            raise ValueError(f"fit: a term joins or leaves at update {moments[0]}, within the last {plan.polish.steps}, which polish one loss")

    @property
    def _changes(self) -> list[int]:
        """Updates from which the loss is another one, for a term joins or leaves."""
        return [at for what in ("joins", "leaves") for at in getattr(self.module, what, ())]

    def _hold(self) -> None:
        """One look serves a whole search along lines, which begins with it: what was found under other weights is of no use to it."""
        if self.balance.looked and searches(self.optimizer):
            self.optimizer, self.weighting.frozen = self._optimizer(self.step), True

    def _optimizer(self, step: int) -> torch.optim.Optimizer:
        """A new one, as update `step` has it."""
        plan = self.training
        make, rate = (plan.polish.optimizer, plan.polish.lr) if plan.polish is not None and plan.polishes(step) else (plan.optimizer, plan.lr)
        optimizer = self.stack.optimizer(make, rate)
        if searches(optimizer) and hasattr(self.weighting, "combine"):
            raise ValueError(f"fit: a search along lines needs one loss, got {self.weighting!r}, whose update is no loss's gradient")
        if searches(optimizer) and not plan.polishes(step):
            if getattr(self.weighting, "gradual", False):
                raise ValueError(
                    f"fit: L-BFGS searches along lines of one loss, {type(self.weighting).__name__} moves its weights from update to update; "
                    "end with a polish, in which they rest"
                )
            self.weighting.corrected = True  # one look is all there is: it counts whole
        return optimizer

    def _rest(self, polishing: bool) -> None:
        """What makes the loss another one stays as it is while it is polished."""
        self.weighting.frozen = self._held or polishing
        for part in self._moving:
            part.frozen = polishing

    def _share(self, reduce: Reduce | None) -> None:
        """Let companions that look at all points, wherever they are, do so."""
        for part in self.companions.values():
            if hasattr(part, "reduce"):
                part.reduce = reduce

    @property
    def _moving(self) -> list[Any]:
        return [part for part in self.companions.values() if hasattr(part, "frozen")]

    def _searching(self, window: Any, total: Tensor, active: list[bool]) -> Callable[[], Tensor]:
        """What an optimiser that searches along lines asks for: the loss where it is now, its gradient left in place.

        Both in units far below the loss where it began: torch's L-BFGS takes no curvature in where y . s is below 1e-10, however far a loss has come.
        In float32 no finer than lets it square a slope twice.
        """
        group = self.optimizer.param_groups[0]
        if "unit" not in group:
            slopes = [float(torch.linalg.vector_norm(p.grad)) for p in group["params"] if p.grad is not None and p.dtype == torch.float32]
            unit = max(_FINE * float(total), _STEEP * max(slopes, default=0.0))
            group["unit"] = unit if 0 < unit < math.inf else 1.0
        unit = group["unit"]
        for p in group["params"]:
            p.grad = None if p.grad is None else p.grad / unit
        known: list[Tensor] = [total / unit]  # where it begins all is known

        def closure() -> Tensor:
            if known:
                return known.pop()
            with at_rest(*self._moving):
                found, grad = self.balance.again(self.objective(window))
            self.stack.assign(grad / unit, active)
            return found / unit

        return closure

    def _culprit(self, window: Any) -> int | None:
        """The first sample of a single run's window that alone has no finite loss or gradient."""
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
        """Errors per seed by name, the one that counts first."""
        assert self.training.validate is not None
        found = self.training.validate(self.module)
        named = found if isinstance(found, Mapping) else {"validation": found}
        errors = next(iter(named.values())).reshape(-1)
        if isinstance(self.training.schedule, Plateau):
            self.training.schedule.observe(errors)
        finite = [error for error in errors.tolist() if math.isfinite(error)]
        if self.training.refinement is not None and self.training.refinement.observe(statistics.median(finite) if finite else math.nan):
            self._refine()
        return {name: value.reshape(-1).tolist() for name, value in named.items()}

    def _refine(self) -> None:
        if self.training.refinement is not None:
            self.training.refine(self.module, self.training.refinement.iterations)

    def state(self) -> dict[str, Any]:
        plan, guard = self.training, self.guard
        return {
            "step": self.step,
            "seconds": self.seconds,
            "curve": json.dumps(self.curve),
            "buffer": self.stack.buffer,
            "start": self.start,
            "several": self.balance.several,
            "optimizer": self.optimizer.state_dict(),
            "plateau": plan.schedule.state if isinstance(plan.schedule, Plateau) else {},
            "refinement": {} if plan.refinement is None else plan.refinement.state_dict(),
            "weighting": self.weighting.state_dict(),
            "companions": {name: part.state_dict() for name, part in self.companions.items()},
            "guard": {name: getattr(guard, name) for name in ("skipped", "clipped", "frozen_at", "average", "seen")},
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from `state`. Raises ValueError if it began from other weights, in another precision or on another kind of device."""
        if state["buffer"].shape != self.stack.buffer.shape:
            raise ValueError(
                f"checkpoint: expected {tuple(self.stack.buffer.shape)} (seeds, parameters), got {tuple(state['buffer'].shape)}; "
                "it belongs to another network: choose another folder"
            )
        self._check_start(state)
        with torch.no_grad():
            self.stack.buffer.copy_(state["buffer"])
        self.step, self.seconds, self.curve = state["step"], state["seconds"], json.loads(state["curve"])
        self.balance.several = bool(state.get("several", False))
        self.optimizer = self._optimizer(self.step - 1)  # that of the last update; the next one may begin another
        self.optimizer.load_state_dict(state["optimizer"])
        self._rest(self.training.polishes(self.step - 1))
        if isinstance(self.training.schedule, Plateau):
            self.training.schedule.state = state["plateau"]
        if self.training.refinement is not None:
            self.training.refinement.load_state_dict(state["refinement"])
            self._refine()
        if state.get("weighting"):  # an older checkpoint has none: there was but a weighting without memory
            self.weighting.load_state_dict(state["weighting"])
        for name, part in self.companions.items():
            part.load_state_dict(state["companions"].get(name, {}))
        for name, value in state["guard"].items():
            setattr(self.guard, name, value)

    def _check_start(self, state: dict[str, Any]) -> None:
        # An older checkpoint has no such record; its weights tell the dtype.
        found = {"dtype": str(state["buffer"].dtype).removeprefix("torch."), **state.get("start", {})}
        different = [name for name, value in found.items() if value != self.start[name]]
        # A module that this very run has trained in place may be given again.
        if different == ["initial weights"] and digest(state["buffer"]) == self.start["initial weights"]:
            self.start = found
        elif different:
            name = different[0]
            raise ValueError(
                f"checkpoint: expected a run with {name} {self.start[name]}, got {found[name]}; restore it, choose another folder or delete this one"
            )


def _companions(who: Any) -> dict[str, Any]:
    """What a module or its batches keep beside weights, where they say so: a module may use the name otherwise."""
    told = getattr(who, "companions", None)
    return told() if inspect.ismethod(told) else {}


def train(
    module: nn.Module,
    objective: Callable[..., dict[str, Tensor]],
    batch_at: BatchAt,
    training: TrainingConfig,
    folder: str | Path | None = None,
    *,
    progress: bool = False,
    title: str = "fit",
    description: dict[str, Any] | None = None,
) -> Fit:
    """Train `module` in place: a function of (configuration, seed, step), so a killed run continues to bitwise the same weights.

    With a folder an interrupt (Ctrl-C, SIGTERM) waits for the end of the update and is kept in a checkpoint first; a second one does not wait.

    Args:    objective: window -> named losses, () or (S,) each. batch_at: (step, horizon) -> window. folder: where checkpoint, metrics.jsonl and the
             final weights go; a checkpoint there is resumed. description: configuration kept with it; a folder that holds another is refused,
             and so is one whose run began from other weights, in another dtype or on another kind of device. title: of the progress bar.
    Returns: curve, counters, seconds of training (validation excluded).
    Raises:  ValueError for a folder of another run; FloatingPointError for a single run that diverges, or a stack none of whose seeds can be
             updated; a stack whose last seed is lost later ends early. Each seed that is lost is a RuntimeWarning.
    """
    loop = Loop(module, objective, batch_at, training)
    log, keep = None, 0
    if folder is not None:
        folder = Path(folder)
        keep = _resume(loop, folder, description or {})
        log = MetricsLog(folder / "metrics.jsonl", keep)
    shown = bar(title, training.steps, loop.step, show=progress)
    with waiting(folder is not None and training.reduce is None) as interrupt:  # processes side by side would wait for one that left
        try:
            while not loop.over and not interrupt.asked:
                _stretch(loop, log, shown, interrupt)
                if folder is not None and log is not None and (loop.step % training.checkpoint_every == 0 or loop.over or interrupt.asked):
                    told = {"log": log.position(), "description": json.dumps(description or {}, sort_keys=True)}
                    save_state(folder / "checkpoint.pt", {**loop.state(), **told})
        finally:
            loop._rest(False)
            loop._share(None)
            shown.close()
            if log is not None:
                log.close()
    if folder is not None:
        save_weights(folder / "weights.safetensors", module.state_dict(), {"module": repr(module), **loop.start, **(description or {})})
    guard = loop.guard
    return Fit(module, loop.step, loop.curve, loop.seconds, list(guard.skipped), list(guard.clipped), list(guard.frozen_at))


def _stretch(loop: Loop, log: MetricsLog | None, shown: Bar, interrupt: Waiting) -> None:
    """Updates up to the next moment at which something is written, then the writing; or up to an interrupt."""
    plan = loop.training
    start, begin = time.perf_counter(), loop.step
    while True:
        loss = loop.update()
        if (
            loop.over
            or interrupt.asked
            or any(
                loop.step % every == 0
                for every in (plan.log_every, plan.validate_every, plan.checkpoint_every, plan.diagnose_every or loop.training.steps)
            )
        ):
            break
    loop.seconds += time.perf_counter() - start
    shown.update(loop.step - begin)
    last = loop.over
    terms = {name: {of: value.tolist() for of, value in pair.items()} for name, pair in loop.balance.terms.items()}
    record: dict[str, Any] = {"step": loop.step, "loss": loss.tolist(), **({"terms": terms} if terms else {}), **loop.balance.diagnosis}
    loop.balance.diagnosis = {}
    if plan.validate is not None and (last or loop.step % plan.validate_every == 0):
        iterations = {} if plan.refinement is None else {"iterations": plan.refinement.iterations}  # those of the error that follows
        errors = loop.validate()
        record.update(validation=next(iter(errors.values())), **({"errors": errors} if len(errors) > 1 else {}), **iterations)
        loop.curve.append(record)
        shown.set_postfix(validation=f"{statistics.median(record['validation']):.3g}", refresh=False)
    elif plan.keep_log and (last or loop.step % plan.log_every == 0):
        loop.curve.append(record)
    if log is not None and (last or "validation" in record or "stds" in record or loop.step % plan.log_every == 0):
        lost = {"diverged": loop.lost} if loop.lost else {}
        log.write(**record, lr=loop.optimizer.param_groups[0]["lr"], seconds=round(loop.seconds, 3), skipped=sum(loop.guard.skipped), **lost)


def _resume(loop: Loop, folder: Path, description: dict[str, Any]) -> int:
    path = folder / "checkpoint.pt"
    if not path.exists():
        return 0
    state = load_state(path)
    if not {"description", "buffer", "optimizer", "log"} <= set(state):
        raise ValueError(f"checkpoint: {path} holds {sorted(state)[:5]}, not the state of a run; delete it to start this run anew")
    if state["description"] != json.dumps(description, sort_keys=True):
        was, got = difference(json.loads(state["description"]), json.loads(json.dumps(description)))
        raise ValueError(f"fit: {folder} holds a run of another configuration: {was}, got {got}; choose another folder or delete it")
    loop.load(state)
    return int(state["log"])
