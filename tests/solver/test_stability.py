"""The limits of explicit steps are where the amplification of a wave reaches one."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from eddygrad.solver.schemes.stability import COURANT, DIFFUSION
from eddygrad.solver.schemes.tableau import LOW_STORAGE

THETA = torch.linspace(0, 2 * math.pi, 721, dtype=torch.float64)
WAVE = torch.exp(1j * THETA)  # from a cell to the next one downstream
TRANSPORT = {
    "central": -(WAVE - 1 / WAVE) / 2,
    "upwind1": -(1 - 1 / WAVE),
    "upwind3": -(2 * WAVE + 3 - 6 / WAVE + 1 / WAVE**2) / 6,
}
DAMPING = -2 * (1 - torch.cos(THETA))
NEVER_STABLE_ALONE = {(1, "central"), (1, "upwind3"), (2, "central")}


def amplification(order: int, z: Tensor) -> Tensor:
    """Of a step of u' = z u in low-storage form."""
    _, beta, gamma = LOW_STORAGE[order]
    u, rate = torch.ones_like(z), torch.zeros_like(z)
    for b, c in zip(beta, gamma):
        rate = z * u + b * rate
        u = u + c * rate
    return u.abs()


def limit(order: int, symbol: Tensor, other: Tensor | None = None) -> float:
    """The greatest multiple of the symbol, in hundredths, up to which a step amplifies no wave."""
    rest = torch.zeros_like(symbol) if other is None else other
    count = 0
    while count < 500 and bool((amplification(order, (count + 1) / 100 * symbol + rest) <= 1 + 1e-9).all()):
        count += 1
    return count / 100


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("transport", ["central", "upwind1", "upwind3"])
def test_courant_numbers(order: int, transport: str) -> None:
    alone = limit(order, TRANSPORT[transport])
    assert (alone == 0) == ((order, transport) in NEVER_STABLE_ALONE)
    found = alone or max(limit(order, TRANSPORT[transport], d / 100 * DAMPING) for d in range(61))
    assert COURANT[order][transport] == pytest.approx(found, abs=0.011)  # type: ignore[index]
    assert COURANT[order]["van-leer"] == COURANT[order]["upwind1"]


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_diffusion_numbers(order: int) -> None:
    """Of u' = -u times h nu l, l the damping of the shortest wave."""
    assert DIFFUSION[order] == pytest.approx(limit(order, torch.full((1,), -1.0, dtype=torch.complex128)), abs=0.011)
