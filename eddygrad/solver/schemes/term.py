"""The nonlinear term of an equation, bound to its coefficients: half spectrum -> fields -> products -> half spectrum, and its adjoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from eddygrad.solver.equations.equation import SpectralEquation
from eddygrad.solver.memory import ordinary_tensors
from eddygrad.solver.schemes.band import Band


@dataclass(frozen=True)
class LinearMap:
    """y_i = sum_j entries[i][j] x_j, mode by mode; entries are (1 or B, *band), None is zero."""

    entries: tuple[tuple[Tensor | None, ...], ...]

    def mapped(self, change: Callable[[Tensor], Tensor]) -> LinearMap:
        """Every entry changed: rows picked, repeated or cut."""
        return LinearMap(tuple(tuple(None if e is None else change(e) for e in row) for row in self.entries))

    def adjoint(self, factor: Tensor) -> LinearMap:
        """The conjugate transpose, times `factor`."""
        columns = range(len(self.entries[0]))
        return LinearMap(tuple(tuple(_conjugate(row[j], factor) for row in self.entries) for j in columns))

    def __call__(self, parts: Sequence[Tensor], dim: int, start: Sequence[Tensor] | None = None) -> Tensor:
        """The y_i stacked along `dim`, each added to its `start` where there is one; that may be shared by the batch."""
        if len(self.entries) == 1:
            return self._row(self.entries[0], parts, None if start is None else start[0]).unsqueeze(dim)
        column = self._column if start is None else None
        if column is not None:
            return (column if dim == 0 else column.movedim(0, dim)) * parts[0].unsqueeze(dim)
        begin = [None] * len(self.entries) if start is None else start
        return torch.stack([self._row(row, parts, own) for row, own in zip(self.entries, begin)], dim)

    @staticmethod
    def _row(row: Sequence[Tensor | None], parts: Sequence[Tensor], start: Tensor | None) -> Tensor:
        total: Tensor | None = None
        for entry, part in zip(row, parts):
            if entry is None:
                continue
            if total is None:
                total = entry * part if start is None else torch.addcmul(start, entry, part)
            else:
                total = total.addcmul_(entry, part)
        if total is None:
            return torch.zeros_like(parts[0]) if start is None else start.expand_as(parts[0]).clone()
        return total

    @property
    def _column(self) -> Tensor | None:
        """All entries in one tensor where there is one x: one product serves all. Learnable entries are stacked anew, for every graph its own."""
        return self._stacked() if self._learnable else self._kept_column

    @cached_property
    def _learnable(self) -> bool:
        return any(e is not None and e.requires_grad for row in self.entries for e in row)

    @cached_property
    def _kept_column(self) -> Tensor | None:
        with ordinary_tensors():
            return self._stacked()

    def _stacked(self) -> Tensor | None:
        entries = [row[0] for row in self.entries if len(row) == 1 and row[0] is not None]
        return torch.stack(entries) if len(entries) == len(self.entries) > 1 else None


def _conjugate(entry: Tensor | None, factor: Tensor) -> Tensor | None:
    return None if entry is None else entry.conj().resolve_conj() * factor.to(entry.dtype)


@dataclass(frozen=True)
class NonlinearTerm:
    """N_hat(u) + f_hat for states (B, C, *band); maps and coefficients are shared (1, ...) or one per sample (B, ...).

    Args: synthesis: state -> fields, None if the fields are the channels. analysis: products -> channels.
          coefficients: of the products, (1 or B, *1). force: f_hat, (1 or B, C, *band).
    """

    equation: SpectralEquation
    band: Band
    synthesis: LinearMap | None
    analysis: LinearMap
    coefficients: Mapping[str, Tensor]
    force: Tensor | None = None

    def mapped(self, change: Callable[[Tensor], Tensor]) -> NonlinearTerm:
        """The same term with every tensor changed: rows picked, repeated or cut."""
        return replace(
            self,
            synthesis=None if self.synthesis is None else self.synthesis.mapped(change),
            analysis=self.analysis.mapped(change),
            coefficients={name: change(value) for name, value in self.coefficients.items()},
            force=None if self.force is None else change(self.force),
        )

    def fields(self, h: Tensor) -> Tensor:
        """(B, C, *band) -> (F, B, *grid)"""
        return self.band.ifft(h.transpose(0, 1) if self.synthesis is None else self.synthesis(h.unbind(1), 0))

    def of(self, fields: Tensor) -> Tensor:
        """(F, B, *grid) -> (B, C, *band)"""
        return self.analysis(self.band.fft(self._products(fields)).unbind(0), 1, self._forces)

    @property
    def _forces(self) -> Sequence[Tensor] | None:
        """The force of each channel, (1 or B, *band); one that is learnt is taken apart anew, for every graph its own."""
        return self.force.unbind(1) if self.force is not None and self.force.requires_grad else self._kept_forces

    @cached_property
    def _kept_forces(self) -> Sequence[Tensor] | None:
        with ordinary_tensors():
            return None if self.force is None else self.force.unbind(1)

    def _products(self, fields: Tensor) -> Tensor:
        """(P, B, *grid), written where they are transformed from unless autograd watches."""
        count = len(self.analysis.entries[0])
        if torch.is_grad_enabled():
            return torch.stack(self.equation.products(fields.unbind(0), self.coefficients, (None,) * count))
        out = fields.new_empty(count, *fields.shape[1:])
        self.equation.products(fields.unbind(0), self.coefficients, out.unbind(0))
        return out

    def adjoint(self, fields: Tensor, grad: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Gradients of Re <grad, N(u)> by the state, (B, C, *band), and by the coefficients of the products, (B, *1)."""
        back, onward = self._adjoints
        g_fields, g_coefficients = self.equation.products_adjoint(fields, self.coefficients, self.band.ifft(back(grad.unbind(1), 0)))
        q = self.band.fft(g_fields)
        h = (q * onward).transpose(0, 1) if isinstance(onward, Tensor) else onward(q.unbind(0), 1)
        return h, g_coefficients

    @cached_property
    def _adjoints(self) -> tuple[LinearMap, LinearMap | Tensor]:
        """The adjoints of analysis and synthesis; the weights of the half spectrum stand in them."""
        like = next(e for row in self.analysis.entries for e in row if e is not None)
        w, n = self.band.weights(like.device), self.band.points
        return self.analysis.adjoint(n / w), (w / n).to(like.dtype) if self.synthesis is None else self.synthesis.adjoint(w / n)
