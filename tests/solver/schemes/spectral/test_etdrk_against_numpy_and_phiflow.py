"""An exponential step equals two implementations that share no line with it: numpy with full transforms, and PhiFlow as its users write it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from cases.solver_cases import scheme, smooth

FRAME, SUBSTEPS, POINTS = 1.0, 2, 48
DOMAINS = [0.85, 0.93, 1.0, 1.15, 1.4]  # D / 8: the paper's test set and its centre
# Quotients such as (e^z - 1 - z) / z^2 lose digits for the smallest |z| of the grid, .007: 1e-16 / z^2 = 2e-12.
CANCELLATION = 1e-11


def numpy_frame(u: np.ndarray, domain: float, order: int) -> np.ndarray:
    """Cox and Matthews' formulas on the full spectrum, coefficients as quotients, like the code of List et al. 2024."""
    h = FRAME / SUBSTEPS
    ik = 1j * np.fft.fftfreq(POINTS, 1 / POINTS) / domain
    linear = (-(ik**2) - ik**4).real
    with np.errstate(invalid="ignore", divide="ignore"):
        e = np.exp(linear * h)
        first = np.where(linear == 0, h, (e - 1) / linear)
        second = np.where(linear == 0, h / 2, (e - 1 - linear * h) / (h * linear**2))
    for _ in range(SUBSTEPS):
        flux = -0.5 * ik * np.fft.fft(u**2)
        a = e * np.fft.fft(u) + first * flux
        if order == 2:
            flux_a = -0.5 * ik * np.fft.fft(np.fft.ifft(a).real ** 2)
            a = a + second * (flux_a - flux)
        u = np.fft.ifft(a).real
    return u


@pytest.mark.parametrize("order", (1, 2))
@pytest.mark.parametrize("realisation", ("dense", "spectral"))
@pytest.mark.parametrize("domain", DOMAINS)
def test_a_frame_equals_numpys(order: int, realisation: str, domain: float) -> None:
    u = smooth(4, modes=20)
    ours = scheme(order, realisation).at({"length": 2 * math.pi * 8 * domain}, u)(u)
    np.testing.assert_allclose(ours, numpy_frame(u.numpy(), 8 * domain, order), rtol=0, atol=CANCELLATION)


@pytest.mark.parametrize("order", (1, 2))
def test_a_frame_equals_phiflows(order: int) -> None:
    pytest.importorskip("phi")
    from phi.flow import batch, spatial, tensor
    from phi.flow import math as pm

    domains = np.array(DOMAINS) * 8
    u = smooth(len(DOMAINS), modes=20)
    with pm.precision(64):
        value = tensor(u[:, 0].numpy(), batch("sample"), spatial("x"))
        domain, h = tensor(domains, batch("sample")), FRAME / SUBSTEPS
        for _ in range(SUBSTEPS):
            ik = 1j * pm.fftfreq(spatial(x=POINTS), 1.0).vector[0] * POINTS / domain
            linear = pm.real(-(ik**2) - ik**4)
            e = pm.exp(linear * h)
            first = pm.where(linear == 0, h, pm.safe_div(e - 1, linear))
            second = pm.where(linear == 0, h / 2, pm.safe_div(e - 1 - linear * h, h * linear**2))
            flux = -0.5 * ik * pm.fft(value**2)
            a = e * pm.fft(value) + first * flux
            if order == 2:
                a += second * (-0.5 * ik * pm.fft(pm.real(pm.ifft(a)) ** 2) - flux)
            value = pm.real(pm.ifft(a))
        theirs = value.numpy("sample,x")
    assert theirs.dtype == np.float64
    lengths = torch.from_numpy(2 * math.pi * domains).reshape(-1, 1, 1)
    ours = scheme(order).at({"length": lengths}, u)(u)
    np.testing.assert_allclose(ours[:, 0], theirs, rtol=0, atol=CANCELLATION)
