"""How a user's residuals are asked: once to learn what they are called and what they read, then at every update."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from eddygrad.pinn.partials import Asked, Names, Partials, needed

_OTHERS = (math.nan, -7.3, 0.0, 1.9, 1e4, -1e4)  # to no number comparisons are blind, to the others most are not
Residuals = Callable[[Any, Any], Mapping[str, Tensor]]
_HINTS = {  # of what torch says where a residual treats partials as what they are not
    "converted to Python scalars": "residuals take torch's functions, torch.sin(d.x) and not math.sin(d.x): d.x has all points",
    "does not require grad": "derivatives are asked for by their names, d.u_xx, not taken by torch.autograd.grad",
    "Can't call numpy()": "values that are built in, hard=True, take torch's functions, torch.sin(x[:, 0]), for they are differentiated",
}


class NoCoefficient(ValueError, KeyError, AttributeError):
    """A coefficient that there is not: the same error to whoever reads it as an entry or as an attribute, or asks with `get` or `hasattr`."""

    __str__ = ValueError.__str__


class Coefficients(Mapping[str, Tensor]):
    """p["k"] or p.k."""

    def __init__(self, values: Mapping[str, Tensor]) -> None:
        self._values = dict(values)

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._values:
            raise NoCoefficient(f"pinn: no coefficient {name!r}, only {', '.join(self._values) or 'none'}; give its first value in unknown=")
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


def asked(
    residuals: Residuals, unknown: Mapping[str, float], names: Names, relations: Iterable[tuple[Callable[[Any, Any], Tensor], int]] = ()
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What the residuals are called, and the partials that they read, found by asking once with numbers in their place.

    Args:   relations: which else may depend on a coefficient, and at how many points.
    Raises: ValueError for what is no mapping of residuals, a partial or a coefficient that there is not, and a coefficient on which nothing depends.
    """
    values = {name: torch.tensor(value, dtype=torch.float64, requires_grad=True) for name, value in unknown.items()}
    found: list[Any] = []
    with hinted():
        read = needed(lambda d: found.append(residuals(d, Coefficients(values))), names)
    if not isinstance(found[0], Mapping) or not found[0]:
        got = "nothing" if isinstance(found[0], Mapping) else type(found[0]).__name__
        raise ValueError(f'pinn: residuals give name -> residual, lambda d, p: {{"pde": d.u_xx}}, got {got}')
    if not read:
        example = f"d.{names.outputs[0]}_{names.inputs[0]}"
        raise ValueError(f"pinn: the residuals {', '.join(found[0])} read no field; they are made of partials such as {example}")
    with hinted():
        made = [*found[0].values(), *(relation(Asked(count), Coefficients(values)) for relation, count in relations)]
    reached = {name for residual in made for name in _reached(residual, values)}
    idle = [name for name in values if name not in reached]
    if idle:
        raise ValueError(f"pinn: no residual depends on the coefficient {idle[0]!r}; leave it out of unknown=")
    return tuple(found[0]), read


@contextmanager
def hinted() -> Iterator[None]:
    """What torch says of a residual, in words that tell what to write."""
    try:
        yield
    except (TypeError, ValueError, RuntimeError) as error:  # which of them it is differs between versions of torch
        meant = next((hint for told, hint in _HINTS.items() if told in str(error)), None)
        if meant is None:
            raise
        raise ValueError(f"pinn: {meant}") from None


def _reached(residual: Any, values: Mapping[str, Tensor]) -> set[str]:
    """Which of the values a residual has a gradient by."""
    if not values or not isinstance(residual, Tensor) or not residual.requires_grad:
        return set()
    slopes = torch.autograd.grad(residual.sum(), list(values.values()), retain_graph=True, allow_unused=True)
    return {name for name, slope in zip(values, slopes) if slope is not None}


def part(residuals: Residuals, name: str, needs: Sequence[str] = (), read: Sequence[str] = ()) -> Callable[[Any, Any], Tensor]:
    """One of the residuals by itself, which `needs` some of the partials that all of them `read`: the others are no number to it."""
    absent = [need for need in read if need not in needs]

    def residual(d: Any, p: Any) -> Tensor:
        if absent:
            there = d[needs[0]]
            d = d.replaced(**dict.fromkeys(absent, there.new_full((), math.nan).expand(there.shape)))
        return residuals(d, Coefficients(p))[name]

    return residual


def dependence(residuals: Residuals, unknown: Mapping[str, float], names: Names, read: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Residual -> the partials out of `read` that it needs: those it has a gradient by, and those another value of which makes it another.

    The latter are what it compares with, or detaches. What takes no higher derivatives than it needs anyhow it is given too, for several that are
    compared at once may hide each other. Of one that is no number at the values tried nothing can be told: it needs all.
    """
    p = {name: torch.tensor(value, dtype=torch.float64) for name, value in unknown.items()}
    usual = {name: torch.full((2,), 0.5 + 0.01 * i, dtype=torch.float64) for i, name in enumerate((*names.inputs, *read))}

    def told(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: torch.as_tensor(r) for name, r in residuals(Partials({**usual, **values}), Coefficients(p)).items()}

    leaves = {name: usual[name].clone().requires_grad_() for name in read}
    before = told(leaves)
    with torch.no_grad():
        moved = {need: [told({need: torch.full_like(usual[need], other)}) for other in _OTHERS] for need in read}
    found: dict[str, tuple[str, ...]] = {}
    for name, was in before.items():
        sloped, sure = _reached(was, leaves), bool(was.isfinite().all())
        changed = {need for need, tries in moved.items() if any(not torch.equal(after[name], was) for after in tries)}
        most = max((_order(need, names) for need in sloped | changed), default=0)
        found[name] = tuple(need for need in read if not sure or need in sloped | changed or _order(need, names) <= most)
    nobody = tuple(need for need in read if not any(need in needs for needs in found.values()))
    return {name: (*needs, *nobody) or tuple(read) for name, needs in found.items()}


def _order(need: str, names: Names) -> int:
    """Of the highest derivative in a partial."""
    return max(sum(index) for _, _, index in names.terms(need))
