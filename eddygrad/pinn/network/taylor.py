"""Truncated Taylor polynomials: the coefficients that given partial derivatives need, and the pairs in their products."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product
from typing import Any

Index = tuple[int, ...]  # number of derivatives by each input: (2, 0, 1) is xxt
Combination = tuple[tuple[float, Index], ...]  # sum_m c_m d^{a_m}, all of one order: the Laplacian is ((1, (2, 0)), (1, (0, 2)))
Kept = Index | Combination
Pair = tuple[int, int, float]  # places of two coefficients, factor of their product


@dataclass(frozen=True)
class Truncation:
    """The kept coefficients of a polynomial in the inputs: with each index all indices below it, the constant first.

        y = sum_a y_a h^a,   y_a = d^a y / a!
    A combination is kept as the single coefficient sum_m f_m y_{a_m}, f_m = c_m a_m! / (c_1 a_1!), with the indices strictly below its members.
    The members themselves are not kept, because no kept coefficient depends on them: a Laplacian costs one coefficient for any number of inputs.

    Args:
        indices: kept indices and combinations, in rising order; see `below`.
    """

    indices: tuple[Kept, ...]

    @staticmethod
    def below(wanted: Iterable[Kept]) -> Truncation:
        """Return the smallest truncation with these derivatives. Raises ValueError for none, or indices of different lengths."""
        wanted = set(wanted)
        if len({len(members(index)[0][1]) for index in wanted}) != 1:
            raise ValueError(f"partials: expected indices with one number per input, got {sorted(map(str, wanted))}")
        return _below(frozenset(wanted))

    @cached_property
    def orders(self) -> list[int]:
        """Order of each kept coefficient."""
        return [order_of(index) for index in self.indices]

    @property
    def order(self) -> int:
        """Highest order."""
        return max(self.orders)

    @cached_property
    def pairs(self) -> list[list[Pair]]:
        """For each coefficient a, the places of b and c with b + c = a, or a member of a, and a factor; neither b nor c is the constant."""
        return _pairs(self.indices)

    @cached_property
    def above(self) -> list[list[Pair]]:
        """`pairs` sorted by b: for each b, the places of a and c and the factor. The constant b = 0 has all other coefficients, with a = c."""
        table: list[list[Pair]] = [[(a, a, 1.0) for a in range(1, len(self.indices))], *([] for _ in self.indices[1:])]
        for a, own in enumerate(self.pairs):
            for b, c, factor in own:
                table[b].append((a, c, factor))
        return table

    @cached_property
    def shares(self) -> list[list[Pair]]:
        """`pairs` with factors times |b| / |a|, for Euler's theorem: |a| y_a = sum_b |b| z_b S_{a-b} for y = f(z) with the slope S."""
        return [[(b, c, factor * self.orders[b] / order) for b, c, factor in own] for own, order in zip(self.pairs, self.orders)]

    @cached_property
    def inner(self) -> int:
        """Number of leading coefficients that include all those on which others depend."""
        return 1 + max((c for own in self.pairs for _, c, _ in own), default=0)


def members(index: Kept) -> Combination:
    """Return the members of a combination; an index is a combination of one."""
    return index if isinstance(index[0], tuple) else ((1.0, index),)


def order_of(index: Kept) -> int:
    """Return the order of a derivative: the sum of its index."""
    return sum(members(index)[0][1])


@lru_cache(maxsize=64)
def _below(wanted: frozenset[Kept]) -> Truncation:
    plain = {index for top in wanted if not isinstance(top[0], tuple) for index in _box(top)}
    sums = [top for top in wanted if isinstance(top[0], tuple)]
    plain |= {index for top in sums for _, member in members(top) for index in _box(member) if index != member}
    plain = plain or {tuple(0 for _ in members(next(iter(wanted)))[0][1])}
    return Truncation((*sorted(plain, key=lambda index: (sum(index), tuple(-n for n in index))), *sorted(sums)))


def _box(top: Any) -> Iterable[Index]:
    return product(*(range(n + 1) for n in top))


def _pairs(indices: tuple[Kept, ...]) -> list[list[Pair]]:
    place = {index: i for i, index in enumerate(indices)}
    table = []
    for index in indices:
        own = []
        for factor, member in members(index):
            relative = factor * factorial(member) / scale(index) if isinstance(index[0], tuple) else 1.0
            inner = (b for b in _box(member) if any(b) and b != member)
            own += [(place[b], place[tuple(n - m for n, m in zip(member, b))], relative) for b in inner]
        table.append(own)
    return table


def factorial(index: Index) -> int:
    """Return a! = prod_i a_i!"""
    return math.prod(math.factorial(n) for n in index)


def scale(index: Kept) -> float:
    """Return the factor from a coefficient to its derivative: a!, or c_1 a_1! for a combination."""
    factor, member = members(index)[0]
    return factor * factorial(member)
