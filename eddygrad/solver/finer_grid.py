"""A solver on a finer grid for states of a coarser one: a baseline that shows what more points are worth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from eddygrad.solver.grid import Grid
from eddygrad.solver.staggered.boundary_conditions import all_steady
from eddygrad.solver.staggered.faces import Faces, known_values
from eddygrad.solver.step import Observer, Params, StayingStep, Step, StepperInfo, info_of
from eddygrad.solver.stream_function import face_velocities, remapped, resampled, stream_function
from eddygrad.solver.transforms import limited, resample


@dataclass(frozen=True)
class _OnAnotherGrid:
    """A solver on another grid than its states, which live on `grid`."""

    solver: Any
    grid: Grid

    @property
    def dt(self) -> float:
        return float(self.solver.dt)

    @property
    def differentiable(self) -> bool:
        return bool(self.solver.differentiable)

    def info(self) -> StepperInfo:
        """Return the solver's facts with the grid of the states; a parallel correction is scaled by dt, for it acts on the coarse grid."""
        return replace(info_of(self.solver), grid=self.grid, substep=None, stays_inside=True)


@dataclass(frozen=True)
class Refined(_OnAnotherGrid):
    """A spectral solver on a finer grid: the Fourier series of a coarse state is stepped on the grid of `solver` and restricted to `grid` again.

    Between `enter` and `leave` the state stays on the fine grid; a plain call makes one step and loses what the coarse grid does not resolve.
    `info().stays_inside` makes a roll-out read every frame without leaving.

    Args:
        solver: a spectral stepper on the fine grid.
        grid:   grid of the states.
        modes:  the largest mode per axis of a returned state; None returns all.
    Raises: ValueError for a solver without a grid, or on another box.
    """

    modes: int | None = None

    def __post_init__(self) -> None:
        fine = info_of(self.solver).grid
        if fine is None or fine.lengths != self.grid.lengths:
            raise ValueError(f"Refined: expected a stepper with a grid on the box {self.grid.lengths}, got {self.solver!r}")

    def at(self, params: Params, like: Tensor, observe: Observer | None = None) -> StayingStep:
        """Bind the solver on the fine grid; parameters as for the solver. Args: see `Stepper.at`."""
        step: Any = self.solver.at(params, self._up(like), observe)
        return _RefinedStep(step, self._up, self._down)

    def _up(self, u: Tensor) -> Tensor:
        return resample(u, self.grid, self.solver.grid.shape)

    def _down(self, u: Tensor) -> Tensor:
        fine, shape = self.solver.grid, self.grid.shape
        return resample(u, fine, shape) if self.modes is None else limited(u, fine, self.modes, shape)


@dataclass(frozen=True)
class _RefinedStep(StayingStep):
    """A step of the solver between two changes of the grid."""

    step: Any
    up: Callable[[Tensor], Tensor]
    down: Callable[[Tensor], Tensor]

    def enter(self, u: Tensor) -> Any:
        return self.step.enter(self.up(u))

    def inner(self, state: Any, k: int = 0) -> Any:
        return self.step.inner(state, k)

    def leave(self, state: Any) -> Tensor:
        return self.down(self.step.leave(state))


@dataclass(frozen=True)
class RefinedFaces(_OnAnotherGrid):
    """A staggered solver on a finer grid, with boundaries and bodies, in two dimensions; the ratio of the grids need not be whole.

        coarse faces -> psi at their corners -> cubic splines -> psi at the finer corners -> faces, and back the same way        `stream_function`
    Neither change of the grid creates divergence; back by a whole factor is the "staggered" `downsample`. Further channels (a pressure) are cell
    means and are remapped as such. Values inside a body or next to it are interpolated too; the first step corrects them.

    Args:
        solver: a scheme on a staggered grid (`StaggeredScheme`).
        grid:   grid of the states.
    Raises: ValueError for a solver without boundary conditions, with ones that change with time, in three dimensions, or on another box.
    """

    def __post_init__(self) -> None:
        info = info_of(self.solver)
        if info.grid is None or info.sides is None or info.grid.lengths != self.grid.lengths or info.grid.ndim != 2:
            raise ValueError(f"RefinedFaces: expected a staggered scheme in the plane on the box {self.grid.lengths}, got {self.solver!r}")
        if not all_steady(info.sides):
            raise ValueError("RefinedFaces: expected steady boundary conditions, got ones that change with time, which it cannot interpolate")

    def free(self, params: Params, like: Tensor) -> Tensor:
        """Return the mask of free values on the coarse grid, see `StaggeredScheme.free`."""
        mask: Tensor = replace(self.solver, grid=self.grid).free(params, like)
        return mask

    def at(self, params: Params, like: Tensor, observe: Observer | None = None) -> StayingStep:
        """Bind the solver on the fine grid; parameters as for the solver. Args: see `Stepper.at`."""
        self.grid.check(like)
        sides, fine, start = self.solver.sides, self.solver.grid, params.get("t0", 0.0)
        coarse_faces, fine_faces = (Faces(g, sides, known_values(g, sides, start, params, like.double())) for g in (self.grid, fine))
        step = self.solver.at(params, like.new_empty(*like.shape[:-2], *fine.shape), observe)
        return _RefinedStep(_PlainStep(step), lambda u: _between(u, coarse_faces, fine), lambda u: _between(u, fine_faces, self.grid))


@dataclass(frozen=True)
class _PlainStep(StayingStep):
    """A step whose inner representation is the state itself."""

    step: Step

    def enter(self, u: Tensor) -> Tensor:
        return u

    def inner(self, u: Tensor, k: int = 0) -> Tensor:
        return self.step(u, k)

    def leave(self, u: Tensor) -> Tensor:
        return u


def _between(u: Tensor, faces: Faces, grid: Grid) -> Tensor:
    """Interpolate a state ([S,] B, C, *faces.grid) to the cells of `grid`."""
    flat = u.reshape(-1, *u.shape[-3:]).double()  # psi is a sum over the box whose differences are taken
    periodic = [faces.periodic(axis) for axis in range(2)]
    psi = stream_function([faces.with_lower(flat[:, d], d) for d in range(2)], faces.grid)
    parts = [face_velocities(resampled(psi, grid.shape, periodic), grid)]
    if flat.shape[1] > 2:
        parts.append(remapped(flat[:, 2:].flatten(0, 1), grid.shape, periodic).unflatten(0, (len(flat), -1)))
    return torch.cat(parts, 1).to(u.dtype).reshape(*u.shape[:-2], *grid.shape)
