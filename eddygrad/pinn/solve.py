"""A posed problem is solved in one call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
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
from eddygrad.training.schedule import Drops
from eddygrad.training.training_config import TrainingConfig
from eddygrad.training.weighting.custom import as_weighting, known_as
from eddygrad.training.weighting.registry import weighting as weighting_named

_APART = 1e3  # steps of a number's precision between the ends of a domain


def solve(
    problem: Problem,
    steps: int = 10_000,
    weighting: Any = "inverse-dirichlet",
    optimizer: str = "adam",
    lr: float | None = None,
    drops: Sequence[float] | None = None,
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
    """Train; a killed run goes on in `folder`, which takes no other problem, nor this one with other code in its functions.

    Args:   weighting: a name (see eddygrad info), with options as in "mgda:floor=1e-5", or a weighting; by name, the equation that joined last
            has the weight 1, or where none is there the first of the other terms. optimizer: a name likewise. lr: its rate,
            a tenth after each of the shares `drops` of the steps, by default after half and three quarters of those that are left when the last
            term joins. polish: the last updates by L-BFGS with all weights at rest, for one network and
            all points. select: of a parameter's name, such as "network.weights.2": does it count for the weighting? seeds: None for one
            network, a number or a sequence for a stack. errors: the exact solution, for an error on the way. compiled: loops are fused, see
            `CoordinateNetwork`. diagnose: at every tenth look also spreads of the terms' gradients, angles between them and their histograms.
    Returns: the solution, whose `plot_training()` and `fit.curve` have losses, weights and what else was looked at, a hundred times.
    Raises: ValueError for an unknown name or what is no weighting; FloatingPointError if a single run diverges.
    """
    if isinstance(steps, bool) or not isinstance(steps, Integral) or steps < 1:
        raise ValueError(f"pinn: steps is a whole number of updates, at least 1, got {steps!r}")
    steps = int(steps)  # numpy's are no JSON
    check_device(str(device))
    dtype = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(f"pinn: dtype is torch.float32 or torch.float64, got {dtype!r}")
    each = problem.seed if seeds is None else _seeds(seeds)
    check_resolved(problem.domain, dtype)
    objective = objective_of(problem, each, dtype, steps)
    chosen = _weighting(weighting, references(objective))
    if not isinstance(optimizer, str):
        raise ValueError(f"pinn: expected the name of an optimiser, 'adam:lr=1e-3' say, got {optimizer!r}")
    spelled = Spec.parse(optimizer, "optimizer")
    make, usual = registry.named(spelled.name, spelled.options)
    _check(problem, optimizer, spelled, lr, polish, drops)
    tried(chosen, objective)
    objective.compiled = compiled
    solution = Solution(problem, objective.to(device))
    every = max(1, steps // 100)
    training = TrainingConfig(
        steps=steps,
        lr=usual if lr is None else lr,
        schedule=Drops(drops_after(objective.joins, steps) if drops is None else tuple(drops)),
        optimizer=make,
        weighting=chosen,
        validate=None if errors is None else lambda module: solution.error(errors),
        validate_every=every,
        log_every=every,
        keep_log=True,
        diagnose_every=10 * every if diagnose else None,
        restarts=objective.joins,
        polish=None if polish is None else Polish(polish),
        select=select,
    )
    described = {**problem.described(), "terms": list(objective.terms), "optimizer": optimizer, "seeds": str(each), **_described(training)}
    batches = problem.batches(objective, dtype, device)
    with number_of_threads(threads):
        solution.fit = train(objective, objective.losses, batches, training, folder, progress=progress, title="pinn", description=described)
    return solution


def _seeds(seeds: Any) -> tuple[int, ...]:
    """A number of them, or themselves."""
    several = range(int(seeds)) if isinstance(seeds, Integral) and not isinstance(seeds, bool) else seeds
    each = [s.item() if isinstance(s, torch.Tensor) else s for s in several] if isinstance(several, Iterable) else []
    if not each or not all(isinstance(s, Integral) and not isinstance(s, bool) for s in each):
        raise ValueError(f"pinn: seeds is how many, at least 1, or a sequence of whole numbers, got {seeds!r}")
    if len(set(each)) < len(each):
        raise ValueError(f"pinn: seeds must differ, got {each}")
    return tuple(map(int, each))


def check_resolved(domain: Region, dtype: torch.dtype) -> None:
    """Numbers of this precision tell points of the domain apart on every axis. Raises ValueError far from the origin."""
    for axis, (low, high) in enumerate(zip(*domain.bounds)):
        if high - low < _APART * torch.finfo(dtype).eps * max(abs(low), abs(high)):
            cure = "shift the origin" if dtype == torch.float64 else 'take dtype="float64" or shift the origin'
            raise ValueError(f"pinn: {dtype} cannot tell points from {low!r} to {high!r} apart (coordinate {axis}); {cure}")


def _check(problem: Problem, optimizer: str, spelled: Spec, lr: float | None, polish: int | None, drops: Sequence[float] | None) -> None:
    """What does not go together. Raises ValueError, one line."""
    if lr is not None and "lr" in spelled.options:
        raise ValueError(f"pinn: the rate stands in lr={lr} and in optimizer={optimizer!r}; leave out one")
    if problem.batch is not None and (polish is not None or spelled.name == "lbfgs"):
        raise ValueError(f"pinn: L-BFGS searches along lines of one loss, got batches of {problem.batch} points; leave out batch= or L-BFGS")
    if problem.pointwise and spelled.name == "lbfgs":
        raise ValueError("pinn: L-BFGS searches along lines of one loss, weights of points move; leave out pointwise=, or end with polish=")
    if problem.resample and spelled.name == "lbfgs":
        raise ValueError("pinn: L-BFGS searches along lines of one loss, got points that are drawn anew; leave out resample=, or end with polish=")
    if drops is not None and not (isinstance(drops, Sequence) and all(0 < share < 1 for share in drops)):
        raise ValueError(f"pinn: drops are shares of the training such as (0.5, 0.75), got {drops!r}")


def _described(training: TrainingConfig) -> dict[str, Any]:
    """What a folder's run is known by, beside its problem."""
    told = {"weighting": known_as(training.weighting), "lr": training.lr, "steps": training.steps, "schedule": repr(training.schedule)}
    told |= {} if training.polish is None else {"polish": training.polish.steps}
    return told | ({} if training.select is None else {"select": code_digest(training.select)})


