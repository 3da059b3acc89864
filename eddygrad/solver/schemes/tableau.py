"""Runge-Kutta methods as tables: every stage combines the initial state and the nonlinear terms of earlier stages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from eddygrad.solver.schemes.spectral.phi_functions import phi

# Explicit Runge-Kutta methods in low-storage form, g <- N(u) + beta_k g, u <- u + gamma_k h g: order -> times alpha of the stages, beta, gamma.
# Euler; Heun; Williamson 1980; Carpenter and Kennedy 1994 (five stages).
LOW_STORAGE: dict[int, tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]] = {
    1: ((0.0, 1.0), (0.0,), (1.0,)),
    2: ((0.0, 1.0, 1.0), (0.0, -1.0), (1.0, 0.5)),
    3: ((0.0, 1 / 3, 3 / 4, 1.0), (0.0, -5 / 9, -153 / 128), (1 / 3, 15 / 16, 8 / 15)),
    4: (
        (0.0, 0.1496590219993, 0.3704009573644, 0.6222557631345, 0.9582821306748, 1.0),
        (0.0, -0.4178904745, -1.192151694643, -1.697784692471, -1.514183444257),
        (0.1496590219993, 0.3792103129999, 0.8229550293869, 0.6994504559488, 0.1530572479681),
    ),
}


@dataclass(frozen=True)
class Stage:
    """u_stage = linear * u + h sum_j weights[j] N(u_j); a weight None is zero."""

    linear: Tensor
    weights: Sequence[Tensor | None]


class Relative(NamedTuple):
    """A stage that starts from `linear * u`, or from an earlier stage `base` of the same linear part, plus h sum_j weights[j] N(u_j)."""

    linear: Tensor
    base: int | None
    weights: list[Tensor | None]


def relative(stages: Sequence[Stage]) -> list[Relative]:
    """Express a stage whose linear part occurred before by that earlier stage plus a difference of nonlinear terms; this saves a product."""
    rows = []
    for i, stage in enumerate(stages):
        base = next((j for j in reversed(range(i)) if stages[j].linear is stage.linear), None)
        weights = list(stage.weights)
        if base is not None:
            earlier = stages[base].weights
            weights = [_minus(w, earlier[j] if j < len(earlier) else None) for j, w in enumerate(weights)]
        rows.append(Relative(stage.linear, base, weights))
    return rows


def _minus(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    if b is None:
        return a
    return -b if a is None else a - b


def etdrk(order: int, z: Tensor) -> list[Stage]:
    """Return the stages of the exponential time differencing methods ETD1, ETDRK2, ETDRK3, ETDRK4; the last stage is the new state.

        Cox and Matthews 2002, eqs. (4), (22), (23-25), (26-29), written with phi functions
    Args:
        order: 1 .. 4.
        z:     h L, float64, any shape.
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


def integrating_factor(z: Tensor) -> list[Stage]:
    """Return the stages of the classical fourth-order Runge-Kutta method for exp(-t L) u: exact in the linear part, without phi functions.

        u_2 = e^(z/2) (u + h/2 N_1),  u_3 = e^(z/2) u + h/2 N_2,  u_4 = e^z u + h e^(z/2) N_3
        u+  = e^z u + h/6 (e^z N_1 + 2 e^(z/2) (N_2 + N_3) + N_4)                              Canuto et al. 2007, app. D; Trefethen 2000, ch. 10
    Args: z: h L, float64 or complex128, any shape.
    """
    e, half = torch.exp(z), torch.exp(z / 2)
    one = torch.ones_like(e)
    return [
        Stage(half, [half / 2]),
        Stage(half, [None, one / 2]),
        Stage(e, [None, None, half]),
        Stage(e, [e / 6, half / 3, half / 3, one / 6]),
    ]
