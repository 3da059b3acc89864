"""Kolmogorov flow of the unrolling paper with the paper's scheme: PISO on staggered grids, with the pressure as a channel of the state.

List, Chen, Bali and Thuerey 2024 (arXiv 2402.12971): 128^2 with steps of .005 and 32^2 with steps of .02; a frame is .02. PISO has an implicit
predictor and two pressure correctors. Flow, Reynolds numbers and sets are those of `kolmogorov`. Stored are the fluxes through the faces of the
coarse cells, as mean face velocities, and the mean pressure of each coarse cell.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from eddygrad.datasets.frame_diagnostics import FaceDiagnostics
from eddygrad.datasets.kept_fields import Downsampled
from eddygrad.datasets.recipes import kolmogorov
from eddygrad.datasets.recipes.kolmogorov import COARSE, FINE, FINE_GRID, FORCING_MODE, FRAME, TRAINING_REYNOLDS, WARMUP, Flow
from eddygrad.datasets.recipes.recipe import DatasetRecipe
from eddygrad.solver.equations.navier_stokes import NavierStokesVelocity
from eddygrad.solver.finer_grid import RefinedFaces
from eddygrad.solver.grid import Grid
from eddygrad.solver.schemes.piso import PISO
from eddygrad.solver.stream_function import face_velocities, periodic_stream_function


def solver(points: int, substeps: int, forced: bool = True) -> PISO:
    """Return the PISO solver.

    Args:
        points:   cells per axis.
        substeps: steps per frame of .02.
        forced:   whether the force sin(6 y) drives the flow.
    """
    equation = NavierStokesVelocity(forcing_amplitude=1.0 if forced else 0.0, forcing_mode=FORCING_MODE)
    return PISO(equation, Grid((points, points)), dt=FRAME, substeps=substeps)


def reference(forced: bool = True) -> PISO:
    """Return the 128^2 solver with four steps of .005 per frame, forced or not."""
    return solver(FINE, 4, forced)


def coarse(forced: bool = True) -> PISO:
    """Return the 32^2 solver with one step of .02 per frame, forced or not: the solver to be corrected."""
    return solver(COARSE, 1, forced)


def finer(points: int) -> RefinedFaces:
    """Return a solver on `points`^2 that steps states of the coarse solver, with proportionally more substeps.

    Stream function and pressure of the coarse state are interpolated to the finer grid once, at the first step.
    """
    return RefinedFaces(solver(points, -(-points // COARSE)), Grid((COARSE, COARSE)))


def _state(w: Tensor) -> Tensor:
    """Return the state (3, *grid) of a vorticity (1, *grid) at the cell corners: its face velocities, and pressure 0."""
    u = face_velocities(periodic_stream_function(w, FINE_GRID), FINE_GRID)[0]
    return torch.cat([u, torch.zeros_like(u[:1])])


FLOW = Flow(
    "kolmogorov-piso",
    reference,
    _state,
    Downsampled(FINE_GRID, (COARSE, COARSE), (*kolmogorov.CHANNELS, "pressure"), "staggered"),
    FaceDiagnostics(FINE_GRID, (True, True)),
)


def training(
    frames: int = 6000, reynolds: Sequence[float] = TRAINING_REYNOLDS, samples: int = 1, warmup: int = WARMUP, seed: int = 0
) -> DatasetRecipe:
    """Return the recipe of the training set.

    Args: frames, reynolds, samples, warmup, seed: see `kolmogorov.training`.
    """
    return kolmogorov.training(frames, reynolds, samples, warmup, seed, FLOW)


def validation(frames: int = 502, reynolds: Sequence[float] = TRAINING_REYNOLDS, warmup: int = WARMUP, seed: int = 0) -> DatasetRecipe:
    """Return the recipe of the validation set.

    Args: frames, reynolds, warmup, seed: see `kolmogorov.validation`.
    """
    return kolmogorov.validation(frames, reynolds, warmup, seed, FLOW)


def testing(starts: int = 6, horizon: int = 250, warmup: int = WARMUP, seed: int = 0) -> DatasetRecipe:
    """Return the recipe of the test set: Re 600 (interpolation) and Re 1000 (extrapolation).

    Args: starts, horizon, warmup, seed: see `kolmogorov.testing`.
    """
    return kolmogorov.testing(starts, horizon, warmup, seed, FLOW)
