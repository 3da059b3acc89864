"""Partial derivatives by name: "u_xxt" of a network's output u, "w_x" of a derived field w."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from eddygrad.pinn.network.hard_constraints import FieldNetwork
from eddygrad.pinn.network.taylor import Combination, Index, Kept, Truncation

Sum = Sequence[tuple[float, str]]  # factors and names, e.g. ((1, "v_x"), (-1, "u_y"))
VORTICITY: Mapping[str, Sum] = {"w": ((1.0, "v_x"), (-1.0, "u_y"))}


@dataclass(frozen=True)
class Names:
    """Names of a network's inputs and outputs.

    The name of a partial is a field, "_" and the inputs by which it is differentiated: "u_xxt". "u_lap" is the Laplacian over the inputs among x, y
    and z, "u_laplap" the Laplacian of the Laplacian.

    Args:
        inputs:  one letter each, such as ("x", "y", "t").
        outputs: such as ("u", "v", "p").
        derived: further fields as sums of partials of the outputs, such as `VORTICITY`.
    Raises: ValueError for a repeated name, inputs longer than a letter, or a name with "_".
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    derived: Mapping[str, Sum] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = (*self.inputs, *self.outputs, *self.derived)
        if len(set(names)) != len(names) or any(len(name) != 1 for name in self.inputs) or any("_" in name for name in names):
            raise ValueError(f"pinn: expected inputs of one letter and fields without '_', no name twice, got {names}")

    def terms(self, name: str) -> list[tuple[float, str, Index]]:
        """Return a partial as a sum of (factor, output, index). Raises ValueError for an unknown field or input."""
        base, _, by = name.partition("_")
        known = (*self.outputs, *self.derived)
        if by.startswith("lap"):
            space = [letter for letter in "xyz" if letter in self.inputs]
            if not space:
                raise ValueError(f"partials: {name!r} needs an input x, y or z, got {', '.join(self.inputs)}; name the derivatives instead")
            return [term for letter in space for term in self.terms(f"{base}_{by[3:]}{letter}{letter}")]
        if by.endswith("lap"):  # a derived field puts its own letters first
            return self.terms(f"{base}_lap{by[:-3]}")
        if base not in known or any(letter not in self.inputs for letter in by):
            raise ValueError(
                f"partials: expected one of {', '.join(known)} or a derivative by {', '.join(self.inputs)}, such as {known[0]}_{self.inputs[0]}, "
                f"got {name!r}"
            )
        if base in self.outputs:
            return [(1.0, base, tuple(by.count(letter) for letter in self.inputs))]
        total = []
        for factor, inner in self.derived[base]:
            inner_base, _, inner_by = inner.partition("_")
            total += [(factor * f, output, index) for f, output, index in self.terms(f"{inner_base}_{inner_by}{by}")]
        return total


class _Named:
    """Base of values read by name, as an entry d["u_xx"] or an attribute d.u_xx."""

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
        """Return these partials with some values replaced: `equation.residual(d.replaced(u_t=0.0), p)` is the residual of a steady state."""
        return Replaced(self, values)


class Partials(_Named, Mapping[str, Tensor]):
    """Values of the requested partials at points, d["u_xx"] or d.u_xx, and of all coordinates, d.x."""

    def __init__(self, values: Mapping[str, Tensor]) -> None:
        self._values = dict(values)

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._values:
            raise KeyError(f"partials: {name!r} was not computed, only {', '.join(self._values)}; name it in `needs`")
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


class Replaced(_Named):
    """Partials with some values replaced; the replaced ones are not computed."""

    def __init__(self, partials: Any, values: Mapping[str, Any]) -> None:
        self._partials, self._given = partials, dict(values)

    def __getitem__(self, name: str) -> Any:
        return self._given[name] if name in self._given else self._partials[name]


