"""How a user's residuals are asked: once to learn what they are called and what they read, then at every update."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from eddygrad.training.objectives.partials import Asked, Names, needed

Residuals = Callable[[Any, Any], Mapping[str, Tensor]]


class Coefficients(dict[str, Tensor]):
    """p["k"] or p.k; remembers what was read."""

    def __init__(self, values: Mapping[str, Tensor]) -> None:
        super().__init__(values)
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> Tensor:
        if name not in self:
            raise ValueError(f"pinn: no coefficient {name!r}, only {', '.join(self) or 'none'}; give its first value in unknown=")
        self.read.add(name)
        return super().__getitem__(name)

    def __iter__(self) -> Iterator[str]:  # {**p}, as the solver's equations have it, reads all
        self.read |= set(self.keys())
        return super().__iter__()

    def __getattr__(self, name: str) -> Tensor:
        if name.startswith("_"):
            raise AttributeError(name)
        return self[name]


def asked(residuals: Residuals, unknown: Mapping[str, float], names: Names) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What the residuals are called, and the partials that they read, found by asking once with numbers in their place.

    Raises: ValueError for what is no mapping of residuals, a partial or a coefficient that there is not, and a coefficient that nothing reads.
    """
    coefficients = Coefficients({name: torch.tensor(value, dtype=torch.float64) for name, value in unknown.items()})
    found = residuals(Asked(), coefficients)
    if not isinstance(found, Mapping) or not found:
        got = "nothing" if isinstance(found, Mapping) else type(found).__name__
        raise ValueError(f'pinn: residuals give name -> residual, lambda d, p: {{"pde": d.u_xx}}, got {got}')
    read = needed(lambda d: residuals(d, coefficients), names)
    if not read:
        raise ValueError(
            f"pinn: the residuals {', '.join(found)} read no field; they are made of partials such as d.{names.outputs[0]}_{names.inputs[0]}"
        )
    idle = [name for name in unknown if name not in coefficients.read]
    if idle:
        raise ValueError(f"pinn: no residual reads the coefficient {idle[0]!r}; leave it out of unknown=")
    return tuple(found), read


def part(residuals: Residuals, name: str) -> Callable[[Any, Any], Tensor]:
    """One of the residuals by itself."""
    return lambda d, p: residuals(d, Coefficients(p))[name]
