"""Kolmogorov flow with exponax: ETDRK of its vorticity equation.

Modes up to 2/3 (N/2 - 1) - 1 on each axis go into the advection term and come out of it; the state is not cut. Its vorticity is u_y - v_x,
minus ours, and its forcing -A 4 cos(4 y) of that one is the force (-A sin(4 y), 0). So it is given minus the first state and minus the amplitude,
and steps minus the state of the others. Drag is a growth rate, of negative sign. Import it after `restrict_cores`: it imports jax.
"""

from __future__ import annotations

import math
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import exponax as ex
import jax
from workload import DRAG, FLOW_DT, FORCING_AMPLITUDE, FORCING_MODE, VISCOSITY

VERSIONS = f"exponax {version('exponax')}, jax {jax.__version__}"
SIGN = -1.0  # of its vorticity, against ours


def flow_stepper(n: int, scheme: str) -> Any:
    """The stepper of one sample (1, n, n)."""
    return ex.stepper.KolmogorovFlowVorticity(
        2,
        2 * math.pi,
        n,
        FLOW_DT,
        diffusivity=VISCOSITY,
        drag=-DRAG,
        injection_mode=FORCING_MODE,
        injection_scale=SIGN * FORCING_AMPLITUDE,
        order=int(scheme[-1]),
    )
