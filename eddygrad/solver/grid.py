"""A uniform grid, its points and its wavenumbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Grid:
    """A uniform grid of `shape` points on a box with sides `length`.

        x_i = i L / N,  i = 0 .. N-1          (right end excluded; cell centres at i + 1/2)

    Args:
        shape:  points per axis, (nx[, ny[, nz]]).
        length: side of the box per axis [m]; one number holds for every axis.
    Raises: ValueError if an axis has fewer than two points or a length is not positive.
    """

    shape: tuple[int, ...]
    length: float | tuple[float, ...] = 2 * math.pi

    def __post_init__(self) -> None:
        shape = (self.shape,) if isinstance(self.shape, int) else tuple(int(n) for n in self.shape)
        lengths = (float(self.length),) * len(shape) if isinstance(self.length, (int, float)) else tuple(float(l) for l in self.length)
        if not shape or any(n < 2 for n in shape):
            raise ValueError(f"Grid: shape needs at least two points per axis, got {self.shape}; write Grid((48,)) for a line of 48 points")
        if len(lengths) != len(shape) or any(not (l > 0 and math.isfinite(l)) for l in lengths):
            raise ValueError(f"Grid: length needs one positive number per axis ({len(shape)}), got {self.length}")
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "length", lengths)

    @property
    def lengths(self) -> tuple[float, ...]:
        assert isinstance(self.length, tuple)
        return self.length

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def spacing(self) -> tuple[float, ...]:
        """Distance between neighbouring points per axis [m]."""
        return tuple(l / n for l, n in zip(self.lengths, self.shape))

    @property
    def spectrum_shape(self) -> tuple[int, ...]:
        """Shape of the real FFT of a field on this grid: the last axis is halved."""
        return (*self.shape[:-1], self.shape[-1] // 2 + 1)

    def points(self, dtype: torch.dtype = torch.float64, centred: bool = False) -> tuple[Tensor, ...]:
        """Return the coordinates per axis, each of the grid's shape (`ij` indexing) [m]; `centred` shifts them to the cell centres."""
        axes = [(torch.arange(n, dtype=torch.float64) + 0.5 * centred) * h for n, h in zip(self.shape, self.spacing)]
        return tuple(x.to(dtype) for x in torch.meshgrid(*axes, indexing="ij"))

    def modes(self, device: torch.device | str | None = None) -> tuple[Tensor, ...]:
        """Return the integer mode numbers m per axis, float64, each broadcastable to `spectrum_shape`; an even axis has -N/2 (+N/2 if last)."""
        modes = []
        for axis, n in enumerate(self.shape):
            last = axis == self.ndim - 1
            freq = torch.fft.rfftfreq if last else torch.fft.fftfreq
            m = freq(n, 1.0 / n, dtype=torch.float64, device=device)
            modes.append(m.reshape([-1 if a == axis else 1 for a in range(self.ndim)]))
        return tuple(modes)

    def wavenumbers(self, length: Tensor | None = None, device: torch.device | str | None = None) -> tuple[Tensor, ...]:
        """Return the angular wavenumbers k = 2 pi m / L per axis [1/m], float64.

        Args:
            length: length per sample (..., 1, *1) [m] that replaces the grid's on every axis, for domain lengths that vary in a batch.
            device: device of the result, unless `length` is given.
        Returns: one tensor per axis, broadcastable to (..., *spectrum_shape).
        """
        modes = self.modes(device if length is None else length.device)
        if length is None:
            return tuple(2 * math.pi / l * m for l, m in zip(self.lengths, modes))
        return tuple(2 * math.pi / length.to(torch.float64) * m for m in modes)

    def check(self, u: Tensor) -> None:
        """Raise ValueError unless the trailing axes of `u` are this grid's."""
        if tuple(u.shape[-self.ndim :]) != self.shape or u.ndim < self.ndim + 2:
            raise ValueError(
                f"state: expected (batch, channel, {', '.join(map(str, self.shape))}), got {tuple(u.shape)}; "
                "add the batch and channel axes or build the stepper on another Grid"
            )


def parameter(params: Mapping[str, Tensor | float], name: str, owner: str) -> Tensor | float:
    """Return a physical parameter.

    Args:
        params: parameters by name.
        name:   name of the parameter.
        owner:  object that needs it, for the error message.
    Raises: ValueError if `params` lacks the name.
    """
    if name not in params:
        raise ValueError(f"params: {owner} needs '{name}', got {sorted(params)}; pass it in the mapping, e.g. {{'{name}': ...}}")
    return params[name]
