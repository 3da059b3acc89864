"""Plane Navier-Stokes flow with Smagorinsky's eddy viscosity: the classical closure of a coarse grid, a baseline for learned ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from eddygrad.solver.equations.equation import Table, Values, Wavenumbers
from eddygrad.solver.equations.navier_stokes import NavierStokesVelocity
from eddygrad.solver.vector_calculus import projected


@dataclass(frozen=True)
class SmagorinskyVelocity:
    """A large-eddy model in two dimensions: an eddy viscosity that grows with the local rate of strain.

        u_t = P [-(u . grad) u + div(2 nu_t S) + f] + nu lap u - drag u,   nu_t = l^2 |S|,   |S| = sqrt(2 S_ij S_ij)      Smagorinsky 1963
    The mixing length l = C_s dx [m] is a parameter with a gradient, so it can be tuned; C_s of 0.1 to 0.2 is usual. The rest is
    `NavierStokesVelocity`. The product |S| S is not a polynomial, so dealiasing removes the aliases of the quadratic terms only.
    """

    viscosity: float = 1e-3
    drag: float = 0.0
    forcing_amplitude: float = 0.0
    forcing_mode: int = 4
    mixing_length: float = 0.0

    def __post_init__(self) -> None:
        _ = self._resolved  # checks the fields that both have

    name: ClassVar[str] = "smagorinsky"
    channels: ClassVar[tuple[str, ...]] = ("velocity_x", "velocity_y")
    parameters: ClassVar[Mapping[str, str]] = {
        **{name: unit for name, unit in NavierStokesVelocity.parameters.items() if name != "hyperviscosity"},
        "mixing_length": "m",
    }
    inside: ClassVar[tuple[str, ...]] = ("mixing_length",)
    needs: ClassVar[tuple[str, ...]] = ()
    ndim: ClassVar[int] = 2
    dealias: ClassVar[float | None] = 2 / 3

    @property
    def _resolved(self) -> NavierStokesVelocity:
        return NavierStokesVelocity(self.viscosity, self.drag, forcing_amplitude=self.forcing_amplitude, forcing_mode=self.forcing_mode)

    def symbol(self, k: Wavenumbers, params: Values) -> tuple[Tensor]:
        """Return -nu k^2 - drag [1/s]."""
        return self._resolved.symbol(k, {**params, "hyperviscosity": 0.0})

    def synthesis(self, k: Wavenumbers, params: Values) -> Table:
        """Return velocity and the rates of strain S_11 = u_x and S_12 = (u_y + v_x) / 2; S_22 = -S_11."""
        one = torch.ones_like(k[0] * k[1])
        return (one, None), (None, one), (1j * k[0] * one, None), (0.5j * k[1] * one, 0.5j * k[0] * one)

    def constraint(self, k: Wavenumbers) -> Table:
        """Return the Leray projection."""
        return self._resolved.constraint(k)

    def products(self, fields: Sequence[Tensor], params: Mapping[str, Tensor], out: Sequence[Tensor | None]) -> tuple[Tensor, ...]:
        """Return the products of the flow and the stresses tau_1j = 2 l^2 |S| S_1j, |S| = 2 sqrt(S_11^2 + S_12^2).

        Args:
            fields, params, out: see `SpectralEquation.products`.
        """
        flow = self._resolved.products(fields[:2], params, out[:2])
        s11, s12 = fields[2:]
        eddy = 4 * params["mixing_length"] ** 2 * _size(s11, s12)
        return (*flow, torch.mul(eddy, s11, out=out[2]), torch.mul(eddy, s12, out=out[3]))

    def products_adjoint(self, fields: Tensor, params: Mapping[str, Tensor], grad: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the adjoint of the products. Args: see `SpectralEquation.products_adjoint`."""
        flow, _ = self._resolved.products_adjoint(fields[:2], params, grad[:2])
        (s11, s12), (g11, g12), length = fields[2:], grad[2:], params["mixing_length"]
        size = _size(s11, s12)
        along = s11 * g11 + s12 * g12
        turned = torch.where(size > 0, along / size.clamp_min(torch.finfo(size.dtype).tiny), 0.0)
        strain = 4 * length**2 * torch.stack([size * g11 + s11 * turned, size * g12 + s12 * turned])
        return torch.cat([flow, strain]), {"mixing_length": 8 * length * size * along}

    def analysis(self, k: Wavenumbers, params: Values) -> Table:
        """Return -P_ci i k_j for the products of the flow and P_ci i k_j for the stresses tau_ij, with tau_22 = -tau_11."""
        flow = self._resolved.analysis(k, params)
        rows = []
        for c, own in enumerate(flow):
            p1, p2 = projected(c, 0, k), projected(c, 1, k)
            rows.append((*own, 1j * (p1 * k[0] - p2 * k[1]), 1j * (p1 * k[1] + p2 * k[0])))
        return rows

    def forcing(self, k: Wavenumbers, params: Values) -> Mapping[int, Mapping[tuple[int, ...], Tensor | complex]]:
        """Return the Kolmogorov forcing."""
        return self._resolved.forcing(k, params)

    def residual(self, partials: Mapping[str, Tensor], params: Values | None = None) -> Tensor:
        """Raise ValueError: a closure of the unresolved flow has no residual."""
        raise ValueError("residual: smagorinsky models the unresolved flow and has no residual; take that of NavierStokesVelocity")


def _size(s11: Tensor, s12: Tensor) -> Tensor:
    """Return sqrt(S_11^2 + S_12^2), with gradient zero where the strain is zero."""
    square = s11 * s11 + s12 * s12
    return torch.where(square > 0, torch.where(square > 0, square, 1.0).sqrt(), 0.0)
