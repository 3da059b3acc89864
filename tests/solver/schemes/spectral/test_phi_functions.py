"""The phi functions against fifty digits."""

from __future__ import annotations

import mpmath
import pytest
import torch

from eddygrad.solver.schemes.spectral.phi_functions import phi

ARGUMENTS = [0.0, 1e-300, 1e-8, -1e-8, 1e-3, -0.3, 0.999999, 1.0, -1.0, 1.000001, -0.999999, -1.000001, 2.5, -3.7, -30.0, -1e3, 20.0]


def exact(order: int, z: complex) -> complex:
    """phi_j(z) = sum_n z^n / (n + j)!, or its recursion with fifty digits."""
    with mpmath.workdps(50):
        value = mpmath.exp(z)
        if abs(z) < 1e-2:
            return complex(mpmath.nsum(lambda n: mpmath.mpc(z) ** n / mpmath.factorial(n + order), [0, 40]))
        for j in range(order):
            value = (value - 1 / mpmath.factorial(j)) / mpmath.mpmathify(z)
        return complex(value)


@pytest.mark.parametrize("order", (0, 1, 2, 3))
@pytest.mark.parametrize("z", ARGUMENTS)
def test_phi_is_accurate_for_every_real_argument(order: int, z: float) -> None:
    got = phi(order, torch.tensor(z, dtype=torch.float64))
    assert abs(float(got) - exact(order, z).real) <= 1e-13 * abs(exact(order, z))


@pytest.mark.parametrize("order", (0, 1, 2, 3))
@pytest.mark.parametrize("radius", (1e-4, 0.5, 1 - 1e-9, 1 + 1e-9, 3.0, 40.0))
def test_phi_is_accurate_in_the_complex_plane(order: int, radius: float) -> None:
    z = radius * torch.exp(1j * torch.linspace(0, 6.2, 9, dtype=torch.float64))
    expected = [exact(order, complex(w)) for w in z]
    # The recursion divides differences of numbers of order one by z three times: two digits of sixteen at |z| = 1.
    error = max(abs(complex(g) - e) / max(abs(e), 1e-3) for g, e in zip(phi(order, z), expected))
    assert error < 1e-13


@pytest.mark.parametrize("order", (0, 1, 2, 3))
def test_phi_is_differentiable_everywhere(order: int) -> None:
    z = torch.tensor([0.0, 0.5, -0.5, 1.5, -4.0, -50.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda w: phi(order, w), z)
    slope_at_zero = torch.autograd.grad(phi(order, z)[0], z)[0][0]
    assert float(slope_at_zero) == pytest.approx(1 / mpmath.factorial(order + 1), rel=1e-15)  # phi_j' (0) = 1/(j+1)!


def test_single_precision_is_refused() -> None:
    with pytest.raises(ValueError, match="double precision"):
        phi(1, torch.ones(3))