def objective_of(problem: Problem, seeds: int | tuple[int, ...], dtype: torch.dtype, steps: int) -> Collocation:
    """What is trained: its network and its terms, in their time of `steps` updates."""
    return Collocation(problem.make_network(seeds, dtype), problem.names, problem.terms(steps), problem.unknown, problem.positive)


def references(objective: Collocation) -> tuple[str, ...]:
    """Whose weight is held at one, the first that is there: the equation that joined last, or where none is there another term."""
    return tuple(sorted(objective.terms, key=lambda name: (objective.terms[name].at != "inside", -objective.terms[name].begins)))


def drops_after(joins: Sequence[int], steps: int) -> tuple[float, ...]:
    """A term that joins late has the rate as long, by its own time, as one that was there from the beginning."""
    last = max(joins, default=0) / steps
    return tuple(last + (1 - last) * share for share in (0.5, 0.75))


def _weighting(asked: Any, held: tuple[str, ...]) -> Any:
    """By name, or as it is."""
    if isinstance(asked, str):
        spelled = Spec.parse(asked, "weighting")
        # Uncorrected, a weight that falls from one takes seventeen looks to 1e-5, and an optimiser remembers what the first ones let through.
        # Unheld, a flat field that solves the equation takes their weights from the values that forbid it.
        usual = {"corrected": True, "hold": 1.0} if spelled.name == "inverse-dirichlet" else {}
        return weighting_named(spelled.name, {**usual, **spelled.options}, reference=held, every=5)
    if isinstance(asked, type) or not callable(asked):
        raise ValueError(f"pinn: expected the name of a weighting or one that was made, InverseDirichlet('pde') say, got {asked!r}")
    return as_weighting(asked)