def partials(network: FieldNetwork, points: Tensor, names: Names, needs: Iterable[str]) -> Partials:
    """Return partials of a network's fields, all in one pass of Taylor polynomials.

    Args:
        network: maps points to fields.
        points:  (N, inputs), or (S, N, inputs) for a stack; moved to the network's device.
        names:   names of the network's inputs and outputs.
        needs:   names of the partials, such as "u", "v_xy", "w_xxxx"; coordinates are always included.
    Returns: values of (N,) each, (S, N) for a stack.
    Raises:  ValueError for an unknown name, a network of other sizes than `names`, or points of another precision.
    """
    if (network.inputs, network.outputs) != (len(names.inputs), len(names.outputs)):
        got = f"{network.inputs} inputs and {network.outputs} outputs"
        raise ValueError(f"partials: expected a network from {names.inputs} to {names.outputs}, got {got}")
    like = next(network.parameters())
    if points.dtype != like.dtype:
        raise ValueError(f"partials: the network has {like.dtype}, the points {points.dtype}; use points.to({like.dtype})")
    points = points.to(like.device)
    terms = _collapsed({name: names.terms(name) for name in dict.fromkeys(needs)})
    computed = network.partials(points, {index: None for sums in terms.values() for _, _, index in sums}) if terms else {}
    values = {name: points[..., i] for i, name in enumerate(names.inputs)}
    for name, sums in terms.items():
        parts = [computed[index][..., names.outputs.index(output)] for _, output, index in sums]
        total = parts[0] if sums[0][0] == 1 else sums[0][0] * parts[0]
        for (factor, _, _), part in zip(sums[1:], parts[1:]):
            total = torch.add(total, part, alpha=factor)
        values[name] = total
    return Partials(values)


def _collapsed(terms: Mapping[str, Sequence[tuple[float, str, Index]]]) -> dict[str, list[tuple[float, str, Kept]]]:
    """Return the same sums, with derivatives that no other sum needs merged into a combination, so that polynomials have fewer coefficients."""
    by_output: dict[str, dict[str, Combination]] = {}
    for name, sums in terms.items():
        own: dict[str, dict[Index, float]] = {}
        for factor, output, index in sums:
            own.setdefault(output, {})
            own[output][index] = own[output].get(index, 0.0) + factor
        by_output[name] = {output: _without_cancelled(parts) for output, parts in own.items()}
    combinations = {combination for own in by_output.values() for combination in own.values()}
    merged = {c for c in combinations if len(c) > 1 and len({sum(index) for _, index in c}) == 1 and sum(c[0][1]) > 1}
    while True:  # merging saves nothing if a member is needed by itself or lies below another index
        kept = set(Truncation.below([*merged, *(index for c in combinations - merged for _, index in c)]).indices)
        useless = {c for c in merged if any(index in kept for _, index in c)}
        if not useless:
            break
        merged -= useless
    result: dict[str, list[tuple[float, str, Kept]]] = {}
    for name, outputs in by_output.items():
        result[name] = []
        for output, c in outputs.items():
            result[name] += [(1.0, output, c)] if c in merged else [(factor, output, index) for factor, index in c]
    return result


def _without_cancelled(parts: Mapping[Index, float]) -> Combination:
    """Return (factor, index) of the derivatives whose factors do not cancel, highest index first; at least one pair."""
    pairs = [(factor, index) for index, factor in sorted(parts.items(), reverse=True)]
    return tuple(pair for pair in pairs if pair[0]) or (pairs[-1],)


class Placeholders(_Named):
    """Placeholder partials: every name gives a row of `count` numbers and is remembered in `names`."""

    def __init__(self, count: int = 2) -> None:
        self.names: dict[str, Tensor] = {}
        self._row = torch.full((count,), 0.5, dtype=torch.float64)

    def __getitem__(self, name: str) -> Tensor:
        return self.names.setdefault(name, self._row.clone())

    def keys(self) -> Iterator[str]:
        """Refuse to iterate: every name exists here. Raises ValueError."""
        raise ValueError("partials cannot be iterated, as {**d} does; read them by name (d.u_x) or override some with d.replaced(u_t=0.0)")

    def __iter__(self) -> Iterator[str]:
        return self.keys()

    def __contains__(self, name: object) -> bool:
        return bool(self.keys())


def needed(residual: Callable[[Any], Any], names: Names, known: Collection[str] = (), count: int = 2) -> tuple[str, ...]:
    """Return the partials that a function reads, found by one call with placeholder numbers.

    Args:
        residual: function of partials.
        names:    names of fields and coordinates.
        known:    further names that are known values, not partials.
        count:    number of points in the call.
    Raises: ValueError for a partial that `names` does not have.
    """
    placeholders = Placeholders(count)
    residual(placeholders)
    read = tuple(name for name in placeholders.names if name not in names.inputs and name not in known)
    for name in read:
        names.terms(name)
    return read
