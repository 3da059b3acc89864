"""Checks of a problem when it is posed: options of the wrong type, options that contradict each other, unknown terms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from torch import nn

from eddygrad.pinn.collocation import Term
from eddygrad.pinn.domains import Box, Region, SpaceTime
from eddygrad.pinn.point_weights import Causal, PointWeights, Remembered
from eddygrad.pinn.points import Points
from eddygrad.pinn.residual_functions import explain_torch_errors

if TYPE_CHECKING:
    from eddygrad.pinn.posed_problem import Problem


def check_types(problem: Problem) -> None:
    """Check domain, data and numbers by themselves. Raises ValueError."""
    if not isinstance(problem.domain, Region):
        expected = "a Box, Annulus, PolygonDomain or Region, such as eg.pinn.Box(0, 1), or one of them .over(start, end)"
        raise ValueError(f"pinn.Problem: domain expects {expected}, got {problem.domain!r}")
    if problem.data is not None and not (isinstance(problem.data, Points) and problem.data.known):
        raise ValueError('pinn.Problem: data expects Points(x, {"u": values}), points (N, inputs) with the values measured there')
    _check_counts(problem)
    _check_unknown(problem)
    _check_fourier(problem)


def check_options(problem: Problem) -> None:
    """Check options against the domain and against each other. Raises ValueError."""
    count, has_time = len(problem.domain.bounds[0]), isinstance(problem.domain, SpaceTime)
    if len(problem.inputs) != count:
        raise ValueError(f"pinn.Problem: the domain has {count} coordinates, got inputs {', '.join(problem.inputs)}")
    if problem.initial is not None and not has_time:
        raise ValueError("pinn.Problem: initial values need a domain with time; use domain.over(start, end)")
    _check_hard(problem)
    _check_periodic(problem)


def check_terms(problem: Problem, terms: Mapping[str, Term]) -> None:
    """Check options that refer to terms by name. Raises ValueError."""
    for option in ("begins", "ends", "pointwise", "resample"):
        unknown = sorted(set(getattr(problem, option) or {}) - set(terms))
        if unknown:
            raise ValueError(f"pinn.Problem: {option} names {unknown[0]!r}; the terms are {', '.join(terms)}")
    _check_times(problem, terms)
    _check_resample(problem, terms)
    for name, rule in (problem.pointwise or {}).items():
        if not isinstance(rule, PointWeights):
            raise ValueError(f"pinn.Problem: pointwise of {name!r} expects point weights such as SelfAdaptive(), got {rule!r}")
        if isinstance(rule, Causal):
            _check_causal(problem, name, rule)


def _check_hard(problem: Problem) -> None:
    """Built-in boundary values are differentiable values of one field on a rectangle."""
    if not problem.hard:
        return
    if not (isinstance(problem.domain, Box) and problem.domain.axes == 2 and problem.boundary is not None):
        raise ValueError("pinn.Problem: hard boundary values are for a rectangle: a Box with two axes, and boundary=")
    if len(problem.outputs) != 1:
        raise ValueError(f"pinn.Problem: hard boundary values are for one field, got outputs {', '.join(problem.outputs)}")
    with explain_torch_errors():
        given = problem.known(problem.boundary, problem.domain.rim(2, problem.seed).requires_grad_())
    if set(given) != set(problem.outputs):
        raise ValueError(f"pinn.Problem: hard boundary values must be those of {problem.outputs[0]!r}, got {', '.join(given) or 'none'}")


def _check_causal(problem: Problem, name: str, rule: Causal) -> None:
    (low, high), count = problem.domain.bounds, len(problem.inputs)
    if not 0 <= rule.axis < count:
        raise ValueError(
            f"pinn.Problem: pointwise of {name!r} has Causal(axis={rule.axis}), but there are {count} coordinates: {', '.join(problem.inputs)}"
        )
    time = count - 1 if isinstance(problem.domain, SpaceTime) else rule.axis
    span = low[time], high[time]
    if rule.axis != time or max(abs(a - b) for a, b in zip(span, rule.span)) > 1e-6 * (span[1] - span[0]):
        got = f"Causal(axis={rule.axis}, span={tuple(rule.span)})"
        raise ValueError(f"pinn.Problem: pointwise of {name!r} has {got}, which is not the domain's time; use Causal(axis={time}, span={span})")


def _check_counts(problem: Problem) -> None:
    for name in ("points", "rim", "start", "batch", "width", "depth"):
        value = getattr(problem, name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, Integral) or value < 1):
            raise ValueError(f"pinn.Problem: {name} expects a whole number of at least 1, got {value!r}")


def _check_unknown(problem: Problem) -> None:
    """Unknown coefficients have numbers and names that an `nn.ParameterDict` takes."""
    if isinstance(problem.positive, str):
        raise ValueError(f"pinn.Problem: positive expects a tuple of names, ({problem.positive!r},), got {problem.positive!r}")
    for name, initial in (problem.unknown or {}).items():
        if isinstance(initial, bool) or not isinstance(initial, int | float):
            raise ValueError(f"pinn.Problem: unknown expects an initial number for each coefficient, got {name!r}: {initial!r}")
        if not name or "." in name or name in dir(nn.ParameterDict()):
            raise ValueError(f"pinn.Problem: {name!r} cannot be the name of an unknown coefficient; use a name such as 'k'")
    for name in problem.positive:
        if not (problem.unknown or {}).get(name, 0.0) > 0:
            got = dict(problem.unknown or {})
            raise ValueError(f"pinn.Problem: the positive coefficient {name!r} needs an initial value above 0 in unknown=, got {got}")


def _check_fourier(problem: Problem) -> None:
    given: Any = problem.fourier
    if given is None:
        return
    pair = isinstance(given, Sequence) and len(given) == 2 and isinstance(given[0], Integral) and isinstance(given[1], Real)
    if not pair or given[0] < 1 or not given[1] > 0:
        raise ValueError(f"pinn.Problem: fourier expects (number of features, std of their frequencies), such as (64, 1.0), got {given!r}")
    if problem.periodic:
        raise ValueError("pinn.Problem: Fourier features are not periodic in the coordinates; leave out fourier= or periodic=")


def _check_periodic(problem: Problem) -> None:
    unknown = sorted(set(problem.periodic or {}) - set(problem.inputs))
    if unknown:
        raise ValueError(f"pinn.Problem: periodic names {unknown[0]!r}; the coordinates are {', '.join(problem.inputs)}")
    if problem.hard and problem.periodic:
        raise ValueError("pinn.Problem: hard boundary values are not periodic; leave out hard= or periodic=")
    for name, period in (problem.periodic or {}).items():
        if not period > 0:
            raise ValueError(f"pinn.Problem: periodic expects a period above 0 for each coordinate, got {name!r}: {period!r}")
    if problem.boundary is not None and problem.closed_axes and not isinstance(problem.space, Box):
        name = problem.inputs[problem.closed_axes[0]]
        raise ValueError(
            f"pinn.Problem: there are no boundary values where {name!r} repeats, and only a Box has sides with names; "
            "give the values of the other sides as conditions="
        )
    if problem.boundary is not None and isinstance(problem.space, Box) and len(problem.closed_axes) == problem.space.axes:
        raise ValueError("pinn.Problem: fields are periodic along every axis, which leaves no rim for boundary=")


def _check_times(problem: Problem, terms: Mapping[str, Term]) -> None:
    spans = {name: ((problem.begins or {}).get(name, 0.0), (problem.ends or {}).get(name, 1.0)) for name in terms}
    for name, (begin, end) in spans.items():
        if not 0 <= begin < end <= 1:
            raise ValueError(f"pinn.Problem: {name!r} is trained from share {begin} to {end}; expected shares with 0 <= begins < ends <= 1")
    for share in sorted({0.0, *(end for _, end in spans.values())} - {1.0}):
        if not any(begin <= share < end for begin, end in spans.values()):
            raise ValueError(f"pinn.Problem: no term is trained at share {share}; change begins= or ends=")


def _check_resample(problem: Problem, terms: Mapping[str, Term]) -> None:
    redrawn = dict(problem.resample or {})
    remembered = [name for name, rule in (problem.pointwise or {}).items() if isinstance(rule, Remembered) and terms[name].at == "inside"]
    if redrawn and remembered:
        raise ValueError(f"pinn.Problem: the weights of {remembered[0]!r} belong to fixed points; leave out pointwise= or resample=")
    elsewhere = [name for name in redrawn if terms[name].at != "inside"]
    if elsewhere:
        raise ValueError(f"pinn.Problem: resample redraws points inside, but the points of {elsewhere[0]!r} are not inside")
    if redrawn and (len(redrawn) > 1 or problem.batch is not None):
        raise ValueError(f"pinn.Problem: resample redraws all points inside by one residual, without batch=; got {redrawn} and batch={problem.batch}")
