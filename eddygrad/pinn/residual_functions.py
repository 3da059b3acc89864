"""Residual functions of a user: find their names, the partials they read and the coefficients they depend on by calling them once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from eddygrad.pinn.partials import Names, Partials, Placeholders, needed

_TRIAL_VALUES = (math.nan, -7.3, 0.0, 1.9, 1e4, -1e4)  # NaN changes no comparison d.u > 0; the other values change most of them
Residuals = Callable[[Any, Any], Mapping[str, Tensor]]
_HINTS = {  # text in an error of torch -> what to write instead
    "converted to Python scalars": "residuals need functions of torch, torch.sin(d.x) instead of math.sin(d.x), because d.x contains all points",
    "does not require grad": "read derivatives by their names, d.u_xx, instead of calling torch.autograd.grad",
    "Can't call numpy()": "boundary values with hard=True need functions of torch, torch.sin(x[:, 0]), because they are differentiated",
}


class NoCoefficient(ValueError, KeyError, AttributeError):
    """A residual reads an unknown coefficient. One error for entries, attributes, `get` and `hasattr`."""

    __str__ = ValueError.__str__


class Coefficients(Mapping[str, Tensor]):
    """Coefficients by name, as entry p["k"] or attribute p.k."""

    def __init__(self, values: Mapping[str, Tensor]) -> None:
        self._values = dict(values)

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._values:
            known = ", ".join(self._values) or "none"
            raise NoCoefficient(f"pinn.Problem: no coefficient {name!r}, only {known}; give its initial value in unknown=")
        return self._values[name]

    def __getattr__(self, name: str) -> Tensor:
        if name.startswith("_"):
            raise AttributeError(name)
        return self[name]

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def trace_residuals(
    residuals: Residuals, unknown: Mapping[str, float], names: Names, relations: Iterable[tuple[Callable[[Any, Any], Tensor], int]] = ()
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the residuals and the partials that they read, found by one call with placeholder numbers.

    Args:
        residuals: function of a problem.
        unknown:   unknown coefficients with their initial values.
        names:     names of the problem's fields and coordinates.
        relations: further functions that may depend on a coefficient, each with its number of points.
    Raises: ValueError for a result that is no mapping, an unknown partial or coefficient, and a coefficient on which nothing depends.
    """
    values = {name: torch.tensor(value, dtype=torch.float64, requires_grad=True) for name, value in unknown.items()}
    results: list[Any] = []
    with explain_torch_errors():
        read = needed(lambda d: results.append(residuals(d, Coefficients(values))), names)
    made = results[0]
    if not isinstance(made, Mapping) or not made:
        got = "nothing" if isinstance(made, Mapping) else type(made).__name__
        raise ValueError(f'pinn.Problem: residuals must return {{name: residual}}, as lambda d, p: {{"pde": d.u_xx}} does, got {got}')
    if not read:
        example = f"d.{names.outputs[0]}_{names.inputs[0]}"
        raise ValueError(f"pinn.Problem: the residuals {', '.join(made)} read no field; use partials such as {example}")
    with explain_torch_errors():
        differentiable = [*made.values(), *(relation(Placeholders(count), Coefficients(values)) for relation, count in relations)]
    used = {name for residual in differentiable for name in _with_gradient(residual, values)}
    unused = [name for name in values if name not in used]
    if unused:
        raise ValueError(f"pinn.Problem: no residual depends on the coefficient {unused[0]!r}; leave it out of unknown=")
    return tuple(made), read


@contextmanager
def explain_torch_errors() -> Iterator[None]:
    """Raise errors of torch within this context again with what to write instead."""
    try:
        yield
    except (TypeError, ValueError, RuntimeError) as error:  # the type differs between versions of torch
        hint = next((hint for text, hint in _HINTS.items() if text in str(error)), None)
        if hint is None:
            raise
        raise ValueError(f"pinn.Problem: {hint}") from None


def _with_gradient(residual: Any, values: Mapping[str, Tensor]) -> set[str]:
    """Return the names of the values with respect to which a residual has a gradient."""
    if not values or not isinstance(residual, Tensor) or not residual.requires_grad:
        return set()
    slopes = torch.autograd.grad(residual.sum(), list(values.values()), retain_graph=True, allow_unused=True)
    return {name for name, slope in zip(values, slopes) if slope is not None}


def single_residual(residuals: Residuals, name: str, needs: Sequence[str] = (), read: Sequence[str] = ()) -> Callable[[Any, Any], Tensor]:
    """Return one of the residuals as a function of its own.

    Args:
        residuals: function of a problem that returns all residuals.
        name:      name of the residual.
        needs:     partials that this residual needs.
        read:      partials that all residuals together read; those not needed here are replaced by NaN and cost nothing.
    """
    absent = [need for need in read if need not in needs]

    def residual(d: Any, p: Any) -> Tensor:
        if absent:
            like = d[needs[0]]
            d = d.replaced(**dict.fromkeys(absent, like.new_full((), math.nan).expand(like.shape)))
        return residuals(d, Coefficients(p))[name]

    return residual


def dependence(residuals: Residuals, unknown: Mapping[str, float], names: Names, read: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return for each residual the partials that it needs.

    A residual needs a partial if it has a gradient with respect to it, or if another value of it changes the residual; the latter finds partials that
    are compared or detached. Partials of lower or equal order are added, which cost nothing more, because several that are compared at once may hide
    each other. A residual that is not finite at the trial values needs all partials.

    Args:
        residuals: function of a problem.
        unknown:   unknown coefficients with their initial values.
        names:     names of the problem's fields and coordinates.
        read:      partials that all residuals together read.
    """
    p = {name: torch.tensor(value, dtype=torch.float64) for name, value in unknown.items()}
    usual = {name: torch.full((2,), 0.5 + 0.01 * i, dtype=torch.float64) for i, name in enumerate((*names.inputs, *read))}

    def evaluate(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: torch.as_tensor(r) for name, r in residuals(Partials({**usual, **values}), Coefficients(p)).items()}

    leaves = {name: usual[name].clone().requires_grad_() for name in read}
    before = evaluate(leaves)
    with torch.no_grad():
        trials = {need: [evaluate({need: torch.full_like(usual[need], other)}) for other in _TRIAL_VALUES] for need in read}
    needs: dict[str, tuple[str, ...]] = {}
    for name, value in before.items():
        used = _with_gradient(value, leaves)
        used |= {need for need, tries in trials.items() if any(not torch.equal(after[name], value) for after in tries)}
        highest, finite = max((_order(need, names) for need in used), default=0), bool(value.isfinite().all())
        needs[name] = tuple(need for need in read if not finite or need in used or _order(need, names) <= highest)
    unclaimed = tuple(need for need in read if not any(need in own for own in needs.values()))
    return {name: (*own, *unclaimed) or tuple(read) for name, own in needs.items()}


def _order(need: str, names: Names) -> int:
    """Return the order of the highest derivative in a partial."""
    return max(sum(index) for _, _, index in names.terms(need))
