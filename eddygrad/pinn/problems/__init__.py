"""Benchmark problems with known solutions, and those that a user registered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from eddygrad.pinn.problems.benchmark_case import Case
from eddygrad.pinn.problems.flows import burgers, cavity, kovasznay, taylor_green
from eddygrad.pinn.problems.poisson import poisson
from eddygrad.pinn.problems.sobolev import sobolev
from eddygrad.pinn.problems.stiff_and_noisy import layer, two_sensors
from eddygrad.pinn.problems.turbulence import turbulence, turbulence_inverse
from eddygrad.runtime.options import checked, parameters
from eddygrad.runtime.specs import Registry

PROBLEMS: Registry[Callable[..., Case]] = Registry(
    "problem",
    {
        "poisson": poisson,
        "sobolev": sobolev,
        "turbulence": turbulence,
        "turbulence-inverse": turbulence_inverse,
        "layer": layer,
        "two-sensors": two_sensors,
        "burgers": burgers,
        "kovasznay": kovasznay,
        "taylor-green": taylor_green,
        "cavity": cavity,
    },
)
OWN: dict[str, str] = {}
"""Problems that a user registered: name -> digest of the problem."""


def problem(name: str, options: Mapping[str, Any], seeds: Sequence[int], dtype: torch.dtype = torch.float32, steps: int | None = None) -> Case:
    """Return a benchmark problem by name, with all seeds in one stack.

    Args:
        name:    one of `PROBLEMS`.
        options: arguments of the problem, such as {"k": 6}.
        seeds:   seeds of the stack.
        dtype:   precision of network and points.
        steps:   number of updates, on which the phases of some problems depend; None for the usual number.
    Raises: ValueError for an unknown name or option, or a value of another type.
    """
    make = PROBLEMS.find(name)
    takes = parameters(make, but=("seeds", "dtype"))
    updates = {"steps": steps} if steps is not None and "steps" in takes else {}
    return make(seeds=tuple(seeds), dtype=dtype, **{**updates, **checked(f"problem: {name}", options, takes)})


__all__ = ["OWN", "PROBLEMS", "Case", "poisson", "problem"]
