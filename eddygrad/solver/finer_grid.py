"""A solver on a finer grid behind states of a coarser one: what more points are worth at a given cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

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
    """A solver whose states are kept on `grid`; time step and gradient are the solver's."""

    solver: Any
    grid: Grid
    stays_inside: ClassVar[bool] = True

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
    """The Fourier series of a coarse state, stepped on the grid of `solver` and read back on its own.

    Inside (enter, inner, leave) the state stays on the fine grid; a plain call steps once and forgets what the coarse grid does not hold.
    `stays_inside` tells a roll-out to read every frame without leaving.

    Args:   solver: a spectral stepper on the fine grid. grid: of the states. modes: the largest mode read back on every axis; None: all.
    Raises: ValueError for a solver without a grid, or on another box.
    """

    modes: int | None = None

    def __post_init__(self) -> None:
        fine = info_of(self.solver).grid
        if fine is None or fine.lengths != self.grid.lengths:
            raise ValueError(f"Refined: expected a stepper with a grid on the box {self.grid.lengths}, got {self.solver!r}")

    def at(self, params: Params, like: Tensor, observe: Observer | None = None) -> StayingStep:
        step: Any = self.solver.at(params, self._up(like), observe)
        return _RefinedStep(step, self._up, self._down)

    def _up(self, u: Tensor) -> Tensor:
        return resample(u, self.grid, self.solver.grid.shape)

    def _down(self, u: Tensor) -> Tensor:
        fine, shape = self.solver.grid, self.grid.shape
        return resample(u, fine, shape) if self.modes is None else limited(u, fine, self.modes, shape)


@dataclass(frozen=True)
class _RefinedStep(StayingStep):
    """leave . inner . enter of the solver, with the change of grids around them."""

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
    """The same for face velocities between sides and around bodies, in two dimensions; whole or broken factors.

        coarse faces -> psi at their corners -> cubic splines -> psi at the finer corners -> faces; back the same way           `stream_function`
    Neither way leaves a divergence, and back by a whole factor is the "staggered" `downsample`. Channels behind the velocity (a pressure) are means
    of cells and are remapped as such. What the coarse state holds inside a body or next to it is handed on too; the first step puts it right.

    Args:   solver: a scheme on a staggered grid (`StaggeredScheme`). grid: of the states.
    Raises: ValueError for a solver without sides, with sides that change with time, in three dimensions, or on another box.
    """

    def __post_init__(self) -> None:
        info = info_of(self.solver)
        if info.grid is None or info.sides is None or info.grid.lengths != self.grid.lengths or info.grid.ndim != 2:
            raise ValueError(f"RefinedFaces: expected a staggered scheme in the plane on the box {self.grid.lengths}, got {self.solver!r}")
        if not all_steady(info.sides):
            raise ValueError("RefinedFaces: sides that change with time are not handed between grids; expected steady ones")

    def free(self, params: Params, like: Tensor) -> Tensor:
        """Of the states on the coarse grid, see `StaggeredScheme.free`."""
        mask: Tensor = replace(self.solver, grid=self.grid).free(params, like)
        return mask

    def at(self, params: Params, like: Tensor, observe: Observer | None = None) -> StayingStep:
        self.grid.check(like)
        sides, fine, start = self.solver.sides, self.solver.grid, params.get("t0", 0.0)
        coarse_faces, fine_faces = (Faces(g, sides, known_values(g, sides, start, params, like.double())) for g in (self.grid, fine))
        step = self.solver.at(params, like.new_empty(*like.shape[:-2], *fine.shape), observe)
        return _RefinedStep(_Inside(step), lambda u: _between(u, coarse_faces, fine), lambda u: _between(u, fine_faces, self.grid))


@dataclass(frozen=True)
class _Inside(StayingStep):
    """A step whose inner state is its state."""

    step: Step

    def enter(self, u: Tensor) -> Tensor:
        return u

    def inner(self, u: Tensor, k: int = 0) -> Tensor:
        return self.step(u, k)

    def leave(self, u: Tensor) -> Tensor:
        return u


def _between(u: Tensor, faces: Faces, grid: Grid) -> Tensor:
    """A state ([S,] B, C, *faces.grid) on the cells of `grid`."""
    flat = u.reshape(-1, *u.shape[-3:]).double()  # a sum over the box, of which differences are taken
    periodic = [faces.periodic(axis) for axis in range(2)]
    psi = stream_function([faces.with_lower(flat[:, d], d) for d in range(2)], faces.grid)
    parts = [face_velocities(resampled(psi, grid.shape, periodic), grid)]
    if flat.shape[1] > 2:
        parts.append(remapped(flat[:, 2:].flatten(0, 1), grid.shape, periodic).unflatten(0, (len(flat), -1)))
    return torch.cat(parts, 1).to(u.dtype).reshape(*u.shape[:-2], *grid.shape)
