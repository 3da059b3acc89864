"""Physical parameters of a scheme: names, values per sample, distinct rows."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

import torch
from torch import Tensor
from torch._C._functorch import is_functorch_wrapped_tensor
from torch.autograd.forward_ad import unpack_dual

from eddygrad.runtime.memory import ordinary_tensors
from eddygrad.solver.equations.equation import Equation
from eddygrad.solver.step import Params


def check_names(params: Params, equation: Equation, others_read: bool = False) -> None:
    """Check the names of parameters.

    Args:
        params:      parameters by name.
        equation:    equation that they are for.
        others_read: True if functions that read any parameter are involved, e.g. boundary values.
    Raises: ValueError for a misspelt name; for unknown names without any of the equation's own, unless `others_read`.
    """
    own = set(equation.parameters)
    known = sorted(own | {"length", "t0"})
    unknown = sorted(set(params) - set(known))
    for name in unknown:
        lower = {k.lower(): k for k in known}
        near = get_close_matches(name.lower(), lower, n=1, cutoff=0.8)
        if near:
            raise ValueError(f"params: {equation.name} has no {name!r}, got {sorted(params)}; did you mean {lower[near[0]]!r}?")
    if unknown and own and own.isdisjoint(params) and not others_read:
        raise ValueError(
            f"params: {equation.name} has {sorted(own)}, got {unknown}; rename it, or give {sorted(own)[0]!r} too if others need {unknown[0]!r}"
        )


def per_sample(name: str, value: Tensor | float, like: Tensor, ndim: int) -> Tensor:
    """Return a parameter as (1 or B or S B, *1) in float64 on the state's device.

    Args:
        name:  name of the parameter.
        value: a number, a tensor (batch, 1, *1), or with stacked seeds (seeds, batch or 1, 1, *1).
        like:  an example state (B, C, *grid).
        ndim:  number of grid axes.
    Raises: ValueError for another shape, a value that is not finite, a length that is not positive or a negative viscosity.
    """
    value = value if isinstance(value, Tensor) else torch.tensor(float(value), dtype=torch.float64)
    _check_values(name, value)
    value = value.to(like.device, torch.float64)
    if value.numel() == 1:
        return value.reshape(1, *[1] * ndim)
    if value.ndim < ndim + 2 or any(n != 1 for n in value.shape[-ndim - 1 :]):
        raise ValueError(f"params: {name!r} must be a number or (batch, {', '.join(['1'] * (ndim + 1))}), got {tuple(value.shape)}")
    if value.ndim == ndim + 3 and value.shape[1] == 1:  # one value per seed serves all of its samples
        value = value.expand(value.shape[0], like.shape[0], *value.shape[2:])
    return value.reshape(-1, *[1] * ndim)


def _check_values(name: str, value: Tensor) -> None:
    """Check the values; on an accelerator, where this waits for the device, only those of a length."""
    if (value.device.type != "cpu" and name != "length") or is_functorch_wrapped_tensor(value):
        return
    good = {"length": value > 0, "viscosity": value >= 0}.get(name, torch.isfinite(value)) & torch.isfinite(value)
    if not bool(good.all()):
        expected = {"length": "positive and finite", "viscosity": "finite and not negative"}.get(name, "finite")
        raise ValueError(f"params: {name!r} must be {expected}, got {value.detach()[~good].tolist()[:4]}")


def carries_gradient(value: Tensor) -> bool:
    """Return whether a value has a graph or a tangent, which cached coefficients would lose."""
    return value.requires_grad or is_functorch_wrapped_tensor(value) or unpack_dual(value).tangent is not None


def check_rows(values: Mapping[str, Tensor]) -> None:
    """Raise ValueError unless all parameters have the same number of rows, or one."""
    count = max((len(v) for v in values.values()), default=1)
    for name, value in values.items():
        if len(value) not in (1, count):
            raise ValueError(f"params: {name!r} has {len(value)} samples, others {count}; give a number or one value per sample")


def distinct_rows(values: Mapping[str, Tensor]) -> tuple[tuple[tuple[float, ...], ...], Tensor]:
    """Return the distinct rows of parameter values, and the index of each sample's row."""
    if not values:
        return ((),), torch.zeros(1, dtype=torch.long)
    columns = [v.detach().reshape(-1) for v in values.values()]
    count = max(len(c) for c in columns)
    if count == 1:
        return (tuple(float(c) for c in columns),), torch.zeros(1, dtype=torch.long)
    with ordinary_tensors():
        rows = torch.stack([c.expand(count) for c in columns], 1)
        distinct, index = torch.unique(rows, dim=0, return_inverse=True)
        return tuple(map(tuple, distinct.tolist())), index
