"""The phi functions of exponential integrators, accurate for every argument."""

from __future__ import annotations

import math

import torch
from torch import Tensor

# |z| <= 1: 21 Taylor terms leave 1/21! = 2e-20. |z| > 1: the recursion loses at most a digit and a half up to phi_3.
_TERMS = 21


def phi(order: int, z: Tensor) -> Tensor:
    """Return phi_j(z).

        phi_0(z) = exp z,  phi_{j+1}(z) = (phi_j(z) - 1/j!) / z,  phi_j(0) = 1/j!      Cox and Matthews 2002; Hochbruck and Ostermann 2010
    Args:
        order: j = 0 .. 3.
        z:     float64 or complex128, any shape.
    Returns: same shape; relative error below 1e-13 for real z; differentiable, also at zero.
    Raises:  ValueError if z is not of double precision.
    """
    if z.dtype not in (torch.float64, torch.complex128):
        raise ValueError(f"phi: coefficients are computed in double precision and cast last, got {z.dtype}; pass z.double()")
    if order == 0:
        return torch.exp(z)
    small = z.abs() <= 1
    near = torch.where(small, z, torch.zeros_like(z))
    far = torch.where(small, torch.ones_like(z), z)
    series = torch.zeros_like(z)
    for j in reversed(range(_TERMS)):
        series = series * near + 1 / math.factorial(j + order)
    recursion = torch.expm1(far) / far
    for j in range(1, order):
        recursion = (recursion - 1 / math.factorial(j)) / far
    return torch.where(small, series, recursion)
