"""Downsampling: four operators from a fine grid to a coarse one, which differ in what the coarse values mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

from eddygrad.solver.grid import Grid
from eddygrad.solver.transforms import resample

Method = Literal["spectral", "box", "staggered", "sample"]


def downsample(u: Tensor, grid: Grid, shape: Sequence[int], method: Method) -> Tensor:
    """Downsample a field of `grid` to fewer points of the same box, k_d fine cells to a coarse one along axis d.

        spectral:   the Fourier series without its high modes; k_d need not be whole
        box:        U[I] = mean of u over the fine cells of coarse cell I, as a finite-volume grid holds it
        staggered:  U_d[I] = mean of u_d over the fine faces that make up the upper face of coarse cell I in direction d;
                    div U = box(div u), so that a divergence-free field stays divergence-free
        sample:     U[I] = u[k I]; modes that the coarse grid does not resolve are aliased
    `spectral` and `sample` are for values at x_i = i L / N, `box` for cell means or values at the centres, `staggered` for face velocities.

    Args:
        u:      (..., *grid); for `staggered` (..., D, *grid), component d at [i] on the upper face of cell i in direction d.
        grid:   grid of u.
        shape:  points per axis of the result.
        method: "spectral", "box", "staggered" or "sample".
    Returns: (..., *shape) or (..., D, *shape), unit and dtype of u; u's own values if `shape` is the grid's.
    Raises:  ValueError for an unknown method, a shape of other axes, finer or at no whole factor, or a field of other points or components.
    """
    if method not in _METHODS:
        raise ValueError(f"downsample: method must be one of {', '.join(_METHODS)}, got {method!r}")
    shape = tuple(shape)
    if len(shape) != grid.ndim or any(m < 2 or m > n for m, n in zip(shape, grid.shape)):
        raise ValueError(f"downsample: shape needs {grid.ndim} axes of 2 up to {grid.shape} points, got {shape}; transforms.resample refines")
    if tuple(u.shape[-grid.ndim :]) != grid.shape:
        raise ValueError(f"downsample: a field on {grid.shape} expected, got {tuple(u.shape)}; pass the grid that the field lives on")
    if method != "spectral" and any(n % m for m, n in zip(shape, grid.shape)):
        raise ValueError(f"downsample: '{method}' needs a whole factor on every axis, got {grid.shape} -> {shape}; 'spectral' takes any")
    if method == "staggered" and (u.ndim == grid.ndim or u.shape[-grid.ndim - 1] != grid.ndim):
        raise ValueError(
            f"downsample: 'staggered' needs (..., {grid.ndim}, *{grid.shape}), one velocity per axis, got {tuple(u.shape)}; others: 'box'"
        )
    return _METHODS[method](u, grid, shape)


def _spectral(u: Tensor, grid: Grid, shape: tuple[int, ...]) -> Tensor:
    return u if shape == grid.shape else resample(u, grid, shape)


def _box(u: Tensor, grid: Grid, shape: tuple[int, ...]) -> Tensor:
    return _mean(_blocks(u, grid, shape), grid)


def _staggered(u: Tensor, grid: Grid, shape: tuple[int, ...]) -> Tensor:
    faces = []
    for d, component in enumerate(_blocks(u, grid, shape).unbind(-2 * grid.ndim - 1)):
        within = 2 * (d - grid.ndim) + 1
        faces.append(_mean(component.narrow(within, component.shape[within] - 1, 1), grid))
    return torch.stack(faces, -grid.ndim - 1)


def _sample(u: Tensor, grid: Grid, shape: tuple[int, ...]) -> Tensor:
    for axis, (n, m) in enumerate(zip(grid.shape, shape), -grid.ndim):
        u = u.unflatten(axis, (m, n // m)).select(axis, 0)
    return u


def _blocks(u: Tensor, grid: Grid, shape: tuple[int, ...]) -> Tensor:
    """Split every axis into coarse cells and the places in each: (..., *grid) -> (..., M_1, k_1[, M_2, k_2[, M_3, k_3]])."""
    return u.reshape(*u.shape[: -grid.ndim], *(size for n, m in zip(grid.shape, shape) for size in (m, n // m)))


def _mean(blocks: Tensor, grid: Grid) -> Tensor:
    return blocks.mean(tuple(range(1 - 2 * grid.ndim, 0, 2)))


_METHODS: dict[str, Callable[[Tensor, Grid, tuple[int, ...]], Tensor]] = {
    "spectral": _spectral,
    "box": _box,
    "staggered": _staggered,
    "sample": _sample,
}
