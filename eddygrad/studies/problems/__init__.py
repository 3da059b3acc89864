"""Physics-informed problems with what is known of their solutions, one file each."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from eddygrad.studies.problems.case import Case
from eddygrad.studies.problems.everyday import burgers, cavity, kovasznay, taylor_green
from eddygrad.studies.problems.hard import layer, two_sensors
from eddygrad.studies.problems.poisson import poisson
from eddygrad.studies.problems.sobolev import sobolev
from eddygrad.studies.problems.turbulence import turbulence, turbulence_inverse

PROBLEMS: Mapping[str, Callable[..., Case]] = {
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
}


def problem(name: str, options: Mapping[str, Any], seeds: Sequence[int], dtype: torch.dtype = torch.float32, steps: int | None = None) -> Case:
    """A problem by name, all seeds stacked; one whose phases depend on the number of updates is told it.

    Raises: ValueError for an unknown name or option.
    """
    if name not in PROBLEMS:
        raise ValueError(f"problem: expected one of {', '.join(PROBLEMS)}, got {name!r}")
    known = set(inspect.signature(PROBLEMS[name]).parameters) - {"seeds", "dtype"}
    unknown = sorted(set(options) - known)
    if unknown:
        raise ValueError(f"problem: {name} has no option {unknown[0]!r}; expected some of {', '.join(sorted(known))}")
    told = {"steps": steps} if steps is not None and "steps" in known else {}
    return PROBLEMS[name](seeds=tuple(seeds), dtype=dtype, **{**told, **options})


__all__ = ["PROBLEMS", "Case", "poisson", "problem"]
