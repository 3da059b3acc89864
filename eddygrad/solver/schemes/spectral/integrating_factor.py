"""The integrating-factor Runge-Kutta stepper of order 4."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from eddygrad.solver.schemes.spectral.runge_kutta import RungeKutta
from eddygrad.solver.schemes.spectral.spectral_scheme import SpectralScheme
from eddygrad.solver.schemes.tableau import integrating_factor


@dataclass(frozen=True)
class IntegratingFactorRK4(SpectralScheme):
    """The classical Runge-Kutta method for e^(-t L) u: exact in the linear part, order 4 in the rest.

        Canuto et al. 2007, app. D; see `tableau.integrating_factor`
    Args:
        equation, grid, dt, substeps, dealias, gradient: see `SpectralScheme`.
    """

    def program(self, symbol: Tensor, dtype: torch.dtype) -> RungeKutta:
        """Return the substep for the linear symbol, see `SpectralScheme.program`."""
        return RungeKutta.of(integrating_factor(self.substep * symbol), self.substep, dtype)
