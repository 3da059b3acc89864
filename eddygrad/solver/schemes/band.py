"""The part of the half spectrum that a dealiased state holds, and the transforms between it and the grid."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from eddygrad.solver.grid import Grid
from eddygrad.solver.transforms import dealias_mask, nyquist_free


@dataclass(frozen=True)
class Band:
    """The first columns of the half spectrum's last axis: those that dealiasing keeps. Passes over the other axes skip what is always zero.

    Args: grid: where. dealias: fraction of modes kept, |m| < fraction N/2 on every axis; None keeps all.
    """

    grid: Grid
    dealias: float | None = None

    @cached_property
    def columns(self) -> int:
        n = self.grid.shape[-1]
        full = n // 2 + 1
        return full if self.dealias is None else min(full, math.ceil(self.dealias * n / 2 - 1e-9) + (self.dealias == 1))

    @cached_property
    def whole(self) -> bool:
        return self.columns == self.grid.shape[-1] // 2 + 1

    @property
    def shape(self) -> tuple[int, ...]:
        return (*self.grid.shape[:-1], self.columns)

    def wavenumbers(self, length: Tensor | None = None, device: torch.device | str | None = None) -> tuple[Tensor, ...]:
        """Angular wavenumbers per axis, the last one cut to the band; see `Grid.wavenumbers`."""
        *others, last = self.grid.wavenumbers(length, device)
        return (*others, last[..., : self.columns])

    def mask(self, device: torch.device | str | None = None) -> Tensor | None:
        """1 for the modes that are kept, else 0; None if all are."""
        return None if self.dealias is None else dealias_mask(self.grid, self.dealias, device)[..., : self.columns].contiguous()

    def directed(self, device: torch.device | str | None = None) -> Tensor:
        """1 where odd derivatives and products may act: kept by dealiasing and no Nyquist mode, which has no direction."""
        keep = torch.ones(self.shape, dtype=torch.float64, device=device)
        for axis in range(self.grid.ndim):
            free = nyquist_free(self.grid, axis, device)
            keep = keep * (free[..., : self.columns] if axis == self.grid.ndim - 1 else free)
        mask = self.mask(device)
        return keep if mask is None else keep * mask

    def fft(self, x: Tensor) -> Tensor:
        """(..., *grid) -> (..., *band): the half spectrum, columns beyond the band never made."""
        h = torch.fft.rfft(x)
        if not self.whole:
            h = h[..., : self.columns]
        for axis in self._others:
            h = torch.fft.fft(h, dim=axis)
        return h

    def ifft(self, h: Tensor) -> Tensor:
        """(..., *band) -> (..., *grid): its inverse on the band."""
        for axis in self._others:
            h = torch.fft.ifft(h, dim=axis)
        return torch.fft.irfft(h, n=self.grid.shape[-1])

    @cached_property
    def _others(self) -> tuple[int, ...]:
        return tuple(range(-self.grid.ndim, -1))

    def weights(self, device: torch.device | str | None = None) -> Tensor:
        """How often a column's modes stand in the full spectrum: twice, but the first and the Nyquist column once. (columns,), float64.

        The adjoint of `ifft` is weights / N^ndim times `fft`, that of `fft` is `ifft` after N^ndim / weights.
        """
        n = self.grid.shape[-1]
        w = torch.full((self.columns,), 2.0, dtype=torch.float64, device=device)
        w[0] = 1
        if n % 2 == 0 and self.whole:
            w[-1] = 1
        return w

    @property
    def points(self) -> int:
        return math.prod(self.grid.shape)
