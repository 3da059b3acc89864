"""Kolmogorov flow of the unrolling paper with the scheme that the paper uses: PISO on staggered grids, the pressure a channel of the state.

List, Chen, Bali and Thuerey 2024 (arXiv 2402.12971): 128^2 with steps of .005 and 32^2 with steps of .02, a frame is .02; an implicit predictor and
two pressure correctors. Flow, Reynolds numbers and sets are those of `kolmogorov`. Face velocities are kept by their fluxes, the pressure by its
means over coarse cells.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from eddygrad.datasets.frame_diagnostics import FaceDiagnostics
from eddygrad.datasets.kept_fields import Downsampled
from eddygrad.datasets.recipes import kolmogorov
from eddygrad.datasets.recipes.kolmogorov import COARSE, FINE, FINE_GRID, FORCING_MODE, FRAME, TRAINING_REYNOLDS, WARMUP, Flow
from eddygrad.datasets.recipes.recipe import Recipe
from eddygrad.solver.equations.navier_stokes import NavierStokesVelocity
from eddygrad.solver.finer_grid import RefinedFaces
from eddygrad.solver.grid import Grid
from eddygrad.solver.schemes.piso import PISO
from eddygrad.solver.stream_function import face_velocities, periodic_stream_function


def solver(points: int, substeps: int, forced: bool = True) -> PISO:
    """The scheme on any number of points."""
    equation = NavierStokesVelocity(forcing_amplitude=1.0 if forced else 0.0, forcing_mode=FORCING_MODE)
    return PISO(equation, Grid((points, points)), dt=FRAME, substeps=substeps)


def reference(forced: bool = True) -> PISO:
    """128^2, four steps of .005 a frame."""
    return solver(FINE, 4, forced)


def coarse(forced: bool = True) -> PISO:
    """32^2, one step of .02 a frame: the solver to be corrected."""
    return solver(COARSE, 1, forced)


def finer(points: int) -> RefinedFaces:
    """The coarse solver's states stepped on more points, to which their stream function and pressure are handed once; steps in proportion."""
    return RefinedFaces(solver(points, -(-points // COARSE)), Grid((COARSE, COARSE)))


def _state(w: Tensor) -> Tensor:
    """Face velocities of a vorticity at the corners of the cells, pressure 0."""
    u = face_velocities(periodic_stream_function(w, FINE_GRID), FINE_GRID)[0]
    return torch.cat([u, torch.zeros_like(u[:1])])


FLOW = Flow(
    "kolmogorov-piso",
    reference,
    _state,
    Downsampled(FINE_GRID, (COARSE, COARSE), (*kolmogorov.CHANNELS, "pressure"), "staggered"),
    FaceDiagnostics(FINE_GRID, (True, True)),
)


def training(frames: int = 6000, reynolds: Sequence[float] = TRAINING_REYNOLDS, samples: int = 1, warmup: int = WARMUP, seed: int = 0) -> Recipe:
    """The paper's six Reynolds numbers; see `kolmogorov.training`."""
    return kolmogorov.training(frames, reynolds, samples, warmup, seed, FLOW)


def validation(frames: int = 502, reynolds: Sequence[float] = TRAINING_REYNOLDS, warmup: int = WARMUP, seed: int = 0) -> Recipe:
    """One more start at each of the training's Reynolds numbers; see `kolmogorov.validation`."""
    return kolmogorov.validation(frames, reynolds, warmup, seed, FLOW)


def testing(starts: int = 6, horizon: int = 250, warmup: int = WARMUP, seed: int = 0) -> Recipe:
    """Re 600 (interpolation) and 1000 (extrapolation); see `kolmogorov.testing`."""
    return kolmogorov.testing(starts, horizon, warmup, seed, FLOW)
