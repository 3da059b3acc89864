"""Partial derivatives by their names: "u_xxt" of a network's output u, "w_x" of a field made of others."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from eddygrad.pinn.network.hard_constraints import Network
from eddygrad.pinn.network.taylor import Combination, Index, Kept, Truncation

Sum = Sequence[tuple[float, str]]  # factors and names, e.g. ((1, "v_x"), (-1, "u_y"))
VORTICITY: Mapping[str, Sum] = {"w": ((1.0, "v_x"), (-1.0, "u_y"))}


@dataclass(frozen=True)
class Names:
    """What a network's inputs and outputs are called.

    A partial is a field and, behind "_", the inputs by which it is differentiated: "u_xxt". "lap" in their place is the Laplacian over those of x, y
    and z that there are, "w_laplap" its square.

    Args:   inputs: one letter each, ("x", "y", "t"). outputs: ("u", "v", "p"). derived: further fields as sums of partials of the outputs.
    Raises: ValueError for a name that stands twice, inputs longer than a letter, or a name with "_".
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    derived: Mapping[str, Sum] = field(default_factory=dict)

    def __post_init__(self) -> None:
        every = (*self.inputs, *self.outputs, *self.derived)
        if len(set(every)) != len(every) or any(len(name) != 1 for name in self.inputs) or any("_" in name for name in every):
            raise ValueError(f"names: expected inputs of one letter and fields without '_', no name twice, got {every}")

    def terms(self, name: str) -> list[tuple[float, str, Index]]:
        """A partial as a sum of factor, output and index. Raises ValueError for a field or an input that is not there."""
        base, _, by = name.partition("_")
        known = (*self.outputs, *self.derived)
        if by.startswith("lap"):
            space = [letter for letter in "xyz" if letter in self.inputs]
            if not space:
                raise ValueError(f"partials: {name!r} is a Laplacian by x, y and z, the inputs are {', '.join(self.inputs)}; name the derivatives")
            return [term for letter in space for term in self.terms(f"{base}_{by[3:]}{letter}{letter}")]
        if by.endswith("lap"):  # behind letters of a derived field
            return self.terms(f"{base}_lap{by[:-3]}")
        if base not in known or any(letter not in self.inputs for letter in by):
            raise ValueError(
                f"partials: {name!r} is none of {', '.join(known)} or their derivatives by {', '.join(self.inputs)}, such as {known[0]}_x"
            )
        if base in self.outputs:
            return [(1.0, base, tuple(by.count(letter) for letter in self.inputs))]
        found = []
        for factor, inner in self.derived[base]:
            inner_base, _, inner_by = inner.partition("_")
            found += [(factor * f, output, index) for f, output, index in self.terms(f"{inner_base}_{inner_by}{by}")]
        return found


class _Named:
    """What is read by name as an entry or as an attribute, d["u_xx"] or d.u_xx."""

    def __getitem__(self, name: str) -> Any:
        raise NotImplementedError

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self[name]
        except KeyError as missing:
            raise AttributeError(missing.args[0]) from None

    def replaced(self, **values: Any) -> Any:
        """These with others in the place of some: `equation.residual(d.replaced(u_t=0.0), p)` is that of a steady state."""
        return Replaced(self, values)


class Partials(_Named, Mapping[str, Tensor]):
    """Partials at points, d["u_xx"] or d.u_xx, and the coordinates themselves, d.x. Only those that were asked for are there."""

    def __init__(self, values: Mapping[str, Tensor]) -> None:
        self._values = dict(values)

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._values:
            raise KeyError(f"partials: {name!r} was not asked for, only {', '.join(self._values)}; name it in `needs`")
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


class Replaced(_Named):
    """Partials some of which were given and are not asked for."""

    def __init__(self, partials: Any, values: Mapping[str, Any]) -> None:
        self._partials, self._given = partials, dict(values)

    def __getitem__(self, name: str) -> Any:
        return self._given[name] if name in self._given else self._partials[name]


