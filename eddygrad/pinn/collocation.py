"""Physics-informed losses: mean squares of residuals at collocation points, one loss per term."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from eddygrad.pinn.network.coordinate_network import CoordinateNetwork
from eddygrad.pinn.network.hard_constraints import FieldNetwork
from eddygrad.pinn.partials import Names, Partials, partials
from eddygrad.pinn.point_weights import Causal, PointWeights
from eddygrad.pinn.points import Points
from eddygrad.runtime.randomness import generator
from eddygrad.training.freezing import frozen
from eddygrad.training.protocols import Phases, Stateful

Coefficients = Mapping[str, Tensor]
Residual = Callable[[Partials, Coefficients], Tensor]
PLAUSIBLE_COMPONENTS = 3  # a residual with more components, and as many as points, comes from a broadcast by mistake


@dataclass(frozen=True)
class Term:
    """A loss: the mean over points of r^2, summed over the components of r. If its points have `parts`, the sum of the means over the parts.

    Args:
        at:        name of its set of points.
        residual:  function (partials, coefficients) -> r, ([S,] N), or (C, [S,] N) for C components.
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

    def active(self, step: int) -> bool:
        """Whether the term belongs to the loss at this update."""
        return self.begins <= step and (self.ends is None or step < self.ends)


def misfit(*fields: str) -> Residual:
    """Return the residual of known values: field minus known value, one component per field."""
    return lambda d, p: torch.stack([d[name] - d[f"known_{name}"] for name in fields])


