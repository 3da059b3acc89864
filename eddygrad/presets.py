"""Solvers of the papers by name; each returns the object that you could build yourself."""

from __future__ import annotations

import math
from typing import Literal

from eddygrad.solver.equations.active_turbulence import ActiveTurbulenceVelocity
from eddygrad.solver.equations.kuramoto_sivashinsky import KuramotoSivashinsky
from eddygrad.solver.equations.navier_stokes import NavierStokesVelocity
from eddygrad.solver.grid import Grid
from eddygrad.solver.schemes.spectral.etdrk import ETDRK
from eddygrad.solver.schemes.spectral.integrating_factor import IntegratingFactorRK4


def kuramoto_sivashinsky(D: float = 8.0, points: int = 48, order: Literal[1, 2, 3, 4] = 2, substeps: int = 2, dt: float = 1.0) -> ETDRK:
    """The Kuramoto-Sivashinsky solver of the unrolling paper on L = 2 pi D.

        order=2 is the paper's reference, order=1 the coarse solver that it corrects; a frame is two substeps of .5     List et al. 2024
    Args:   D: domain length over 2 pi [-]. points: of the grid. order, substeps, dt: see `ETDRK`; dt is a frame.
    Returns: ETDRK(KuramotoSivashinsky(), Grid((points,), 2 pi D), dt, order, substeps).
    """
    return ETDRK(KuramotoSivashinsky(), Grid((points,), 2 * math.pi * D), dt=dt, order=order, substeps=substeps)


def kolmogorov(re: float = 600.0, points: int = 128, substeps: int = 4, dt: float = 0.02, forcing_mode: int = 6) -> ETDRK:
    """Kolmogorov flow on (2 pi)^2 by its velocity, nu = 1 / Re, force sin(n y), no drag; ETDRK4.

        points=128, substeps=4 is the recipe's reference, points=32, substeps=1 its coarse solver                 List et al. 2024, with PISO there
    Args:   re: Reynolds number [-]. points: per axis. substeps, dt: see `ETDRK`; dt is a frame. forcing_mode: n.
    """
    equation = NavierStokesVelocity(viscosity=1 / re, forcing_amplitude=1.0, forcing_mode=forcing_mode)
    return ETDRK(equation, Grid((points, points)), dt=dt, substeps=substeps, order=4)


def active_turbulence(points: int = 256, substeps: int = 2, dt: float = 0.01) -> IntegratingFactorRK4:
    """Active turbulence on (2 pi)^2 by its velocity, coefficients and integrating-factor Runge-Kutta 4 as in Maddu et al. 2021.

    Args:   points: per axis; 128 resolve it. substeps, dt: see `IntegratingFactorRK4`; a substep of .01 is unstable at 256 points.
    """
    return IntegratingFactorRK4(ActiveTurbulenceVelocity(), Grid((points, points)), dt=dt, substeps=substeps)


__all__ = ["active_turbulence", "kolmogorov", "kuramoto_sivashinsky"]
