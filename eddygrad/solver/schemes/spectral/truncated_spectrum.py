"""The truncated half spectrum of a dealiased state, and the transforms between it and the grid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from eddygrad.solver.grid import Grid
from eddygrad.solver.transforms import dealias_mask, nyquist_free


@dataclass(frozen=True)
class Band:
    """The columns of the half spectrum's last axis that dealiasing keeps; transforms along the other axes skip the columns that are always zero.

    Arrays have the shape (columns, N_1[, N_2]): the other axes are then contiguous, and their transforms need no copies.

    Args:
        grid:    grid of the fields.
        dealias: fraction of modes kept, |m| < fraction N/2 on every axis; None keeps all.
    """

    grid: Grid
    dealias: float | None = None

    @cached_property
    def columns(self) -> int:
        """Number of columns that are kept."""
        n = self.grid.shape[-1]
        full = n // 2 + 1
        return full if self.dealias is None else min(full, math.ceil(self.dealias * n / 2 - 1e-9) + (self.dealias == 1))

    @cached_property
    def whole(self) -> bool:
        """Whether all columns are kept."""
        return self.columns == self.grid.shape[-1] // 2 + 1

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.columns, *self.grid.shape[:-1])

    def _cut(self, t: Tensor) -> Tensor:
        """Convert an array that broadcasts to the half spectrum to the layout of the band."""
        return t[..., : self.columns].movedim(-1, -self.grid.ndim)

    def place(self, mode: Sequence[int]) -> tuple[int, ...]:
        """Return the index of a mode (m_1, .., m_ndim) in an array of the band's shape."""
        return (mode[-1], *mode[:-1])

    def wavenumbers(self, length: Tensor | None = None, device: torch.device | str | None = None) -> tuple[Tensor, ...]:
        """Return the angular wavenumbers per axis [1/m]; see `Grid.wavenumbers`."""
        return tuple(self._cut(k) for k in self.grid.wavenumbers(length, device))

    def directions(self, length: Tensor | None = None, device: torch.device | str | None = None) -> tuple[Tensor, ...]:
        """Return the angular wavenumbers for odd derivatives: 0 at the Nyquist mode of each axis, which has no direction."""
        free = (self._cut(nyquist_free(self.grid, axis, device)) for axis in range(self.grid.ndim))
        return tuple(k * f for k, f in zip(self.wavenumbers(length, device), free))

    def mask(self, device: torch.device | str | None = None) -> Tensor | None:
        """Return 1 for the modes that are kept and 0 for others; None if all are kept."""
        return None if self.dealias is None else self._cut(dealias_mask(self.grid, self.dealias, device)).contiguous()

    def directed(self, device: torch.device | str | None = None) -> Tensor:
        """Return 1 for the modes that odd derivatives and products may use: kept by dealiasing, and no Nyquist mode; 0 for others."""
        keep = torch.ones(self.shape, dtype=torch.float64, device=device)
        for axis in range(self.grid.ndim):
            keep = keep * self._cut(nyquist_free(self.grid, axis, device))
        mask = self.mask(device)
        return keep if mask is None else keep * mask

    def fft(self, x: Tensor) -> Tensor:
        """Return the truncated half spectrum of a field: (..., *grid) -> (..., *band)."""
        h = torch.fft.rfft(x)
        if not self.whole:
            h = h.narrow(-1, 0, self.columns)
        if self._plane:  # the common case, with the cheapest calls
            return torch.fft.fft(h.mT)
        return torch.fft.fftn(h.movedim(-1, -self.grid.ndim), dim=self._others) if self._others else h

    def ifft(self, h: Tensor) -> Tensor:
        """Return the field of a truncated half spectrum: (..., *band) -> (..., *grid)."""
        if self._plane:
            return torch.fft.irfft(torch.fft.ifft(h).mT, self._points_last)
        h = torch.fft.ifftn(h, dim=self._others).movedim(-self.grid.ndim, -1) if self._others else h
        return torch.fft.irfft(h, self._points_last)

    @cached_property
    def _others(self) -> tuple[int, ...]:
        return tuple(range(1 - self.grid.ndim, 0))

    @cached_property
    def _plane(self) -> bool:
        return self.grid.ndim == 2

    @cached_property
    def _points_last(self) -> int:
        return self.grid.shape[-1]

    def weights(self, device: torch.device | str | None = None) -> Tensor:
        """Return how often each column counts in the full spectrum, (columns, *1) in float64: twice, the first and the Nyquist column once.

        The adjoint of `ifft` is weights / N^ndim times `fft`, that of `fft` is `ifft` after N^ndim / weights.
        """
        n = self.grid.shape[-1]
        w = torch.full((self.columns,), 2.0, dtype=torch.float64, device=device)
        w[0] = 1
        if n % 2 == 0 and self.whole:
            w[-1] = 1
        return w.reshape(-1, *[1] * (self.grid.ndim - 1))

    @property
    def points(self) -> int:
        """Number of grid points."""
        return math.prod(self.grid.shape)
