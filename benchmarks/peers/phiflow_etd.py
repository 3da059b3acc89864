"""ETD1 and ETDRK2 for Kuramoto-Sivashinsky on PhiFlow's tensors, as PhiFlow's users and the unrolling paper's code write it.

Plain expressions; the coefficients are computed in each step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def etd_step(n: int, h: float, order: int) -> Callable[[Any, float], Any]:
    """Return step(u, D) on a PhiFlow tensor with the spatial dimension x and the domain length 2 pi D; Cox and Matthews 2002.

    Args: n: points. h: time step [s]. order: 1 or 2.
    """
    from phi.torch.flow import math, spatial, tensor

    def step(u: Any, domain: float) -> Any:
        ik = math.fftfreq(spatial(x=n), domain / n).vector[0] * 1j
        linear = -(ik**2) - ik**4
        growth = math.exp(linear * h)
        c1 = math.safe_div(growth - 1, linear)
        c1 = math.where(c1 == 0, h, c1)
        n0 = -0.5 * ik * math.fft(u**2)
        a = growth * math.fft(u) + n0 * c1
        if order == 1:
            return math.real(math.ifft(tensor(a, u.shape)))
        c2 = math.safe_div(growth - 1 - linear * h, h * linear**2)
        c2 = math.where(c2 == 0, h / 2, c2)
        middle = math.real(math.ifft(tensor(a, u.shape)))
        return math.real(math.ifft(tensor(a + c2 * (-0.5 * ik * math.fft(middle**2) - n0), u.shape)))

    return step
