"""The protocols that join all parts: `Step`, u -> u one time step later, and `Stepper`, which binds a step to physical parameters."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from torch import Tensor

from eddygrad.solver.equations.equation import Equation
from eddygrad.solver.grid import Grid

if TYPE_CHECKING:
    from eddygrad.solver.staggered.bodies import Body
    from eddygrad.solver.staggered.boundary_conditions import Sides

Params = Mapping[str, Tensor | float]


class Observer(Protocol):
    """Receives a number of a step by name, e.g. its iterations or forces: one value, or one per sample."""

    def __call__(self, name: str, value: Tensor, /) -> None: ...


class Step(Protocol):
    """`u -> u` one `dt` later: (B, C, *grid) -> (B, C, *grid), or (S, B, C, *grid) with stacked seeds.

    `k` is the index of the step; the time is params["t0"] + k dt. Only forced, moving or random steps read it.
    """

    def __call__(self, u: Tensor, k: int = 0) -> Tensor: ...


class StayingStep:
    """A step that can stay in its own representation between frames, e.g. in Fourier space: step = leave . inner . enter.

    A base class instead of a protocol: a roll-out tests it at every frame, and a protocol's `isinstance` costs more than a small step.
    """

    def __call__(self, u: Tensor, k: int = 0) -> Tensor:
        return self.leave(self.inner(self.enter(u), k))

    @abc.abstractmethod
    def enter(self, u: Tensor) -> Any:
        """Convert a state (B, C, *grid) into the inner representation."""

    @abc.abstractmethod
    def inner(self, state: Any, k: int = 0) -> Any:
        """Return the inner representation one step later."""

    @abc.abstractmethod
    def leave(self, state: Any) -> Tensor:
        """Convert the inner representation back into a state (B, C, *grid)."""


class SteadyStep(StayingStep):
    """A staying step that is the same at every k and takes several steps faster at once than one by one."""

    @abc.abstractmethod
    def steps(self, state: Any, count: int, again: bool = False) -> Any:
        """Return the inner representation `count` steps later.

        Args:
            state: inner representation.
            count: number of steps.
            again: repeat the steps in the backward pass instead of storing their intermediate fields.
        """


@runtime_checkable
class Stepper(Protocol):
    """Makes steps from physical parameters: a scheme, a corrected solver, a network, a wrapped function.

    `dt` is the time between returned states [s]. `differentiable` says whether autograd can go through a step.
    """

    @property
    def dt(self) -> float: ...
    @property
    def differentiable(self) -> bool: ...
    def at(self, params: Params, like: Tensor, observe: Observer | None = None) -> Step:
        """Bind to physical parameters.

        Args:
            params:  numbers, or tensors with one value per sample (B, 1, *1).
            like:    an example state (B, C, *grid) without a seed axis; it gives dtype, device and number of axes.
            observe: receives what the step reports, by name.
        Returns: the step for states (B, C, *grid) or, with stacked seeds, (S, B, C, *grid).
        """
        ...


@dataclass(frozen=True)
class StepperInfo:
    """Facts about a stepper. The defaults are those of a stepper about which nothing is known.

    Args:
        grid:           grid of the states.
        equation:       equation that is solved.
        substep:        inner time step [s]; None if it varies or is unknown. A parallel correction is scaled by it.
        steady:         False if boundary conditions or bodies change with time.
        stays_inside:   True if a roll-out must read its frames by `StayingStep.leave`, because the inner state holds more than a frame.
        seeds:          seeds of a stacked network; None for a single network or a solver.
        sides:          boundary conditions (low, high) per axis; None for a solver that has none, e.g. a spectral one.
        bodies:         bodies in the flow.
        observed:       name -> "sum", "max" or "mean": what a step reports to the observer once per step, and how a data set reduces it over the
                        steps of a frame.
        observed_units: name -> unit of these numbers; "1" where a name is missing.
    """

    grid: Grid | None = None
    equation: Equation | None = None
    substep: float | None = None
    steady: bool = True
    stays_inside: bool = False
    seeds: tuple[int, ...] | None = None
    sides: Sides | None = None
    bodies: tuple[Body, ...] = ()
    observed: Mapping[str, str] = field(default_factory=dict)
    observed_units: Mapping[str, str] = field(default_factory=dict)


@runtime_checkable
class Informed(Protocol):
    """A stepper that describes itself. All steppers of the package do; a user's own stepper may."""

    def info(self) -> StepperInfo:
        """Return the facts about this stepper."""


