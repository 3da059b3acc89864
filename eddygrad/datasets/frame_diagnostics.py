"""Numbers per frame beside the states: what is diagnosed of the solver's state, and what the stepper chose on the way to it."""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import torch
from torch import Tensor

from eddygrad.datasets.format import RESERVED
from eddygrad.runtime.memory import ordinary_tensors
from eddygrad.solver.grid import Grid
from eddygrad.solver.step import Stepper
from eddygrad.solver.transforms import fft, nyquist_free

_OVER_STEPS: dict[str, Callable[[Tensor, int], Tensor]] = {"sum": torch.sum, "max": torch.amax, "mean": torch.mean}


class Diagnose(Protocol):
    """A frozen dataclass that maps states (B, C, *grid) of the solver to numbers by name, (B,) each; its `repr` is provenance."""

    @property
    def units(self) -> Mapping[str, str]: ...  # by name
    def __call__(self, u: Tensor) -> Mapping[str, Tensor]: ...


@dataclass(frozen=True)
class FlowDiagnostics:
    """Kinetic energy, enstrophy and greatest speed of a velocity in two or three dimensions.

        <|u|^2> / 2 [m^2/s^2],   <|curl u|^2> / 2 [1/s^2],   max_x |u| [m/s]
        <|curl u|^2> = sum_k sum_{i<j} |k_i u_hat_j - k_j u_hat_i|^2 / N^2           Parseval; N points in all
    The speed is the greatest on the grid's points. Sums are taken in float64.

    Args:   grid: the solver's.
    Raises: ValueError for a grid of one axis; at a call, for a state of other points or components.
    """

    grid: Grid

    def __post_init__(self) -> None:
        if self.grid.ndim < 2:
            raise ValueError(f"FlowDiagnostics: expected a grid of two or three axes, got {self.grid.shape}; a flow on a line has no curl")

    @property
    def units(self) -> Mapping[str, str]:
        return {"kinetic_energy": "m^2/s^2", "enstrophy": "1/s^2", "greatest_speed": "m/s"}

    def __call__(self, u: Tensor) -> dict[str, Tensor]:
        self.grid.check(u)
        if u.shape[1] != self.grid.ndim:
            raise ValueError(f"FlowDiagnostics: expected {self.grid.ndim} velocity components, got {u.shape[1]} channels")
        first, *others = u.unbind(1)
        speed2 = first.square()
        for component in others:
            speed2.addcmul_(component, component)
        energy = 0.5 * _square_sum(u) / math.prod(self.grid.shape)
        return {"kinetic_energy": energy, "enstrophy": self._enstrophy(u), "greatest_speed": speed2.flatten(1).amax(1).double().sqrt()}

    def _enstrophy(self, u: Tensor) -> Tensor:
        k = _weighted_wavenumbers(self.grid, u.dtype, u.device)
        u_hat = torch.view_as_real(fft(u, self.grid)).unbind(1)
        pairs = list(itertools.combinations(range(self.grid.ndim), 2))
        parts = [_square_sum((k[i] * u_hat[j]).addcmul_(k[j], u_hat[i], value=-1)) for i, j in pairs]
        return parts[0] if len(parts) == 1 else torch.stack(parts).sum(0)


@dataclass(frozen=True)
class FaceDiagnostics:
    """Kinetic energy and greatest speed of face velocities between any sides.

        <|u|^2> / 2 [m^2/s^2] over the stored faces,   max over the cells of |u| [m/s], each component the mean of its two faces
    Along an axis that is not periodic the first cell stores its upper face only, which then stands for both. Channels behind the velocity are left
    out. Sums are taken in float64.

    Args:   grid: the solver's. periodic: per axis, whether the last face is also the first cell's lower one.
    Raises: ValueError for another number of flags; at a call, for a state of other points or too few channels.
    """

    grid: Grid
    periodic: tuple[bool, ...]

    def __post_init__(self) -> None:
        if len(self.periodic) != self.grid.ndim:
            raise ValueError(f"FaceDiagnostics: expected a flag for each of {self.grid.ndim} axes, got {self.periodic}")

    @property
    def units(self) -> Mapping[str, str]:
        return {"kinetic_energy": "m^2/s^2", "greatest_speed": "m/s"}

    def __call__(self, u: Tensor) -> dict[str, Tensor]:
        self.grid.check(u)
        if u.shape[1] < self.grid.ndim:
            raise ValueError(f"FaceDiagnostics: expected {self.grid.ndim} face velocities, got {u.shape[1]} channels")
        velocity = u[:, : self.grid.ndim]
        speed2 = torch.stack([c.square() for c in centred(velocity, self.periodic).unbind(1)]).sum(0)
        energy = 0.5 * _square_sum(velocity) / math.prod(self.grid.shape)
        return {"kinetic_energy": energy, "greatest_speed": speed2.flatten(1).amax(1).double().sqrt()}


