"""Solve a problem: train a network on its equations and known values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any

import torch

from eddygrad.pinn.collocation import Collocation
from eddygrad.pinn.domains import Region
from eddygrad.pinn.posed_problem import Known, Problem
from eddygrad.pinn.solution import Solution
from eddygrad.pinn.weighting_trial import tried
from eddygrad.runtime.code_digest import code_digest
from eddygrad.runtime.devices import check_device
from eddygrad.runtime.specs import Spec
from eddygrad.runtime.threads import threads as number_of_threads
from eddygrad.training.loop import train
from eddygrad.training.optimizers import registry
from eddygrad.training.optimizers.polish import Polish
from eddygrad.training.schedule import Drops, Schedule
from eddygrad.training.schedule import schedule as find_schedule
from eddygrad.training.training_config import TrainingConfig
from eddygrad.training.weighting.custom import known_as
from eddygrad.training.weighting.registry import find_weighting

_SMALLEST_RATIO = 1e3  # extent of a domain over the spacing of numbers there


def solve(
    problem: Problem,
    steps: int = 10_000,
    weighting: Any = "inverse-dirichlet-held",
    optimizer: str | Callable[[Any], torch.optim.Optimizer] = "adam",
    lr: float | None = None,
    schedule: str | Schedule | None = None,
    polish: int | None = None,
    select: Callable[[str], bool] | None = None,
    seeds: int | Sequence[int] | None = None,
    errors: Known | None = None,
    folder: str | Path | None = None,
    dtype: torch.dtype | str = torch.float32,
    device: torch.device | str = "cpu",
    threads: int | None = 1,
    compiled: bool = False,
    diagnose: bool = False,
    progress: bool = True,
) -> Solution:
    """Train a network on a problem. Users call it as `eddygrad.fit(problem, ...)`, where all arguments are described.

    Args: see `eddygrad.fit`.
    Returns: the solution; `solution.fit.curve` has about 100 records of losses and weights.
    Raises: ValueError for arguments that do not fit; FloatingPointError if a single run diverges.
    """
    steps, dtype, own_seeds = _checked(problem, steps, dtype, device, seeds)
    objective = objective_of(problem, own_seeds, dtype, steps)
    rule = _weighting(weighting, references(objective))
    optimiser = _Optimiser.resolve(optimizer, lr)
    _check(problem, optimiser, polish)
    tried(rule, objective)
    objective.compiled = compiled
    solution = Solution(problem, objective.to(device))
    config = _config(solution, steps, rule, optimiser, _schedule(schedule, objective, steps), polish, select, errors, diagnose)
    identity = {**problem.described(), "terms": list(objective.terms), "optimizer": optimiser.text, "seeds": str(own_seeds), **_described(config)}
    batches: Any = problem.batches(objective, dtype, device)
    with number_of_threads(threads):
        solution.fit = train(objective, objective.losses, batches, config, folder, progress=progress, title="pinn", description=identity)
    return solution


def _checked(problem: Problem, steps: Any, dtype: Any, device: Any, seeds: Any) -> tuple[int, torch.dtype, int | tuple[int, ...]]:
    """Return steps, precision and seeds in their plain types, after checking them."""
    if isinstance(steps, bool) or not isinstance(steps, Integral) or steps < 1:
        raise ValueError(f"fit: steps is a whole number of updates, at least 1, got {steps!r}")
    check_device(str(device))
    dtype = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(f"fit: dtype is torch.float32 or torch.float64, got {dtype!r}")
    own_seeds = problem.seed if seeds is None else _seeds(seeds)
    check_resolved(problem.domain, dtype)
    return int(steps), dtype, own_seeds  # int, because numpy's integers are not JSON


def _seeds(seeds: Any) -> tuple[int, ...]:
    """Return the seeds 0 .. n - 1 for a count n, or the given seeds, as integers."""
    several = range(int(seeds)) if isinstance(seeds, Integral) and not isinstance(seeds, bool) else seeds
    own = [s.item() if isinstance(s, torch.Tensor) else s for s in several] if isinstance(several, Iterable) else []
    if not own or not all(isinstance(s, Integral) and not isinstance(s, bool) for s in own):
        raise ValueError(f"fit: seeds is how many, at least 1, or a sequence of whole numbers, got {seeds!r}")
    if len(set(own)) < len(own):
        raise ValueError(f"fit: seeds must differ, got {own}")
    return tuple(map(int, own))


@dataclass(frozen=True)
class _Optimiser:
    """An optimiser with its learning rate, and the name and text by which it was given."""

    make: Callable[[Any], torch.optim.Optimizer]
    lr: float
    name: str
    text: str

    @staticmethod
    def resolve(optimizer: Any, lr: float | None) -> _Optimiser:
        """Resolve "adam:lr=1e-3" or a function parameter groups -> optimiser, such as torch.optim.Adam."""
        make, usual = registry.find_optimizer(optimizer)
        if not isinstance(optimizer, str):
            return _Optimiser(make, usual if lr is None else lr, "", code_digest(optimizer))
        spec = Spec.parse(optimizer, "optimizer")
        if lr is not None and "lr" in spec.options:
            raise ValueError(f"fit: expected one learning rate, got lr={lr} and optimizer={optimizer!r}; leave out one")
        return _Optimiser(make, usual if lr is None else lr, spec.name, optimizer)


def _schedule(schedule: Any, objective: Collocation, steps: int) -> Schedule:
    """Resolve a schedule; by default the rate drops after half and three quarters of the updates left when the last term joins."""
    if schedule is None:
        return Drops(drops_after(objective.joins, steps))
    return find_schedule(schedule)


def _config(
    solution: Solution, steps: int, rule: Any, optimiser: _Optimiser, schedule: Schedule, polish: int | None, select: Any, errors: Any, diagnose: bool
) -> TrainingConfig:
    every = max(1, steps // 100)
    return TrainingConfig(
        steps=steps,
        lr=optimiser.lr,
        schedule=schedule,
        optimizer=optimiser.make,
        weighting=rule,
        validate=None if errors is None else lambda module: solution.error(errors),
        validate_every=every,
        log_every=every,
        keep_log=True,
        diagnose_every=10 * every if diagnose else None,
        restarts=solution.objective.joins,
        polish=None if polish is None else Polish(polish),
        select=select,
    )


def check_resolved(domain: Region, dtype: torch.dtype) -> None:
    """Check that this precision resolves the domain on every axis. Raises ValueError for a domain far from the origin."""
    for axis, (low, high) in enumerate(zip(*domain.bounds)):
        if high - low < _SMALLEST_RATIO * torch.finfo(dtype).eps * max(abs(low), abs(high)):
            cure = "shift the origin" if dtype == torch.float64 else 'use dtype="float64" or shift the origin'
            raise ValueError(f"fit: {dtype} cannot tell points from {low!r} to {high!r} apart (coordinate {axis}); {cure}")


def _check(problem: Problem, optimiser: _Optimiser, polish: int | None) -> None:
    """Check that line searches see one loss. Raises ValueError."""
    searches = optimiser.name == "lbfgs"
    if problem.batch is not None and (polish is not None or searches):
        raise ValueError(f"fit: L-BFGS needs the same loss along a line search, got batches of {problem.batch} points; leave out batch= or L-BFGS")
    if problem.pointwise and searches:
        raise ValueError("fit: L-BFGS needs the same loss along a line search, but point weights change; leave out pointwise=, or end with polish=")
    if problem.resample and searches:
        raise ValueError("fit: L-BFGS needs the same loss along a line search, but points are redrawn; leave out resample=, or end with polish=")


def _described(config: TrainingConfig) -> dict[str, Any]:
    """Return what identifies a training, next to its problem: a run's folder accepts no other."""
    identity = {"weighting": known_as(config.weighting), "lr": config.lr, "steps": config.steps, "schedule": repr(config.schedule)}
    identity |= {} if config.polish is None else {"polish": config.polish.steps}
    return identity | ({} if config.select is None else {"select": code_digest(config.select)})


