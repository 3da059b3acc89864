"""Kolmogorov flow with jax-cfd: its spectral vorticity equation and Carpenter-Kennedy RK4 with Crank-Nicolson.

The advection term is truncated to the modes below N/3 (up to one row); the state is not truncated. The force is (sin(4 y), 0), and w = v_x - u_y.
Import this module after `restrict_cores`, because it imports jax.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import jax
from jax_cfd.base.forcings import kolmogorov_forcing
from jax_cfd.base.grids import Grid
from jax_cfd.spectral.equations import NavierStokes2D
from jax_cfd.spectral.time_stepping import crank_nicolson_rk4
from workload import DRAG, FLOW_DT, FORCING_AMPLITUDE, FORCING_MODE, VISCOSITY

VERSIONS = f"jax-cfd {version('jax-cfd')}, jax {jax.__version__}"


def flow_step(n: int) -> Callable[[Any], Any]:
    """Return the step on the half spectrum (n, n // 2 + 1) of one sample."""
    grid = Grid((n, n), domain=((0, 2 * math.pi), (0, 2 * math.pi)))

    def force(grid: Grid) -> Any:
        return kolmogorov_forcing(grid, scale=FORCING_AMPLITUDE, k=FORCING_MODE, offsets=((0, 0), (0, 0)))

    return crank_nicolson_rk4(NavierStokes2D(VISCOSITY, grid, drag=DRAG, smooth=True, forcing_fn=force), FLOW_DT)
