"""A solver on a finer grid behind states of a coarser one: what more points are worth at a given cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from eddygrad.solver.grid import Grid
from eddygrad.solver.step import Observer, Params, SpectralStep
from eddygrad.solver.transforms import limited, resample


@dataclass(frozen=True)
class Refined:
    """The Fourier series of a coarse state, stepped on the grid of `solver` and read back on its own.

    Inside (enter, inner, leave) the state stays on the fine grid; a plain call steps once and forgets what the coarse grid does not hold.
    `stays_inside` tells a roll-out to read every frame without leaving.

    Args:   solver: a spectral stepper on the fine grid. grid: of the states. modes: the largest mode read back on every axis; None: all.
    Raises: ValueError for a solver without a grid, or on another box.
    """

    solver: Any
    grid: Grid
    modes: int | None = None
    stays_inside: ClassVar[bool] = True

    def __post_init__(self) -> None:
        fine = getattr(self.solver, "grid", None)
        if fine is None or fine.lengths != self.grid.lengths:
            raise ValueError(f"Refined: expected a stepper with a grid on the box {self.grid.lengths}, got {self.solver!r}")

    @property
    def dt(self) -> float:
        return float(self.solver.dt)

    @property
    def differentiable(self) -> bool:
        return bool(self.solver.differentiable)

    def at(self, params: Params, like: Tensor, observe: Observer | None = None) -> SpectralStep:
        step: Any = self.solver.at(params, self._up(like), observe)
        return _RefinedStep(step, self._up, self._down)

    def _up(self, u: Tensor) -> Tensor:
        return resample(u, self.grid, self.solver.grid.shape)

    def _down(self, u: Tensor) -> Tensor:
        fine, shape = self.solver.grid, self.grid.shape
        return resample(u, fine, shape) if self.modes is None else limited(u, fine, self.modes, shape)


@dataclass(frozen=True)
class _RefinedStep:
    """leave . inner . enter of the solver, with the change of grids around them."""

    step: Any
    up: Callable[[Tensor], Tensor]
    down: Callable[[Tensor], Tensor]

    def __call__(self, u: Tensor, k: int = 0) -> Tensor:
        return self.leave(self.inner(self.enter(u), k))

    def enter(self, u: Tensor) -> Any:
        return self.step.enter(self.up(u))

    def inner(self, state: Any, k: int = 0) -> Any:
        return self.step.inner(state, k)

    def leave(self, state: Any) -> Tensor:
        return self.down(self.step.leave(state))
