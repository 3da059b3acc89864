"""Weightings by the names that the literature gives them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from eddygrad.runtime.options import checked, parameters
from eddygrad.training.weighting.aggregated import Aggregated
from eddygrad.training.weighting.base import Weighting
from eddygrad.training.weighting.by_gradients import MGDA, GradientNorm, InverseDirichlet, MaxAverage, NeuralTangentKernel
from eddygrad.training.weighting.by_losses import ReLoBRaLo, SoftAdapt
from eddygrad.training.weighting.constant import Uniform
from eddygrad.training.weighting.fixed import Fixed
from eddygrad.training.weighting.learned import GradNorm, Homoscedastic, ResNorm

NAMES: Mapping[str, Callable[..., Any]] = {
    "uniform": Uniform,
    "inverse-dirichlet": InverseDirichlet,
    "max-average": MaxAverage,
    "mgda": MGDA,
    "epsilon-optimal": Fixed,
    "gradient-norm": GradientNorm,
    "ntk": NeuralTangentKernel,
    "gradnorm": GradNorm,
    "softadapt": SoftAdapt,
    "relobralo": ReLoBRaLo,
    "resnorm": ResNorm,
    "homoscedastic": Homoscedastic,
}


def weighting(
    name: str,
    options: Mapping[str, Any] | None = None,
    *,
    reference: str | Sequence[str] | None = None,
    every: int = 1,
    optimal: Mapping[str, float] | None = None,
) -> Any:
    """A weighting by name, as a problem wants it.

    Args:   options: of its class; `aggregate`, "ConFIG" say, hands the weighted gradients to that aggregator of torchjd's, see `Aggregated`.
            reference: the term whose weight is held at one, for those that have a reference. every: updates between looks at gradients.
            optimal: the weights of "epsilon-optimal".
    Raises: ValueError for an unknown name or option, and where optimal weights are not known.
    """
    if name not in NAMES:
        raise ValueError(f"weighting: expected one of {', '.join(NAMES)}, got {name!r}")
    kind, given = NAMES[name], dict(options or {})
    takes = parameters(kind)
    if name == "epsilon-optimal":
        if optimal is None:
            raise ValueError("weighting: epsilon-optimal needs a problem whose optimal weights are known; take inverse-dirichlet")
        given = {"weights": optimal, **given}
    given = checked(f"weighting: {name}", given, {**takes, "aggregate": str})
    aggregate = given.pop("aggregate", None)
    if "reference" in takes and reference is not None:
        given.setdefault("reference", reference)
    if name == "max-average" and "reference" not in given:
        raise ValueError('weighting: max-average needs a reference, the term whose weight is 1: weighting("max-average", reference="pde")')
    if isinstance(kind, type) and issubclass(kind, Weighting) and kind.looks_at != "losses":
        given.setdefault("every", every)
    made = kind(**given)
    return made if aggregate is None else Aggregated(aggregate, made)
