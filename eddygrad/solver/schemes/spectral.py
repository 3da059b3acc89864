"""The exponential step on half spectra: enter is the FFT, leave its inverse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from eddygrad.solver.grid import Grid
from eddygrad.solver.transforms import fft, ifft


@dataclass(frozen=True)
class SpectralStage:
    """Complex factors of a stage: u_hat_stage = linear * u_hat + sum_j weights[j] * F(pointwise(u_j))."""

    linear: Tensor
    weights: tuple[Tensor | None, ...]

    def pick(self, where: Tensor) -> SpectralStage:
        """The rows `where` of tabulated factors: one per sample."""
        return SpectralStage(self.linear[where], tuple(None if w is None else w[where] for w in self.weights))


class SpectralETDStep:
    """A bound exponential Runge-Kutta step; holds no state."""

    def __init__(self, stages: list[SpectralStage], pointwise: Callable[[Tensor], Tensor], grid: Grid, substeps: int) -> None:
        self.stages, self.pointwise, self.grid, self.substeps = stages, pointwise, grid, substeps

    def __call__(self, u: Tensor, k: int = 0) -> Tensor:
        u_hat = fft(u, self.grid)
        for i in range(self.substeps):
            u_hat = self._substep(u_hat, u if i == 0 else ifft(u_hat, self.grid))
        return ifft(u_hat, self.grid)

    def enter(self, u: Tensor) -> Tensor:
        return fft(u, self.grid)

    def inner(self, state: Tensor, k: int = 0) -> Tensor:
        for _ in range(self.substeps):
            state = self._substep(state, ifft(state, self.grid))
        return state

    def leave(self, state: Tensor) -> Tensor:
        return ifft(state, self.grid)

    def _substep(self, u_hat: Tensor, u: Tensor) -> Tensor:
        terms = [fft(self.pointwise(u), self.grid)]
        for stage in self.stages[:-1]:
            terms.append(fft(self.pointwise(ifft(_combine(stage, u_hat, terms), self.grid)), self.grid))
        return _combine(self.stages[-1], u_hat, terms)


def _combine(stage: SpectralStage, u_hat: Tensor, terms: list[Tensor]) -> Tensor:
    out = stage.linear * u_hat
    for weight, term in zip(stage.weights, terms):
        if weight is not None:
            out = torch.addcmul(out, weight, term)
    return out
