"""Weightings by the names that the literature gives them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from eddygrad.runtime.options import checked, parameters
from eddygrad.runtime.specs import Registry
from eddygrad.training.weighting.aggregated import Aggregated
from eddygrad.training.weighting.averaged import AveragedWeighting
from eddygrad.training.weighting.base import Weighting
from eddygrad.training.weighting.by_gradients import MGDA, GradientNorm, InverseDirichlet, MaxAverage, NeuralTangentKernel
from eddygrad.training.weighting.by_losses import ReLoBRaLo, SoftAdapt
from eddygrad.training.weighting.constant import Fixed, Uniform
from eddygrad.training.weighting.custom import as_weighting
from eddygrad.training.weighting.learned import GradNorm, Homoscedastic, ResNorm

NAMES: Registry[type[Weighting]] = Registry(
    "weighting",
    {
        "uniform": Uniform,
        "inverse-dirichlet": InverseDirichlet,
        "inverse-dirichlet-held": InverseDirichlet,
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
    },
)
# Options of a name that differ from its class's defaults. The published average starts at weight 1: a weight needs 17 evaluations to fall from there
# to 1e-5, and an optimiser remembers the updates of the first ones: `corrected` averages without that start. Where a flat field solves the equation,
# the published rule takes the weights from the values that forbid it: `hold` keeps a weight at or above its first value.
_PRESET: Mapping[str, Mapping[str, Any]] = {"inverse-dirichlet-held": {"corrected": True, "hold": 1.0}}


def weighting(
    name: str,
    options: Mapping[str, Any] | None = None,
    *,
    reference: str | Sequence[str] | None = None,
    every: int = 1,
    optimal: Mapping[str, float] | None = None,
) -> Weighting:
    """Return a weighting by name, with defaults that fit a problem.

    Args:
        name:      one of `NAMES`: the published rule; "inverse-dirichlet-held" is inverse-Dirichlet with corrected=True, hold=1.0.
        options:   of its class; `aggregate`, e.g. "ConFIG", combines the weighted gradients by that aggregator of torchjd, see `Aggregated`.
        reference: term whose weight is held at one, for rules that have a reference.
        every:     updates between evaluations of a rule that needs gradients.
        optimal:   weights of "epsilon-optimal".
    Raises: ValueError for an unknown name or option, and where optimal weights are not known.
    """
    kind, given = NAMES.find(name), {**_PRESET.get(name, {}), **(options or {})}
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
    if issubclass(kind, AveragedWeighting) and kind.needs != "losses":
        given.setdefault("every", every)
    make: Callable[..., Weighting] = partial(kind, **given)
    return make() if aggregate is None else Aggregated(aggregate, make())


def find_weighting(value: Any, **defaults: Any) -> Weighting:
    """Return a weighting from its name with options, e.g. "mgda:floor=1e-5", from a weighting or from a function of losses.

    Args:
        value:    text, weighting or function.
        defaults: reference, every and optimal, see `weighting`; used with a name only.
    Raises: ValueError for an unknown name or option, or what is no weighting.
    """
    if isinstance(value, str):
        spec = NAMES.spec(value)
        return weighting(spec.name, spec.options, **defaults)
    if isinstance(value, type) or not callable(value):
        raise ValueError(f"weighting: expected a name, a weighting such as InverseDirichlet('pde') or a function of losses, got {value!r}")
    return as_weighting(value)
