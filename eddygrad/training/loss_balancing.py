"""From named losses to one gradient: what a weighting looks at, the weighted sum, and a diagnosis of the terms."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from eddygrad.training.gradient_diagnostics import diagnose
from eddygrad.training.gradients import Reduce, gradients, reduced
from eddygrad.training.seed_stack import SeedStack

Grads = dict[str, tuple[Tensor | None, ...]]


class Balance:
    """sum_k w_k L_k per seed and its gradient (S, P): of every term by itself where that is looked at, of the sum where not.

    Args: weighting: losses -> weights. stack: of seeds. counted: which parameters count, no coefficient of an equation. probes: (window, draw) ->
          what the tangent kernel's traces are taken from, by term; another draw has other signs. reduce: mean over processes, taken of losses and
          gradients before any statistic. names: of the parameters, for a diagnosis.
    """

    def __init__(
        self,
        weighting: Any,
        stack: SeedStack,
        counted: Sequence[int],
        probes: Callable[..., Mapping[str, Tensor]] | None = None,
        reduce: Reduce | None = None,
        names: Sequence[str] = (),
    ) -> None:
        self.weighting, self.stack, self.counted, self.probes, self.reduce, self.names = weighting, stack, counted, probes, reduce, names
        self.terms: dict[str, dict[str, Tensor]] = {}  # losses and weights of the last update, where there are or were several
        self.several, self.looked = False, False
        self.diagnosis: dict[str, Any] = {}
        self._weights: Mapping[str, Any] = {}

    def __call__(self, losses: Mapping[str, Tensor], window: Any = None, diagnosed: bool = False) -> tuple[Tensor, Tensor]:
        """One look, where it is time for one: (S,) or () and (S, P)."""
        weighting, grads = self.weighting, None
        idle = [name for name, loss in losses.items() if not loss.requires_grad]
        if idle:
            raise ValueError(f"training: the loss {idle[0]!r} has no gradient with respect to any parameter; look at its residual, or leave it out")
        weighting.announced(losses)
        self.looked = bool(weighting.due)
        probed = weighting.looks_at == "probes" and weighting.due
        shown = self._probed(window) if probed else None
        if weighting.wants_gradients or diagnosed:
            grads = gradients(losses, self.stack.params, self.reduce)
        losses = reduced(losses, self.reduce)
        self._weights = weights = self._asked(losses, grads, shown)
        combine = getattr(weighting, "combine", None)
        if grads is not None and combine is not None:
            grad = self._combined(self.stack.weighted(grads, weights), combine)
        elif grads is not None:
            grad = self.stack.combine(grads, weights)
        total = self.total(losses)
        if grads is None:
            grad = self.stack.combine(gradients({"total": total}, self.stack.params, self.reduce), {"total": 1.0})
        self.several = self.several or len(losses) > 1
        if self.several:  # a single one has no weight to tell of, unless others have left it
            self.terms = {name: {"loss": loss.detach(), "weight": torch.as_tensor(weights[name])} for name, loss in losses.items()}
        if diagnosed and grads is not None:
            self.diagnosis = diagnose(grads, self.counted, self.stack.count, self.names)
        return total.detach(), grad

    def again(self, losses: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The same with the weights of the last look: for an optimiser that searches along a line."""
        total = self.total(reduced(losses, self.reduce))
        return total.detach(), self.stack.combine(gradients({"total": total}, self.stack.params, self.reduce), {"total": 1.0})

    def total(self, losses: Mapping[str, Tensor]) -> Tensor:
        total = sum(torch.as_tensor(self._weights[name]) * loss for name, loss in losses.items())
        assert isinstance(total, Tensor)
        return total

    def _combined(self, rows: Tensor, combine: Callable[[Tensor], Tensor]) -> Tensor:
        """Aggregated where parameters count; a coefficient of the equation, whose unit would change directions, has the weighted sum."""
        counts = self.stack.columns(self.counted).to(rows.device)
        if bool(counts.all()):
            return combine(rows)
        grad = rows.sum(1)
        grad[:, counts] = combine(rows[:, :, counts])
        return grad

    def _asked(self, losses: Mapping[str, Tensor], grads: Grads | None, probes: Grads | None) -> Mapping[str, Any]:
        further = {} if probes is None else {"probes": probes}
        if grads is None and not further:
            found: Mapping[str, Any] = self.weighting(losses)
        else:
            found = self.weighting(losses, grads, self.counted, **further)
        return found

    def _probed(self, window: Any) -> Grads:
        if self.probes is None:
            raise ValueError(f"{type(self.weighting).__name__}: looks at residuals, which this objective does not give; take gradient-norm")
        found, reduce = gradients(self.probes(window), self.stack.params), self.reduce
        draws = getattr(self.weighting, "draws", 1)
        if reduce is None and draws == 1:
            return found
        # Traces are means of squares over signs, and over points wherever these are: so the root of the mean square, not the mean.
        squares = {name: [g if g is None else g.square() for g in parts] for name, parts in found.items()}
        for draw in range(1, draws):
            for name, parts in gradients(self.probes(window, draw), self.stack.params).items():
                squares[name] = [s if g is None or s is None else s + g.square() for s, g in zip(squares[name], parts)]
        mean = reduce or (lambda value: value)
        return {name: tuple(s if s is None else mean(s / draws).sqrt() for s in parts) for name, parts in squares.items()}
