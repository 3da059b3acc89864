"""Reference data of active turbulence for the inverse-Dirichlet paper's problems.

Maddu, Sturm, Mueller and Sbalzarini 2021 (arXiv 2107.00940): integrating-factor Runge-Kutta 4, N = 256 on a side of 2 pi, stored every .01; their
window is t = 4.20 ... 4.69, 50 snapshots. The original data are not at hand, so the flow is another one of the same statistics.
"""

from __future__ import annotations

from torch import Tensor

from eddygrad.datasets.frame_diagnostics import FlowDiagnostics
from eddygrad.datasets.kept_fields import FlowFields
from eddygrad.datasets.recipes.recipe import Group, Recipe
from eddygrad.solver.equations.active_turbulence import ActiveTurbulenceVelocity
from eddygrad.solver.grid import Grid
from eddygrad.solver.initial import random_fourier
from eddygrad.solver.schemes.spectral.integrating_factor import IntegratingFactorRK4
from eddygrad.solver.vector_calculus import velocity

POINTS = 256
FRAME = 0.01
WINDOW = (420, 50)  # first frame and number of frames
_START = {"bandlimit": 30, "rms": 0.1}  # of the vorticity at t = 0


def reference(points: int = POINTS) -> IntegratingFactorRK4:
    """IFRK4 with two substeps of .005 a frame: .01 is unstable at 256 points."""
    return IntegratingFactorRK4(ActiveTurbulenceVelocity(), Grid((points, points)), dt=FRAME, substeps=2)


def window(frames: int = WINDOW[1], warmup: int = WINDOW[0], samples: int = 1, points: int = POINTS, seed: int = 0) -> Recipe:
    """Velocity, vorticity and pressure of the saturated flow, every .01 from t = .01 `warmup` on.

    Args: samples: flows from different random vorticity of rms .1.
    """
    stepper = reference(points)
    equation = stepper.equation
    assert isinstance(equation, ActiveTurbulenceVelocity)

    def state(group: Group, index: int, seed: int) -> Tensor:
        limit = min(_START["bandlimit"], points // 2 - 1)
        w = random_fourier(stepper.grid, 1, bandlimit=int(limit), rms=_START["rms"], seed=seed, purpose="active turbulence", start=index)
        return velocity(w, stepper.grid)[0]

    fields = FlowFields(stepper.grid, equation.lambda_0, equation.beta)
    names = ("lambda_0", "alpha", "beta", "Gamma_0", "Gamma_2")
    group = Group("active turbulence", "reference", {name: getattr(equation, name) for name in names}, samples)
    diagnose = FlowDiagnostics(stepper.grid)
    return Recipe("active-turbulence", stepper, (group,), state, frames, warmup, seed=seed, stored=fields, diagnose=diagnose)
