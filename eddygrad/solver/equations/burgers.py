"""The viscous Burgers equation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from eddygrad.solver.equations.conservative import ConservativeLine
from eddygrad.solver.equations.equation import Values, Wavenumbers, for_residual


@dataclass(frozen=True)
class Burgers(ConservativeLine):
    """The viscous Burgers equation in one dimension, with or without a force.

        u_t + (u^2 / 2)_x = nu u_xx + f,  periodic                    Burgers 1948; the sine wave: Basdevant et al. 1986
        symbol:  L(k) = -nu k^2                 product:  N_hat = -1/2 i k F(u^2)

    State: one channel, u [m/s]. Parameters: viscosity nu [m^2/s], domain length [m], and "forcing", a field f(x) [m/s^2]. The mean of u grows with
    the mean of f. A front is about nu / |u| wide and needs at least four points.
    """

    viscosity: float = 0.01

    name: ClassVar[str] = "burgers"
    parameters: ClassVar[Mapping[str, str]] = {"viscosity": "m^2/s", "length": "m", "forcing": "m/s^2"}
    needs: ClassVar[tuple[str, ...]] = ("u", "u_t", "u_x", "u_xx")
    dealias: ClassVar[float | None] = 2 / 3

    def symbol(self, k: Wavenumbers, params: Values) -> tuple[Tensor]:
        """Return -nu k^2 [1/s]."""
        return (-params["viscosity"] * k[0] ** 2,)

    def residual(self, partials: Mapping[str, Tensor], params: Values | None = None) -> Tensor:
        """Return u_t + u u_x - nu u_xx - f, zero on a solution; f is params["forcing"], by default 0."""
        d, p = partials, {"forcing": 0.0, **for_residual(self, params)}
        return d["u_t"] + d["u"] * d["u_x"] - p["viscosity"] * d["u_xx"] - p["forcing"]
