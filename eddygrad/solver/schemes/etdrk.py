"""Exponential time differencing Runge-Kutta steppers of order 1 to 4, in Fourier space or as small dense operators."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

from eddygrad.solver.equations.equation import SpectralEquation
from eddygrad.solver.grid import Grid
from eddygrad.solver.memory import ordinary_tensors
from eddygrad.solver.schemes.dense import DenseStep, dense_stages
from eddygrad.solver.schemes.spectral import SpectralETDStep, SpectralStage
from eddygrad.solver.schemes.tableau import Stage, etdrk
from eddygrad.solver.step import Observer, Params, Step
from eddygrad.solver.transforms import dealias_mask, nyquist_free

# Up to this many points a step is a few matrix products of that size, cheaper than its FFTs (docs/performance.md).
_DENSE_LIMIT = 96


@dataclass(frozen=True)
class ETDRK:
    """Exponential time differencing: the linear part exactly, the nonlinear part by Runge-Kutta.

        u+ = e^z u + h sum_j b_j(z) N(u_j),  z = h L,  h = dt / substeps        Cox and Matthews 2002
    Order 1 is ETD1 (exponential Euler), order 2 to 4 are ETDRK2, ETDRK3 and ETDRK4. Coefficients are computed in float64 and cast last.

    Args:
        equation:    what is stepped; du/dt = L u + N(u).
        grid:        where; params["length"] replaces its length, per sample (B, 1, 1) if wished, with a gradient if it requires one.
        dt:          time between returned states [s].
        order:       1 to 4.
        substeps:    inner steps per dt.
        dealias:     fraction of modes that the nonlinear term keeps; None keeps all.
        realisation: "dense" multiplies by N x N matrices (1-D, one length for the batch), "spectral" transforms; "auto" takes the faster.
    Raises: ValueError for an order, substeps, fraction, realisation or dt out of range.
    """

    equation: SpectralEquation
    grid: Grid
    dt: float
    order: int = 2
    substeps: int = 1
    dealias: float | None = None
    realisation: Literal["auto", "dense", "spectral"] = "auto"

    def __post_init__(self) -> None:
        if self.order not in (1, 2, 3, 4):
            raise ValueError(f"ETDRK: order must be 1, 2, 3 or 4, got {self.order}")
        if not self.dt > 0 or self.substeps < 1:
            raise ValueError(f"ETDRK: dt must be positive and substeps at least 1, got dt={self.dt}, substeps={self.substeps}")
        if self.grid.ndim != self.equation.ndim:
            raise ValueError(f"ETDRK: {self.equation.name} lives in {self.equation.ndim}-D, got a grid of shape {self.grid.shape}")
        if self.realisation not in ("auto", "dense", "spectral") or (self.realisation == "dense" and self.grid.ndim != 1):
            raise ValueError(f"ETDRK: realisation must be 'auto', 'spectral' or (in 1-D) 'dense', got {self.realisation!r}")
        if self.dealias is not None:
            dealias_mask(self.grid, self.dealias)

    @property
    def differentiable(self) -> bool:
        return True

    @property
    def substep(self) -> float:
        """h = dt / substeps [s]."""
        return self.dt / self.substeps

    def at(self, params: Params, like: Tensor, observe: Observer | None = None) -> Step:
        """Bind to `params` ("length" [m], optional): the step for states like `like` (B, C, *grid).

        Names that the equation does not have may stand beside its own, for networks and other solvers see the same mapping; "t0" always may.
        Raises: ValueError for an unknown name that nearly is a known one ("Length"), and for any unknown name where none of the equation's own
                is given ({"L": 99} would run on the grid's length).
        """
        self.grid.check(like)
        _check_names(params, self.equation)
        length = params.get("length")
        if isinstance(length, Tensor) and length.requires_grad:
            if length.numel() > 1 and not _per_sample(length):
                raise ValueError(f"params: 'length' must be a number or (batch, 1, {'1, ' * (self.grid.ndim - 1)}1), got {tuple(length.shape)}")
            return self._build(length if _per_sample(length) else length.reshape(()), like.dtype, like.device)
        if isinstance(length, Tensor) and length.numel() > 1:
            return self._per_sample_step(length, like)
        return _shared(self, None if length is None else float(length), like.dtype, like.device)

    def stages(self, length: Tensor | None, device: torch.device | str | None = None) -> tuple[list[Stage], Tensor]:
        """The tableau at this grid's wavenumbers, and the real factor h g(k) of the nonlinear term; float64."""
        k = self.grid.wavenumbers(length, device)
        h = self.substep
        flux = h * self.equation.flux_symbol(k)
        for axis in range(self.grid.ndim):
            flux = flux * nyquist_free(self.grid, axis, flux.device)
        if self.dealias is not None:
            flux = flux * dealias_mask(self.grid, self.dealias, flux.device)
        return etdrk(self.order, h * self.equation.symbol(k)), flux

    def _build(self, length: Tensor | None, dtype: torch.dtype, device: torch.device) -> Step:
        stages, flux = self.stages(length, device)
        shared = length is None or not _per_sample(length)
        if shared and self.grid.ndim == 1 and (self.realisation == "dense" or (self.realisation == "auto" and self.grid.shape[0] <= _DENSE_LIMIT)):
            return DenseStep(dense_stages(stages, flux, self.grid.shape[0], dtype), self.equation.pointwise, self.substeps)
        return self._spectral(_cast(stages, flux, dtype))

    def _spectral(self, stages: list[SpectralStage]) -> Step:
        return SpectralETDStep(stages, self.equation.pointwise, self.grid, self.substeps)

    def _per_sample_step(self, length: Tensor, like: Tensor) -> Step:
        """Coefficients once per distinct length, then picked per sample."""
        if not _per_sample(length):
            raise ValueError(f"params: 'length' must be a number or (batch, 1, {'1, ' * (self.grid.ndim - 1)}1), got {tuple(length.shape)}")
        with ordinary_tensors():
            distinct, index = torch.unique(length, return_inverse=True)
            if distinct.numel() == 1:
                return _shared(self, float(distinct), like.dtype, like.device)
            table = _table(self, tuple(distinct.tolist()), like.dtype, like.device)
            where = index.reshape(length.shape[: length.ndim - self.grid.ndim - 1])
            return self._spectral([stage.pick(where) for stage in table])


def _check_names(params: Params, equation: SpectralEquation) -> None:
    own = set(equation.parameters)
    known = sorted(own | {"length", "t0"})
    unknown = sorted(set(params) - set(known))
    for name in unknown:
        near = get_close_matches(name.lower(), known, n=1, cutoff=0.8)
        if near:
            raise ValueError(f"params: {equation.name} has no {name!r}, got {sorted(params)}; did you mean {near[0]!r}?")
    if unknown and own and own.isdisjoint(params):
        raise ValueError(
            f"params: {equation.name} has {sorted(own)}, got {unknown}; rename it, or give {sorted(own)[0]!r} too if others need {unknown[0]!r}"
        )


def _per_sample(length: Tensor) -> bool:
    return length.ndim >= 2 and all(n == 1 for n in length.shape[-2:])


def _cast(stages: list[Stage], flux: Tensor, dtype: torch.dtype) -> list[SpectralStage]:
    complex_dtype = torch.complex64 if dtype == torch.float32 else torch.complex128

    def factor(w: Tensor | None) -> Tensor | None:
        return None if w is None else (1j * (w * flux)).to(complex_dtype)

    return [SpectralStage(stage.linear.to(complex_dtype), tuple(factor(w) for w in stage.weights)) for stage in stages]


@lru_cache(maxsize=256)
def _shared(scheme: ETDRK, length: float | None, dtype: torch.dtype, device: torch.device) -> Step:
    with ordinary_tensors():
        return scheme._build(None if length is None else torch.tensor(length, dtype=torch.float64, device=device), dtype, device)


@lru_cache(maxsize=64)
def _table(scheme: ETDRK, lengths: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> list[SpectralStage]:
    """Coefficients for the distinct lengths, stacked on a first axis: (lengths, 1, *spectrum)."""
    with ordinary_tensors():
        shape = (-1,) + (1,) * (scheme.grid.ndim + 1)
        stages, flux = scheme.stages(torch.tensor(lengths, dtype=torch.float64, device=device).reshape(shape), device)
        return _cast(stages, flux, dtype)
