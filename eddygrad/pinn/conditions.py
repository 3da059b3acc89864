"""Conditions at points of a problem: known values and derivatives, or a relation between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from eddygrad.pinn.collocation import PLAUSIBLE_COMPONENTS, Term, misfit
from eddygrad.pinn.partials import Names, needed
from eddygrad.pinn.points import Points
from eddygrad.pinn.residual_functions import Coefficients, explain_torch_errors
from eddygrad.runtime.code_digest import code_digest
from eddygrad.training.checkpoint import digest


@dataclass(frozen=True)
class Condition:
    """Relation r(partials, coefficients) = 0 at points, a loss of its own.

        wall = eg.pinn.Condition(box.side("x", "upper", 100), lambda d, p: d.u_x + p.h * (d.u - 1))    # Robin
    Args:
        at:       points (N, inputs), or Points with known values there, which the relation reads as d.known_u.
        relation: function (d, p) -> r, (N,), or with components (C, N).
    """

    at: Points | Tensor
    relation: Callable[[Any, Any], Tensor]

    @property
    def points(self) -> Points:
        """The points of the relation."""
        return self.at if isinstance(self.at, Points) else Points(self.at)

    def needs(self, names: Names, unknown: Mapping[str, float]) -> tuple[str, ...]:
        """Return the partials that the relation reads, found by one call.

        Raises: ValueError for an unknown partial or coefficient, or a result of another shape.
        """
        coefficients = Coefficients({name: torch.tensor(value, dtype=torch.float64) for name, value in unknown.items()})
        count, results = len(self.points), list[Any]()
        with explain_torch_errors():
            known = [f"known_{name}" for name in self.points.known]
            read = needed(lambda d: results.append(self.relation(d, coefficients)), names, known, count)
        shape = tuple(torch.as_tensor(results[0]).shape)
        if shape and (shape[-1] != count or len(shape) > 2 or (len(shape) == 2 and shape[0] == count > max(PLAUSIBLE_COMPONENTS, len(read)))):
            raise ValueError(
                f"pinn.Problem: a condition at {count} points must give ({count},), or (C, {count}) with components, got {shape}; "
                "partials are rows (N,), not columns (N, 1)"
            )
        return read


def points_of(condition: Points | Condition) -> Points:
    """Return the points of a condition."""
    return condition if isinstance(condition, Points) else condition.points


def condition_term(name: str, condition: Points | Condition, names: Names, unknown: Mapping[str, float]) -> Term:
    """Return the loss term of a condition; its points have the name of the term.

    Args:
        name:      name of the term.
        condition: known values at points, or a relation.
        names:     names of the problem's fields and coordinates.
        unknown:   unknown coefficients with their initial values.
    Raises: ValueError for another type, points of other coordinates, and unknown fields or partials.
    """
    if not isinstance(condition, Points | Condition) or (isinstance(condition, Points) and not condition.known):
        expected = 'Points(x, {"u_x": values}) or Condition(x, lambda d, p: d.u_x - d.u)'
        raise ValueError(f"pinn.Problem: the condition {name!r} expects {expected}, got {condition!r}")
    points = points_of(condition)
    if points.x.shape[-1] != len(names.inputs):
        raise ValueError(f"pinn.Problem: the points of {name!r} have {points.x.shape[-1]} coordinates, expected {', '.join(names.inputs)}")
    if isinstance(condition, Points):
        for known in condition.known:
            names.terms(known)
        return Term(name, misfit(*condition.known), tuple(condition.known))
    relation = condition.relation
    return Term(name, lambda d, p: relation(d, Coefficients(p)), condition.needs(names, unknown))


def described(conditions: Mapping[str, Points | Condition]) -> dict[str, Any]:
    """Return what identifies the conditions: digests of points and values, and of the code of relations."""
    identity: dict[str, Any] = {}
    for name, condition in conditions.items():
        points = points_of(condition)
        identity[name] = {"x": digest(points.x), **{known: digest(value) for known, value in points.known.items()}}
        identity[name] |= {"parts": list(points.parts)} if points.parts else {}
        if isinstance(condition, Condition):
            identity[name]["relation"] = code_digest(condition.relation)
    return identity