class Collocation(nn.Module):
    """A coordinate network, the equations that it is trained to satisfy at collocation points, and their unknown coefficients.

        L_k = mean_i r_k(x_i)^2,   r_k from partials of the network at x_i; one pass of the network for each set of points

        problem = Collocation(network, Names(("x", "y"), ("u",)), {"pde": Term("interior", lambda d, p: d.u_xx + d.u_yy - f(d.x), ("u_xx", "u_yy"))})
        train(problem, problem.losses, PointBatches({"interior": Points(x)}), TrainingConfig(steps, weighting=InverseDirichlet("pde")))
    Weightings by gradients leave the coefficients out, see `excluded`.

    Args:
        network:  a `CoordinateNetwork` or `Constrained` network.
        names:    names of its inputs and outputs.
        terms:    terms of the loss by name.
        unknown:  unknown coefficients with their initial values.
        positive: names of the coefficients that stay positive; their logarithm is learned.
    Raises: ValueError for no terms, unknown names, or an initial value of a positive coefficient that is not above 0.
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
            raise ValueError("Collocation: expected at least one term, got none")
        for name in sorted(self.positive):
            if not unknown.get(name, 0.0) > 0:
                raise ValueError(f"Collocation: the positive coefficient {name!r} needs an initial value above 0, got {unknown.get(name)}")
        for term in terms.values():
            for need in term.needs:
                names.terms(need)
        self.network, self.names, self.terms = network, names, dict(terms)
        like = next(network.parameters())
        first = {name: torch.full((len(network.seeds),), value, dtype=torch.float64) for name, value in unknown.items()}
        self.unknown = nn.ParameterDict({n: nn.Parameter((v.log() if n in self.positive else v).to(like)) for n, v in first.items()})

    @property
    def seeds(self) -> tuple[int, ...] | None:
        """Seeds of a stack, or None for a single network."""
        return self.network.seeds if self.network.stacked else None

    @property
    def compiled(self) -> bool:
        """Whether the network's activations are compiled, see `CoordinateNetwork`; can be set."""
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
        """Updates at which a term joins, other than the first one.

        The gradient of the new term may be decades larger than those in Adam's memory: restart the optimiser then (`TrainingConfig.restarts`).
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
        """Return the losses of the active terms by name, () or (S,) each.

        Args:
            batch: number of the update, and sets of points by name.
        Raises: ValueError if the batch lacks the points of a term, or no term is trained at this update.
        """
        return {name: self._mean(residual, points, self.terms[name]) for name, (residual, points) in self.residuals(batch).items()}

    def probes(self, batch: tuple[int, Mapping[str, Points]], draw: int = 0) -> dict[str, Tensor]:
        """Return v . sqrt(w) r_k / sqrt(N) by term, with random signs v and point weights w, summed over the parts of its points; () or (S,) each.

        The expected square of its gradient is the trace of the neural tangent kernel. All seeds have the same signs.

        Args:
            batch: number of the update, and sets of points by name.
            draw:  number of the draw of signs.
        """
        purpose = f"/{draw}" if draw else ""
        probes = {}
        for name, (residual, points) in self.residuals(batch).items():
            shape = residual.shape[-1:] if residual.ndim == 1 + self.network.stacked else (len(residual), *[1] * self.network.stacked, len(points))
            signs = torch.randint(0, 2, shape, generator=generator(0, f"probe/{name}{purpose}", batch[0])).to(residual) * 2 - 1
            weighted = signs * residual * self._last_weights(residual, points, self.terms[name]).sqrt()
            parts = weighted.split(points.parts or len(points), -1)
            probes[name] = _per_seed(torch.stack([part.sum(-1) / part.shape[-1] ** 0.5 for part in parts]).sum(0), self.network.stacked)
        return probes

    def _last_weights(self, residual: Tensor, points: Points, term: Term) -> Tensor:
        """Return the point weights that the loss of this update used; one without point weights."""
        if term.pointwise is None:
            return residual.new_ones(())
        with frozen(term.pointwise):
            return term.pointwise.weights(_per_seed(residual.detach().square(), self.network.stacked, 1), points.x, points.numbers)

    def residuals(self, batch: tuple[int, Mapping[str, Points]]) -> dict[str, tuple[Tensor, Points]]:
        """Return r and its points by name of the active terms. Raises ValueError as `losses` does."""
        step, sets = batch
        active = {name: term for name, term in self.terms.items() if term.active(step)}
        if not active:
            raise ValueError(f"Collocation: no term is trained at update {step}; change `begins` or `ends`")
        missing = [term.at for term in active.values() if term.at not in sets]
        if missing:
            raise ValueError(f"Collocation: expected points {missing[0]!r}, the batch has {', '.join(sets)}")
        coefficients = self._per_point()
        places = dict.fromkeys(term.at for term in active.values())
        read = {at: self._partials(sets[at], [term.needs for term in active.values() if term.at == at]) for at in places}
        return {
            name: (self._checked(term.residual(read[term.at], coefficients), sets[term.at], name), sets[term.at]) for name, term in active.items()
        }

    def residual(self, name: str, points: Points) -> Tensor:
        """Return r of one term at any points: ([S,] N), or (C, [S,] N) with components."""
        term = self.terms[name]
        return self._checked(term.residual(self._partials(points, [term.needs]), self._per_point()), points, name)

    def mean_square(self, name: str, points: Points) -> Tensor:
        """Return the loss of one term at any points, without point weights; () or (S,)."""
        return self._mean(self.residual(name, points), points, replace(self.terms[name], pointwise=None))

    def _per_point(self) -> dict[str, Tensor]:
        """Return the coefficients with an axis for points, as a residual reads them."""
        return {name: value.unsqueeze(-1) if self.network.stacked else value[0] for name, value in self.values().items()}

    def _partials(self, points: Points, needs: Iterable[Iterable[str]]) -> Partials:
        """Return the needed partials and the known values at the points."""
        computed = partials(self.network, points.x, self.names, [name for own in needs for name in own])
        return Partials({**computed, **{f"known_{name}": value for name, value in points.known.items()}})

    def stateful(self) -> dict[str, Stateful]:
        """Return the point weights by term; their state belongs to a checkpoint."""
        return {name: term.pointwise for name, term in self.terms.items() if term.pointwise is not None}

    def _checked(self, residual: Tensor, points: Points, name: str) -> Tensor:
        """Return the residual. Raises ValueError for a shape that does not fit, or that comes from a broadcast by mistake."""
        lead = 1 if self.network.stacked else 0
        seeds = residual.shape[-2] if lead and residual.ndim > 1 else len(self.network.seeds)
        if residual.ndim not in (lead + 1, lead + 2) or residual.shape[-1] != len(points) or seeds != len(self.network.seeds):
            expected = (*[len(self.network.seeds)] * lead, len(points))
            raise ValueError(
                f"fit: the residual of {name!r} has the shape {tuple(residual.shape)}, expected {expected}, or a leading axis of components; "
                "compute it from partials of the network"
            )
        if residual.ndim == lead + 2 and len(residual) == len(points) > max(PLAUSIBLE_COMPONENTS, len(self.terms[name].needs)):
            raise ValueError(
                f"fit: the residual of {name!r} has as many components as points, {len(points)}: a column (N, 1) was broadcast with a row (N,); "
                "partials and coordinates are rows"
            )
        return residual

    def _mean(self, residual: Tensor, points: Points, term: Term) -> Tensor:
        square = _per_seed(residual.square(), self.network.stacked, 1)
        if isinstance(term.pointwise, Causal) and points.parts:
            raise ValueError(f"fit: the points of {term.at!r} have parts, the sides of a box; Causal needs points without parts")
        if term.pointwise is not None:
            square = term.pointwise.weights(square.detach(), points.x, points.numbers) * square
        means = [part.mean(-1) for part in square.split(points.parts, -1)] if points.parts else [square.mean(-1)]
        return torch.stack(means).sum(0) if len(means) > 1 else means[0]


def _per_seed(value: Tensor, stacked: bool, point_axes: int = 0) -> Tensor:
    """Return the sum over components, if the value has a leading axis of them before seeds and points."""
    return value.sum(0) if value.ndim > stacked + point_axes else value
