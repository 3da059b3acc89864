"""Exponential Runge-Kutta methods as tables: every stage is a combination of the first state and the nonlinear terms so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from eddygrad.solver.schemes.phi import phi


@dataclass(frozen=True)
class Stage:
    """u_stage = linear * u + h sum_j weights[j] N(u_j); a weight that is None is zero."""

    linear: Tensor
    weights: Sequence[Tensor | None]


def etdrk(order: int, z: Tensor) -> list[Stage]:
    """Stages of the exponential time differencing Runge-Kutta methods ETD1, ETDRK2, ETDRK3, ETDRK4; the last stage is the new state.

        Cox and Matthews 2002, eqs. (4), (22), (23-25), (26-29), written with phi functions
    Args:   order: 1 .. 4. z: h L, float64, any shape.
    Raises: ValueError for another order.
    """
    e, p1 = torch.exp(z), phi(1, z)
    if order == 1:
        return [Stage(e, [p1])]
    p2 = phi(2, z)
    if order == 2:
        return [Stage(e, [p1]), Stage(e, [p1 - p2, p2])]
    p3 = phi(3, z)
    e_half, p1_half = torch.exp(z / 2), phi(1, z / 2)
    if order == 3:
        return [
            Stage(e_half, [p1_half / 2]),
            Stage(e, [-p1, 2 * p1]),
            Stage(e, [p1 - 3 * p2 + 4 * p3, 4 * p2 - 8 * p3, 4 * p3 - p2]),
        ]
    if order == 4:
        middle = 2 * p2 - 4 * p3
        return [
            Stage(e_half, [p1_half / 2]),
            Stage(e_half, [None, p1_half / 2]),
            Stage(e, [p1_half * (e_half - 1) / 2, None, p1_half]),
            Stage(e, [p1 - 3 * p2 + 4 * p3, middle, middle, 4 * p3 - p2]),
        ]
    raise ValueError(f"etdrk: order must be 1, 2, 3 or 4, got {order}")
