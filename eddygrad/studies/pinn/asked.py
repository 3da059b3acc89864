"""How a user's residuals are asked: once to learn what they are called and what they read, then at every update."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from eddygrad.training.objectives.partials import Names, needed

Residuals = Callable[[Any, Any], Mapping[str, Tensor]]


class NoCoefficient(ValueError, KeyError, AttributeError):
    """A coefficient that there is not: the same error to whoever reads it as an entry or as an attribute, or asks with `get` or `hasattr`."""

    __str__ = ValueError.__str__


class Coefficients(Mapping[str, Tensor]):
    """p["k"] or p.k; remembers what was read."""

    def __init__(self, values: Mapping[str, Tensor]) -> None:
        self._values = dict(values)
        self._read: set[str] = set()

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._values:
            raise NoCoefficient(f"pinn: no coefficient {name!r}, only {', '.join(self._values) or 'none'}; give its first value in unknown=")
        self._read.add(name)
        return self._values[name]

    def __getattr__(self, name: str) -> Tensor:
        if name.startswith("_"):
            raise AttributeError(name)
        return self[name]

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def idle(self) -> list[str]:
        """Those that nobody has read."""
        return [name for name in self._values if name not in self._read]


def asked(residuals: Residuals, unknown: Mapping[str, float], names: Names) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What the residuals are called, and the partials that they read, found by asking once with numbers in their place.

    Raises: ValueError for what is no mapping of residuals, a partial or a coefficient that there is not, and a coefficient that nothing reads.
    """
    coefficients = Coefficients({name: torch.tensor(value, dtype=torch.float64) for name, value in unknown.items()})
    found: list[Any] = []
    read = needed(lambda d: found.append(residuals(d, coefficients)), names)
    if not isinstance(found[0], Mapping) or not found[0]:
        got = "nothing" if isinstance(found[0], Mapping) else type(found[0]).__name__
        raise ValueError(f'pinn: residuals give name -> residual, lambda d, p: {{"pde": d.u_xx}}, got {got}')
    if not read:
        example = f"d.{names.outputs[0]}_{names.inputs[0]}"
        raise ValueError(f"pinn: the residuals {', '.join(found[0])} read no field; they are made of partials such as {example}")
    if coefficients.idle():
        raise ValueError(f"pinn: no residual reads the coefficient {coefficients.idle()[0]!r}; leave it out of unknown=")
    return tuple(found[0]), read


def part(residuals: Residuals, name: str) -> Callable[[Any, Any], Tensor]:
    """One of the residuals by itself."""
    return lambda d, p: residuals(d, Coefficients(p))[name]
