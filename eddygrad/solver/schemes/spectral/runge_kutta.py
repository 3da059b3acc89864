"""Substeps on half spectra from linear factors and nonlinear terms, and their hand-written adjoints."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor

from eddygrad.solver.schemes.spectral.nonlinear_term import NonlinearTerm
from eddygrad.solver.schemes.tableau import Stage, relative


@dataclass
class StageRecord:
    """Values of a substep that its adjoint needs: the fields of every stage, and stage values and terms if coefficients have gradients (`whole`)."""

    whole: bool
    fields: list[Tensor] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)
    terms: list[Tensor] = field(default_factory=list)


@dataclass
class Pulled:
    """Gradients of a substep with respect to the state, the program's tensors in order, the products' coefficients and the force."""

    state: Tensor
    tensors: list[Tensor | None]
    coefficients: dict[str, Tensor]
    force: Tensor | None

    def add(self, coefficients: dict[str, Tensor]) -> None:
        """Add gradients with respect to coefficients."""
        for name, value in coefficients.items():
            self.coefficients[name] = self.coefficients[name] + value if name in self.coefficients else value


class Program(abc.ABC):
    """One substep. `tensors` are its linear factors, complex, (1 or B, 1 or C, *band) each."""

    @property
    @abc.abstractmethod
    def tensors(self) -> list[Tensor]:
        """The linear factors in order."""

    @abc.abstractmethod
    def rebuilt(self, tensors: Sequence[Tensor]) -> Program:
        """Return the program with other factors."""

    @abc.abstractmethod
    def advance(self, h: Tensor, term: NonlinearTerm, record: StageRecord | None = None) -> Tensor:
        """Return the state a substep later.

        Args:
            h:      state (B, C, *band).
            term:   nonlinear term.
            record: receives the values that the adjoint needs.
        """

    @abc.abstractmethod
    def pull(self, record: StageRecord, grad: Tensor, term: NonlinearTerm) -> Pulled:
        """Return the gradients of a substep: the adjoint of `advance` at recorded values.

        Args:
            record: values recorded by `advance`.
            grad:   gradient with respect to the new state (B, C, *band).
            term:   nonlinear term.
        """

    def mapped(self, change: Callable[[Tensor], Tensor]) -> Program:
        """Return the program with a function applied to every factor."""
        return self.rebuilt([change(t) for t in self.tensors])

    def evaluate(self, h: Tensor, term: NonlinearTerm, record: StageRecord | None) -> Tensor:
        """Return the nonlinear term of a stage and record its values. Args: see `advance`."""
        fields = term.fields(h)
        out = term.of(fields)
        if record is not None:
            record.fields.append(fields)
            if record.whole:
                record.values.append(h)
                record.terms.append(out)
        return out


def conjugate(t: Tensor) -> Tensor:
    """Return the complex conjugate, without a copy for real factors."""
    return t.conj().resolve_conj() if bool(t.imag.any()) else t


@dataclass(frozen=True)
class RungeKutta(Program):
    """Exponential and integrating-factor Runge-Kutta methods: stages that combine the initial state and the terms of earlier stages.

    u_i = linear_i u + sum_j w_ij N(u_j),  or  u_i = u_base + sum_j w_ij N(u_j) if an earlier stage has the same linear part
    """

    linear: tuple[Tensor | None, ...]
    base: tuple[int, ...]
    weights: tuple[tuple[Tensor | None, ...], ...]

    @staticmethod
    def of(stages: Sequence[Stage], h: float, dtype: torch.dtype) -> RungeKutta:
        """Make the program from a tableau.

        Args:
            stages: tableau in float64 or complex128.
            h:      substep [s], which the weights are multiplied by.
            dtype:  complex dtype of the factors.
        """
        rows = relative(stages)
        return RungeKutta(
            tuple(None if row.base is not None else row.linear.to(dtype) for row in rows),
            tuple(-1 if row.base is None else row.base for row in rows),
            tuple(tuple(None if w is None else (h * w).to(dtype) for w in row.weights) for row in rows),
        )

    @property
    def tensors(self) -> list[Tensor]:
        return [t for row in zip(self.linear, self.weights) for t in (row[0], *row[1]) if t is not None]

    def rebuilt(self, tensors: Sequence[Tensor]) -> RungeKutta:
        """Return the program with other factors."""
        rest = iter(tensors)
        rows = [(None if l is None else next(rest), tuple(None if w is None else next(rest) for w in ws)) for l, ws in zip(self.linear, self.weights)]
        return replace(self, linear=tuple(l for l, _ in rows), weights=tuple(ws for _, ws in rows))

    def advance(self, h: Tensor, term: NonlinearTerm, record: StageRecord | None = None) -> Tensor:
        """Return the state a substep later. Args: see `Program.advance`."""
        values, terms = [h], []
        for linear, base, weights in self._stages:
            terms.append(self.evaluate(values[-1], term, record))
            if linear is not None:
                out = linear * h
            else:
                (j, weight), *weights = weights
                out = torch.addcmul(values[base], weight, terms[j])
            for j, weight in weights:
                out.addcmul_(weight, terms[j])
            values.append(out)
        return values[-1]

    @cached_property
    def _stages(self) -> list[tuple[Tensor | None, int, list[tuple[int, Tensor]]]]:
        """Per stage: its linear factor or None, the value that it starts from in that case, and the terms that it adds with their weights."""
        rows = zip(self.linear, self.base, self.weights)
        return [(linear, base + 1, [(j, w) for j, w in enumerate(weights) if w is not None]) for linear, base, weights in rows]

    @cached_property
    def _conjugates(self) -> RungeKutta:
        return self.rebuilt([conjugate(t) for t in self.tensors])

    def pull(self, record: StageRecord, grad: Tensor, term: NonlinearTerm) -> Pulled:
        """Return the gradients of a substep. Args: see `Program.pull`."""
        count, adjoint = len(self.linear), self._conjugates
        # Gradients with respect to the values u (index 0) and u_1 .. u_s, and to the terms N(u_0) .. N(u_{s-1}).
        values: list[Tensor | None] = [None] * count + [grad]
        terms: list[Tensor | None] = [None] * count
        pulled = Pulled(grad, [], {}, None)
        rows: list[list[Tensor | None]] = []
        for i in reversed(range(count)):
            g, linear = values[i + 1], adjoint.linear[i]
            assert g is not None
            if linear is None:
                values[adjoint.base[i] + 1] = _plus(values[adjoint.base[i] + 1], g)
            else:
                values[0] = _plus_product(values[0], linear, g)
            for j, weight in enumerate(adjoint.weights[i]):
                if weight is not None:
                    terms[j] = _plus_product(terms[j], weight, g)
            if record.whole:
                own = [] if linear is None else [record.values[0].conj() * g]
                rows.append([*own, *(record.terms[j].conj() * g for j, w in enumerate(adjoint.weights[i]) if w is not None)])
            g_term = terms[i]
            assert g_term is not None
            state, coefficients = term.adjoint(record.fields[i], g_term)
            before = values[i]
            values[i] = state if before is None else state.add_(before)  # in place: the adjoint's own memory
            pulled.add(coefficients)
            if record.whole and term.force is not None:
                pulled.force = _plus(pulled.force, g_term)
        assert values[0] is not None
        pulled.state = values[0]
        pulled.tensors = [t for row in reversed(rows) for t in row]
        return pulled


@dataclass(frozen=True)
class LowStorage(Program):
    """Implicit-explicit Runge-Kutta in low-storage form: g <- N(u) + beta_k g,  u <- P_k u + Q_k g."""

    beta: tuple[float, ...]
    p: tuple[Tensor, ...]
    q: tuple[Tensor, ...]

    @property
    def tensors(self) -> list[Tensor]:
        return [*self.p, *self.q]

    def rebuilt(self, tensors: Sequence[Tensor]) -> LowStorage:
        """Return the program with other factors."""
        count = len(self.p)
        return replace(self, p=tuple(tensors[:count]), q=tuple(tensors[count:]))

    def advance(self, h: Tensor, term: NonlinearTerm, record: StageRecord | None = None) -> Tensor:
        """Return the state a substep later. Args: see `Program.advance`."""
        g: Tensor | None = None
        for beta, p, q in zip(self.beta, self.p, self.q):
            n = self.evaluate(h, term, record)
            g = n if g is None else n.add_(g, alpha=beta)
            h = (p * h).addcmul_(q, g)
        return h

    @cached_property
    def _conjugates(self) -> LowStorage:
        return self.rebuilt([conjugate(t) for t in self.tensors])

    def pull(self, record: StageRecord, grad: Tensor, term: NonlinearTerm) -> Pulled:
        """Return the gradients of a substep. Args: see `Program.pull`."""
        adjoint, count = self._conjugates, len(self.p)
        pulled = Pulled(grad, [], {}, None)
        by_p: list[Tensor | None] = [None] * count
        by_q: list[Tensor | None] = [None] * count
        g: Tensor | None = None
        for k in reversed(range(count)):
            if record.whole:  # the recorded term of a stage is the sum g_k, because `advance` adds to it in place
                by_p[k], by_q[k] = record.values[k].conj() * grad, record.terms[k].conj() * grad
            own = adjoint.q[k] * grad
            g = own if g is None else own.add_(g, alpha=self.beta[k + 1])
            state, coefficients = term.adjoint(record.fields[k], g)
            grad = state.addcmul_(adjoint.p[k], grad)
            pulled.add(coefficients)
            if record.whole and term.force is not None:
                pulled.force = _plus(pulled.force, g)
        pulled.state, pulled.tensors = grad, [*by_p, *by_q]
        return pulled


def _plus(total: Tensor | None, part: Tensor) -> Tensor:
    return part if total is None else total + part


def _plus_product(total: Tensor | None, factor: Tensor, part: Tensor) -> Tensor:
    """Return total + factor part, in place if this function made `total`."""
    return factor * part if total is None else total.addcmul_(factor, part)
