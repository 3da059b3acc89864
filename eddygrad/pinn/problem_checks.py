"""What does not fit together in a posed problem is said, in one line, when it is posed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from torch import nn

from eddygrad.pinn.collocation import Points, Term
from eddygrad.pinn.domains import Box, Region, SpaceTime
from eddygrad.pinn.point_weights import Causal, PointWeights, Remembered
from eddygrad.pinn.residual_functions import hinted

if TYPE_CHECKING:
    from eddygrad.pinn.problem import Problem


def whole(problem: Problem) -> None:
    """What is needed before anything can be asked of it. Raises ValueError for what is no domain, no data, no number."""
    if not isinstance(problem.domain, Region):
        raise ValueError(f"pinn: domain is a Box, an Annulus, a PolygonDomain, or one of them over a time, Box(0, 1) say, got {problem.domain!r}")
    if problem.data is not None and not (isinstance(problem.data, Points) and problem.data.known):
        raise ValueError('pinn: data is Points(x, {"u": values}), points (N, inputs) with what was measured there')
    _numbers(problem)
    _fourier(problem)


def together(problem: Problem) -> None:
    """Raises ValueError for options that contradict each other, the domain, or the terms that there are."""
    count, timely = len(problem.domain.bounds[0]), isinstance(problem.domain, SpaceTime)
    if len(problem.inputs) != count:
        raise ValueError(f"pinn: the domain has {count} coordinates, got the names {', '.join(problem.inputs)}")
    if problem.initial is not None and not timely:
        raise ValueError("pinn: initial values need a domain with time; take domain.over(start, end)")
    _hard(problem)
    _periodic(problem)
    terms = problem.terms(1)
    for option in ("begins", "ends", "pointwise", "resample"):
        strangers = sorted(set(getattr(problem, option) or {}) - set(terms))
        if strangers:
            raise ValueError(f"pinn: {option} names {strangers[0]!r}; the terms are {', '.join(terms)}")
    _times(problem, terms)
    _resample(problem, terms)
    for name, rule in (problem.pointwise or {}).items():
        if not isinstance(rule, PointWeights):
            raise ValueError(f"pinn: pointwise of {name!r} is weights of points, SelfAdaptive() say, got {rule!r}")
        if isinstance(rule, Causal):
            _causal(problem, name, rule)


def _hard(problem: Problem) -> None:
    """Values that can be built in: of one field, differentiable, on a rectangle."""
    if not problem.hard:
        return
    if not (isinstance(problem.domain, Box) and problem.domain.axes == 2 and problem.boundary is not None):
        raise ValueError("pinn: hard boundary values are for a rectangle, a Box of two axes, with boundary=")
    if len(problem.outputs) != 1:
        raise ValueError(f"pinn: hard boundary values are for one field, got {', '.join(problem.outputs)}")
    with hinted():
        given = problem.known(problem.boundary, problem.domain.rim(2, problem.seed).requires_grad_())
    if set(given) != set(problem.outputs):
        raise ValueError(f"pinn: hard boundary values are those of {problem.outputs[0]!r}, got {', '.join(given) or 'none'}")


def _causal(problem: Problem, name: str, rule: Causal) -> None:
    (low, high), count = problem.domain.bounds, len(problem.inputs)
    if not 0 <= rule.axis < count:
        raise ValueError(f"pinn: Causal(axis={rule.axis}) of {name!r}, but there are {count} coordinates: {', '.join(problem.inputs)}")
    time = count - 1 if isinstance(problem.domain, SpaceTime) else rule.axis
    span = low[time], high[time]
    if rule.axis != time or max(abs(a - b) for a, b in zip(span, rule.span)) > 1e-6 * (span[1] - span[0]):
        got = f"Causal(axis={rule.axis}, span={tuple(rule.span)})"
        raise ValueError(f"pinn: {got} of {name!r} does not go through the domain's time; take Causal(axis={time}, span={span})")


def _numbers(problem: Problem) -> None:
    for name in ("points", "rim", "start", "batch", "width", "depth"):
        value = getattr(problem, name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, Integral) or value < 1):
            raise ValueError(f"pinn: {name} is a whole number of at least 1, got {value!r}")
    if isinstance(problem.positive, str):
        raise ValueError(f"pinn: positive is a tuple of names, ({problem.positive!r},), got {problem.positive!r}")
    for name, first in (problem.unknown or {}).items():
        if isinstance(first, bool) or not isinstance(first, int | float):
            raise ValueError(f"pinn: unknown gives each coefficient its first value, a number; {name!r} has {first!r}")
        if not name or "." in name or hasattr(nn.ParameterDict(), name):
            raise ValueError(f"pinn: no coefficient can be called {name!r}; take a name such as 'k'")
    for name in problem.positive:
        if not (problem.unknown or {}).get(name, 0.0) > 0:
            raise ValueError(f"pinn: {name!r} is positive; give its first value, above 0, in unknown=, got {dict(problem.unknown or {})}")


def _fourier(problem: Problem) -> None:
    given: Any = problem.fourier
    if given is None:
        return
    pair = isinstance(given, Sequence) and len(given) == 2 and isinstance(given[0], Integral) and isinstance(given[1], Real)
    if not pair or given[0] < 1 or not given[1] > 0:
        raise ValueError(f"pinn: fourier is how many features and the spread of their frequencies, (64, 1.0) say, got {given!r}")
    if problem.periodic:
        raise ValueError("pinn: Fourier features do not repeat with the coordinates; leave out fourier= or periodic=")


def _periodic(problem: Problem) -> None:
    strangers = sorted(set(problem.periodic or {}) - set(problem.inputs))
    if strangers:
        raise ValueError(f"pinn: periodic names {strangers[0]!r}; the coordinates are {', '.join(problem.inputs)}")
    if problem.hard and problem.periodic:
        raise ValueError("pinn: hard boundary values do not repeat; leave out hard= or periodic=")
    for name, length in (problem.periodic or {}).items():
        if not length > 0:
            raise ValueError(f"pinn: periodic gives the length above 0 after which fields repeat; {name!r} has {length!r}")
    if problem.boundary is not None and problem.joined and not isinstance(problem.space, Box):
        name = problem.inputs[problem.joined[0]]
        raise ValueError(
            f"pinn: where {name!r} repeats there are no boundary values, and only a Box tells its sides apart; "
            "give values of the others as conditions="
        )
    if problem.boundary is not None and isinstance(problem.space, Box) and len(problem.joined) == problem.space.axes:
        raise ValueError("pinn: fields repeat from side to side along every axis, which leaves no rim for boundary=")


def _times(problem: Problem, terms: Mapping[str, Term]) -> None:
    spans = {name: ((problem.begins or {}).get(name, 0.0), (problem.ends or {}).get(name, 1.0)) for name in terms}
    for name, (first, last) in spans.items():
        if not 0 <= first < last <= 1:
            raise ValueError(f"pinn: {name!r} is there from {first} to {last} of the training; expected shares with 0 <= begins < ends <= 1")
    for moment in sorted({0.0, *(last for _, last in spans.values())} - {1.0}):
        if not any(first <= moment < last for first, last in spans.values()):
            raise ValueError(f"pinn: no term is there at {moment} of the training; look at begins and ends")


def _resample(problem: Problem, terms: Mapping[str, Term]) -> None:
    drawn = dict(problem.resample or {})
    remembered = [name for name, rule in (problem.pointwise or {}).items() if isinstance(rule, Remembered) and terms[name].at == "inside"]
    if drawn and remembered:
        raise ValueError(f"pinn: the points of {remembered[0]!r} are remembered by their number; leave out pointwise= or resample=")
    elsewhere = [name for name in drawn if terms[name].at != "inside"]
    if elsewhere:
        raise ValueError(f"pinn: resample draws points inside, those of {elsewhere[0]!r} lie elsewhere")
    if drawn and (len(drawn) > 1 or problem.batch is not None):
        raise ValueError(f"pinn: resample draws all points inside by one residual, without batch=; got {drawn} and batch={problem.batch}")
