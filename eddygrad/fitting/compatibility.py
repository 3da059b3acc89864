"""Check that a stepper and its data agree in time step, grid, precision and device."""

from __future__ import annotations

import math

import torch
from torch import nn

from eddygrad.datasets.dataset import Dataset
from eddygrad.solver.step import Stepper, info_of

# Relative difference that counts as equal: data may hold steps and lengths in single precision.
_SAME = 1e-6


def check_fits(stepper: Stepper, data: Dataset) -> None:
    """Check that the stepper's time step is the time between the data's frames, and that both have the same grid.

    The length of the box is compared unless the data have a parameter "length", which replaces a solver's own.

    Raises: ValueError with both values and the fix; also for a solver whose boundary conditions or bodies change with time, because data sets do not
            store the time of their frames.
    """
    if not math.isclose(stepper.dt, data.dt, rel_tol=_SAME):
        raise ValueError(
            f"fit: expected data with the time step of the stepper, dt={stepper.dt:g}, got data with dt={data.dt:g}; "
            f"build the stepper with dt={data.dt:g}, or generate data with its dt"
        )
    info = info_of(stepper)
    if not info.steady:
        raise ValueError(
            "fit: boundary conditions or bodies of the solver change with time, and a data set does not keep the time of its frames; unroll it in "
            "your own loop with params['t0'], the time of a window's first frame, or place a body at rest by a named parameter, not by a function"
        )
    grid = info.grid
    if grid is None:
        return
    if grid.shape != data.grid.shape:
        raise ValueError(f"fit: expected data on the solver's grid {grid.shape}, got {data.grid.shape}; build the solver on the data's grid")
    same = all(math.isclose(own, given, rel_tol=_SAME) for own, given in zip(grid.lengths, data.grid.lengths))
    if "length" not in data.params and not same:
        raise ValueError(
            f"fit: expected data on a box of the solver's length {grid.lengths}, got {data.grid.lengths}; "
            "build the solver on the data's grid, or give the data a parameter 'length'"
        )


def check_precision(stepper: Stepper, data: Dataset) -> None:
    """Check that the data have the dtype and device of the stepper's weights. Raises: ValueError with both and the fix."""
    weights = [p for p in stepper.parameters() if p.is_floating_point()] if isinstance(stepper, nn.Module) else []
    if not weights:
        return
    own, device = weights[0].dtype, data.store.device
    if own != data.dtype:
        cure = " or network.double()" if data.dtype == torch.float64 else ""
        raise ValueError(f"fit: expected data in {own}, as the network's weights are, got {data.dtype}; write data.to(dtype={own}){cure}")
    if weights[0].device.type != device.type:
        place = weights[0].device.type
        raise ValueError(f"fit: expected data on {place}, where the network's weights are, got {device.type}; write data.to({place!r})")