def centred(u: Tensor, periodic: Sequence[bool]) -> Tensor:
    """Face velocities (B, D, *grid) at the centres of the cells: the mean of a cell's two faces.

    Where the lower face of the first cell is not stored, along an axis that is not periodic, its upper one stands for both.
    """
    parts = []
    for axis, (component, period) in enumerate(zip(u.unbind(1), periodic, strict=True)):
        dim = axis - len(periodic)
        n = component.shape[dim]
        first = component.narrow(dim, n - 1 if period else 0, 1)
        lower = torch.cat([first, component.narrow(dim, 0, n - 1)], dim)
        parts.append(0.5 * (lower + component))
    return torch.stack(parts, 1)


def _square_sum(x: Tensor) -> Tensor:
    """Sum of squares over all axes but the first, in float64."""
    return torch.linalg.vector_norm(x.flatten(1), dim=1, dtype=torch.float64).square()


@lru_cache(maxsize=8)
def _weighted_wavenumbers(grid: Grid, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, ...]:
    """sqrt(w / 2) k_i / N without the Nyquist mode of its axis, (*K, 2), so that a plain sum of squares is the enstrophy.

    w is how often a column of the half spectrum counts: once the first and, of an even number, the last; twice the others.
    """
    with ordinary_tensors():
        column = grid.modes(device)[-1]
        once = (column == 0) | (2 * column.abs() == grid.shape[-1])
        scale = torch.where(once, 0.5, 1.0).to(torch.float64).sqrt() / math.prod(grid.shape)
        k = [scale * axis * nyquist_free(grid, a, device) for a, axis in enumerate(grid.wavenumbers(device=device))]
        # Real and imaginary part have a factor each, so that a row is one loop.
        return tuple(torch.stack([axis, axis], -1).to(dtype) for axis in k)


def observed_of(stepper: Stepper) -> Mapping[str, str]:
    """What a stepper offers to be recorded: name -> "sum", "max" or "mean" over the steps of a frame; see `FrameRecorder`.

    Raises: ValueError for another word.
    """
    observed: Mapping[str, str] = getattr(stepper, "observed", None) or {}
    for name, how in observed.items():
        if how not in _OVER_STEPS:
            raise ValueError(f"{type(stepper).__name__}.observed: {name!r} must be one of {', '.join(_OVER_STEPS)}, got {how!r}")
    return observed


def units_of(stepper: Stepper, diagnose: Diagnose | None) -> dict[str, str]:
    """Unit by name of everything that is recorded: the diagnosed first, then what the stepper offers (`observed_units`, "1" by default).

    Raises: ValueError if both say the same name.
    """
    units = {} if diagnose is None else dict(diagnose.units)
    offered = getattr(stepper, "observed_units", {})
    for name in observed_of(stepper):
        if name in units:
            raise ValueError(f"diagnose: {name!r} is what {type(stepper).__name__} records itself; rename it")
        units[name] = offered.get(name, "1")
    return units


