"""Self-checks and their findings: expected value, measured value, verdict."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple


class Finding(NamedTuple):
    """A measured quantity with its expected value and absolute tolerance."""

    quantity: str
    expected: float
    got: float
    tolerance: float


@dataclass(frozen=True)
class Row:
    """A finding with the seconds that it took and its verdict. A NaN fails."""

    quantity: str
    expected: float
    got: float
    tolerance: float
    seconds: float

    @property
    def passed(self) -> bool:
        return abs(self.got - self.expected) <= self.tolerance

    @property
    def verdict(self) -> str:
        return "pass" if self.passed else "FAIL"


@dataclass(frozen=True)
class Check:
    """A named self-check: `measure(seed)` yields its findings one by one."""

    name: str
    measure: Callable[[int], Iterator[Finding]]

    @property
    def summary(self) -> str:
        """First line of the docstring of `measure`."""
        return (self.measure.__doc__ or self.name).strip().splitlines()[0]


def order_of(errors: Sequence[float]) -> float:
    """Return the order of convergence over the last halving of spacing or time step."""
    return [math.log2(coarse / fine) for coarse, fine in pairwise(errors)][-1]
