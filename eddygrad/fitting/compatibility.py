"""Whether a stepper and data belong together: time step, grid, precision."""

from __future__ import annotations

import math

import torch
from torch import nn

from eddygrad.datasets.dataset import Dataset
from eddygrad.solver.step import Stepper, info_of

# Steps and lengths are float64 numbers that may have been stored in single precision.
_SAME = 1e-6


def check_fits(stepper: Stepper, data: Dataset) -> None:
    """Refuse a stepper that steps over another time than the data's frames are apart, or that lives on another grid.

    The length of the box is compared where the data carry no parameter "length", which replaces a solver's own.

    Raises: ValueError that names both and the fix; for a solver whose sides or bodies change with time, which data sets do not keep.
    """
    if not math.isclose(stepper.dt, data.dt, rel_tol=_SAME):
        raise ValueError(
            f"fit: expected frames as far apart as the stepper steps, dt={stepper.dt:g}, got data with dt={data.dt:g}; "
            f"build the stepper with dt={data.dt:g}, or generate data with its dt"
        )
    info = info_of(stepper)
    if not info.steady:
        raise ValueError(
            "fit: sides or bodies of the solver change with time, and a data set does not keep the time of its frames; unroll it in your own loop "
            "with params['t0'], the time of a window's first frame, or place a body at rest by a named parameter, not by a function"
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
    """Refuse data of another dtype or on another device than the stepper's weights. Raises ValueError that names both and the fix."""
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
