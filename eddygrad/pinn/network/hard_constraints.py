"""Networks that have given boundary values exactly, for any weights."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self

import torch
from torch import Tensor

from eddygrad.correctors.seeded_network import SeedNetwork, Seeds
from eddygrad.pinn.network.coordinate_network import CoordinateNetwork
from eddygrad.pinn.network.taylor import Index, Kept, Truncation, members, scale

Field = Callable[[Tensor], Tensor]  # points (.., N, inputs) -> (.., N) or (.., N, outputs)


class Constrained(SeedNetwork):
    """A network N with built-in boundary values:  y = g(x) + d(x) N(x)        [Lagaris, Likas, Fotiadis 1998]

    g has the values on the boundary, d vanishes there. Partials follow from the product rule on Taylor polynomials; those of g and d come from
    nested autograd in float64 and are cached for the last sets of points.

    Args:
        network:  N.
        distance: d, of torch operations: smooth and of one sign inside.
        values:   g, of torch operations; None for zero.
    Raises: ValueError, at the first evaluation, for a field that does not give one number per point, or one per output.
    """

    def __init__(self, network: CoordinateNetwork, distance: Field, values: Field | None = None) -> None:
        super().__init__(network.seeds[0], network.seeds if network.stacked else None)
        self.network, self.distance, self.values = network, distance, values
        self._known: list[tuple[weakref.ref[Tensor], int, Truncation, Tensor, Tensor]] = []  # g and d at the last sets of points

    @property
    def inputs(self) -> int:
        """Number of coordinates."""
        return self.network.inputs

    @property
    def outputs(self) -> int:
        """Number of fields."""
        return self.network.outputs

    def with_seeds(self, seeds: Seeds) -> Self:
        return type(self)(self.network.with_seeds(seeds), self.distance, self.values)

    def describe(self) -> dict[str, Any]:
        return {"name": type(self.network).__name__, "parameters": self.parameter_count()}

    def forward(self, x: Tensor) -> Tensor:
        none = (0,) * self.inputs
        return self.partials(x, [none])[none]

    def partials(self, x: Tensor, wanted: Iterable[Kept]) -> dict[Kept, Tensor]:
        """Return partial derivatives at the points, see `CoordinateNetwork.partials`."""
        wanted = list(dict.fromkeys(wanted))
        kept = Truncation.below(wanted)
        g, d = self._coefficients(x, kept)
        inner = self.network.partials(x, kept.indices)
        n = [inner[index] / scale(index) for index in kept.indices]
        partials = {}
        for index in wanted:
            a = kept.indices.index(index)
            y = torch.addcmul(g[a] + d[0] * n[a], d[a], n[0]) if a else g[0] + d[0] * n[0]
            for b, c, factor in kept.pairs[a]:
                y = torch.addcmul(y, d[b], n[c], value=factor)
            partials[index] = y * scale(index)
        return partials

    def _coefficients(self, x: Tensor, kept: Truncation) -> tuple[Tensor, Tensor]:
        """Return the Taylor coefficients of g and d at the points, (A, [S,] N, outputs or 1)."""
        version = -1 if x.is_inference() else x._version  # changes if the points are changed in place
        for points, known_version, truncation, g, d in self._known:
            if points() is x and known_version == version >= 0 and truncation == kept:
                return g, d
        g = x.new_zeros(len(kept.indices), *x.shape[:-1], 1) if self.values is None else taylor_of(self.values, x, kept)
        d = taylor_of(self.distance, x, kept)
        for field, name in ((g, "values"), (d, "distance")):
            if field.shape[-1] not in (1, self.outputs):
                expected = "one number" if self.outputs == 1 else f"1 or {self.outputs} numbers"
                raise ValueError(f"Constrained: {name} expects a function with {expected} per point, got {field.shape[-1]}")
        self._known = [*self._known[-7:], (weakref.ref(x), version, kept, g, d)]
        return g, d


FieldNetwork = CoordinateNetwork | Constrained


def taylor_of(field: Field, x: Tensor, kept: Truncation) -> Tensor:
    """Return the Taylor coefficients of a known field at points, by nested autograd in float64.

    Args:
        field: function of points, of torch operations.
        x:     points (.., N, inputs).
        kept:  truncation with A coefficients.
    Returns: (A, .., N, values), in the dtype of the points.
    Raises:  ValueError unless the field gives numbers for each point.
    """
    if x.ndim > 2:  # the field sees the points of all seeds as one list
        return taylor_of(field, x.flatten(0, -2), kept).unflatten(1, x.shape[:-1])
    points = x.detach().double().requires_grad_()
    with torch.enable_grad():
        value = field(points)
        value = value.unsqueeze(-1) if value.ndim == x.ndim - 1 else value
        if value.shape[:-1] != x.shape[:-1]:
            raise ValueError(
                f"Constrained: expected one number, or one per output, for each of the points {tuple(x.shape)}, got {tuple(value.shape)}"
            )
        all_members = {member for index in kept.indices for _, member in members(index)}
        zero = torch.zeros_like(points)
        known = [_partials_of(column, points, all_members, zero) for column in value.unbind(-1)]
    rows = []
    for index in kept.indices:
        columns = [torch.stack([factor * own[member] for factor, member in members(index)]).sum(0) for own in known]
        rows.append(torch.stack(columns, -1) / scale(index))
    return torch.stack(rows).detach().to(x)


def _partials_of(value: Tensor, points: Tensor, wanted: Iterable[Index], zero: Tensor) -> dict[Index, Tensor]:
    """Return partial derivatives of a value by index, each by differentiating the one of next lower order."""
    none = (0,) * points.shape[-1]
    computed: dict[Index, Tensor] = {none: value}

    def partial(index: Index) -> Tensor:
        if index not in computed:
            axis = max(i for i, n in enumerate(index) if n)
            below = partial(tuple(n - (i == axis) for i, n in enumerate(index)))
            slope = torch.autograd.grad(below.sum(), points, create_graph=True, allow_unused=True)[0] if below.requires_grad else None
            computed[index] = (zero if slope is None else slope)[..., axis]
        return computed[index]

    return {index: partial(index) for index in wanted}


def box_distance(lower: Sequence[float], upper: Sequence[float]) -> Field:
    """Return the field prod_i 4 (x_i - a_i) (b_i - x_i) / (b_i - a_i)^2, which is one at the centre of a box and zero on its sides."""

    def distance(x: Tensor) -> Tensor:
        parts = [4 * (x[..., i] - a) * (b - x[..., i]) / (b - a) ** 2 for i, (a, b) in enumerate(zip(lower, upper))]
        return math.prod(parts[1:], start=parts[0])

    return distance


def box_extension(values: Field, lower: Sequence[float], upper: Sequence[float]) -> Field:
    """Return a smooth field that has the values of another field on the sides of a rectangle        [Coons' patch, transfinite interpolation]

    The values on opposite sides are interpolated linearly along either axis; the bilinear interpolation of the corners, counted twice, is subtracted.

    Args:
        values: the other field, evaluated on the sides only.
        lower:  lower corner (x, y).
        upper:  upper corner (x, y).
    Raises: ValueError for a box that is no rectangle.
    """
    if len(lower) != 2:
        raise ValueError(f"box_extension: expected a rectangle with 2 axes, got {len(lower)} axes")

    def extension(x: Tensor) -> Tensor:
        share = [(x[..., i] - lower[i]) / (upper[i] - lower[i]) for i in range(2)]
        at = [[torch.full_like(x[..., i], end) for end in (lower[i], upper[i])] for i in range(2)]
        weight = [[1 - share[i], share[i]] for i in range(2)]
        total = torch.zeros_like(x[..., 0])
        for side in range(2):
            total = total + weight[0][side] * values(torch.stack([at[0][side], x[..., 1]], -1))
            total = total + weight[1][side] * values(torch.stack([x[..., 0], at[1][side]], -1))
            for other in range(2):
                total = total - weight[0][side] * weight[1][other] * values(torch.stack([at[0][side], at[1][other]], -1))
        return total

    return extension
