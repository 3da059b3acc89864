"""Cases of the spectral schemes: every scheme with its claimed order, every equation with a grid and parameters per sample."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from eddygrad.solver.equations.active_turbulence import ActiveTurbulenceVelocity, ActiveTurbulenceVorticity
from eddygrad.solver.equations.burgers import Burgers
from eddygrad.solver.equations.kuramoto_sivashinsky import KuramotoSivashinsky
from eddygrad.solver.equations.navier_stokes import NavierStokesVelocity, NavierStokesVorticity
from eddygrad.solver.equations.smagorinsky import SmagorinskyVelocity
from eddygrad.solver.grid import Grid
from eddygrad.solver.initial import random_fourier
from eddygrad.solver.schemes.spectral.etdrk import ETDRK
from eddygrad.solver.schemes.spectral.imex import CrankNicolsonRK
from eddygrad.solver.schemes.spectral.integrating_factor import IntegratingFactorRK4
from eddygrad.solver.schemes.spectral.spectral_scheme import SpectralScheme
from eddygrad.solver.vector_calculus import leray

# Scheme, claimed order.
SCHEMES = {
    **{f"ETDRK{p}": (ETDRK, {"order": p}, p) for p in (1, 2, 3, 4)},
    "IFRK4": (IntegratingFactorRK4, {}, 4),
    **{f"CN-RK{p}": (CrankNicolsonRK, {"explicit": p}, 2) for p in (2, 3, 4)},
}
# Equation, grid, every parameter with a value per sample.
EQUATIONS = {
    "ks": (KuramotoSivashinsky(), Grid((24,), 22.0), {}),
    "burgers": (Burgers(), Grid((24,)), {"viscosity": (0.1, 0.2)}),
    "vorticity": (
        NavierStokesVorticity(forcing_mode=2, hyper_power=2),
        Grid((12, 10), (2 * math.pi, 5.0)),
        {
            "viscosity": (0.1, 0.2),
            "drag": (0.1, 0.3),
            "hyperviscosity": (1e-4, 2e-4),
            "forcing_amplitude": (1.0, 0.5),
            "mean_u": (0.3, 0.1),
            "mean_v": (-0.2, 0.4),
        },
    ),
    "velocity": (
        NavierStokesVelocity(forcing_mode=2),
        Grid((10, 12)),
        {"viscosity": (0.1, 0.2), "drag": (0.1, 0.3), "hyperviscosity": (1e-6, 2e-6), "forcing_amplitude": (1.0, 0.5)},
    ),
    "velocity 3-D": (NavierStokesVelocity(dimension=3, forcing_mode=2), Grid((8, 8, 6)), {"viscosity": (0.1, 0.2), "forcing_amplitude": (1.0, 0.5)}),
    "smagorinsky": (
        SmagorinskyVelocity(forcing_mode=2),
        Grid((10, 12)),
        {"viscosity": (0.1, 0.2), "drag": (0.1, 0.3), "forcing_amplitude": (1.0, 0.5), "mixing_length": (0.2, 0.4)},
    ),
    "active velocity": (
        ActiveTurbulenceVelocity(),
        Grid((12, 10)),
        {"lambda_0": (3.5, 3.0), "alpha": (-1.0, -0.8), "beta": (0.5, 0.6), "Gamma_0": (-0.04, -0.03), "Gamma_2": (1e-2, 2e-2)},
    ),
    "active vorticity": (
        ActiveTurbulenceVorticity(),
        Grid((12, 10)),
        {"lambda_0": (3.5, 3.0), "alpha": (-1.0, -0.8), "beta": (0.5, 0.6), "Gamma_0": (-0.04, -0.03), "Gamma_2": (1e-2, 2e-2)},
    ),
}
ALL_SCHEMES = pytest.mark.parametrize("scheme", SCHEMES)
ALL_EQUATIONS = pytest.mark.parametrize("equation", EQUATIONS)
ROUND_OFF = 1e-12


def build(scheme: str, equation: str, dt: float = 0.1, **options: object) -> SpectralScheme:
    kind, own, _ = SCHEMES[scheme]
    return kind(EQUATIONS[equation][0], EQUATIONS[equation][1], dt=dt, **own, **options)  # type: ignore[operator]


def state(equation: str, samples: int = 2, bandlimit: int = 2, grid: Grid | None = None) -> Tensor:
    """A smooth state that satisfies the equation's constraint."""
    physics, own, _ = EQUATIONS[equation]
    grid = grid or own
    u = random_fourier(grid, samples, len(physics.channels), bandlimit=bandlimit, rms=0.7, seed=3)
    if "velocity" in physics.channels[0]:
        return leray(u, grid) + 0.2
    if "mean_u" in physics.channels:
        u[:, 1:] = torch.tensor([[0.3, -0.2], [0.1, 0.4]])[:samples, :, None, None]
    return u


def params(equation: str, learnable: bool = False) -> dict[str, Tensor]:
    ndim = EQUATIONS[equation][1].ndim
    values = {name: torch.tensor(v, dtype=torch.float64).reshape(2, 1, *[1] * ndim) for name, v in EQUATIONS[equation][2].items()}
    return {name: v.requires_grad_(learnable) for name, v in values.items()}


def time_derivative(step: Any, u: Tensor, dt: float) -> tuple[Tensor, Tensor]:
    """Return the state after two steps and its time derivative by a five-point stencil."""
    frames = [u]
    for _ in range(4):
        frames.append(step(frames[-1]))
    return frames[2], (frames[0] - 8 * frames[1] + 8 * frames[3] - frames[4]) / (12 * dt)
