"""Record numbers with every frame while a data set is generated: diagnostics of the state, and what the stepper reports about its steps."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from eddygrad.datasets.frame_diagnostics import Diagnose
from eddygrad.solver.grid import Grid
from eddygrad.solver.step import Stepper, info_of

_OVER_STEPS: dict[str, Callable[[Tensor, int], Tensor]] = {"sum": torch.sum, "max": torch.amax, "mean": torch.mean}


def observed_of(stepper: Stepper) -> Mapping[str, str]:
    """Return what a stepper reports once per step: name -> "sum", "max" or "mean", the reduction over the steps of a frame.

    Raises: ValueError for another reduction.
    """
    observed = info_of(stepper).observed
    for name, reduction in observed.items():
        if reduction not in _OVER_STEPS:
            raise ValueError(f"{type(stepper).__name__}.observed: {name!r} must be one of {', '.join(_OVER_STEPS)}, got {reduction!r}")
    return observed


def units_of(stepper: Stepper, diagnose: Diagnose | None) -> dict[str, str]:
    """Return name -> unit of all recorded numbers: first the diagnostics, then what the stepper reports.

    Raises: ValueError if both have the same name.
    """
    units = {} if diagnose is None else dict(diagnose.units)
    reported = info_of(stepper).observed_units
    for name in observed_of(stepper):
        if name in units:
            raise ValueError(f"diagnose: {name!r} is recorded by {type(stepper).__name__} itself; rename it")
        units[name] = reported.get(name, "1")
    return units


class FrameRecorder:
    """The recorded numbers of one batch. It is also the observer of the steps.

    A stepper reports each name of its `observed` once per step: one number, or one per sample. Recorded is the sum, maximum or mean over the `stride`
    steps before a frame. For frame 0 these are the last steps of the warm-up; without a warm-up 0 is recorded.

    Args:
        stepper:  the stepper that is observed.
        diagnose: diagnostics of the state; None for none.
        samples:  samples of the batch.
        frames:   frames per trajectory.
        stride:   steps from one frame to the next.
    """

    def __init__(self, stepper: Stepper, diagnose: Diagnose | None, samples: int, frames: int, stride: int) -> None:
        self.diagnose, self.samples = diagnose, samples
        self._reductions = observed_of(stepper)
        self._reported: dict[str, deque[Tensor]] = {name: deque(maxlen=stride) for name in self._reductions}
        self._reports = dict.fromkeys(self._reductions, 0)
        self._names = list(units_of(stepper, diagnose))
        self._values = torch.zeros(len(self._names), samples, frames, dtype=torch.float64)

    @property
    def observes(self) -> bool:
        """Whether the stepper reports anything."""
        return bool(self._reductions)

    @property
    def values(self) -> dict[str, Tensor]:
        """name -> (samples, frames), float64, on the CPU."""
        return dict(zip(self._names, self._values))

    def __call__(self, name: str, value: Tensor) -> None:
        """Receive a number of a step; see `Observer`."""
        if name in self._reported:
            self._reported[name].append(value)
            self._reports[name] += 1

    def frame(self, j: int, u: Tensor, steps: int, first_sample: int) -> None:
        """Record the numbers of frame j.

        Args:
            j:            number of the frame.
            u:            states of the frame (B, C, *grid).
            steps:        steps taken so far.
            first_sample: number of the batch's first sample, for error messages.
        Raises: ValueError if a number is not finite, or the stepper did not report once per step.
        """
        if not self._names:
            return
        numbers = {} if self.diagnose is None else dict(self.diagnose(u))
        for name in self._reported:
            numbers[name] = self._reduced(name, u, steps)
        row = torch.stack([self._per_sample(name, numbers[name], u.device) for name in self._names]).cpu()
        self._values[:, :, j] = row
        if not bool(torch.isfinite(row).all()):
            bad, sample = (~torch.isfinite(row)).nonzero()[0].tolist()
            where = f"after step {steps} in sample {first_sample + sample}"
            raise ValueError(
                f"generate: expected finite diagnostics, got NaN or Inf for {self._names[bad]!r} {where}; "
                "take a smaller dt, a milder initial state or another diagnosis"
            )

    def _reduced(self, name: str, u: Tensor, steps: int) -> Tensor:
        """Return the values that the stepper reported under this name, reduced over the steps of a frame."""
        if self._reports[name] != steps:
            raise ValueError(
                f"generate: expected a report of {name!r} once per step, got {self._reports[name]} in {steps} steps; correct the stepper's `observed`"
            )
        per_step = [self._per_sample(name, value, u.device) for value in self._reported[name]]
        return _OVER_STEPS[self._reductions[name]](torch.stack(per_step), 0) if per_step else u.new_zeros(1)

    def _per_sample(self, name: str, value: Tensor, device: torch.device) -> Tensor:
        """(samples,), float64, on the device of the states."""
        column = value.detach().to(device, torch.float64).reshape(-1)
        if len(column) not in (1, self.samples):
            raise ValueError(f"generate: {name!r} needs one number, or one per sample ({self.samples}), got {len(column)}")
        return column.expand(self.samples)


def check_diagnose(diagnose: Diagnose, grid: Grid, params: Mapping[str, Tensor], example: Tensor) -> None:
    """Try the diagnostics on one state.

    Args:
        diagnose: the diagnostics.
        grid:     grid of the solver.
        params:   physical parameters of the data set.
        example:  a state (1, C, *grid).
    Raises: ValueError if `diagnose` lacks `grid` or `units`, does not return one number per sample for each name in `units`, or has another box than
            the solver.
    """
    if not isinstance(diagnose, Diagnose):
        raise ValueError(f"diagnose: expected a callable with `grid` (or None) and `units`, got {type(diagnose).__name__}; see `Diagnose`")
    if diagnose.grid is not None and diagnose.grid != grid:
        raise ValueError(f"diagnose: expected the grid of the solver, {grid}, got {diagnose.grid}")
    if diagnose.grid is not None and "length" in params:
        raise ValueError("diagnose: expected one box for all samples, got the parameter 'length'; give the grid that length, or diagnose nothing")
    got = {name: tuple(torch.as_tensor(value).shape) for name, value in diagnose(example).items()}
    if got != dict.fromkeys(diagnose.units, (1,)):
        raise ValueError(f"diagnose: expected one number per sample for each of {list(diagnose.units)}, got {got}")
