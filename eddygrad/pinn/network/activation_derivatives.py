"""Derivatives of SiLU and GELU of any order, in closed form."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor


def silu_derivatives(z: Tensor, n: int) -> list[Tensor]:
    """Return derivatives 0 to n of z s(z):  (z s)^(k) = z s^(k) + k s^(k-1)."""
    s = _sigmoid(z, n)
    return [z * s[0], *(torch.addcmul(k * s[k - 1], z, s[k]) for k in range(1, n + 1))]


def gelu_derivatives(z: Tensor, n: int) -> list[Tensor]:
    """Return derivatives 0 to n of z Phi(z), with Phi^(k) = (-1)^(k-1) He_{k-1}(z) phi(z)."""
    phi = torch.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
    hermite = [torch.ones_like(z), z]
    for k in range(1, n):
        hermite.append(z * hermite[k] - k * hermite[k - 1])
    cdf = [0.5 * (1 + torch.erf(z / math.sqrt(2))), *((-1) ** (k - 1) * hermite[k - 1] * phi for k in range(1, n + 1))]
    return [z * cdf[0], *(torch.addcmul(k * cdf[k - 1], z, cdf[k]) for k in range(1, n + 1))]


def _sigmoid(z: Tensor, n: int) -> list[Tensor]:
    """Return derivatives 0 to n of the sigmoid s: with r = s (1 - s) = s' and o = 1 - 2 s, r' = o r, o' = -2 r and o^2 = 1 - 4 r."""
    s = torch.sigmoid(z)
    return [s, *_sigmoid_derivatives(1 - 2 * s, torch.addcmul(s, s, s, value=-1), n)]


def _sigmoid_derivatives(o: Tensor, r: Tensor, n: int) -> list[Tensor]:
    """Return derivatives 1 to n of the sigmoid: q_k(r) for odd k, o q_k(r) for even k."""
    derivatives = [r]
    for k in range(2, n + 1):
        q = _polynomial(r, _sigmoid_polynomial(k))
        derivatives.append(q if k % 2 else q.mul_(o))
    return derivatives


@lru_cache(maxsize=64)
def _sigmoid_polynomial(k: int) -> tuple[int, ...]:
    """Return the coefficients of q_k in powers of r:  q_{2m} = r q',   q_{2m+1} = -2 r q + (1 - 4 r) r q'   with q of one order less."""
    if k == 1:
        return (0, 1)
    q = _sigmoid_polynomial(k - 1)
    moved = [i * a for i, a in enumerate(q)]  # r q'
    if k % 2 == 0:
        return tuple(moved)
    out = [0] * (len(q) + 1)
    for i, (a, m) in enumerate(zip(q, moved)):
        out[i] += m
        out[i + 1] -= 2 * a + 4 * m
    return tuple(out)


def _polynomial(r: Tensor, coefficients: tuple[int, ...]) -> Tensor:
    """Return a polynomial without constant at r, by Horner's rule."""
    *rest, last = coefficients[1:]
    total = r * float(last)
    for c in reversed(rest):
        total = total.add_(float(c)).mul_(r) if c else total.mul_(r)
    return total