def partials(network: Network, points: Tensor, names: Names, needs: Iterable[str]) -> Partials:
    """The partials that an equation `needs`, in one pass of Taylor polynomials.

    Args:    points: (N, inputs), or (S, N, inputs), wherever they are; the partials are where the network is. needs: names such as "u", "v_xy",
             "w_xxxx"; coordinates are always there.
    Returns: each (N,), of a stack (S, N).
    Raises:  ValueError for a name that the network has not, or another number of inputs or outputs than `names`.
    """
    if (network.inputs, network.outputs) != (len(names.inputs), len(names.outputs)):
        got = f"{network.inputs} inputs and {network.outputs} outputs"
        raise ValueError(f"partials: a network of {names.inputs} to {names.outputs} expected, got {got}")
    like = next(network.parameters())
    if points.dtype != like.dtype:
        raise ValueError(f"partials: the network has {like.dtype}, the points {points.dtype}; take points.to({like.dtype}), or the network .double()")
    points = points.to(like.device)
    terms = _collapsed({name: names.terms(name) for name in dict.fromkeys(needs)})
    found = network.partials(points, {index: None for sums in terms.values() for _, _, index in sums}) if terms else {}
    values = {name: points[..., i] for i, name in enumerate(names.inputs)}
    for name, sums in terms.items():
        parts = [found[index][..., names.outputs.index(output)] for _, output, index in sums]
        total = parts[0] if sums[0][0] == 1 else sums[0][0] * parts[0]
        for (factor, _, _), part in zip(sums[1:], parts[1:]):
            total = torch.add(total, part, alpha=factor)
        values[name] = total
    return Partials(values)


def _collapsed(terms: Mapping[str, Sequence[tuple[float, str, Index]]]) -> dict[str, list[tuple[float, str, Kept]]]:
    """The same sums, where what nothing else needs of them is one combination per output: the polynomials then have fewer coefficients."""
    by_output: dict[str, dict[str, Combination]] = {}
    for name, sums in terms.items():
        own: dict[str, dict[Index, float]] = {}
        for factor, output, index in sums:
            own.setdefault(output, {})
            own[output][index] = own[output].get(index, 0.0) + factor
        by_output[name] = {output: _without_none(parts) for output, parts in own.items()}
    every = {combination for own in by_output.values() for combination in own.values()}
    alone = {c for c in every if len(c) > 1 and len({sum(index) for _, index in c}) == 1 and sum(c[0][1]) > 1}
    while True:  # one that shares a member with what stays apart, or with what lies below others, gains nothing
        kept = set(Truncation.below([*alone, *(index for c in every - alone for _, index in c)]).indices)
        wrong = {c for c in alone if any(index in kept for _, index in c)}
        if not wrong:
            break
        alone -= wrong
    whole: dict[str, list[tuple[float, str, Kept]]] = {}
    for name, outputs in by_output.items():
        whole[name] = []
        for output, c in outputs.items():
            whole[name] += [(1.0, output, c)] if c in alone else [(factor, output, index) for factor, index in c]
    return whole


def _without_none(parts: Mapping[Index, float]) -> Combination:
    """Factors and indices, the highest first, of what does not cancel; one at least."""
    found = [(factor, index) for index, factor in sorted(parts.items(), reverse=True)]
    return tuple(pair for pair in found if pair[0]) or (found[-1],)


class Asked(_Named):
    """Answers everything with rows of `count` numbers and remembers what was asked."""

    def __init__(self, count: int = 2) -> None:
        self.names: dict[str, Tensor] = {}
        self._row = torch.full((count,), 0.5, dtype=torch.float64)

    def __getitem__(self, name: str) -> Tensor:
        return self.names.setdefault(name, self._row.clone())

    def keys(self) -> Iterator[str]:
        raise ValueError(
            "partials: a residual reads them by name and cannot walk over them, as {**d} does; d.replaced(u_t=0.0) has others in the place of some"
        )

    def __iter__(self) -> Iterator[str]:
        return self.keys()

    def __contains__(self, name: object) -> bool:
        return bool(self.keys())


def needed(residual: Callable[[Any], Any], names: Names, known: Collection[str] = (), count: int = 2) -> tuple[str, ...]:
    """Which partials a function asks for, beside what is `known`, found by asking it once with numbers in their place, for `count` points.

    Raises: ValueError for one that `names` does not have.
    """
    asked = Asked(count)
    residual(asked)
    found = tuple(name for name in asked.names if name not in names.inputs and name not in known)
    for name in found:
        names.terms(name)
    return found
