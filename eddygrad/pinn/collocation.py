"""Physics-informed losses at collocation points: mean squares of residuals by name, each for all or a part of the training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from eddygrad.pinn.network.coordinate_network import CoordinateNetwork
from eddygrad.pinn.network.hard_constraints import FieldNetwork
from eddygrad.pinn.partials import Names, Partials, partials
from eddygrad.pinn.point_weights import Causal, PointWeights
from eddygrad.runtime.randomness import generator
from eddygrad.training.freezing import frozen
from eddygrad.training.protocols import Phases, Stateful

Coefficients = Mapping[str, Tensor]
Residual = Callable[[Partials, Coefficients], Tensor]
FEW = 3  # components that a residual of as many points may have


@dataclass(frozen=True)
class Points:
    """Points of a loss, with known values there.

    Args:
        x:       (N, inputs), or (S, N, inputs) if each seed has its own.
        known:   name -> values (N,), (S, N) or one number, measured or prescribed; a residual reads them as d["known_u"].
        parts:   number of points on each side of a box, in order, if the loss is a sum of means over sides.
        numbers: numbers of the points in a larger set, (N,).
    Raises: ValueError for shapes that do not fit.
    """

    x: Tensor
    known: Mapping[str, Tensor] = field(default_factory=dict)
    parts: tuple[int, ...] = ()
    numbers: Tensor | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "x", torch.as_tensor(self.x))
        known = {name: torch.as_tensor(value) for name, value in self.known.items()}
        known = {name: value if value.ndim else value.repeat(self.x.shape[:-1]) for name, value in known.items()}
        object.__setattr__(self, "known", known)
        if self.x.ndim not in (2, 3) or not len(self):
            raise ValueError(f"points: expected ([seeds,] N, inputs), got {tuple(self.x.shape)}")
        wrong = [name for name, value in self.known.items() if value.shape not in (self.x.shape[:-1], self.x.shape[-2:-1])]
        if wrong:
            raise ValueError(f"points: {wrong[0]!r} has {tuple(self.known[wrong[0]].shape)} values, expected ({len(self)},), one a point")
        if self.parts and sum(self.parts) != len(self):
            raise ValueError(f"points: parts of {sum(self.parts)} points do not make {len(self)}")

    def __len__(self) -> int:
        return int(self.x.shape[-2]) if self.x.ndim > 1 else 0

    def to(self, device: torch.device | str) -> Points:
        """Return the points on a device."""
        return replace(self, x=self.x.to(device), known={name: value.to(device) for name, value in self.known.items()})

    def at(self, chosen: Tensor) -> Points:
        """Return the points with these numbers."""
        return Points(self.x[..., chosen, :], {name: value[..., chosen] for name, value in self.known.items()}, numbers=chosen)


@dataclass(frozen=True)
class Term:
    """A loss: the mean over points of r^2, summed over the components of r and, if its points have `parts`, over these.

    Args:
        at:        name of its set of points.
        residual:  function (partials, coefficients) -> r, (.., N), or (C, .., N) with components.
        needs:     partials that the residual reads.
        begins:    first update with this term.
        ends:      first update without this term again; None for none.
        pointwise: weights of the points within the mean.
    """

    at: str
    residual: Residual
    needs: tuple[str, ...]
    begins: int = 0
    ends: int | None = None
    pointwise: PointWeights | None = None

    def there(self, step: int) -> bool:
        return self.begins <= step and (self.ends is None or step < self.ends)


def misfit(*fields: str) -> Residual:
    """Return the residual of known values: field minus known value, one component per field."""
    return lambda d, p: torch.stack([d[name] - d[f"known_{name}"] for name in fields])


class Collocation(nn.Module):
    """A coordinate network that is trained to fulfil equations at points of collocation, and their unknown coefficients.

        L_k = mean_i r_k(x_i)^2,   r_k from partials of the network at x_i, all in one pass for each set of points

        problem = Collocation(network, Names(("x", "y"), ("u",)), {"pde": Term("interior", lambda d, p: d.u_xx + d.u_yy - f(d.x), ("u_xx", "u_yy"))})
        train(problem, problem.losses, PointBatches({"interior": Points(x)}), TrainingConfig(steps, weighting=InverseDirichlet("pde")))
    Coefficients do not count for weightings that look at gradients (`excluded`).

    Args:   network: see `CoordinateNetwork` and `Constrained`. names: of its inputs and outputs. terms: by name. unknown: coefficients with their
            first values; those of `positive` stay so, being learned by their logarithm.
    Raises: ValueError for no terms, names that the network has not, or a positive coefficient whose first value is not.
    """

    def __init__(
        self,
        network: FieldNetwork,
        names: Names,
        terms: Mapping[str, Term],
        unknown: Mapping[str, float] | None = None,
        positive: Iterable[str] = (),
    ) -> None:
        super().__init__()
        unknown, self.positive = dict(unknown or {}), frozenset(positive)
        if not terms:
            raise ValueError("problem: expected one term at least, got none")
        for name in sorted(self.positive):
            if not unknown.get(name, 0.0) > 0:
                raise ValueError(f"problem: the positive coefficient {name!r} begins at {unknown.get(name)}; give a value above 0")
        for term in terms.values():
            for need in term.needs:
                names.terms(need)
        self.network, self.names, self.terms = network, names, dict(terms)
        like = next(network.parameters())
        first = {name: torch.full((len(network.seeds),), value, dtype=torch.float64) for name, value in unknown.items()}
        self.unknown = nn.ParameterDict({n: nn.Parameter((v.log() if n in self.positive else v).to(like)) for n, v in first.items()})

    @property
    def seeds(self) -> tuple[int, ...] | None:
        return self.network.seeds if self.network.stacked else None

    @property
    def compiled(self) -> bool:
        """Whether the network's loops are compiled, see `CoordinateNetwork`; can be set."""
        return any(part.compiled for part in self.modules() if isinstance(part, CoordinateNetwork))

    @compiled.setter
    def compiled(self, value: bool) -> None:
        for part in self.modules():
            if isinstance(part, CoordinateNetwork):
                part.compiled = value

    def excluded(self) -> list[nn.Parameter]:
        """Return the unknown coefficients, which weightings leave out."""
        return list(self.unknown.values())

    def values(self) -> dict[str, Tensor]:
        """Return the current coefficients by name, (S,) each."""
        return {name: value.exp() if name in self.positive else value for name, value in self.unknown.items()}

    @property
    def joins(self) -> tuple[int, ...]:
        """Updates at which a term joins.

        Its gradient may be decades larger than those by which Adam is scaled: restart the optimiser there (`TrainingConfig.restarts`).
        """
        return tuple(sorted({term.begins for term in self.terms.values()} - {0}))

    @property
    def leaves(self) -> tuple[int, ...]:
        """Updates at which a term leaves."""
        return tuple(sorted({term.ends for term in self.terms.values() if term.ends is not None}))

    def phases(self) -> Phases:
        """Return the updates at which terms join and leave."""
        return Phases(self.joins, self.leaves)

    def losses(self, batch: tuple[int, Mapping[str, Points]]) -> dict[str, Tensor]:
        """Return the losses of the terms of this update by name, () or (S,) each.

        Raises: ValueError if the batch lacks the points of a term, or no term is trained at this update.
        """
        return {name: self._mean(residual, points, self.terms[name]) for name, (residual, points) in self.residuals(batch).items()}

    def probes(self, batch: tuple[int, Mapping[str, Points]], draw: int = 0) -> dict[str, Tensor]:
        """Return v . sqrt(w) r_k / sqrt(N) with random signs v, point weights w, summed over sides; () or (S,). Another `draw` has other signs.

        The expected square of the gradient is the trace of the neural tangent kernel. All seeds have the same signs.
        """
        purpose = f"/{draw}" if draw else ""
        found = {}
        for name, (residual, points) in self.residuals(batch).items():
            shape = residual.shape[-1:] if residual.ndim == 1 + self.network.stacked else (len(residual), *[1] * self.network.stacked, len(points))
            signs = torch.randint(0, 2, shape, generator=generator(0, f"probe/{name}{purpose}", batch[0])).to(residual) * 2 - 1
            weighted = signs * residual * self._weights_kept(residual, points, self.terms[name]).sqrt()
            sides = weighted.split(points.parts or len(points), -1)
            found[name] = _per_seed(torch.stack([side.sum(-1) / side.shape[-1] ** 0.5 for side in sides]).sum(0), self.network.stacked)
        return found

    def _weights_kept(self, residual: Tensor, points: Points, term: Term) -> Tensor:
        """Return the point weights that the loss of this update used; one without point weights."""
        if term.pointwise is None:
            return residual.new_ones(())
        with frozen(term.pointwise):
            return term.pointwise.weights(_per_seed(residual.detach().square(), self.network.stacked, 1), points.x, points.numbers)

    def residuals(self, batch: tuple[int, Mapping[str, Points]]) -> dict[str, tuple[Tensor, Points]]:
        """Return r and its points of the terms of this update by name. Raises ValueError as `losses` does."""
        step, sets = batch
        there = {name: term for name, term in self.terms.items() if term.there(step)}
        if not there:
            raise ValueError(f"problem: no term is there at update {step}; look at `begins` and `ends`")
        missing = [term.at for term in there.values() if term.at not in sets]
        if missing:
            raise ValueError(f"problem: expected points {missing[0]!r}, the batch has {', '.join(sets)}")
        column = self._column()
        read = {at: self._read(sets[at], [t.needs for t in there.values() if t.at == at]) for at in dict.fromkeys(t.at for t in there.values())}
        return {name: (self._checked(term.residual(read[term.at], column), sets[term.at], name), sets[term.at]) for name, term in there.items()}

    def residual(self, name: str, points: Points) -> Tensor:
        """Return r of one term at any points: (.., N), or (C, .., N) with components."""
        term = self.terms[name]
        return self._checked(term.residual(self._read(points, [term.needs]), self._column()), points, name)

    def mean_square(self, name: str, points: Points) -> Tensor:
        """Return the loss of one term at any points, without point weights; () or (S,)."""
        return self._mean(self.residual(name, points), points, replace(self.terms[name], pointwise=None))

    def _column(self) -> dict[str, Tensor]:
        """Return the coefficients with an axis for points, as a residual reads them."""
        return {name: value.unsqueeze(-1) if self.network.stacked else value[0] for name, value in self.values().items()}

    def _read(self, points: Points, needs: Iterable[Iterable[str]]) -> Partials:
        found = partials(self.network, points.x, self.names, [name for each in needs for name in each])
        return Partials({**found, **{f"known_{name}": value for name, value in points.known.items()}})

    def stateful(self) -> dict[str, Stateful]:
        """Return the point weights by term; their state belongs to a checkpoint."""
        return {name: term.pointwise for name, term in self.terms.items() if term.pointwise is not None}

    def _checked(self, residual: Tensor, points: Points, name: str) -> Tensor:
        lead = 1 if self.network.stacked else 0
        seeds = residual.shape[-2] if lead and residual.ndim > 1 else len(self.network.seeds)
        if residual.ndim not in (lead + 1, lead + 2) or residual.shape[-1] != len(points) or seeds != len(self.network.seeds):
            expected = (*[len(self.network.seeds)] * lead, len(points))
            raise ValueError(
                f"problem: the residual of {name!r} has the shape {tuple(residual.shape)}, expected {expected}, or components in front of it; "
                "is it made of partials of the network?"
            )
        if residual.ndim == lead + 2 and len(residual) == len(points) > max(FEW, len(self.terms[name].needs)):
            raise ValueError(
                f"problem: the residual of {name!r} has as many components as points, {len(points)}: a column (N, 1) was broadcast with a row (N,); "
                "partials and coordinates are rows"
            )
        return residual

    def _mean(self, residual: Tensor, points: Points, term: Term) -> Tensor:
        square = _per_seed(residual.square(), self.network.stacked, 1)
        if isinstance(term.pointwise, Causal) and points.parts:
            raise ValueError(f"problem: the points of {term.at!r} have parts, sides of a box; Causal goes over chunks of time, not over sides")
        if term.pointwise is not None:
            square = term.pointwise.weights(square.detach(), points.x, points.numbers) * square
        means = [part.mean(-1) for part in square.split(points.parts, -1)] if points.parts else [square.mean(-1)]
        return torch.stack(means).sum(0) if len(means) > 1 else means[0]


