"""One run of a comparison of loss weightings: a problem trained with a weighting, and its record."""

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
from eddygrad.runtime.specs import Spec
from eddygrad.studies.weightings.config import PlannedWeightingRun
from eddygrad.studies.weightings.results.run import SCHEMA
from eddygrad.training import loop
from eddygrad.training.loop import Fit
from eddygrad.training.optimizers import registry
from eddygrad.training.optimizers.polish import Polish
from eddygrad.training.schedule import Drops
from eddygrad.training.training_config import TrainingConfig

_POINTS, _DIGITS = 400, 6  # points of a curve, digits of its values


@dataclass
class TrainedProblem:
    """A problem after its training.

    Args: case: the problem with its network. fit: course of the training. training: its settings. planned: the run. threads: of the process.
    """

    case: Case
    fit: Fit
    training: TrainingConfig
    planned: PlannedWeightingRun
    threads: int

    def as_json(self) -> dict[str, Any]:
        """Return the content of RUN.json. Entries of a curve are lists over seeds, one per point; None stands for a value that is not finite."""
        planned, case = self.planned, self.case
        errors = case.errors(case.problem)  # the first is the endpoint
        return {
            "schema": SCHEMA,
            "name": planned.name,
            "problem": planned.problem,
            "weighting": planned.weighting,
            "optimizer": planned.optimizer,
            "seeds": list(planned.seeds),
            "published": self.published,
            "reference": case.reference if isinstance(case.reference, str) else ", ".join(case.reference),
            "made": {
                "weighting": repr(self.training.weighting),
                "network": repr_of(case.problem.network),
                "parameters": case.problem.network.parameter_count(),
                **({"problem": case.digest} if case.digest else {}),
            },
            "training": self._training(),
            "curve": self._curve(next(iter(errors))),
            **({"layers": self._layers()} if planned.configuration.diagnose else {}),
            "errors": {name: _finite(value.tolist()) for name, value in errors.items()},
            "unknown": {name: _finite(value.tolist()) for name, value in case.problem.values().items()},
            "environment": {**environment(), "finished": date.today().isoformat()},
        }

    def _training(self) -> dict[str, Any]:
        return {
            "updates": self.fit.steps,
            "learning_rate": self.training.lr,
            "schedule": repr(self.training.schedule),
            "polish": None if self.training.polish is None else self.training.polish.steps,
            "seconds": self.fit.seconds,
            "seconds_per_update": self.fit.seconds / max(1, self.fit.steps),
            "threads": self.threads,
            "dtype": self.planned.configuration.dtype,
            "compiled": self.case.problem.compiled,
            "diverged": self.fit.diverged,
            "frozen_at": self.fit.frozen_at,
        }

    def _curve(self, endpoint: str) -> dict[str, Any]:
        curve = self.fit.curve
        diagnosed = ("stds", "cosines") if self.planned.configuration.diagnose else ()
        return {
            "step": [record["step"] for record in curve],
            "errors": _by_name([record.get("errors") or {endpoint: record["validation"]} for record in curve]),
            "losses": _by_name([{k: v["loss"] for k, v in record.get("terms", {}).items()} for record in curve]),
            "weights": _by_name([{k: v["weight"] for k, v in record.get("terms", {}).items()} for record in curve]),
            **{group: _by_name([record.get(group, {}) for record in curve]) for group in diagnosed},
        }

    def _layers(self) -> list[dict[str, Any]]:
        """Return the first and the last diagnosis of the gradients in every tensor, with the weights at that update (a number, or one per seed)."""
        diagnosed = [record for record in self.fit.curve if "layers" in record]
        return [
            {"step": r["step"], "weights": {k: _finite(v["weight"]) for k, v in r.get("terms", {}).items()}, "gradients": r["layers"]}
            for r in (diagnosed[:1] + diagnosed[1:][-1:])
        ]

    @property
    def published(self) -> float | None:
        """The endpoint's published value; None without one, or if the training is not the published one."""
        as_published = self.training.steps == self.case.steps and self.training.polish is None
        return self.case.published.get((self.planned.weighting, self.planned.optimizer)) if as_published else None


