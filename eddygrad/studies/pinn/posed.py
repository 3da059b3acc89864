"""A user's own problem: equations, a domain, what is known on its rim; solved in one call."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from eddygrad.correctors.constrained import Constrained, Network, box_distance, box_extension
from eddygrad.correctors.coordinate import CoordinateNetwork
from eddygrad.solver.digest import code_digest
from eddygrad.solver.threads import threads as number_of_threads
from eddygrad.studies.pinn.solution import Solution
from eddygrad.studies.spelled import Spelled
from eddygrad.training import optimizers
from eddygrad.training.checkpoint import digest
from eddygrad.training.loop import fit as train
from eddygrad.training.objectives.domains import Box, Domain, SpaceTime, mean_and_std
from eddygrad.training.objectives.partials import Names, Sum, needed
from eddygrad.training.objectives.pointwise import PointWeights, Remembered
from eddygrad.training.objectives.resampled import Resampled
from eddygrad.training.objectives.residual import Batches, Points, Term, misfit
from eddygrad.training.objectives.residual import Problem as Objective
from eddygrad.training.polish import Polish
from eddygrad.training.schedule import Drops
from eddygrad.training.settings import Training
from eddygrad.training.weighting.named import weighting as weighting_named

_POOL = 4  # times as many points as are drawn
_OPTIONAL = ("ends", "pointwise", "resample")  # described where they are given
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
        boundary, initial: what is known on the rim and at the first moment: points -> values of the outputs, or a mapping of some of them.
        data:      points and values that were measured, as Points(x, {"u": values}).
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
        width, depth, activation: of the network. seed: of the points.
    Raises: ValueError for what does not fit together.
    """

    residuals: Callable[[Any, Any], Mapping[str, Tensor]]
    domain: Domain
    boundary: Known | None = None
    initial: Known | None = None
    data: Points | None = None
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
    seed: int = 0

    def __post_init__(self) -> None:
        count = len(self.domain.bounds[0])
        timely = isinstance(self.domain, SpaceTime)
        if not self.inputs:
            object.__setattr__(self, "inputs", (*"xyz"[: count - timely], *(("t",) if timely else ())))
        if len(self.inputs) != count:
            raise ValueError(f"pinn: the domain has {count} coordinates, got the names {', '.join(self.inputs)}")
        if self.initial is not None and not timely:
            raise ValueError("pinn: initial values need a domain with time; take domain.over(start, end)")
        if self.hard and not (isinstance(self.domain, Box) and count == 2 and self.boundary is not None):
            raise ValueError("pinn: hard boundary values are for a rectangle, a Box of two axes, with boundary=")
        self._check_periodic()
        terms = self.terms(1)
        for option in ("begins", "ends", "pointwise", "resample"):
            strangers = sorted(set(getattr(self, option) or {}) - set(terms))
            if strangers:
                raise ValueError(f"pinn: {option} names {strangers[0]!r}; the terms are {', '.join(terms)}")
        self._check_times(terms)
        self._check_resample(terms)

    @property
    def names(self) -> Names:
        return Names(self.inputs, self.outputs, dict(self.derived or {}))

    def terms(self, steps: int) -> dict[str, Term]:
        """By name, beginning in their time of `steps` updates."""
        coefficients = _Coefficients({name: torch.tensor(value, dtype=torch.float64) for name, value in (self.unknown or {}).items()})
        asked = needed(lambda d: self.residuals(d, coefficients), self.names)
        found = {name: Term("inside", _part(self.residuals, name), asked) for name in self.residuals(_Any(), coefficients)}
        for name, known, at in (("boundary", None if self.hard else self.boundary, "rim"), ("initial", self.initial, "start")):
            if known is not None:
                given = tuple(self.known(known, self.domain.interior(2, self.seed)))
                found[self._new(name, found)] = Term(at, misfit(*given), given)
        if self.data is not None:
            found[self._new("data", found)] = Term("data", misfit(*self.data.known), tuple(self.data.known))
        first, last, points = self.begins or {}, self.ends or {}, {name: deepcopy(rule) for name, rule in (self.pointwise or {}).items()}
        return {
            name: replace(
                t,
                begins=round(first.get(name, 0.0) * steps),
                ends=round(last[name] * steps) if name in last else None,
                pointwise=points.get(name),
            )
            for name, t in found.items()
        }

    def _check_periodic(self) -> None:
        strangers = sorted(set(self.periodic or {}) - set(self.inputs))
        if strangers:
            raise ValueError(f"pinn: periodic names {strangers[0]!r}; the coordinates are {', '.join(self.inputs)}")
        if self.hard and self.periodic:
            raise ValueError("pinn: hard boundary values do not repeat; leave out hard= or periodic=")
        if self._joined and not isinstance(self._space, Box):
            raise ValueError(f"pinn: {self.inputs[self._joined[0]]!r} repeats from side to side of a Box, the domain is {self._space!r}")
        if self.boundary is not None and isinstance(self._space, Box) and len(self._joined) == self._space.axes:
            raise ValueError("pinn: fields repeat from side to side along every axis, which leaves no rim for boundary=")

    @property
    def _space(self) -> Domain:
        return self.domain.base if isinstance(self.domain, SpaceTime) else self.domain

    @property
    def _joined(self) -> list[int]:
        """Axes of space whose two ends are one and the same: a whole number of periods apart."""
        low, high = self._space.bounds
        found = []
        for axis, (name, a, b) in enumerate(zip(self.inputs, low, high)):
            periods = (b - a) / (self.periodic or {}).get(name, math.inf)
            if periods > 0.5 and abs(periods - round(periods)) < 1e-6:
                found.append(axis)
        return found

    def _rim(self) -> Tensor:
        """Points where boundary values are known: none on sides that are one and the same."""
        domain: Any = self.domain
        joined = self._joined
        return domain.rim(self.rim, self.seed, **({"axes": [i for i in range(len(self.inputs)) if i not in joined]} if joined else {}))

    def _check_times(self, terms: Mapping[str, Term]) -> None:
        spans = {name: ((self.begins or {}).get(name, 0.0), (self.ends or {}).get(name, 1.0)) for name in terms}
        for name, (first, last) in spans.items():
            if not 0 <= first < last <= 1:
                raise ValueError(f"pinn: {name!r} is there from {first} to {last} of the training; expected shares with 0 <= begins < ends <= 1")
        for moment in sorted({0.0, *(last for _, last in spans.values())} - {1.0}):
            if not any(first <= moment < last for first, last in spans.values()):
                raise ValueError(f"pinn: no term is there at {moment} of the training; look at begins and ends")

    def _check_resample(self, terms: Mapping[str, Term]) -> None:
        asked = dict(self.resample or {})
        remembered = [name for name, rule in (self.pointwise or {}).items() if isinstance(rule, Remembered) and terms[name].at == "inside"]
        if asked and remembered:
            raise ValueError(f"pinn: the points of {remembered[0]!r} are remembered by their number; leave out pointwise= or resample=")
        if asked and (len(asked) > 1 or self.batch is not None or any(terms[name].at != "inside" for name in asked)):
            raise ValueError(f"pinn: resample draws all points inside by one residual, without batch=; got {asked} and batch={self.batch}")

    def batches(self, objective: Objective, dtype: torch.dtype, device: torch.device | str) -> Any:
        """The points of every update."""
        found: Any = Batches(self.sets(dtype), {} if self.batch is None else {"inside": self.batch}).to(device)
        for name, every in (self.resample or {}).items():
            pool = Points(self.domain.interior(_POOL * self.points, self.seed).to(device, dtype))
            found = Resampled(found, objective, name, pool, self.points, every, seed=self.seed)
        return found

    @staticmethod
    def _new(name: str, found: Mapping[str, Term]) -> str:
        if name in found:
            raise ValueError(f"pinn: a residual is called {name!r}, as the term of the {name} values is; call it otherwise")
        return name

    def known(self, known: Any, x: Tensor) -> dict[str, Tensor]:
        """What is known at points, by output."""
        values = known(x)
        if not isinstance(values, Mapping):
            rows = values.unsqueeze(-1) if values.ndim == 1 else values
            if rows.shape != (len(x), len(self.outputs)):
                raise ValueError(
                    f"pinn: known values have the shape {tuple(values.shape)}, expected a row of {', '.join(self.outputs)} for each point"
                )
            values = dict(zip(self.outputs, rows.unbind(-1)))
        for name, value in values.items():
            if name not in self.outputs or value.shape != (len(x),):
                raise ValueError(f"pinn: known values {name!r} of shape {tuple(value.shape)}; expected ({len(x)},) of {', '.join(self.outputs)}")
        return dict(values)

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
        if self.data is not None:
            found["data"] = Points(self.data.x.to(dtype), {key: value.to(dtype) for key, value in self.data.known.items()})
        return found

    def described(self) -> dict[str, str]:
        """What distinguishes it from other problems, functions by their code and what it reads: for a folder that goes on."""
        functions = {"residuals": self.residuals, "boundary": self.boundary, "initial": self.initial}
        points = {name: (type(rule).__name__, rule.options) for name, rule in (self.pointwise or {}).items()}
        plain = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in {*functions, *_OPTIONAL, "data"}}
        plain |= {name: value for name in ("ends", "resample") if (value := getattr(self, name))}
        plain |= {"pointwise": points} if points else {}
        data = None if self.data is None else {"x": digest(self.data.x), **{name: digest(value) for name, value in self.data.known.items()}}
        codes = {name: code_digest(function) for name, function in functions.items() if function is not None}
        return {name: repr(value) for name, value in {**plain, **codes, "data": data}.items()}

    def network(self, seeds: int | Sequence[int], dtype: torch.dtype) -> Network:
        mean, std = mean_and_std(self.domain.interior(1000, self.seed))
        around = {self.inputs.index(name): length for name, length in (self.periodic or {}).items()}
        inner = CoordinateNetwork(
            len(self.inputs), self.width, self.depth, len(self.outputs), self.activation, seeds, mean=mean, std=std, periodic=around
        ).to(dtype)  # fmt: skip
        if not self.hard:
            return inner
        low, high = self.domain.bounds
        if len(self.outputs) != 1:
            raise ValueError(f"pinn: hard boundary values are for one field, got {', '.join(self.outputs)}")

        def rim(x: Tensor) -> Tensor:
            values: Any = self.boundary(x)  # type: ignore[misc]
            return values[self.outputs[0]] if isinstance(values, Mapping) else values

        return Constrained(inner, box_distance(low, high), box_extension(rim, low, high))

    def solve(
        self,
        steps: int = 10_000,
        weighting: Any = "inverse-dirichlet",
        optimizer: str = "adam",
        lr: float | None = None,
        polish: int | None = None,
        select: Callable[[str], bool] | None = None,
        seeds: int | Sequence[int] | None = None,
        errors: Known | None = None,
        folder: str | Path | None = None,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        threads: int | None = 1,
        compiled: bool = False,
        progress: bool = True,
    ) -> Solution:
        """Train; a killed run goes on in `folder`, which takes no other problem, nor this one with other code in its functions.

        Args:   weighting: a name (see eddygrad info), with options as in "mgda:floor=1e-5", or a weighting; by name, the equation that joined last
                has the weight 1, or where none is there the first of the other terms. optimizer: a name likewise. lr: its rate,
                a tenth after half and three quarters of the steps. polish: the last updates by L-BFGS with all weights at rest, for one network and
                all points. select: of a parameter's name, such as "network.weights.2": does it count for the weighting? seeds: None for one
                network, a number or a sequence for a stack. errors: the exact solution, for an error on the way. compiled: loops are fused, see
                `CoordinateNetwork`.
        Raises: ValueError for an unknown name; FloatingPointError if a single run diverges.
        """
        if polish is not None and self.batch is not None:
            raise ValueError(f"pinn: polish searches along lines of one loss, got batches of {self.batch} points; leave out batch= or polish=")
        each: int | tuple[int, ...] = self.seed if seeds is None else tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds)
        objective = Objective(self.network(each, dtype), self.names, self.terms(steps), self.unknown, self.positive)
        held = tuple(sorted(objective.terms, key=lambda name: (objective.terms[name].at != "inside", -objective.terms[name].begins)))
        chosen: Any = weighting
        if isinstance(weighting, str):
            asked = Spelled.parse(weighting, "weighting")
            chosen = weighting_named(asked.name, asked.options, reference=held, every=5)
        spelled = Spelled.parse(optimizer, "optimizer")
        make, usual = optimizers.named(spelled.name, spelled.options)
        objective.compiled = compiled
        solution = Solution(self, objective.to(device))
        batches = self.batches(objective, dtype, device)
        every = max(1, steps // 100)
        training = Training(
            steps=steps,
            lr=usual if lr is None else lr,
            schedule=Drops(),
            optimizer=make,
            weighting=chosen,
            validate=None if errors is None else lambda module: solution.error(errors),
            validate_every=every,
            log_every=every,
            restarts=objective.joins,
            polish=None if polish is None else Polish(polish),
            select=select,
        )
        described = {
            **self.described(), "terms": list(objective.terms), "weighting": repr(chosen), "optimizer": optimizer, "lr": training.lr,
            "steps": steps, "seeds": str(each),
        }  # fmt: skip
        described |= {} if polish is None else {"polish": polish}
        described |= {} if select is None else {"select": code_digest(select)}
        with number_of_threads(threads):
            solution.fit = train(objective, objective.losses, batches, training, folder, progress=progress, title="pinn", description=described)
        return solution


def fit(what: Any, *args: Any, **options: Any) -> Any:
    """Train a composed stepper on data, or a network of coordinates on the equations of a `pinn.Problem`.

    Options and results: `studies.experiment.fit`, which returns a `Trained`; `pinn.Problem.solve`, which returns a `Solution`.
    """
    if isinstance(what, Problem):
        if args:
            raise ValueError("fit: a problem has its data in itself; pass options by name: eg.fit(problem, steps=10_000)")
        return what.solve(**options)
    from eddygrad.studies.experiment import fit as fit_stepper

    return fit_stepper(what, *args, **options)


class _Coefficients(dict[str, Tensor]):
    """p["k"] or p.k"""

    def __getattr__(self, name: str) -> Tensor:
        if name.startswith("_") or name not in self:
            raise AttributeError(f"pinn: no coefficient {name!r}, only {', '.join(self) or 'none'}; give its first value in unknown=")
        return self[name]


class _Any(dict[str, Tensor]):
    """Half for every partial, to find what a residual is called."""

    def __missing__(self, name: str) -> Tensor:
        return torch.full((2,), 0.5, dtype=torch.float64)

    def __getattr__(self, name: str) -> Tensor:
        if name.startswith("_"):
            raise AttributeError(name)
        return self[name]


def _part(residuals: Callable[[Any, Any], Mapping[str, Tensor]], name: str) -> Callable[[Any, Any], Tensor]:
    return lambda d, p: residuals(d, _Coefficients(p))[name]
