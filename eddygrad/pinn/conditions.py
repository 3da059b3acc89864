"""Conditions on parts of the rim, or anywhere else: values and derivatives that are known, or a relation of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from eddygrad.pinn.collocation import FEW, Points, Term, misfit
from eddygrad.pinn.partials import Names, needed
from eddygrad.pinn.residual_functions import Coefficients, hinted
from eddygrad.runtime.code_digest import code_digest
from eddygrad.training.checkpoint import digest


@dataclass(frozen=True)
class Condition:
    """A relation that holds at points, r(partials, coefficients) = 0, a loss of its own.

        wall = eg.pinn.Condition(box.side("x", "upper", 100), lambda d, p: d.u_x + p.h * (d.u - 1))    # Robin
    Args: at: (N, inputs), or Points with what is known there, which the relation reads as d.known_u. relation: (d, p) -> (N,), or components (C, N).
    """

    at: Points | Tensor
    relation: Callable[[Any, Any], Tensor]

    @property
    def points(self) -> Points:
        return self.at if isinstance(self.at, Points) else Points(self.at)

    def needs(self, names: Names, unknown: Mapping[str, float]) -> tuple[str, ...]:
        """Which partials it reads. Raises ValueError for a partial or a coefficient that there is not, or what is no row of numbers."""
        coefficients = Coefficients({name: torch.tensor(value, dtype=torch.float64) for name, value in unknown.items()})
        count, found = len(self.points), list[Any]()
        with hinted():
            known = [f"known_{name}" for name in self.points.known]
            read = needed(lambda d: found.append(self.relation(d, coefficients)), names, known, count)
        shape = tuple(torch.as_tensor(found[0]).shape)
        if shape and (shape[-1] != count or len(shape) > 2 or (len(shape) == 2 and shape[0] == count > max(FEW, len(read)))):
            raise ValueError(
                f"pinn: a condition at {count} points gives ({count},), or components in front, got {shape}; partials are rows, no columns (N, 1)"
            )
        return read


def points_of(what: Points | Condition) -> Points:
    return what if isinstance(what, Points) else what.points


def loss_of(name: str, what: Points | Condition, names: Names, unknown: Mapping[str, float]) -> Term:
    """The loss of a condition, at points of its own name.

    Raises: ValueError for what is none, points of other coordinates, and fields or partials that there are not.
    """
    if not isinstance(what, Points | Condition) or (isinstance(what, Points) and not what.known):
        raise ValueError(f'pinn: the condition {name!r} is Points(x, {{"u_x": values}}) or Condition(x, lambda d, p: d.u_x - d.u), got {what!r}')
    points = points_of(what)
    if points.x.shape[-1] != len(names.inputs):
        raise ValueError(f"pinn: the points of {name!r} have {points.x.shape[-1]} coordinates, expected {', '.join(names.inputs)}")
    if isinstance(what, Points):
        for known in what.known:
            names.terms(known)
        return Term(name, misfit(*what.known), tuple(what.known))
    relation = what.relation
    return Term(name, lambda d, p: relation(d, Coefficients(p)), what.needs(names, unknown))


def described(conditions: Mapping[str, Points | Condition]) -> dict[str, Any]:
    """What distinguishes them from others: points and values by their numbers, relations by their code."""
    told: dict[str, Any] = {}
    for name, what in conditions.items():
        points = points_of(what)
        told[name] = {"x": digest(points.x), **{known: digest(value) for known, value in points.known.items()}}
        told[name] |= {"parts": list(points.parts)} if points.parts else {}
        if isinstance(what, Condition):
            told[name]["relation"] = code_digest(what.relation)
    return told
