"""Header of a data set, and checks of what goes into it: states, parameters per sample, diagnostics per frame."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from eddygrad._version import __version__
from eddygrad.datasets.format import RESERVED, SCHEMA, Header
from eddygrad.solver.grid import Grid


def make_header(grid: Grid, dt: float, frames: int, channels: Sequence[str], units: Mapping[str, str], dtype: str, **more: Any) -> Header:
    """Return the attributes of a file.

    Args:
        grid:     of the stored states.
        dt:       time between frames [s].
        frames:   frames per trajectory.
        channels: name of each channel.
        units:    unit of each physical parameter.
        dtype:    of the stored states, e.g. "float32".
        more:     further attributes (pde, stepper, stride, warmup, seed, digests); they override those above.
    """
    base: Header = {"schema": SCHEMA, "pde": "", "stepper": "", "dt": float(dt), "stride": 1, "warmup": 0, "seed": 0, "eddygrad": __version__}
    base |= {"grid_shape": list(grid.shape), "grid_length": list(grid.lengths), "channels": list(channels), "parameters": dict(units)}
    return base | {"frames": int(frames), "dtype": dtype} | more


def default_channels(count: int) -> tuple[str, ...]:
    """Return the channel names ("u",), or ("u0", "u1", ...) for several channels."""
    return ("u",) if count == 1 else tuple(f"u{i}" for i in range(count))


def checked_grid(u: Tensor, grid: Grid | None, dt: float) -> Grid:
    """Check trajectories in memory and return their grid.

    Args:
        u:    states (samples, frames, C, *grid).
        grid: of the states; None stands for their shape on a side of 2 pi.
        dt:   time between frames [s].
    Raises: ValueError for a wrong shape or dtype, dt <= 0, NaN or Inf.
    """
    if u.ndim < 4 or u.ndim > 6 or not u.is_floating_point():
        raise ValueError(
            f"from_tensor: expected floating point (samples, time, channel, x[, y, z]), got {u.dtype} {tuple(u.shape)}; add missing axes"
        )
    grid = Grid(tuple(u.shape[3:])) if grid is None else grid
    if grid.shape != tuple(u.shape[3:]) or not dt > 0:
        raise ValueError(f"from_tensor: expected trailing axes {grid.shape} and dt > 0, got {tuple(u.shape)} and dt={dt}; pass the grid of the data")
    bad = ~torch.isfinite(u).flatten(2).all(-1)
    if bad.any():
        sample, frame = bad.nonzero()[0].tolist()
        raise ValueError(f"from_tensor: expected finite numbers, got NaN or Inf in sample {sample}, frame {frame}; drop that trajectory")
    return grid


def sample_params(params: Mapping[str, Tensor | float], samples: int, ndim: int) -> dict[str, Tensor]:
    """Return each physical parameter as (samples, 1, *1) in float64.

    Args:
        params:  name -> a number for all samples, or one number per sample.
        samples: number of samples.
        ndim:    number of axes of the grid.
    Raises: ValueError for a reserved name or another number of values.
    """
    columns = {}
    for name, value in params.items():
        if name in RESERVED or not name.isidentifier():
            raise ValueError(f"params: {name!r} cannot name a parameter in a file (reserved: {', '.join(RESERVED)}); rename it")
        flat = torch.as_tensor(value, dtype=torch.float64).detach().reshape(-1).cpu()
        if flat.numel() not in (1, samples):
            raise ValueError(f"params: {name!r} needs one number, or one per sample ({samples}), got {flat.numel()}")
        columns[name] = flat.expand(samples).reshape(-1, *[1] * (ndim + 1)).clone()
    return columns


def checked_diagnostics(diagnostics: Mapping[str, Tensor], samples: int, frames: int, taken: Collection[str]) -> dict[str, Tensor]:
    """Return each diagnostic as (samples, frames) in float64 on the CPU.

    Args:
        diagnostics: name -> (samples, frames).
        samples:     number of samples.
        frames:      frames per trajectory.
        taken:       names of parameters and channels, which no diagnostic may have.
    Raises: ValueError for a forbidden name, another shape, or numbers that are not finite.
    """
    check_names(diagnostics, taken)
    columns = {name: torch.as_tensor(value, dtype=torch.float64).detach().cpu() for name, value in diagnostics.items()}
    for name, value in columns.items():
        bad = " with NaN or Inf" if not torch.isfinite(value).all() else ""
        if bad or tuple(value.shape) != (samples, frames):
            raise ValueError(
                f"diagnostics: {name!r} needs one finite number per sample and frame, expected ({samples}, {frames}), got {tuple(value.shape)}{bad}"
            )
    return columns


def check_names(names: Iterable[str], taken: Collection[str]) -> None:
    """Raise an error for a name that a diagnostic cannot have.

    Args:
        names: of the diagnostics.
        taken: names of parameters and channels.
    Raises: ValueError for a name that is reserved, taken or no identifier.
    """
    for name in names:
        if name in RESERVED or name in taken or not name.isidentifier():
            forbidden = ", ".join((*RESERVED, *taken))
            raise ValueError(f"diagnostics: {name!r} cannot name a diagnostic in a file (reserved or taken: {forbidden}); rename it")
