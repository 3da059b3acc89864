"""The bound spectral step on half spectra: `enter` is the FFT, `inner` makes the substeps, `leave` is the inverse FFT; with hand-written adjoints."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from eddygrad.runtime.memory import ordinary_tensors, recomputed
from eddygrad.runtime.threads import one_thread_if_small
from eddygrad.solver.schemes.spectral.nonlinear_term import LinearMap, NonlinearTerm
from eddygrad.solver.schemes.spectral.runge_kutta import Program, Pulled, StageRecord
from eddygrad.solver.schemes.spectral.truncated_spectrum import Band
from eddygrad.solver.step import SteadyStep

# Samples are processed in parts whose field has about this size: the data of a stage then stay in the cache (docs/performance.md).
_CHUNK_BYTES = 1 << 20
_NO_SECOND_DERIVATIVE = (
    "a spectral step has no second derivative by its hand-written adjoint; build the scheme with gradient='autograd' for double backward"
)


@dataclass(frozen=True)
class Bound:
    """A program, its nonlinear term and the constraint of its states, bound to parameters.

    Every tensor is shared (1, ...) or has a row per sample (B, ...); the entries of the constraint, which depend on directions only, are (*band).
    """

    program: Program
    term: NonlinearTerm
    constraint: LinearMap | None = None

    def mapped(self, change: Callable[[Tensor], Tensor]) -> Bound:
        """Return the coefficients with a function applied to every tensor."""
        return Bound(self.program.mapped(change), self.term.mapped(change), self.constraint)

    @cached_property
    def rows(self) -> int:
        """Number of samples that have coefficients of their own; 1 if all share them."""
        synthesis = () if self.term.synthesis is None else self.term.synthesis.entries
        tables = [e for row in (*synthesis, *self.term.analysis.entries) for e in row if e is not None]
        force = [] if self.term.force is None else [self.term.force]
        return max(t.shape[0] for t in (*self.program.tensors, *tables, *self.term.coefficients.values(), *force))

    def repeated(self, batch: int) -> Bound:
        """Return the coefficients for a merged batch of stacked seeds: the rows of B samples are repeated for every seed."""
        rows = self.rows
        if rows in (1, batch):
            return self
        return self.mapped(lambda t: t if t.shape[0] == 1 else t.repeat(batch // rows, *[1] * (t.ndim - 1)))

    def part(self, start: int, stop: int) -> Bound:
        """Return the coefficients of samples `start` to `stop`, without their graph."""
        return self.mapped(lambda t: (t if t.shape[0] == 1 else t[start:stop]).detach())

    @property
    def learnable(self) -> list[Tensor]:
        """Tensors for which the hand-written adjoint has gradients: the program's factors, the products' coefficients, the force."""
        return [*self.program.tensors, *self.term.coefficients.values(), *([] if self.term.force is None else [self.term.force])]


class Part(NamedTuple):
    """Samples start to stop of a batch with their coefficients."""

    start: int
    stop: int
    bound: Bound


class SpectralStep(SteadyStep):
    """A bound step on half spectra, without state.

    Args:
        bound:    coefficients.
        band:     modes of the state.
        substeps: substeps per step.
        plain:    leave gradients to autograd: slower, but twice differentiable, and also with respect to synthesis and analysis.
    """

    def __init__(self, bound: Bound, band: Band, substeps: int, plain: bool = False) -> None:
        self.bound, self.band, self.substeps, self.plain = bound, band, substeps, plain
        self._channel = -band.grid.ndim - 1
        like = bound.program.tensors[0]
        with ordinary_tensors():
            mask = band.mask(like.device)
            self._mask = None if mask is None or band.grid.ndim == 1 else mask.to(like.dtype)
        self._repeated: dict[int, Bound] = {}
        self._kept: tuple[torch.Size | None, list[Part]] = None, []

    def enter(self, u: Tensor) -> Tensor:
        """Transform a state to the band and apply the equation's constraint: (..., C, *grid) -> (..., C, *band)."""
        h = self.band.fft(u) if self.plain or not u.requires_grad else _ToBand.apply(u, self.band)
        h = h if self._mask is None else h * self._mask
        constraint = self.bound.constraint
        return h if constraint is None else constraint(h.movedim(self._channel, 0), self._channel)

    def leave(self, state: Tensor) -> Tensor:
        """Transform back: (..., C, *band) -> (..., C, *grid)."""
        if self.plain or not state.requires_grad:
            return self.band.ifft(state)
        return _FromBand.apply(state, self.band)

    def inner(self, state: Tensor, k: int = 0) -> Tensor:
        """Return the inner representation one step later; it does not depend on k."""
        return self.steps(state, 1)

    def steps(self, state: Tensor, count: int, again: bool = False) -> Tensor:
        """Return the inner representation `count` steps later, computed part by part of the batch.

        Args:
            state: (..., C, *band).
            count: number of steps.
            again: repeat the steps in the backward pass instead of storing their fields.
        """
        if again and self.plain:
            return recomputed(lambda u: self.steps(u, count), state)
        parts = self._parts(state.shape)
        stacked = state.ndim > 1 - self._channel
        h = state.flatten(0, self._channel - 1) if stacked else state
        with self._threads(len(h)):
            h = self._onward(parts, h, count * self.substeps, again)
        return h.reshape(state.shape) if stacked else h

    def _threads(self, batch: int) -> AbstractContextManager[object]:
        return one_thread_if_small(batch * self.band.points, self.bound.program.tensors[0].device)

    def _onward(self, parts: list[Part], h: Tensor, count: int, again: bool) -> Tensor:
        if self.plain:
            bound = self._for(len(h))
            for _ in range(count):
                h = bound.program.advance(h, bound.term)
            return h
        if torch.is_grad_enabled():
            after: Tensor = _Advance.apply(parts, count, again, h, *self._for(len(h)).learnable)
            return after
        return _advanced(parts, h, count)

    def _for(self, batch: int) -> Bound:
        """Return the coefficients for this batch size; cached for the last one unless they carry a graph."""
        if self.bound.rows in (1, batch):
            return self.bound
        if any(t.requires_grad for t in self.bound.learnable):
            return self.bound.repeated(batch)
        if batch not in self._repeated:
            with ordinary_tensors():
                self._repeated = {batch: self.bound.repeated(batch)}
        return self._repeated[batch]

    def _parts(self, shape: torch.Size) -> list[Part]:
        """Divide a batch of states of this shape into parts whose fields fit the cache, each with its coefficients; cached for the last shape.

        Raises: ValueError if the parameters are bound for another number of samples.
        """
        kept, parts = self._kept
        if shape != kept:
            batch = shape[: self._channel]
            if self.bound.rows not in (1, batch[-1], math.prod(batch)):
                raise ValueError(
                    f"step: bound to parameters of {self.bound.rows} samples, the state has {tuple(batch)}; bind it to those of this batch"
                )
            parts = self._split(math.prod(batch))
            self._kept = shape, parts
        return parts

    def _split(self, batch: int) -> list[Part]:
        bound, like = self.bound.repeated(batch), self.bound.program.tensors[0]
        size = self.band.points * like.real.element_size()
        together = max(1, _CHUNK_BYTES // size) if like.device.type == "cpu" else batch
        with ordinary_tensors():
            spans = [(a, min(a + together, batch)) for a in range(0, batch, together)]
            shared = bound.part(0, batch) if bound.rows == 1 else None
            return [Part(a, b, shared or bound.part(a, b)) for a, b in spans]


def _advanced(parts: list[Part], h: Tensor, count: int, records: list[list[StageRecord]] | None = None) -> Tensor:
    """Advance a batch by `count` substeps, part by part, so that its state stays in the cache. `records`: one per substep of each part."""
    out = []
    for i, (start, stop, bound) in enumerate(parts):
        u = h if len(parts) == 1 else h[start:stop]
        advance, term = bound.program.advance, bound.term
        for k in range(count):
            u = advance(u, term, None if records is None else records[i][k])
        out.append(u)
    return out[0] if len(out) == 1 else torch.cat(out)


class _Advance(torch.autograd.Function):
    """Substeps as one node of the graph. It stores the fields of all stages (and values and terms if coefficients have gradients), or, with `again`,
    only the initial state, and repeats the substeps in the backward pass, part by part."""

    @staticmethod
    def forward(ctx: Any, parts: list[Part], count: int, again: bool, h: Tensor, *learnable: Tensor) -> Tensor:
        ctx.parts, ctx.count, ctx.again, ctx.shapes = parts, count, again, [t.shape for t in learnable]
        ctx.whole = any(ctx.needs_input_grad[4:])
        if again:
            ctx.save_for_backward(h)
            return _advanced(parts, h, count)
        records = [[StageRecord(ctx.whole) for _ in range(count)] for _ in parts]
        out = _advanced(parts, h, count, records)
        ctx.save_for_backward(*[t for part in records for r in part for t in (*r.fields, *r.values, *r.terms)])
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        if torch.is_grad_enabled():
            raise RuntimeError(_NO_SECOND_DERIVATIVE)
        with one_thread_if_small(len(grad) * ctx.parts[0].bound.term.band.points, grad.device):
            return _pulled_back(ctx, grad)


def _pulled_back(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    totals: list[Tensor | None] = [None] * len(ctx.shapes)
    states, saved = [], ctx.saved_tensors  # read once only: a checkpoint around this step unpacks them a single time
    for i, (start, stop, bound) in enumerate(ctx.parts):
        g = grad[start:stop]
        for record in reversed(_records(ctx, i, saved)):
            pulled = bound.program.pull(record, g, bound.term)
            g = pulled.state
            for j, own in enumerate(_in_order(pulled, bound)):
                if own is not None and ctx.needs_input_grad[4 + j]:
                    totals[j] = _collect(totals[j], own, ctx.shapes[j], bound.learnable[j].dtype, start, stop)
        states.append(g)
    return None, None, None, states[0] if len(states) == 1 else torch.cat(states), *totals


def _records(ctx: Any, i: int, saved: tuple[Tensor, ...]) -> list[StageRecord]:
    """Return the records of the substeps of part i, stored or made again."""
    if ctx.again:
        records = [StageRecord(ctx.whole) for _ in range(ctx.count)]
        (h,) = saved
        _advanced([ctx.parts[i]], h[ctx.parts[i].start : ctx.parts[i].stop], ctx.count, [records])
        return records
    each = len(saved) // (len(ctx.parts) * ctx.count)
    stages = each // 3 if ctx.whole else each
    starts = range(i * ctx.count * each, (i + 1) * ctx.count * each, each)
    own = [list(saved[a : a + each]) for a in starts]
    return [StageRecord(ctx.whole, t[:stages], t[stages : 2 * stages], t[2 * stages :]) for t in own]


def _in_order(pulled: Pulled, bound: Bound) -> list[Tensor | None]:
    tensors = pulled.tensors or [None] * len(bound.program.tensors)
    force = [] if bound.term.force is None else [pulled.force]
    return [*tensors, *(pulled.coefficients.get(name) for name in bound.term.coefficients), *force]


def _collect(total: Tensor | None, g: Tensor, shape: torch.Size, dtype: torch.dtype, start: int, stop: int) -> Tensor:
    """Add `g` to `total`, summed to the shape of the coefficient; a coefficient per sample gets rows start to stop."""
    if total is None:
        total = torch.zeros(shape, dtype=dtype, device=g.device)
    rows = total if shape[0] == 1 else total[start:stop]
    rows += g.sum_to_size(rows.shape)
    return total


class _ToBand(torch.autograd.Function):
    """The FFT with its adjoint on half spectra; that of autograd would use a full complex spectrum."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, band: Band) -> Tensor:
        ctx.band = band
        return band.fft(u)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        if torch.is_grad_enabled():
            raise RuntimeError(_NO_SECOND_DERIVATIVE)
        factor = ctx.band.points / ctx.band.weights(grad.device)
        return ctx.band.ifft(grad * factor.to(grad.dtype)), None


class _FromBand(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, h: Tensor, band: Band) -> Tensor:
        ctx.band = band
        return band.ifft(h)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        if torch.is_grad_enabled():
            raise RuntimeError(_NO_SECOND_DERIVATIVE)
        h = ctx.band.fft(grad)
        return h * (ctx.band.weights(grad.device) / ctx.band.points).to(h.dtype), None
