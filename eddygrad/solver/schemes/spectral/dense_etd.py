"""The exponential step as products with small circulant matrices, which is faster than FFTs on a short line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from eddygrad.solver.schemes.tableau import Stage, relative
from eddygrad.solver.step import StayingStep


@dataclass(frozen=True)
class DenseStage:
    """u_stage = base + matrix @ [u; f_0; f_1; ...], over the blocks `start` to `stop`; `base` is an earlier stage of the same linear part."""

    matrix: Tensor  # (N, (stop - start) N), acts on columns
    start: int  # first block that is used: 0 is u, 1 is f_0
    stop: int
    base: int | None


def dense_stages(stages: list[Stage], flux: Tensor, n: int, dtype: torch.dtype) -> list[DenseStage]:
    """Return the stages with every diagonal factor c(k) as the circulant matrix whose first column is irfft(c), computed in float64 and cast last.

    Args:
        stages: tableau.
        flux:   h A(k), the step times the analysis of the product.
        n:      number of points.
        dtype:  dtype of the matrices.
    """
    dense = []
    for linear, base, weights in relative(stages):
        blocks = [None if base is not None else _circulant(linear + 0j, n)]
        blocks += [None if w is None else _circulant(w * flux, n) for w in weights]
        used = [j for j, b in enumerate(blocks) if b is not None]
        start, stop = used[0], used[-1] + 1
        zero = torch.zeros(n, n, dtype=torch.float64, device=flux.device)
        pile = torch.cat([zero if b is None else b for b in blocks[start:stop]], dim=1)
        dense.append(DenseStage(pile.to(dtype), start, stop, base))
    return dense


def _circulant(symbol: Tensor, n: int) -> Tensor:
    column = torch.fft.irfft(symbol, n=n)
    i = torch.arange(n, device=symbol.device)
    return column[(i[:, None] - i[None, :]) % n]


@dataclass
class _StepBuffers:
    """Memory of a roll-out without gradients: the programs of the next two substeps, which alternate between two stacks [u; f_0; f_1; ...].

    A program lists per stage the input and output of the nonlinear term, then matrix, operand, base and result of the product.
    """

    now: list[tuple[Tensor, Tensor, Tensor, Tensor, Tensor | None, Tensor]]
    then: list[tuple[Tensor, Tensor, Tensor, Tensor, Tensor | None, Tensor]]
    shape: torch.Size


class DenseStep(StayingStep):
    """A bound step of matrix products. With gradients it is a plain function; in `repeat` without gradients it reuses buffers."""

    def __init__(self, stages: list[DenseStage], pointwise: Callable[..., Tensor], substeps: int) -> None:
        self.stages, self.pointwise, self.substeps = stages, pointwise, substeps
        self.n = stages[0].matrix.shape[0]

    def __call__(self, u: Tensor, k: int = 0) -> Tensor:
        columns = u.reshape(-1, self.n).T
        for _ in range(self.substeps):
            columns = self._substep(columns)
        return columns.T.contiguous().view(u.shape)

    def _substep(self, u: Tensor) -> Tensor:
        pile, values = [u, self.pointwise(u)], [u]
        value = u
        for i, stage in enumerate(self.stages):
            used = pile[stage.start : stage.stop]
            term = used[0] if len(used) == 1 else torch.cat(used)
            value = stage.matrix @ term if stage.base is None else torch.addmm(values[stage.base + 1], stage.matrix, term)
            values.append(value)
            if i + 1 < len(self.stages):
                pile.append(self.pointwise(value))
        return value

    def enter(self, u: Tensor) -> Any:
        """Copy a state into buffers; with gradients the state stays as it is."""
        if torch.is_grad_enabled():
            return u
        columns = u.reshape(-1, self.n).T
        one, two = (u.new_empty((len(self.stages) + 1) * self.n, columns.shape[1]) for _ in range(2))
        one[: self.n].copy_(columns)
        values = [u.new_empty(columns.shape) for _ in self.stages]
        return _StepBuffers(self._program(one, two[: self.n], values), self._program(two, one[: self.n], values), u.shape)

    def _program(self, pile: Tensor, result: Tensor, values: list[Tensor]) -> list[tuple[Tensor, Tensor, Tensor, Tensor, Tensor | None, Tensor]]:
        n, value, program = self.n, pile[: self.n], []
        for i, stage in enumerate(self.stages):
            out = result if i + 1 == len(self.stages) else values[i]
            base = None if stage.base is None else values[stage.base]
            program.append((value, pile[(i + 1) * n : (i + 2) * n], stage.matrix, pile[stage.start * n : stage.stop * n], base, out))
            value = out
        return program

    def inner(self, state: Any, k: int = 0) -> Any:
        """Make one step in the buffers."""
        if isinstance(state, Tensor):
            return self(state, k)
        pointwise = self.pointwise
        for _ in range(self.substeps):
            for value, term, matrix, pile, base, out in state.now:
                pointwise(value, out=term)
                if base is None:
                    torch.mm(matrix, pile, out=out)
                else:
                    torch.addmm(base, matrix, pile, out=out)
            state.now, state.then = state.then, state.now
        return state

    def leave(self, state: Any) -> Tensor:
        """Copy the state out of the buffers."""
        if isinstance(state, Tensor):
            return state
        return state.now[0][0].T.clone(memory_format=torch.contiguous_format).view(state.shape)
