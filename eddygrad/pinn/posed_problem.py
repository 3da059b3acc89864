"""A problem to solve: equations on a domain, and known values."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import InitVar, dataclass, field, fields, replace
from typing import Any

import torch
from torch import Tensor

from eddygrad.correctors.seeded_network import seed_options
from eddygrad.pinn.adaptive_sampling import Resampled
from eddygrad.pinn.collocation import Collocation, Term, misfit
from eddygrad.pinn.conditions import Condition, condition_term, described, points_of
from eddygrad.pinn.domains import Region, SpaceTime, mean_and_std
from eddygrad.pinn.network.coordinate_network import CoordinateNetwork
from eddygrad.pinn.network.hard_constraints import Constrained, FieldNetwork, box_distance, box_extension
from eddygrad.pinn.partials import Names, Sum
from eddygrad.pinn.point_weights import PointWeights
from eddygrad.pinn.points import PointBatches, Points
from eddygrad.pinn.problem_checks import check_options, check_terms, check_types
from eddygrad.pinn.problem_settings import Network as NetworkSettings
from eddygrad.pinn.problem_settings import Sampling, apply_groups
from eddygrad.pinn.residual_functions import Residuals, dependence, single_residual, trace_residuals
from eddygrad.runtime.code_digest import code_digest
from eddygrad.training.weighting.custom import known_as

_POOL_FACTOR = 4  # size of the pool over the number of points drawn from it, Wu et al. 2023
_DESCRIBED_IF_GIVEN = ("ends", "fourier", "pointwise", "resample")
Known = Callable[[Tensor], Any]  # points (N, inputs) -> (N,), (N, outputs) or name -> (N,)


@dataclass(frozen=True)
class Problem:
    """Equations on a domain, with what is known of their solution; `eg.fit` trains a network to satisfy them.

        problem = eg.pinn.Problem(lambda d, p: {"pde": d.u_lap - f(d.x, d.y)}, domain=eg.pinn.Box(0, 1), boundary=exact)
        solution = eg.fit(problem, weighting="inverse-dirichlet-held", steps=10_000, seeds=3)

    Options can be grouped: sampling=eg.pinn.Sampling(points=4000), network=eg.pinn.Network(width=100). Their short names below do the same.

    Args:
        residuals:  function (d, p) -> {name: residual} of torch operations. d.u_xx, d.u_lap, d.x are partial derivatives and coordinates, p.k or
                    p["k"] coefficients. It is called once to find the partials that it reads. Several components of a residual are stacked.
        domain:     a Box, Annulus, PolygonDomain or Region of your own, `.over(start, end)` for problems in time.
        boundary:   known values on the rim: a function points -> values of all outputs, or -> {output: values}; or one number for all.
        initial:    known values at the first time, as for `boundary`.
        data:       measured values, Points(x, {"u": values}).
        conditions: further conditions by name, each a loss of its own: Points(domain.side("x", "upper", 100), {"u_x": 0.0}) for known fields or
                    partials, or a `Condition` for a relation between them.
        inputs:     names of the coordinates; by default x, y, z, and t for time.
        outputs:    names of the fields.
        derived:    further fields as sums of partials.
        unknown:    unknown coefficients with their initial values.
        positive:   names of the unknown coefficients that stay positive.
        hard:       build the boundary values into the network; for one field on a rectangle.
        periodic:   coordinate -> period of all fields and derivatives, exact for any weights. Opposite sides of a Box that are a period apart
                    have no boundary values.
        begins:     term -> share of the training at which it joins. The optimiser then starts anew, because its memory belongs to other gradients.
        ends:       term -> share of the training at which it leaves.
        pointwise:  term -> weights of its points: Causal, ResidualAttention or SelfAdaptive; a training works with copies.
        resample:   residual -> number of updates after which the points inside are redrawn by its size from four times as many (Wu et al. 2023).
        points:     number of points inside.
        rim:        number of points on the rim.
        start:      number of points at the first time.
        batch:      number of points inside per update; None takes all.
        width, depth, activation, fourier, gain: of the network, see `CoordinateNetwork`.
        seed:       seed of the points, and of the network if `eg.fit` gets no seeds.
        sampling:   the options from `resample` to `batch` and `seed` in one object.
        network:    the options of the network in one object.
    Raises: ValueError for options that do not fit together.
    """

    residuals: Residuals
    domain: Region
    boundary: Known | float | None = None
    initial: Known | float | None = None
    data: Points | None = None
    conditions: Mapping[str, Points | Condition] | None = None
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ("u",)
    derived: Mapping[str, Sum] | None = None
    unknown: Mapping[str, float] | None = None
    positive: tuple[str, ...] = ()
    hard: bool = False
    periodic: Mapping[str, float] | None = None
    begins: Mapping[str, float] | None = None
    ends: Mapping[str, float] | None = None
    pointwise: Mapping[str, PointWeights] | None = None
    resample: Mapping[str, int] | None = None
    points: int = 2500
    rim: int = 400
    start: int = 400
    batch: int | None = None
    width: int = 50
    depth: int = 4
    activation: str = "tanh"
    fourier: tuple[int, float] | None = None
    gain: float = 1.0
    seed: int = 0
    sampling: InitVar[Sampling | None] = None
    network: InitVar[NetworkSettings | None] = None
    _terms: dict[str, Term] = field(init=False, repr=False, compare=False)  # without their times

    def __post_init__(self, sampling: Sampling | None, network: NetworkSettings | None) -> None:
        apply_groups(self, sampling=sampling, network=network)
        check_types(self)
        count, has_time = len(self.domain.bounds[0]), isinstance(self.domain, SpaceTime)
        if not self.inputs:
            object.__setattr__(self, "inputs", (*"xyz"[: count - has_time], *(("t",) if has_time else ())))
        check_options(self)
        object.__setattr__(self, "_terms", self._trace_terms())
        check_terms(self, self._terms)

    @property
    def names(self) -> Names:
        """Names of the inputs, outputs and derived fields."""
        return Names(self.inputs, self.outputs, dict(self.derived or {}))

    def terms(self, steps: int) -> dict[str, Term]:
        """Return the terms of the loss by name, each with its first and last update in a training of `steps` updates.

        Raises: ValueError if a term gets no update.
        """
        begins, ends = self.begins or {}, self.ends or {}
        terms = {}
        for name, term in self._terms.items():
            first, last = round(begins.get(name, 0.0) * steps), round(ends[name] * steps) if name in ends else None
            if steps > 1 and first >= (steps if last is None else last):
                raise ValueError(f"fit: the term {name!r} gets none of the {steps} updates; change begins= or ends= of the problem, or steps=")
            terms[name] = replace(term, begins=first, ends=last, pointwise=deepcopy((self.pointwise or {}).get(name)))
        return terms

    def _trace_terms(self) -> dict[str, Term]:
        """Call the residuals and conditions once to find their names and the partials that they read."""
        conditions = self.conditions or {}
        relations = [(given.relation, len(given.points)) for given in conditions.values() if isinstance(given, Condition)]
        residual_names, read = trace_residuals(self.residuals, self.unknown or {}, self.names, relations)
        needs = dict.fromkeys(residual_names, read)
        if self.begins or self.ends:  # otherwise all terms are always present and share their partials
            needs = dependence(self.residuals, self.unknown or {}, self.names, read)
        terms = {name: Term("inside", single_residual(self.residuals, name, needs[name], read), needs[name]) for name in residual_names}
        for name, known, at in (("boundary", None if self.hard else self.boundary, "rim"), ("initial", self.initial, "start")):
            if known is not None:
                outputs = tuple(self.known(known, self.domain.interior(2, self.seed)))
                terms[self._unused(name, terms)] = Term(at, misfit(*outputs), outputs)
        if self.data is not None:
            terms[self._unused("data", terms)] = condition_term("data", self.data, self.names, {})
        for name, given in conditions.items():
            if name in (*terms, "inside", "rim", "start"):
                raise ValueError(f"pinn.Problem: the condition {name!r} has the name of another term or of its points; rename it")
            terms[name] = condition_term(name, given, self.names, self.unknown or {})
        return terms

    @staticmethod
    def _unused(name: str, terms: Mapping[str, Term]) -> str:
        if name in terms:
            raise ValueError(f"pinn.Problem: a residual is called {name!r}, which is the name of the term of the {name} values; rename it")
        return name

    @property
    def space(self) -> Region:
        """The domain without time."""
        return self.domain.base if isinstance(self.domain, SpaceTime) else self.domain

    @property
    def closed_axes(self) -> list[int]:
        """Axes of space whose two ends coincide: they are a whole number of periods apart."""
        low, high = self.space.bounds
        closed = []
        for axis, (name, a, b) in enumerate(zip(self.inputs, low, high)):
            periods = (b - a) / (self.periodic or {}).get(name, math.inf)
            if periods > 0.5 and abs(periods - round(periods)) < 1e-6:
                closed.append(axis)
        return closed

    def _rim_points(self) -> Tensor:
        """Points with boundary values: all of the rim but the sides of closed axes."""
        domain: Any = self.domain
        closed = self.closed_axes
        return domain.rim(self.rim, self.seed, **({"axes": [i for i in range(len(self.inputs)) if i not in closed]} if closed else {}))

    def batches(self, objective: Collocation, dtype: torch.dtype, device: torch.device | str) -> PointBatches | Resampled:
        """Return the function that gives the points of every update.

        Args:
            objective: the module that is trained; its residual decides where points are redrawn.
            dtype:     precision of the points.
            device:    device of the points.
        """
        batches: PointBatches | Resampled = PointBatches(self.sets(dtype), {} if self.batch is None else {"inside": self.batch})
        for name, every in (self.resample or {}).items():
            pool = Points(self.domain.interior(_POOL_FACTOR * self.points, self.seed).to(dtype))
            batches = Resampled(batches, objective, name, pool, self.points, every, seed=self.seed)
        return batches.to(device)

    def known(self, known: Any, x: Tensor) -> dict[str, Tensor]:
        """Return known values at the points by output, (N,) each, in float64.

        Args:
            known: a function of the points or one number, as for `boundary`.
            x:     points (N, inputs).
        Raises: ValueError for values of another shape or of an unknown output.
        """
        values = known(x) if callable(known) else known
        if not isinstance(values, Mapping):
            rows = torch.as_tensor(values, dtype=torch.float64, device=x.device)
            rows = rows.expand(len(x), len(self.outputs)) if rows.ndim == 0 else rows.unsqueeze(-1) if rows.ndim == 1 else rows
            if rows.shape != (len(x), len(self.outputs)):
                expected = f"expected a row of {', '.join(self.outputs)} for each of the {len(x)} points"
                raise ValueError(f"pinn.Problem: known values have the shape {tuple(rows.shape)}, {expected}")
            values = dict(zip(self.outputs, rows.unbind(-1)))
        values = {name: torch.as_tensor(value, dtype=torch.float64, device=x.device) for name, value in values.items()}
        values = {name: value.expand(len(x)) if value.ndim == 0 else value for name, value in values.items()}
        for name, value in values.items():
            if name not in self.outputs or value.shape != (len(x),):
                expected = f"expected ({len(x)},) for some of {', '.join(self.outputs)}"
                raise ValueError(f"pinn.Problem: known values {name!r} have the shape {tuple(value.shape)}, {expected}")
        return values

    def sets(self, dtype: torch.dtype) -> dict[str, Points]:
        """Return the sets of points by name, with the known values there."""
        places = {"inside": self.domain.interior(self.points, self.seed)}
        if self.boundary is not None and not self.hard:
            places["rim"] = self._rim_points()
        if self.initial is not None and isinstance(self.domain, SpaceTime):
            places["start"] = self.domain.start(self.start, self.seed)
        known = {"rim": self.boundary, "start": self.initial}
        sets = {}
        for name, x in places.items():
            values = {} if name == "inside" else self.known(known[name], x)
            sets[name] = Points(x.to(dtype), {key: value.detach().to(dtype) for key, value in values.items()})
        for name, given in {**({} if self.data is None else {"data": self.data}), **(self.conditions or {})}.items():
            points = points_of(given)
            sets[name] = replace(points, x=points.x.to(dtype), known={key: value.to(dtype) for key, value in points.known.items()})
        return sets

    def described(self) -> dict[str, str]:
        """Return what identifies this problem, functions by a digest of their code and of what they read: a run's folder accepts no other."""
        functions = {"residuals": self.residuals, "boundary": self.boundary, "initial": self.initial}
        points = {name: (type(rule).__name__, rule.options) for name, rule in (self.pointwise or {}).items()}
        apart = {*functions, *_DESCRIBED_IF_GIVEN, "data", "conditions"}
        plain = {option.name: getattr(self, option.name) for option in fields(self) if option.init and option.name not in apart}
        plain |= {name: value for name in ("ends", "fourier", "resample") if (value := getattr(self, name))}
        plain |= {"pointwise": points} if points else {}
        plain |= {"conditions": described(self.conditions)} if self.conditions else {}
        data = None if self.data is None else described({"data": self.data})["data"]
        codes = {name: code_digest(f) if callable(f) else f for name, f in functions.items() if f is not None}
        return {name: repr(value) for name, value in {**plain, **codes, "data": data}.items()} | {"domain": known_as(self.domain)}

    def make_network(self, seeds: int | Sequence[int], dtype: torch.dtype) -> FieldNetwork:
        """Return a new network of this problem, standardised by points of the domain.

        Args:
            seeds: seed of one network, or seeds of a stack.
            dtype: precision of the weights.
        """
        mean, std = mean_and_std(self.domain.interior(1000, self.seed))
        periodic = {self.inputs.index(name): length for name, length in (self.periodic or {}).items()}
        sizes = (len(self.inputs), self.width, self.depth, len(self.outputs))
        options: Any = {"mean": mean, "std": std, "periodic": periodic, "fourier": self.fourier, "gain": self.gain}
        inner = CoordinateNetwork(*sizes, self.activation, **seed_options(seeds), **options).to(dtype)
        if not self.hard:
            return inner
        low, high = self.domain.bounds

        def on_rim(x: Tensor) -> Tensor:
            return self.known(self.boundary, x.reshape(-1, x.shape[-1]))[self.outputs[0]].reshape(x.shape[:-1]).to(x)

        return Constrained(inner, box_distance(low, high), box_extension(on_rim, low, high))