class FrameRecorder:
    """The diagnostics of one batch, frame by frame; the observer of its steps.

    A stepper that offers `observed` tells each of those names once per step: a number, or one per sample. Kept is the sum, the maximum or the mean
    over the `stride` steps that lead to a frame. For frame 0 these are the last of the warm-up, and 0 stands where there was none.
    """

    def __init__(self, stepper: Stepper, diagnose: Diagnose | None, samples: int, frames: int, stride: int) -> None:
        self.diagnose, self.samples = diagnose, samples
        self._how = observed_of(stepper)
        self._told: dict[str, deque[Tensor]] = {name: deque(maxlen=stride) for name in self._how}
        self._count = dict.fromkeys(self._how, 0)
        self._names = list(units_of(stepper, diagnose))
        self._values = torch.zeros(len(self._names), samples, frames, dtype=torch.float64)

    @property
    def listens(self) -> bool:
        return bool(self._how)

    @property
    def values(self) -> dict[str, Tensor]:
        """name -> (samples, frames), float64, on the CPU."""
        return dict(zip(self._names, self._values))

    def __call__(self, name: str, value: Tensor) -> None:
        """The observer."""
        if name in self._told:
            self._told[name].append(value)
            self._count[name] += 1

    def frame(self, j: int, u: Tensor, steps: int, first_sample: int) -> None:
        """Enter frame j, the state after `steps` steps.

        Raises: ValueError if a number is not finite, or the stepper did not tell once per step what it offers.
        """
        if not self._names:
            return
        found = {} if self.diagnose is None else dict(self.diagnose(u))
        for name, told in self._told.items():
            if self._count[name] != steps:
                raise ValueError(
                    f"generate: expected the stepper to tell {name!r} once per step, got {self._count[name]} in {steps} steps; correct its `observed`"
                )
            each = [self._per_sample(name, value, u.device) for value in told]
            found[name] = _OVER_STEPS[self._how[name]](torch.stack(each), 0) if each else u.new_zeros(1)
        numbers = torch.stack([self._per_sample(name, found[name], u.device) for name in self._names]).cpu()
        self._values[:, :, j] = numbers
        if not bool(torch.isfinite(numbers).all()):
            row, sample = (~torch.isfinite(numbers)).nonzero()[0].tolist()
            where = f"after step {steps} in sample {first_sample + sample}"
            raise ValueError(
                f"generate: expected finite diagnostics, got NaN or Inf for {self._names[row]!r} {where}; "
                "take a smaller dt, a milder initial state or another diagnosis"
            )

    def _per_sample(self, name: str, value: Tensor, device: torch.device) -> Tensor:
        """(samples,), float64, where the states are."""
        column = value.detach().to(device, torch.float64).reshape(-1)
        if len(column) not in (1, self.samples):
            raise ValueError(f"generate: {name!r} needs one number, or one per sample ({self.samples}), got {len(column)}")
        return column.expand(self.samples)


def check_diagnose(diagnose: Diagnose, grid: Grid, params: Mapping[str, Tensor], example: Tensor) -> None:
    """Try it on one state (1, C, *grid).

    Raises: ValueError if it does not return what `units` names, one number per sample, or would measure on another box than the solver's.
    """
    own = getattr(diagnose, "grid", None)
    if own is not None and own != grid:
        raise ValueError(f"diagnose: expected the grid of the solver, {grid}, got {own}")
    if own is not None and "length" in params:
        raise ValueError("diagnose: expected one box for all samples, got the parameter 'length'; give the grid that length, or diagnose nothing")
    got = {name: tuple(torch.as_tensor(value).shape) for name, value in diagnose(example).items()}
    if got != dict.fromkeys(diagnose.units, (1,)):
        raise ValueError(f"diagnose: expected one number per sample for each of {list(diagnose.units)}, got {got}")


def per_frame(diagnostics: Mapping[str, Tensor], samples: int, frames: int, taken: Collection[str]) -> dict[str, Tensor]:
    """Each diagnostic as (samples, frames) in float64.

    Raises: ValueError for a name that cannot be, another shape, or numbers that are not finite.
    """
    check_names(diagnostics, taken)
    found = {name: torch.as_tensor(value, dtype=torch.float64).detach().cpu() for name, value in diagnostics.items()}
    for name, value in found.items():
        bad = " with NaN or Inf" if not torch.isfinite(value).all() else ""
        if bad or tuple(value.shape) != (samples, frames):
            raise ValueError(
                f"diagnostics: {name!r} needs one finite number per sample and frame, expected ({samples}, {frames}), got {tuple(value.shape)}{bad}"
            )
    return found


def check_names(names: Iterable[str], taken: Collection[str]) -> None:
    """Raises: ValueError for a name that is reserved, no identifier, or in `taken`: that of a parameter or a channel."""
    for name in names:
        if name in RESERVED or name in taken or not name.isidentifier():
            no = ", ".join((*RESERVED, *taken))
            raise ValueError(f"diagnostics: {name!r} cannot name a diagnostic in a file (reserved or taken: {no}); rename it")
