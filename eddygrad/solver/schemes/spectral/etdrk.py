"""Exponential time differencing Runge-Kutta steppers of order 1 to 4, in Fourier space or as small dense operators."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from eddygrad.solver.equations.conservative import ConservativeLine
from eddygrad.solver.schemes.spectral.dense_etd import DenseStep, dense_stages
from eddygrad.solver.schemes.spectral.runge_kutta import RungeKutta
from eddygrad.solver.schemes.spectral.spectral_scheme import SpectralScheme
from eddygrad.solver.schemes.tableau import etdrk
from eddygrad.solver.step import Step

# Up to this many points a step by matrix products is faster than by FFTs (docs/performance.md).
_DENSE_LIMIT = 96


@dataclass(frozen=True)
class ETDRK(SpectralScheme):
    """Exponential time differencing: exact in the linear part, Runge-Kutta for the nonlinear part.

        u+ = e^z u + h sum_j b_j(z) N(u_j),  z = h L,  h = dt / substeps        Cox and Matthews 2002
    Order 1 is ETD1 (exponential Euler), order 2 to 4 are ETDRK2, ETDRK3 and ETDRK4. Coefficients are computed in float64 and cast last.

    Args:
        equation, grid, dt, substeps, dealias, gradient: see `SpectralScheme`.
        order:       1 to 4.
        realisation: "dense" multiplies by N x N matrices (for a conservative equation on a line, one length for the batch, not dealiased),
                     "spectral" uses FFTs; "auto" takes the faster one.
    Raises: ValueError for an order, substeps, fraction, realisation or dt out of range.
    """

    order: int = 2
    realisation: Literal["auto", "dense", "spectral"] = "auto"

    def __post_init__(self) -> None:
        if self.order not in (1, 2, 3, 4):
            raise ValueError(f"ETDRK: order must be 1, 2, 3 or 4, got {self.order}")
        super().__post_init__()
        if self.realisation not in ("auto", "dense", "spectral") or (self.realisation == "dense" and not self._can_be_dense):
            raise ValueError(
                f"ETDRK: realisation must be 'auto', 'spectral' or (on a line, flux u^2/2, not dealiased) 'dense', got {self.realisation!r}"
            )

    @property
    def _can_be_dense(self) -> bool:
        return isinstance(self.equation, ConservativeLine) and self.grid.ndim == 1 and self.band.dealias is None

    def program(self, symbol: Tensor, dtype: torch.dtype) -> RungeKutta:
        """Return the substep for the linear symbol, see `SpectralScheme.program`."""
        return RungeKutta.of(etdrk(self.order, self.substep * symbol), self.substep, dtype)

    def _step(self, values: Mapping[str, Tensor], dtype: torch.dtype, device: torch.device, forcing: Tensor | None = None) -> Step:
        small = self.realisation == "dense" or (self.realisation == "auto" and self.grid.shape[-1] <= _DENSE_LIMIT)
        if not (small and self._can_be_dense and forcing is None and all(v.numel() == 1 for v in values.values())):
            return super()._step(values, dtype, device, forcing)
        assert isinstance(self.equation, ConservativeLine)
        shared = {name: value.reshape(1) for name, value in values.items()}
        k, params = self.band.wavenumbers(shared.get("length"), device), self._values(shared)
        (symbol,), ((flux,),) = self.equation.symbol(k, params), self.equation.analysis(k, params)
        if self.equation.forcing(k, params):
            return super()._step(values, dtype, device, forcing)
        assert flux is not None
        flux = self.substep * flux * self.band.directed(device)
        return DenseStep(
            dense_stages(etdrk(self.order, self.substep * symbol), flux, self.grid.shape[0], dtype), self.equation.pointwise, self.substeps
        )
