"""Reference data of active turbulence for the problems of the inverse-Dirichlet paper.

Maddu, Sturm, Mueller and Sbalzarini 2021 (arXiv 2107.00940) use integrating-factor Runge-Kutta 4 with 256^2 points on a square of side 2 pi. They
store a snapshot every .01 and use the 50 snapshots t = 4.20 ... 4.69. Their data are not public, so this recipe computes another flow with the same
statistics.
"""

from __future__ import annotations

from torch import Tensor

from eddygrad.datasets.frame_diagnostics import FlowDiagnostics
from eddygrad.datasets.kept_fields import FlowFields
from eddygrad.datasets.recipes.recipe import DatasetRecipe, Group
from eddygrad.solver.equations.active_turbulence import ActiveTurbulenceVelocity
from eddygrad.solver.grid import Grid
from eddygrad.solver.initial import random_fourier
from eddygrad.solver.schemes.spectral.integrating_factor import IntegratingFactorRK4
from eddygrad.solver.vector_calculus import velocity

POINTS = 256
FRAME = 0.01
WINDOW = (420, 50)  # first frame and number of frames
_INITIAL_VORTICITY = {"bandlimit": 30, "rms": 0.1}


def reference(points: int = POINTS) -> IntegratingFactorRK4:
    """Return IFRK4 with two substeps of .005 per frame; a step of .01 is unstable at 256 points."""
    return IntegratingFactorRK4(ActiveTurbulenceVelocity(), Grid((points, points)), dt=FRAME, substeps=2)


def window(frames: int = WINDOW[1], warmup: int = WINDOW[0], samples: int = 1, points: int = POINTS, seed: int = 0) -> DatasetRecipe:
    """Return the recipe of the saturated flow: velocity, vorticity and pressure every .01, from t = .01 `warmup` on.

    Args:
        frames:  frames per trajectory.
        warmup:  steps before the first frame.
        samples: trajectories, each from its own random vorticity of rms .1.
        points:  grid points per axis.
        seed:    of the random vorticity.
    """
    stepper = reference(points)
    equation = stepper.equation
    assert isinstance(equation, ActiveTurbulenceVelocity)

    def state(group: Group, index: int, seed: int) -> Tensor:
        limit = min(_INITIAL_VORTICITY["bandlimit"], points // 2 - 1)
        w = random_fourier(stepper.grid, 1, bandlimit=int(limit), rms=_INITIAL_VORTICITY["rms"], seed=seed, purpose="active turbulence", start=index)
        return velocity(w, stepper.grid)[0]

    fields = FlowFields(stepper.grid, equation.lambda_0, equation.beta)
    names = ("lambda_0", "alpha", "beta", "Gamma_0", "Gamma_2")
    group = Group("active turbulence", "reference", {name: getattr(equation, name) for name in names}, samples)
    diagnose = FlowDiagnostics(stepper.grid)
    return DatasetRecipe("active-turbulence", stepper, (group,), state, frames, warmup, seed=seed, stored=fields, diagnose=diagnose)
