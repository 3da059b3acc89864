"""The Toner-Tu-Swift-Hohenberg model of active turbulence on a periodic plane, by its velocity or by its vorticity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from eddygrad.solver.equations.equation import Local, Table, Values, Wavenumbers, for_residual
from eddygrad.solver.vector_calculus import inverse_square, leray_table, square


@dataclass(frozen=True)
class _ActiveTurbulence:
    """Base of both forms: coefficients with the paper's signs, and the products of (u, v, w).

    a_x = lambda_0 w v - beta |u|^2 u,  a_y = -lambda_0 w u - beta |u|^2 v: minus both nonlinear terms, up to a gradient
    """

    lambda_0: float = 3.5
    alpha: float = -1.0
    beta: float = 0.5
    Gamma_0: float = -0.045
    Gamma_2: float = 0.045**3

    inside: ClassVar[tuple[str, ...]] = ("lambda_0", "beta")
    parameters: ClassVar[Mapping[str, str]] = {"lambda_0": "1", "alpha": "1", "beta": "1", "Gamma_0": "1", "Gamma_2": "1", "length": "1"}
    ndim: ClassVar[int] = 2
    dealias: ClassVar[float | None] = 1 / 2

    def symbol(self, k: Wavenumbers, params: Values) -> tuple[Tensor]:
        """Return the growth rate s(k) = -alpha - Gamma_0 k^2 - Gamma_2 k^4 of each mode."""
        k2 = square(k)
        return (-params["alpha"] - params["Gamma_0"] * k2 - params["Gamma_2"] * k2**2,)

    def products(self, fields: Sequence[Tensor], params: Mapping[str, Tensor], out: Sequence[Tensor | None]) -> tuple[Tensor, Tensor]:
        u, v, w = fields
        cubic, turn = (u * u).addcmul_(v, v) * -params["beta"], w * params["lambda_0"]
        return torch.mul(cubic, u, out=out[0]).addcmul_(turn, v), torch.mul(cubic, v, out=out[1]).addcmul_(turn, u, value=-1)

    def products_adjoint(self, fields: Tensor, params: Mapping[str, Tensor], grad: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        (u, v, w), (gx, gy) = fields, grad
        speed2, along = u * u + v * v, u * gx + v * gy
        across = v * gx - u * gy
        cubic, turn = params["beta"] * speed2, params["lambda_0"] * w
        twice = 2 * params["beta"] * along
        out = torch.stack([-cubic * gx - twice * u - turn * gy, -cubic * gy - twice * v + turn * gx, params["lambda_0"] * across])
        return out, {"lambda_0": w * across, "beta": -speed2 * along}

    def forcing(self, k: Wavenumbers, params: Values) -> Mapping[int, Mapping[tuple[int, ...], Tensor | complex]]:
        return {}


@dataclass(frozen=True)
class ActiveTurbulenceVelocity(_ActiveTurbulence):
    """A dense suspension of microswimmers as a self-driven fluid, in velocity form.

        u_t + lambda_0 (u . grad) u + grad p + alpha u + beta |u|^2 u - Gamma_0 lap u + Gamma_2 lap^2 u = 0,   div u = 0
        Wensink et al. 2012; coefficients and their signs: Maddu et al. 2021
    alpha < 0 and Gamma_0 < 0 drive the flow: small modes grow at the rate s(k) = -alpha - Gamma_0 k^2 - Gamma_2 k^4, and the uniform state has
    |u|^2 = -alpha / beta. State: velocity, two channels, mean included; all quantities are dimensionless. The mean flow obeys
    U_t = -alpha U - beta <|u|^2 u>. `vector_calculus.pressure` gives p.
    """

    name: ClassVar[str] = "active-turbulence-velocity"
    channels: ClassVar[tuple[str, ...]] = ("velocity_x", "velocity_y")
    needs: ClassVar[tuple[str, ...]] = (
        *("u", "v", "u_t", "v_t", "u_x", "u_y", "v_x", "v_y", "u_lap", "v_lap", "u_laplap", "v_laplap", "p_x", "p_y"),
    )

    def synthesis(self, k: Wavenumbers, params: Values) -> Table:
        """Return u, v and the vorticity w = v_x - u_y."""
        one = torch.ones_like(square(k))
        return (one, None), (None, one), (-1j * k[1] * one, 1j * k[0] * one)

    def constraint(self, k: Wavenumbers) -> Table:
        """Return the Leray projection."""
        return leray_table(k)

    def analysis(self, k: Wavenumbers, params: Values) -> Table:
        """Return the Leray projection of the products, which removes the pressure."""
        return leray_table(k)

    def local(self, params: Values) -> Local:
        """Return the coefficients of the finite-volume schemes."""
        return Local(params["lambda_0"], -params["alpha"], params["Gamma_0"], -params["Gamma_2"], params["beta"])

    def residual(self, partials: Mapping[str, Tensor], params: Values | None = None) -> Tensor:
        """Return both components of the left side; zero on a solution."""
        d, p = partials, for_residual(self, params)
        speed2, rows = d["u"] ** 2 + d["v"] ** 2, []
        for c, gradient in (("u", "p_x"), ("v", "p_y")):
            carried = d["u"] * d[f"{c}_x"] + d["v"] * d[f"{c}_y"]
            local = (p["alpha"] + p["beta"] * speed2) * d[c] - p["Gamma_0"] * d[f"{c}_lap"] + p["Gamma_2"] * d[f"{c}_laplap"]
            rows.append(d[f"{c}_t"] + p["lambda_0"] * carried + d[gradient] + local)
        return torch.stack(rows)


@dataclass(frozen=True)
class ActiveTurbulenceVorticity(_ActiveTurbulence):
    """The same model in vorticity form: w = v_x - u_y and the mean flow U.

        w_t + lambda_0 u . grad w + alpha w + beta (|u|^2 w + v M_x - u M_y) - Gamma_0 lap w + Gamma_2 lap^2 w = 0,   M = |u|^2
        U_t = -alpha U - beta <|u|^2 u>                                           Maddu et al. 2021, with the mean flow that curl loses
    State: three channels, the vorticity and the two components of the mean flow, each constant in space.
    """

    name: ClassVar[str] = "active-turbulence-vorticity"
    channels: ClassVar[tuple[str, ...]] = ("vorticity", "mean_u", "mean_v")
    needs: ClassVar[tuple[str, ...]] = (*("u", "v", "u_x", "u_y", "v_x", "v_y", "w", "w_t", "w_x", "w_y", "w_lap", "w_laplap"),)

    def synthesis(self, k: Wavenumbers, params: Values) -> Table:
        """Return u and v, from the vorticity and the mean flow, and the vorticity w."""
        inverse, mean = inverse_square(k), _only_mean(k)
        return (1j * k[1] * inverse, mean, None), (-1j * k[0] * inverse, None, mean), (1 - mean, None, None)

    def constraint(self, k: Wavenumbers) -> Table:
        """Return the projection that removes the mean of the vorticity and all but the mean of the mean flow."""
        mean = _only_mean(k)
        return (1 - mean, None, None), (None, mean, None), (None, None, mean)

    def analysis(self, k: Wavenumbers, params: Values) -> Table:
        """Return the curl of the products for the vorticity, and their mean for the mean flow."""
        mean = _only_mean(k)
        return (-1j * k[1] * (1 - mean), 1j * k[0] * (1 - mean)), (mean, None), (None, mean)

    def residual(self, partials: Mapping[str, Tensor], params: Values | None = None) -> Tensor:
        """Return the left side of the vorticity equation; zero on a solution. M_x and M_y follow from the partial derivatives of u and v."""
        d, p = partials, for_residual(self, params)
        u, v = d["u"], d["v"]
        m_x, m_y = 2 * (u * d["u_x"] + v * d["v_x"]), 2 * (u * d["u_y"] + v * d["v_y"])
        cubic = (u**2 + v**2) * d["w"] + v * m_x - u * m_y
        carried = p["lambda_0"] * (u * d["w_x"] + v * d["w_y"])
        return d["w_t"] + carried + p["alpha"] * d["w"] + p["beta"] * cubic - p["Gamma_0"] * d["w_lap"] + p["Gamma_2"] * d["w_laplap"]


def _only_mean(k: Wavenumbers) -> Tensor:
    """Return 1 for the mean mode, the first entry of the spectrum, and 0 for every other mode."""
    mean = torch.zeros_like(square(k))
    mean[..., 0, 0] = 1
    return mean
