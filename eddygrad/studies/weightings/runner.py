"""One problem trained with one weighting, and what is written down of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import torch

from eddygrad.pinn.network.hard_constraints import Constrained
from eddygrad.pinn.problems import Case
from eddygrad.runtime.provenance import environment
from eddygrad.runtime.specs import Spelled
from eddygrad.studies.weightings.config import PlannedWeightingRun
from eddygrad.training.loop import Fit, fit
from eddygrad.training.optimizers import registry
from eddygrad.training.optimizers.polish import Polish
from eddygrad.training.schedule import Drops
from eddygrad.training.training_config import Training

SCHEMA = "eddygrad-pinn/1"
_POINTS, _DIGITS = 400, 6  # of a curve


@dataclass
class TrainedProblem:
    """A problem as its network solves it now, with the story of the training."""

    case: Case
    fit: Fit
    training: Training
    planned: PlannedWeightingRun
    threads: int

    def as_json(self) -> dict[str, Any]:
        """The run's JSON. A curve's entries are lists over seeds, one per point; None stands for what is not finite."""
        planned, curve, network = self.planned, self.fit.curve, self.case.problem.network
        errors = self.case.errors(self.case.problem)  # the first is the one that counts
        return {
            "schema": SCHEMA,
            "name": planned.name,
            "problem": planned.problem,
            "weighting": planned.weighting,
            "optimizer": planned.optimizer,
            "seeds": list(planned.seeds),
            "published": self.published,
            "reference": self.case.reference if isinstance(self.case.reference, str) else ", ".join(self.case.reference),
            "made": {
                "weighting": repr(self.training.weighting),
                "network": repr_of(network),
                "parameters": network.parameter_count(),
                **({"problem": self.case.digest} if self.case.digest else {}),
            },
            "training": {
                "updates": self.fit.steps,
                "learning_rate": self.training.lr,
                "schedule": repr(self.training.schedule),
                "polish": None if self.training.polish is None else self.training.polish.steps,
                "seconds": self.fit.seconds,
                "seconds_per_update": self.fit.seconds / max(1, self.fit.steps),
                "threads": self.threads,
                "dtype": planned.plan.dtype,
                "compiled": self.case.problem.compiled,
                "diverged": self.fit.diverged,
                "frozen_at": self.fit.frozen_at,
            },
            "curve": {
                "step": [record["step"] for record in curve],
                "errors": _turned([record.get("errors") or {next(iter(errors)): record["validation"]} for record in curve]),
                "losses": _turned([{k: v["loss"] for k, v in record.get("terms", {}).items()} for record in curve]),
                "weights": _turned([{k: v["weight"] for k, v in record.get("terms", {}).items()} for record in curve]),
                **{part: _turned([record.get(part, {}) for record in curve]) for part in ("stds", "cosines") if planned.plan.diagnose},
            },
            **({"layers": self._layers()} if planned.plan.diagnose else {}),
            "errors": {name: _finite(value.tolist()) for name, value in errors.items()},
            "unknown": {name: _finite(value.tolist()) for name, value in self.case.problem.values().items()},
            "environment": {**environment(), "finished": date.today().isoformat()},
        }

    def _layers(self) -> list[dict[str, Any]]:
        """The first and the last diagnosis of the gradients in every tensor, and the weights at that moment (a number, or one per seed)."""
        found = [record for record in self.fit.curve if "layers" in record]
        return [
            {"step": r["step"], "weights": {k: _finite(v["weight"]) for k, v in r.get("terms", {}).items()}, "gradients": r["layers"]}
            for r in (found[:1] + found[1:][-1:])
        ]

    @property
    def published(self) -> float | None:
        """The endpoint's published value, where the training is the published one."""
        as_published = self.training.steps == self.case.steps and self.training.polish is None
        return self.case.published.get((self.planned.weighting, self.planned.optimizer)) if as_published else None


def repr_of(network: Any) -> str:
    """[3, 100 x 7, 2] sine"""
    if isinstance(network, Constrained):
        return f"{repr_of(network.network)}, boundary values built in"
    return f"[{network.inputs}, {network.width} x {network.depth}, {network.outputs}] {network.activation}"


def prepare(planned: PlannedWeightingRun, compiled: bool = False) -> tuple[Case, Training]:
    """Problem and training of a run; `compiled`: see `CoordinateNetwork`."""
    plan = planned.plan
    case = plan.case(planned.problem, planned.seeds)
    case.problem.compiled = compiled
    steps = plan.steps or case.steps
    spelled = Spelled.parse(planned.optimizer, "optimizer")
    make, rate = registry.named(spelled.name, spelled.options)
    every = plan.validate_every or max(1, math.ceil(steps / _POINTS))
    training = Training(
        steps=steps,
        lr=rate,
        schedule=Drops(case.drops),
        optimizer=make,
        weighting=plan.weighting_of(planned.weighting, case),
        validate=case.errors,
        validate_every=every,
        log_every=every,
        diagnose_every=10 * every if plan.diagnose else None,
        checkpoint_every=plan.checkpoint_every,
        restarts=case.problem.joins,
        polish=None if plan.polish is None else Polish(plan.polish),
    )
    return case, training


def train(planned: PlannedWeightingRun, folder: Path | None = None, *, threads: int = 1, compiled: bool = False, progress: bool = False) -> TrainedProblem:
    """Train a run's seeds; a killed run goes on in `folder`. Raises what `training.loop.fit` does."""
    case, training = prepare(planned, compiled)
    described = {"run": planned.name, "steps": training.steps, "weighting": repr(training.weighting), "dtype": planned.plan.dtype}
    described |= {} if planned.plan.polish is None else {"polish": planned.plan.polish}
    described |= {"problem": case.digest} if case.digest else {}
    batch_at: Any = case.batches
    try:
        done = fit(case.problem, case.problem.losses, batch_at, training, folder, progress=progress, title=planned.name, description=described)
    except FloatingPointError:  # no seed of this run can be trained
        if not _others_begin(planned):
            raise
        done = _lost(case)
    return TrainedProblem(case, done, training, planned, threads)


def _others_begin(planned: PlannedWeightingRun) -> bool:
    """Whether seeds of other runs have finite losses at first: then those of this one have diverged, else the problem itself is wrong."""
    plan = planned.plan
    for seed in range(plan.first_seed, plan.first_seed + plan.seeds):
        if seed not in planned.seeds:
            case = plan.case(planned.problem, (seed,))
            with torch.no_grad():
                losses = torch.stack([*case.problem.losses(case.batches(0)).values()])
            if bool(losses.isfinite().all()):
                return True
    return False


def _lost(case: Case) -> Fit:
    """The story of seeds of which none could be trained."""
    none = [math.nan] * len(case.problem.network.seeds)
    errors = {name: value.tolist() for name, value in case.errors(case.problem).items()}
    curve = [{"step": 0, "errors": errors, "terms": {name: {"loss": none, "weight": none} for name in case.problem.terms}}]
    return Fit(case.problem, 0, curve, 0.0, *([value] * len(none) for value in (0, 0, 0)))


def _turned(records: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Records by name, to six digits; None where a record lacks it."""
    every = dict.fromkeys(name for record in records for name in record)
    return {name: [_short(_finite(record[name])) if name in record else None for record in records] for name in every}


def _short(value: Any) -> Any:
    if isinstance(value, list):
        return [_short(v) for v in value]
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value


def _finite(value: Any) -> Any:
    if isinstance(value, list):
        return [_finite(v) for v in value]
    return value if value is not None and math.isfinite(value) else None
