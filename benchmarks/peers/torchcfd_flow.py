"""Kolmogorov flow with torch-cfd: its spectral vorticity equation and Carpenter-Kennedy RK4 with Crank-Nicolson.

The advection term is truncated to the modes below N/3 (up to one row); the state is not truncated. The force is (sin(4 y), 0), which is built and
transformed again in each stage, and w = v_x - u_y.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import torch
from torch import Tensor
from torch_cfd.forcings import KolmogorovForcing
from torch_cfd.grids import Grid
from torch_cfd.spectral import NavierStokes2DSpectral, RK4CrankNicolsonStepper
from workload import DRAG, FLOW_DT, FORCING_AMPLITUDE, FORCING_MODE, VISCOSITY

VERSIONS = f"torch-cfd {version('torch-cfd')}, torch {torch.__version__}"


def flow_step(n: int) -> Callable[[Tensor], Tensor]:
    """Return the step on half spectra (batch, n, n // 2 + 1)."""
    grid = Grid((n, n), domain=((0.0, 2 * math.pi), (0.0, 2 * math.pi)))
    force = KolmogorovForcing(grid=grid, scale=FORCING_AMPLITUDE, diam=2 * math.pi, wave_number=FORCING_MODE, offsets=((0, 0), (0, 0)))
    scheme = RK4CrankNicolsonStepper()
    equation = NavierStokes2DSpectral(viscosity=VISCOSITY, grid=grid, drag=DRAG, smooth=True, forcing_fn=force, step_fn=scheme)
    return lambda h: scheme(h, FLOW_DT, equation)
