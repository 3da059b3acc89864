"""A row of the self-checks: what was expected, what came out, and the verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple


class Finding(NamedTuple):
    """What a check measures: the absolute tolerance stands beside the expected value."""

    quantity: str
    expected: float
    got: float
    tolerance: float


@dataclass(frozen=True)
class Row:
    """A finding with its verdict and the seconds it took. A NaN fails."""

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
        """First line of what it says about itself."""
        return (self.measure.__doc__ or self.name).strip().splitlines()[0]
