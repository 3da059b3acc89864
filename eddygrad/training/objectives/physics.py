"""Physical constraints as loss terms of predicted frames, see `Unrolled(.., terms=..)`."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from eddygrad.solver.grid import Grid
from eddygrad.solver.vector_calculus import divergence


@dataclass(frozen=True)
class Divergence:
    """Mean square of the divergence of predicted velocities, frame by frame [1/s^2].

        L = <(div u)^2> = sum_k |k . u_hat(k)|^2,   u_hat(k) the Fourier coefficient of mode k, <u> = u_hat(0)
    computed spectrally on a periodic box. The shortest wave of an even axis has no odd derivative and does not count.

    Args:
        grid:     grid of the frames.
        channels: channels of the velocity's components; None: the first ones.
    Call:    predicted ([S,] B, T, C, *grid) [m/s], reference -> ([S,] B, T). The reference is not used.
    Raises:  ValueError for another number of channels than the grid has axes.
    """

    grid: Grid
    channels: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        _check_channels(self)

    def __call__(self, predicted: Tensor, reference: Tensor) -> Tensor:
        return _mean(divergence(_velocity(predicted, self), self.grid).square(), self.grid)


@dataclass(frozen=True)
class KineticEnergy:
    """Squared relative difference of mean kinetic energy to the reference's, frame by frame [-].

        L = ((E - E_ref) / E_ref)^2,   E = <|u|^2> / 2
    Means are over grid points and do not depend on the phases of modes. For a reference at rest the loss is not finite.

    Args, Call, Raises: as `Divergence`, reference ([S,] B, T, C, *grid) [m/s].
    """

    grid: Grid
    channels: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        _check_channels(self)

    def __call__(self, predicted: Tensor, reference: Tensor) -> Tensor:
        energy, known = (_mean(_velocity(u, self).square(), self.grid) for u in (predicted, reference))  # both times 2 / D
        return ((energy - known) / known).square()


def _check_channels(term: Divergence | KineticEnergy) -> None:
    if term.channels is not None and len(term.channels) != term.grid.ndim:
        raise ValueError(
            f"{type(term).__name__}: expected {term.grid.ndim} channels, a velocity on a grid of shape {term.grid.shape}, got {term.channels}; "
            "name one for each axis"
        )


def _velocity(u: Tensor, term: Divergence | KineticEnergy) -> Tensor:
    """Return the channels of the velocity, (..., D, *grid)."""
    axis, shape = -term.grid.ndim - 1, term.grid.shape
    last = max(range(term.grid.ndim) if term.channels is None else term.channels)
    if u.ndim <= term.grid.ndim or tuple(u.shape[-term.grid.ndim :]) != shape or u.shape[axis] <= last:
        raise ValueError(
            f"{type(term).__name__}: expected frames (..., C > {last}, {', '.join(map(str, shape))}), got {tuple(u.shape)}; "
            "pass the grid of the frames and the channels of the velocity"
        )
    if term.channels is None:
        return u.narrow(axis, 0, term.grid.ndim)
    return u.movedim(axis, 0)[list(term.channels)].movedim(0, axis)


def _mean(u: Tensor, grid: Grid) -> Tensor:
    """Return the mean over channels and points: (..., C, *grid) -> (...)."""
    return u.flatten(-grid.ndim - 1).mean(-1)
