"""Solvers of the papers by name; each function returns a solver that you could also build yourself."""

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
    """Return the Kuramoto-Sivashinsky solver of the unrolling paper on a domain of length 2 pi D.

        order=2 is the paper's reference, order=1 the coarse solver that it corrects; a frame is two substeps of .5     List et al. 2024
    Args:
        D:        domain length over 2 pi [-].
        points:   grid points.
        order:    order of the time integration.
        substeps: steps per frame.
        dt:       time between frames [-].
    Returns: ETDRK(KuramotoSivashinsky(), Grid((points,), 2 pi D), dt, order, substeps).
    """
    return ETDRK(KuramotoSivashinsky(), Grid((points,), 2 * math.pi * D), dt=dt, order=order, substeps=substeps)


def kolmogorov(re: float = 600.0, points: int = 128, substeps: int = 4, dt: float = 0.02, forcing_mode: int = 6) -> ETDRK:
    """Return a solver for the velocity of Kolmogorov flow on (2 pi)^2: viscosity 1 / Re, force sin(n y), no drag; ETDRK4.

        points=128, substeps=4 is the recipe's reference, points=32, substeps=1 its coarse solver    List et al. 2024, who use PISO
    Args:
        re:           Reynolds number [-].
        points:       grid points per axis.
        substeps:     steps per frame.
        dt:           time between frames [-].
        forcing_mode: wavenumber n of the force.
    """
    equation = NavierStokesVelocity(viscosity=1 / re, forcing_amplitude=1.0, forcing_mode=forcing_mode)
    return ETDRK(equation, Grid((points, points)), dt=dt, substeps=substeps, order=4)


def active_turbulence(points: int = 256, substeps: int = 2, dt: float = 0.01) -> IntegratingFactorRK4:
    """Return a solver for the velocity of active turbulence on (2 pi)^2: coefficients and integrating-factor Runge-Kutta 4 of Maddu et al. 2021.

    Args:
        points:   grid points per axis; 128 resolve the flow.
        substeps: steps per frame; a step of .01 is unstable at 256 points.
        dt:       time between frames [-].
    """
    return IntegratingFactorRK4(ActiveTurbulenceVelocity(), Grid((points, points)), dt=dt, substeps=substeps)


__all__ = ["active_turbulence", "kolmogorov", "kuramoto_sivashinsky"]
