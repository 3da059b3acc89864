"""Physics-informed problems with what is known of their solutions, one file each."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from eddygrad.studies.problems.case import Case
from eddygrad.studies.problems.poisson import poisson

PROBLEMS: Mapping[str, Callable[..., Case]] = {"poisson": poisson}


def problem(name: str, options: Mapping[str, Any], seeds: Sequence[int], dtype: torch.dtype = torch.float32) -> Case:
    """A problem by name, all seeds stacked. Raises ValueError for an unknown name or option."""
    if name not in PROBLEMS:
        raise ValueError(f"problem: expected one of {', '.join(PROBLEMS)}, got {name!r}")
    known = set(inspect.signature(PROBLEMS[name]).parameters) - {"seeds", "dtype"}
    unknown = sorted(set(options) - known)
    if unknown:
        raise ValueError(f"problem: {name} has no option {unknown[0]!r}; expected some of {', '.join(sorted(known))}")
    return PROBLEMS[name](seeds=tuple(seeds), dtype=dtype, **options)


__all__ = ["PROBLEMS", "Case", "poisson", "problem"]
