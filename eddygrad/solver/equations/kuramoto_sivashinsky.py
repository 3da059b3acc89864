"""The Kuramoto-Sivashinsky equation in conservative form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from eddygrad.solver.equations.conservative import ConservativeLine
from eddygrad.solver.equations.equation import Values, Wavenumbers, for_residual


@dataclass(frozen=True)
class KuramotoSivashinsky(ConservativeLine):
    """The Kuramoto-Sivashinsky equation: spatio-temporal chaos in one dimension.

        u_t + (u^2 / 2)_x + u_xx + u_xxxx = 0,  periodic              Kuramoto 1978; Sivashinsky 1977
        symbol:  L(k) = k^2 - k^4               product:  N_hat = -1/2 i k F(u^2)

    State: one channel, u. Parameter: the domain length L = 2 pi D [-]. All quantities are dimensionless. The mean of u is conserved; L > 2 pi
    is linearly unstable. There is no dealiasing, as in List et al. 2024, so the discrete map includes aliases.
    """

    name: ClassVar[str] = "kuramoto-sivashinsky"
    parameters: ClassVar[Mapping[str, str]] = {"length": "1"}
    needs: ClassVar[tuple[str, ...]] = ("u", "u_t", "u_x", "u_xx", "u_xxxx")
    dealias: ClassVar[float | None] = None

    def symbol(self, k: Wavenumbers, params: Values) -> tuple[Tensor]:
        """Return the linear growth rate k^2 - k^4 of each mode [1/s]."""
        k2 = k[0] ** 2
        return (k2 - k2**2,)

    def residual(self, partials: Mapping[str, Tensor], params: Values | None = None) -> Tensor:
        """Return u_t + u u_x + u_xx + u_xxxx, zero on a solution."""
        for_residual(self, params)
        d = partials
        return d["u_t"] + d["u"] * d["u_x"] + d["u_xx"] + d["u_xxxx"]
