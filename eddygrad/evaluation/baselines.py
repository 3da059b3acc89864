"""Baselines that a trained stepper is compared with: persistence, the solver alone, the solver with smaller steps."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from torch import Tensor

from eddygrad.solver.step import Params, Step, Stepper


@dataclass(frozen=True)
class Persistence:
    """The baseline that never changes the state: u+ = u."""

    dt: float
    differentiable: bool = True

    def at(self, params: Params, like: Tensor, observe: Any = None) -> Step:
        """Return the identity; the arguments are those of `Stepper.at`."""
        return lambda u, k=0: u


def is_baseline(name: str) -> bool:
    """Return whether `baseline` knows this name."""
    return re.fullmatch(r"persistence|coarse(:dt/([2-9]|[1-9]\d+))?", name) is not None


def baseline(name: str, solver: Stepper | None, dt: float) -> Stepper:
    """Return a baseline by name.

    Args:
        name:   "persistence"; "coarse", the solver without its network; "coarse:dt/N", this solver with N times its substeps.
        solver: the solver that the network corrects; None if it replaces the solver.
        dt:     time between frames [s].
    Raises: ValueError for another name, or a solver whose substeps cannot be changed.
    """
    if not is_baseline(name):
        raise ValueError(f"test: baselines are 'persistence', 'coarse' and 'coarse:dt/N', got {name!r}; pass others as a dict name -> stepper")
    if name == "persistence":
        return Persistence(dt)
    if solver is None:
        raise ValueError(f"test: {name!r} is the solver alone, but this network replaces the solver; pass baselines={{'solver': your_stepper}}")
    factor = name.partition(":dt/")[2]
    return _with_more_substeps(solver, int(factor), name) if factor else solver


def _with_more_substeps(solver: Any, factor: int, name: str) -> Stepper:
    known: set[str] = {field.name for field in fields(solver)} if is_dataclass(solver) else set()
    if "substeps" not in known:
        raise ValueError(
            f"test: {name!r} needs a solver with substeps, got {solver!r}; pass baselines={{{name!r}: eg.wrap(finer_step, dt={solver.dt})}}"
        )
    more: dict[str, Any] = {"substeps": solver.substeps * factor}
    refined: Any = replace(solver, **more)
    return refined


def named_baselines(baselines: str | Sequence[str] | Mapping[str, Stepper], solver: Stepper | None, dt: float) -> dict[str, Stepper]:
    """Return baselines as name -> stepper.

    Args:
        baselines: one name, several, or name -> stepper.
        solver:    the solver that the network corrects; None if it replaces the solver.
        dt:        time between frames [s].
    Raises: ValueError as `baseline`.
    """
    if isinstance(baselines, Mapping):
        return dict(baselines)
    return {name: baseline(name, solver, dt) for name in ((baselines,) if isinstance(baselines, str) else baselines)}