def repr_of(network: Any) -> str:
    """Return a network as text: "[3, 100 x 7, 2] sine"."""
    if isinstance(network, Constrained):
        return f"{repr_of(network.network)}, boundary values built in"
    return f"[{network.inputs}, {network.width} x {network.depth}, {network.outputs}] {network.activation}"


def prepare(planned: PlannedWeightingRun, compiled: bool = False) -> tuple[Case, TrainingConfig]:
    """Return the problem of a run and the settings of its training. Args: planned: the run. compiled: see `CoordinateNetwork`."""
    configuration = planned.configuration
    case = configuration.case(planned.problem, planned.seeds)
    case.problem.compiled = compiled
    steps = configuration.steps or case.steps
    spelled = Spec.parse(planned.optimizer, "optimizer")
    make, rate = registry.find_optimizer(spelled.name, spelled.options)
    every = configuration.validate_every or max(1, math.ceil(steps / _POINTS))
    training = TrainingConfig(
        steps=steps,
        lr=rate,
        schedule=Drops(case.drops),
        optimizer=make,
        weighting=configuration.weighting_of(planned.weighting, case),
        validate=case.errors,
        validate_every=every,
        log_every=every,
        diagnose_every=10 * every if configuration.diagnose else None,
        checkpoint_every=configuration.checkpoint_every,
        restarts=case.problem.joins,
        polish=None if configuration.polish is None else Polish(configuration.polish),
    )
    return case, training


def train(
    planned: PlannedWeightingRun, folder: Path | None = None, *, threads: int = 1, compiled: bool = False, progress: bool = False
) -> TrainedProblem:
    """Train the seeds of a run.

    Args:
        planned:  the run. folder: of its checkpoints, from which a killed run continues; None writes none.
        threads:  of this process, for the record. compiled: see `CoordinateNetwork`. progress: whether a progress bar is shown.
    Raises: FloatingPointError if no seed can be trained, and what `training.loop` raises.
    """
    case, training = prepare(planned, compiled)
    described = {"run": planned.name, "steps": training.steps, "weighting": repr(training.weighting), "dtype": planned.configuration.dtype}
    described |= {} if planned.configuration.polish is None else {"polish": planned.configuration.polish}
    described |= {"problem": case.digest} if case.digest else {}
    batch_at: Any = case.batches
    try:
        done = loop.train(case.problem, case.problem.losses, batch_at, training, folder, progress=progress, title=planned.name, description=described)
    except FloatingPointError:  # no seed of this run can be trained
        if not _others_start(planned):
            raise
        done = _all_diverged(case)
    return TrainedProblem(case, done, training, planned, threads)


def _others_start(planned: PlannedWeightingRun) -> bool:
    """Return whether a seed of another run has finite losses at first: then the seeds of this run diverged, else the problem itself is wrong."""
    configuration = planned.configuration
    for seed in range(configuration.first_seed, configuration.first_seed + configuration.seeds):
        if seed not in planned.seeds:
            case = configuration.case(planned.problem, (seed,))
            with torch.no_grad():
                losses = torch.stack([*case.problem.losses(case.batches(0)).values()])
            if bool(losses.isfinite().all()):
                return True
    return False


def _all_diverged(case: Case) -> Fit:
    """Return the course of a training whose seeds all diverged at once."""
    none = [math.nan] * len(case.problem.network.seeds)
    errors = {name: value.tolist() for name, value in case.errors(case.problem).items()}
    curve = [{"step": 0, "errors": errors, "terms": {name: {"loss": none, "weight": none} for name in case.problem.terms}}]
    return Fit(case.problem, 0, curve, 0.0, *([value] * len(none) for value in (0, 0, 0)))


def _by_name(records: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Turn a list of records into lists by name, with six digits; None where a record lacks the name."""
    names = dict.fromkeys(name for record in records for name in record)
    return {name: [_short(_finite(record[name])) if name in record else None for record in records] for name in names}


def _short(value: Any) -> Any:
    if isinstance(value, list):
        return [_short(v) for v in value]
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value


def _finite(value: Any) -> Any:
    if isinstance(value, list):
        return [_finite(v) for v in value]
    return value if value is not None and math.isfinite(value) else None
