"""Implicit-explicit Runge-Kutta steppers: Crank-Nicolson for the linear part, low-storage Runge-Kutta for the rest."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from eddygrad.solver.schemes.spectral.runge_kutta import LowStorage
from eddygrad.solver.schemes.spectral.spectral_scheme import SpectralScheme
from eddygrad.solver.schemes.tableau import LOW_STORAGE


@dataclass(frozen=True)
class CrankNicolsonRK(SpectralScheme):
    """Crank-Nicolson for L, an explicit Runge-Kutta method in low-storage form for N, interleaved stage by stage.

        g <- N(u) + beta_k g,   (1 - mu_k L) u <- (1 + mu_k L) u + gamma_k h g,   mu_k = h (alpha_{k+1} - alpha_k) / 2
        Canuto et al. 2007, app. D.3; order 2 Heun, 3 Williamson 1980, 4 Carpenter and Kennedy 1994 (five stages)
    The whole method has order 2, whatever the order of the explicit part. It is stable for any L <= 0; modes of large h |L| are damped slowly.

    Args:
        equation, grid, dt, substeps, dealias, gradient: see `SpectralScheme`.
        explicit: order of the explicit part, 2, 3 or 4.
    Raises: ValueError for another order; at binding, for a substep that is too long for a growing mode.
    """

    explicit: int = 4

    def __post_init__(self) -> None:
        if self.explicit not in (2, 3, 4):
            raise ValueError(f"CrankNicolsonRK: explicit must be 2, 3 or 4, got {self.explicit}")
        super().__post_init__()

    def program(self, symbol: Tensor, dtype: torch.dtype) -> LowStorage:
        """Return the substep for the linear symbol, see `SpectralScheme.program`.

        Raises: ValueError if a growing mode makes 1 - mu L vanish or change sign.
        """
        alpha, beta, gamma = LOW_STORAGE[self.explicit]
        h = self.substep
        mu = [0.5 * h * (b - a) for a, b in pairwise(alpha)]
        if float(symbol.detach().real.max()) * max(mu) >= 1:
            raise ValueError(f"CrankNicolsonRK: a mode grows at {float(symbol.detach().real.max()):.3g}, too fast for substeps of {h:.3g}; take more")
        return LowStorage(
            beta,
            tuple(((1 + m * symbol) / (1 - m * symbol)).to(dtype) for m in mu),
            tuple((g * h / (1 - m * symbol)).to(dtype) for m, g in zip(mu, gamma)),
        )