def _per_seed(value: Tensor, stacked: bool, points: int = 0) -> Tensor:
    """Sum over components, if there is an axis of them before seeds and points."""
    return value.sum(0) if value.ndim > stacked + points else value


@dataclass(frozen=True)
class PointBatches:
    """Batches of points: each set as a whole, or in parts without repetition within an epoch; an incomplete last part is dropped.

    Args:
        sets:  sets of points by name.
        sizes: points per update; sets not named are taken as a whole.
        seed:  seed of the shuffles.
    Raises: ValueError for a size larger than its set, or of a set with parts.
    """

    sets: Mapping[str, Points]
    sizes: Mapping[str, int] = field(default_factory=dict)
    seed: int = 0
    _orders: dict[str, tuple[int, Tensor]] = field(default_factory=dict, init=False, repr=False, compare=False)  # of the last epoch asked for

    def __post_init__(self) -> None:
        for name, size in self.sizes.items():
            if name not in self.sets or not 1 <= size <= len(self.sets[name]) or self.sets[name].parts:
                have = len(self.sets[name]) if name in self.sets else 0
                raise ValueError(f"batches: {size} points of {name!r}, which has {have}; a set with parts is taken whole")

    def to(self, device: torch.device | str) -> PointBatches:
        """Return the batches on a device; the drawn points do not depend on it."""
        return replace(self, sets={name: points.to(device) for name, points in self.sets.items()})

    def __call__(self, step: int, horizon: int = 1) -> tuple[int, dict[str, Points]]:
        """Return the update and its points by name, which depend on (seed, step) alone."""
        return step, {name: self._drawn(name, points, step) for name, points in self.sets.items()}

    def _drawn(self, name: str, points: Points, step: int) -> Points:
        size: Any = self.sizes.get(name)
        if size is None or size == len(points):
            return points
        epoch, place = divmod(step, len(points) // size)
        if self._orders.get(name, (-1, None))[0] != epoch:
            order = torch.randperm(len(points), generator=generator(self.seed, f"points/{name}", epoch))
            self._orders[name] = epoch, order.to(points.x.device)
        return points.at(self._orders[name][1][place * size : (place + 1) * size])