def info_of(stepper: object) -> StepperInfo:
    """Return `stepper.info()`, or for an object without that method the facts that it has as attributes of the same names.

    Of a stepper without `info` that holds another one as `solver`, `scheme` or `domain`, grid and steadiness are those of the inner one.
    Raises: ValueError if `info()` returns something else.
    """
    if isinstance(stepper, Informed):
        info = stepper.info()
        if not isinstance(info, StepperInfo):
            raise ValueError(f"{type(stepper).__name__}.info: expected a StepperInfo, got {type(info).__name__}; rename the method if it is another")
        return info
    attributes = {name: getattr(stepper, name, None) for name in _ATTRIBUTE_TYPES}
    own = {name: value for name, value in attributes.items() if isinstance(value, _ATTRIBUTE_TYPES[name])}
    held = (getattr(stepper, name, None) for name in ("solver", "scheme", "domain"))
    inner = next((part for part in held if part is not None), None)
    if inner is not None:
        below = info_of(inner)
        own = {"grid": below.grid, "steady": below.steady, **own}
    return StepperInfo(**own)


_ATTRIBUTE_TYPES: dict[str, Any] = {
    "grid": Grid,
    "equation": Equation,
    "substep": (int, float),
    "steady": bool,
    "stays_inside": bool,
    "seeds": tuple,
    "sides": tuple,
    "bodies": tuple,
    "observed": Mapping,
    "observed_units": Mapping,
}


@runtime_checkable
class FreeMask(Protocol):
    """Knows which values of a state a boundary or a body fixes: a staggered scheme, a stepper around one, a user's own object."""

    def free(self, params: Params, like: Tensor) -> Tensor | None:
        """Return a mask (1, C, *grid), dtype and device of `like`: 1 where a value is free, 0 where it is fixed; None if all are free."""
        ...


def free_values(domain: object, params: Params, like: Tensor) -> Tensor | None:
    """Return the mask of free values, (1, C, *grid); None if no value is fixed or `domain` is no `FreeMask`.

    Args:
        domain: a stepper, or a user's object with `free`.
        params: physical parameters.
        like:   an example state (B, C, *grid).
    Raises: ValueError if the mask has other channels or another grid than `like`.
    """
    mask = domain.free(params, like) if isinstance(domain, FreeMask) else None
    if mask is None or bool(mask.all()):
        return None
    if mask.shape != (1, *like.shape[1:]):
        raise ValueError(f"free: expected a mask of the state's channels and grid, {(1, *like.shape[1:])}, got {tuple(mask.shape)}")
    return mask


def repeated_for_seeds(value: Tensor | float, seeds: int | None, ndim: int) -> Tensor | float:
    """Return a parameter for the merged batch (S B, ...) of stacked seeds.

    Args:
        value: a number, one per sample (B, 1, *1), or one per seed and sample (S, B, 1, *1).
        seeds: number S of seeds; None returns `value`.
        ndim:  number of axes of a state (B, C, *grid).
    """
    if seeds is None or not isinstance(value, Tensor) or value.ndim < ndim:
        return value
    if value.ndim == ndim + 1:
        return value.flatten(0, 1)
    return value.repeat(seeds, *[1] * (ndim - 1)) if value.shape[0] > 1 else value


def merge_seeds(params: Params, seeds: int, like: Tensor) -> dict[str, Tensor | float]:
    """Return parameters for the merged batch (S B, ...) of stacked seeds; those per sample are repeated for every seed.

    Args:
        params: numbers, (B, 1, *1), (S, B, 1, *1), or (S, 1, 1, *1), which serves every sample of its seed.
        seeds:  number S of seeds.
        like:   a state (B, C, *grid) of one seed.
    """

    def merged(value: Tensor | float) -> Tensor | float:
        if isinstance(value, Tensor) and value.ndim == like.ndim + 1 and value.shape[1] == 1:
            value = value.expand(-1, len(like), *value.shape[2:])
        return repeated_for_seeds(value, seeds, like.ndim)

    return {name: merged(value) for name, value in params.items()}
