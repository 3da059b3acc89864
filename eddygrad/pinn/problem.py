"""A user's own problem: equations, a domain, what is known on its rim."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from eddygrad.correctors.seeded_network import seed_options
from eddygrad.pinn.adaptive_sampling import Resampled
from eddygrad.pinn.collocation import Collocation, PointBatches, Points, Term, misfit
from eddygrad.pinn.conditions import Condition, described, loss_of, points_of
from eddygrad.pinn.domains import Region, SpaceTime, mean_and_std
from eddygrad.pinn.network.coordinate_network import CoordinateNetwork
from eddygrad.pinn.network.hard_constraints import Constrained, Network, box_distance, box_extension
from eddygrad.pinn.partials import Names, Sum
from eddygrad.pinn.point_weights import PointWeights
from eddygrad.pinn.problem_checks import together, whole
from eddygrad.pinn.residual_functions import Residuals, asked, dependence, part
from eddygrad.runtime.code_digest import code_digest
from eddygrad.training.weighting.custom import known_as

_POOL = 4  # times as many points as are drawn
_OPTIONAL = ("ends", "fourier", "pointwise", "resample")  # described where they are given
Known = Callable[[Tensor], Any]  # points (N, inputs) -> (N,), (N, outputs) or name -> (N,)


@dataclass(frozen=True)
class Problem:
    """Equations on a domain, as a network of coordinates is trained to fulfil them.

        problem = eg.pinn.Problem(lambda d, p: {"pde": d.u_lap - f(d.x, d.y)}, domain=eg.pinn.Box(0, 1), boundary=exact)
        solution = eg.fit(problem, weighting="inverse-dirichlet", steps=10_000, seeds=3)
    Args:
        residuals: (d, p) -> name -> residual, by torch operations; d.u_xx, d.u_lap, d.x are partials and coordinates, p.k or p["k"] coefficients.
                   Which partials it reads is found by asking it once; a residual that has several components is a stack of them.
        domain:    where. Coordinates are x, y(, z) and, for a domain `over` a span of time, t; or as `inputs` says.
        boundary, initial: what is known on the rim and at the first moment: points -> values of the outputs, or a mapping of some of them; a number
                   for all of them.
        data:      points and values that were measured, as Points(x, {"u": values}).
        conditions: further ones by name, each a loss of its own: Points(domain.side("x", "upper", 100), {"u_x": 0.0}), fields or partials that are
                   known there, or a `Condition`, a relation of them.
        outputs:   names of the fields. derived: further ones as sums of partials. unknown: coefficients with their first values; `positive` ones
                   stay so.
        hard:      boundary values are built into the network; on a rectangle, for one field.
        periodic:  coordinate -> its period: fields and all their derivatives repeat, whatever the weights. Sides of a Box that are one and the same
                   then have no boundary values.
        begins:    term -> share of the training at which it joins; the optimiser then begins anew, for its memory is of other gradients.
        ends:      term -> share of the training at which it leaves.
        pointwise: term -> weights of its points: Causal, ResidualAttention, SelfAdaptive; a training works with copies.
        resample:  residual -> updates after which the points inside are drawn anew, by its size, from four times as many    Wu et al. 2023
        points:    inside. rim, start: on the rim and at the first moment. batch: of the points inside at an update; None: all.
        width, depth, activation, fourier, gain: of the network, see `CoordinateNetwork`. seed: of the points.
    Raises: ValueError for what does not fit together.
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

    def __post_init__(self) -> None:
        whole(self)
        count, timely = len(self.domain.bounds[0]), isinstance(self.domain, SpaceTime)
        if not self.inputs:
            object.__setattr__(self, "inputs", (*"xyz"[: count - timely], *(("t",) if timely else ())))
        together(self)

    @property
    def names(self) -> Names:
        return Names(self.inputs, self.outputs, dict(self.derived or {}))

    def terms(self, steps: int) -> dict[str, Term]:
        """By name, beginning in their time of `steps` updates. Raises ValueError for a term that so few leave out."""
        further = self.conditions or {}
        relations = [(what.relation, len(what.points)) for what in further.values() if isinstance(what, Condition)]
        called, read = asked(self.residuals, self.unknown or {}, self.names, relations)
        needs = dict.fromkeys(called, read)
        if self.begins or self.ends:  # else all of them are there all the time
            needs = dependence(self.residuals, self.unknown or {}, self.names, read)
        found = {name: Term("inside", part(self.residuals, name, needs[name], read), needs[name]) for name in called}
        for name, known, at in (("boundary", None if self.hard else self.boundary, "rim"), ("initial", self.initial, "start")):
            if known is not None:
                given = tuple(self.known(known, self.domain.interior(2, self.seed)))
                found[self._new(name, found)] = Term(at, misfit(*given), given)
        if self.data is not None:
            found[self._new("data", found)] = loss_of("data", self.data, self.names, {})
        for name, what in further.items():
            if name in (*found, "inside", "rim", "start"):
                raise ValueError(f"pinn: a condition is called {name!r}, as another term or its points are; call it otherwise")
            found[name] = loss_of(name, what, self.names, self.unknown or {})
        first, last, points = self.begins or {}, self.ends or {}, {name: deepcopy(rule) for name, rule in (self.pointwise or {}).items()}
        for name, term in found.items():
            begins, ends = round(first.get(name, 0.0) * steps), round(last[name] * steps) if name in last else None
            if steps > 1 and begins >= (steps if ends is None else ends):
                raise ValueError(f"pinn: of {steps} updates none has {name!r}; look at begins and ends")
            found[name] = replace(term, begins=begins, ends=ends, pointwise=points.get(name))
        return found

    @property
    def space(self) -> Region:
        return self.domain.base if isinstance(self.domain, SpaceTime) else self.domain

    @property
    def joined(self) -> list[int]:
        """Axes of space whose two ends are one and the same: a whole number of periods apart."""
        low, high = self.space.bounds
        found = []
        for axis, (name, a, b) in enumerate(zip(self.inputs, low, high)):
            periods = (b - a) / (self.periodic or {}).get(name, math.inf)
            if periods > 0.5 and abs(periods - round(periods)) < 1e-6:
                found.append(axis)
        return found

    def _rim(self) -> Tensor:
        """Points where boundary values are known: none on sides that are one and the same."""
        domain: Any = self.domain
        joined = self.joined
        return domain.rim(self.rim, self.seed, **({"axes": [i for i in range(len(self.inputs)) if i not in joined]} if joined else {}))

    def batches(self, objective: Collocation, dtype: torch.dtype, device: torch.device | str) -> Any:
        """The points of every update."""
        found: Any = PointBatches(self.sets(dtype), {} if self.batch is None else {"inside": self.batch})
        for name, every in (self.resample or {}).items():
            pool = Points(self.domain.interior(_POOL * self.points, self.seed).to(dtype))
            found = Resampled(found, objective, name, pool, self.points, every, seed=self.seed)
        return found.to(device)

    @staticmethod
    def _new(name: str, found: Mapping[str, Term]) -> str:
        if name in found:
            raise ValueError(f"pinn: a residual is called {name!r}, as the term of the {name} values is; call it otherwise")
        return name

    def known(self, known: Any, x: Tensor) -> dict[str, Tensor]:
        """What is known at points, by output."""
        values = known(x) if callable(known) else known
        if not isinstance(values, Mapping):
            rows = torch.as_tensor(values, dtype=torch.float64, device=x.device)
            rows = rows.expand(len(x), len(self.outputs)) if rows.ndim == 0 else rows.unsqueeze(-1) if rows.ndim == 1 else rows
            if rows.shape != (len(x), len(self.outputs)):
                raise ValueError(f"pinn: known values have the shape {tuple(rows.shape)}, expected a row of {', '.join(self.outputs)} for each point")
            values = dict(zip(self.outputs, rows.unbind(-1)))
        values = {name: torch.as_tensor(value, dtype=torch.float64, device=x.device) for name, value in values.items()}
        values = {name: value.expand(len(x)) if value.ndim == 0 else value for name, value in values.items()}
        for name, value in values.items():
            if name not in self.outputs or value.shape != (len(x),):
                raise ValueError(f"pinn: known values {name!r} of shape {tuple(value.shape)}; expected ({len(x)},) of {', '.join(self.outputs)}")
        return values

    def sets(self, dtype: torch.dtype) -> dict[str, Points]:
        """Points of every kind, with what is known there."""
        places = {"inside": self.domain.interior(self.points, self.seed)}
        if self.boundary is not None and not self.hard:
            places["rim"] = self._rim()
        if self.initial is not None and isinstance(self.domain, SpaceTime):
            places["start"] = self.domain.start(self.start, self.seed)
        known = {"rim": self.boundary, "start": self.initial}
        found = {}
        for name, x in places.items():
            values = {} if name == "inside" else self.known(known[name], x)
            found[name] = Points(x.to(dtype), {key: value.detach().to(dtype) for key, value in values.items()})
        for name, what in {**({} if self.data is None else {"data": self.data}), **(self.conditions or {})}.items():
            points = points_of(what)
            found[name] = replace(points, x=points.x.to(dtype), known={key: value.to(dtype) for key, value in points.known.items()})
        return found

    def described(self) -> dict[str, str]:
        """What distinguishes it from other problems, functions by their code and what it reads: for a folder that goes on."""
        functions = {"residuals": self.residuals, "boundary": self.boundary, "initial": self.initial}
        points = {name: (type(rule).__name__, rule.options) for name, rule in (self.pointwise or {}).items()}
        plain = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in {*functions, *_OPTIONAL, "data", "conditions"}}
        plain |= {name: value for name in ("ends", "fourier", "resample") if (value := getattr(self, name))}
        plain |= {"pointwise": points} if points else {}
        plain |= {"conditions": described(self.conditions)} if self.conditions else {}
        data = None if self.data is None else described({"data": self.data})["data"]
        codes = {name: code_digest(f) if callable(f) else f for name, f in functions.items() if f is not None}
        return {name: repr(value) for name, value in {**plain, **codes, "data": data}.items()} | {"domain": known_as(self.domain)}

    def network(self, seeds: int | Sequence[int], dtype: torch.dtype) -> Network:
        mean, std = mean_and_std(self.domain.interior(1000, self.seed))
        around = {self.inputs.index(name): length for name, length in (self.periodic or {}).items()}
        sizes = (len(self.inputs), self.width, self.depth, len(self.outputs))
        further: Any = {"mean": mean, "std": std, "periodic": around, "fourier": self.fourier, "gain": self.gain}
        inner = CoordinateNetwork(*sizes, self.activation, **seed_options(seeds), **further).to(dtype)
        if not self.hard:
            return inner
        low, high = self.domain.bounds

        def rim(x: Tensor) -> Tensor:
            return self.known(self.boundary, x.reshape(-1, x.shape[-1]))[self.outputs[0]].reshape(x.shape[:-1]).to(x)

        return Constrained(inner, box_distance(low, high), box_extension(rim, low, high))
