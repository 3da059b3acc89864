"""Kolmogorov flow with exponax: ETDRK of its vorticity equation.

The advection term reads and keeps modes up to 2/3 (N/2 - 1) - 1 on each axis; the state is not truncated. exponax's vorticity is u_y - v_x, the
negative of ours, and its forcing -4 A cos(4 y) corresponds to the force (-A sin(4 y), 0). Initial state and amplitude are therefore negated, and its
state is the negative of the others'. Drag is a growth rate with negative sign. Import this module after `restrict_cores`, because it imports jax.
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
SIGN = -1.0  # exponax's vorticity over ours


def flow_stepper(n: int, scheme: str) -> Any:
    """Return the stepper of one sample (1, n, n)."""
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