def objective_of(problem: Problem, seeds: int | tuple[int, ...], dtype: torch.dtype, steps: int) -> Collocation:
    """Return the module that is trained: network, terms and unknown coefficients of a problem.

    Args:
        problem: the problem.
        seeds:   seed of one network, or seeds of a stack.
        dtype:   precision of the weights.
        steps:   number of updates, from which the times of the terms follow.
    """
    return Collocation(problem.make_network(seeds, dtype), problem.names, problem.terms(steps), problem.unknown, problem.positive)


def references(objective: Collocation) -> tuple[str, ...]:
    """Return the terms in the order of preference for the weight 1: equations first, the one that joined last leading, then other terms."""
    return tuple(sorted(objective.terms, key=lambda name: (objective.terms[name].at != "inside", -objective.terms[name].begins)))


def drops_after(joins: Sequence[int], steps: int) -> tuple[float, ...]:
    """Return shares of the updates after which the rate drops: half and three quarters of those left when the last term joins."""
    last = max(joins, default=0) / steps
    return tuple(last + (1 - last) * share for share in (0.5, 0.75))


def _weighting(weighting: Any, held: tuple[str, ...]) -> Any:
    """Resolve a weighting by name or object; by name, the weight of the first present term of `held` is 1."""
    return find_weighting(weighting, reference=held, every=5)
