"""The nonlinear term of an equation, bound to its coefficients: half spectrum -> fields -> products -> half spectrum, and its adjoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from eddygrad.runtime.memory import ordinary_tensors, workspace
from eddygrad.solver.equations.equation import SpectralEquation
from eddygrad.solver.schemes.spectral.truncated_spectrum import Band


@dataclass(frozen=True)
class LinearMap:
    """y_i = sum_j entries[i][j] x_j, mode by mode; entries are (1 or B, *band), None is zero."""

    entries: tuple[tuple[Tensor | None, ...], ...]

    def mapped(self, change: Callable[[Tensor], Tensor]) -> LinearMap:
        """Return the map with a function applied to every entry, e.g. to select or repeat samples."""
        return LinearMap(tuple(tuple(None if e is None else change(e) for e in row) for row in self.entries))

    def adjoint(self, factor: Tensor) -> LinearMap:
        """Return the conjugate transpose, times `factor`."""
        columns = range(len(self.entries[0]))
        return LinearMap(tuple(tuple(_conjugate(row[j], factor) for row in self.entries) for j in columns))

    def __call__(self, x: Tensor, dim: int) -> Tensor:
        """Return the y_i stacked along `dim`, from the x_j along the first axis."""
        return self.function(dim)(x)

    def function(self, dim: int, start: Sequence[Tensor] | None = None) -> Callable[[Tensor], Tensor]:
        """Return x -> y with as few calls of torch as possible, decided once; y_i is added to start[i], which the batch may share."""
        begin = [None] * len(self.entries) if start is None else start
        rows = [_row(row, own) for row, own in zip(self.entries, begin)]
        if len(rows) == 1:
            (only,) = rows
            return lambda x: only(x.unbind()).unsqueeze(dim)
        if start is None and all(len(row) == 1 and row[0] is not None for row in self.entries):
            return self._column(dim)
        return lambda x: torch.stack([row(parts) for parts in (x.unbind(),) for row in rows], dim)

    def _column(self, dim: int) -> Callable[[Tensor], Tensor]:
        """Return the map for a single x: one product with all entries in one tensor. Learnable entries are stacked at every call, into its graph."""
        entries = [row[0] for row in self.entries if row[0] is not None]
        if any(e.requires_grad for e in entries):
            return lambda x: torch.stack(entries, dim) * x[0].unsqueeze(dim)
        with ordinary_tensors():
            column = torch.stack(entries)
        if dim == 0:
            return lambda x: column * x
        column = column.movedim(0, dim)
        return lambda x: column * x[0].unsqueeze(dim)


def _row(row: Sequence[Tensor | None], start: Tensor | None) -> Callable[[Sequence[Tensor]], Tensor]:
    """Return x -> start + sum_j row[j] x[j]."""
    entries = [(j, e) for j, e in enumerate(row) if e is not None]
    if not entries:
        return lambda x: torch.zeros_like(x[0]) if start is None else start.expand_as(x[0]).clone()
    (first, factor), *rest = entries

    def total(x: Sequence[Tensor]) -> Tensor:
        y = factor * x[first] if start is None else torch.addcmul(start, factor, x[first])
        for j, e in rest:
            y.addcmul_(e, x[j])
        return y

    return total


def _conjugate(entry: Tensor | None, factor: Tensor) -> Tensor | None:
    return None if entry is None else entry.conj().resolve_conj() * factor.to(entry.dtype)


@dataclass(frozen=True)
class NonlinearTerm:
    """N_hat(u) + f_hat for states (B, C, *band); maps and coefficients are shared (1, ...) or one per sample (B, ...).

    Args:
        equation:     equation whose products are taken.
        band:         modes of the state.
        synthesis:    state -> fields; None if the fields are the channels.
        analysis:     products -> channels.
        coefficients: parameters of the products (1 or B, *1).
        force:        f_hat (1 or B, C, *band).
    """

    equation: SpectralEquation
    band: Band
    synthesis: LinearMap | None
    analysis: LinearMap
    coefficients: Mapping[str, Tensor]
    force: Tensor | None = None

    def mapped(self, change: Callable[[Tensor], Tensor]) -> NonlinearTerm:
        """Return the term with a function applied to every tensor, e.g. to select or repeat samples."""
        return replace(
            self,
            synthesis=None if self.synthesis is None else self.synthesis.mapped(change),
            analysis=self.analysis.mapped(change),
            coefficients={name: change(value) for name, value in self.coefficients.items()},
            force=None if self.force is None else change(self.force),
        )

    def fields(self, h: Tensor) -> Tensor:
        """Return the fields of a state: (B, C, *band) -> (F, B, *grid)."""
        return self.band.ifft(self._synthesised(h.transpose(0, 1)))

    def of(self, fields: Tensor) -> Tensor:
        """Return the nonlinear term of fields: (F, B, *grid) -> (B, C, *band)."""
        return self._analysed(self.band.fft(self._products(fields)))

    @cached_property
    def _synthesised(self) -> Callable[[Tensor], Tensor]:
        return (lambda h: h) if self.synthesis is None else self.synthesis.function(0)

    @cached_property
    def _analysed(self) -> Callable[[Tensor], Tensor]:
        force = self.force
        if force is None:
            return self.analysis.function(1)
        if force.requires_grad:  # divided at every call, so that each call has a graph of its own
            return lambda q: self.analysis.function(1, force.unbind(1))(q)
        with ordinary_tensors():
            return self.analysis.function(1, force.unbind(1))

    @cached_property
    def _products(self) -> Callable[[Tensor], Tensor]:
        """The products (F, B, *grid) -> (P, B, *grid); without autograd they are written into scratch memory, which the next call overwrites."""
        multiply, coefficients, count = self.equation.products, self.coefficients, len(self.analysis.entries[0])

        def products(fields: Tensor) -> Tensor:
            if torch.is_grad_enabled():
                return torch.stack(multiply(fields.unbind(), coefficients, (None,) * count))
            shape = fields.shape
            out, parts = workspace("products", shape if shape[0] == count else (count, *shape[1:]), fields)
            multiply(fields.unbind(), coefficients, parts)
            return out

        return products

    def adjoint(self, fields: Tensor, grad: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the gradients of Re <grad, N(u)> with respect to the state (B, C, *band) and to the coefficients of the products."""
        back, onward = self._adjoints
        g_fields, g_coefficients = self.equation.products_adjoint(fields, self.coefficients, self.band.ifft(back(grad.transpose(0, 1))))
        return onward(self.band.fft(g_fields)), g_coefficients

    @cached_property
    def _adjoints(self) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
        """The adjoints of analysis and synthesis, including the weights of the half spectrum."""
        like = next(e for row in self.analysis.entries for e in row if e is not None)
        w, n = self.band.weights(like.device), self.band.points
        back = self.analysis.adjoint(n / w).function(0)
        if self.synthesis is not None:
            return back, self.synthesis.adjoint(w / n).function(1)
        weights = (w / n).to(like.dtype)
        return back, lambda q: (q * weights).transpose(0, 1)
