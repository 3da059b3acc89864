"""From named losses to one gradient: the inputs of a weighting, the weighted sum, and a diagnosis of the terms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from eddygrad.training.gradient_diagnostics import diagnose
from eddygrad.training.gradients import Reduce, gradients, reduced
from eddygrad.training.protocols import Probes
from eddygrad.training.seed_stack import SeedStack
from eddygrad.training.weighting.base import Weighting

Grads = dict[str, tuple[Tensor | None, ...]]


class Balance:
    """The loss sum_k w_k L_k per seed and its gradient (S, P): from gradients of every term if the weighting needs them, else of the sum.

    Args:
        weighting: losses -> weights.
        stack:     parameters of all seeds.
        counted:   numbers of the parameters that a weighting sees; coefficients of an equation are left out.
        probes:    (window, draw) -> probes of the tangent kernel's traces by term; another draw has other signs.
        reduce:    mean over processes, taken of losses and gradients before any statistic.
        names:     names of the parameters, for a diagnosis.
    """

    def __init__(
        self,
        weighting: Weighting,
        stack: SeedStack,
        counted: Sequence[int],
        probes: Probes | None = None,
        reduce: Reduce | None = None,
        names: Sequence[str] = (),
    ) -> None:
        self.weighting, self.stack, self.counted, self.probes, self.reduce, self.names = weighting, stack, counted, probes, reduce, names
        self.terms: dict[str, dict[str, Tensor]] = {}  # losses and weights of the last update, if any update had several terms
        self.several, self.looked = False, False
        self.diagnosis: dict[str, Any] = {}
        self._weights: Mapping[str, Any] = {}

    def __call__(self, losses: Mapping[str, Tensor], window: Any = None, diagnosed: bool = False) -> tuple[Tensor, Tensor]:
        """Weigh the losses of an update.

        Args:
            losses:    name -> () or (S,).
            window:    batch of the update, for probes.
            diagnosed: also write spreads and angles of the terms' gradients to `diagnosis`.
        Returns: loss (S,) or (), gradient (S, P).
        Raises:  ValueError for a loss that depends on no parameter.
        """
        weighting, grads = self.weighting, None
        idle = [name for name, loss in losses.items() if not loss.requires_grad]
        if idle:
            raise ValueError(f"fit: the loss {idle[0]!r} has no gradient with respect to any parameter; check its residual, or leave it out")
        weighting.announce(losses)
        self.looked = weighting.due
        probes = self._probe_gradients(window) if weighting.needs == "probes" and weighting.due else None
        if weighting.needs_gradients or diagnosed:
            grads = gradients(losses, self.stack.params, self.reduce)
        losses = reduced(losses, self.reduce)
        counted = None if grads is None and probes is None else self.counted
        self._weights = weights = weighting(losses, grads, counted, probes=probes)
        total = self.total(losses)
        if grads is None:
            grad = self.stack.combine(gradients({"total": total}, self.stack.params, self.reduce), {"total": 1.0})
        elif weighting.combines:
            grad = self._combined(self.stack.weighted(grads, weights))
        else:
            grad = self.stack.combine(grads, weights)
        self.several = self.several or len(losses) > 1
        if self.several:  # a single term has no weight to log, unless others have left
            self.terms = {name: {"loss": loss.detach(), "weight": torch.as_tensor(weights[name])} for name, loss in losses.items()}
        if diagnosed and grads is not None:
            self.diagnosis = diagnose(grads, self.counted, self.stack.count, self.names)
        return total.detach(), grad

    def again(self, losses: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return loss and gradient with the weights of the last update, for a line search."""
        total = self.total(reduced(losses, self.reduce))
        return total.detach(), self.stack.combine(gradients({"total": total}, self.stack.params, self.reduce), {"total": 1.0})

    def total(self, losses: Mapping[str, Tensor]) -> Tensor:
        """Return the sum of the losses with the weights of the last update."""
        total = sum(torch.as_tensor(self._weights[name]) * loss for name, loss in losses.items())
        assert isinstance(total, Tensor)
        return total

    def _combined(self, rows: Tensor) -> Tensor:
        """Combine the counted columns; a coefficient of the equation, whose unit would change directions, gets the weighted sum."""
        counts = self.stack.columns(self.counted).to(rows.device)
        if bool(counts.all()):
            return self.weighting.combine(rows)
        grad = rows.sum(1)
        grad[:, counts] = self.weighting.combine(rows[:, :, counts])
        return grad

    def _probe_gradients(self, window: Any) -> Grads:
        if self.probes is None:
            raise ValueError(f"{type(self.weighting).__name__}: needs residuals, which this objective does not give; take gradient-norm")
        first, reduce, draws = gradients(self.probes(window), self.stack.params), self.reduce, self.weighting.draws
        if reduce is None and draws == 1:
            return first
        # Traces are means of squares over signs and over the points of all processes: hence the root of the mean square, not the mean.
        squares = {name: [g if g is None else g.square() for g in parts] for name, parts in first.items()}
        for draw in range(1, draws):
            for name, parts in gradients(self.probes(window, draw), self.stack.params).items():
                squares[name] = [s if g is None or s is None else s + g.square() for s, g in zip(squares[name], parts)]
        mean = reduce or (lambda value: value)
        return {name: tuple(s if s is None else mean(s / draws).sqrt() for s in parts) for name, parts in squares.items()}
