"""Residual-based adaptive sampling: points are redrawn where the residual is large."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Any

import torch
from torch import Tensor

from eddygrad.pinn.collocation import Collocation
from eddygrad.pinn.point_weights import Remembered
from eddygrad.pinn.points import PointBatches, Points
from eddygrad.runtime.randomness import generator
from eddygrad.training.protocols import Stateful


class Resampled(Stateful):
    """Batches whose points of one term are redrawn from a pool by its residual, separately for each seed.

        p(x) ~ |r(x)|^power / mean |r|^power + floor                    RAD, Wu et al. 2023 (arXiv 2207.10289)
    The drawn points are part of a checkpoint. To redraw two terms, nest: Resampled(Resampled(batches, ..., "pde", ...), ..., "data", ...).

    Args:
        batches: batches of the other sets, or resampled batches.
        problem: module whose residual counts.
        term:    its term; the points of the term are redrawn.
        pool:    points to draw from.
        size:    number of points to draw, without replacement.
        every:   updates between draws.
        power:   k of the paper.
        floor:   c of the paper.
        seed:    seed of the draws.
    Raises: ValueError for an unknown term, a term whose points have remembered weights, a size larger than the pool, or numbers out of range.
    """

    def __init__(
        self,
        batches: PointBatches | Resampled,
        problem: Collocation,
        term: str,
        pool: Points,
        size: int,
        every: int = 1000,
        power: float = 1.0,
        floor: float = 1.0,
        seed: int = 0,
    ) -> None:
        if term not in problem.terms:
            raise ValueError(f"resampled: expected a term of {', '.join(problem.terms)}, got {term!r}")
        remembered = [name for name, t in problem.terms.items() if t.at == problem.terms[term].at and isinstance(t.pointwise, Remembered)]
        if remembered:
            raise ValueError(f"resampled: the points of {remembered[0]!r} have remembered weights, which new points would take over")
        if not 1 <= size <= len(pool) or every < 1 or not power > 0 or not floor >= 0:
            raise ValueError(f"resampled: expected size <= {len(pool)}, every >= 1, power > 0 and floor >= 0, got {size}, {every}, {power}, {floor}")
        self.batches, self.problem, self.term, self.pool, self.size = batches, problem, term, pool, size
        self.every, self.power, self.floor, self.seed = every, power, floor, seed
        self._drawn: Tensor | None = None
        self._chosen: Points | None = None  # the same object until the next draw, so that caches by identity stay valid

    def to(self, device: torch.device | str) -> Resampled:
        """Return the same batches on a device; the module whose residual counts is not moved."""
        moved = copy(self)
        moved.pool, moved.batches = self.pool.to(device), self.batches.to(device)
        moved.load_state_dict({name: drawn.to(device) for name, drawn in self.state_dict().items()})
        return moved

    def __call__(self, step: int, horizon: int = 1) -> tuple[int, dict[str, Points]]:
        """Return the update and its points by name; `horizon` has no effect."""
        if self._drawn is None or (step % self.every == 0 and not self.frozen):
            self._drawn, self._chosen = self._draw(step), None
        if self._chosen is None:
            self._chosen = self._gathered(self._drawn)
        return step, {**self.batches(step, horizon)[1], self.problem.terms[self.term].at: self._chosen}

    def _gathered(self, drawn: Tensor) -> Points:
        x = self.pool.x if self.pool.x.ndim == 3 else self.pool.x.expand(len(drawn), -1, -1)
        known = {name: value.expand(len(drawn), -1).gather(1, drawn) for name, value in self.pool.known.items()}
        chosen = Points(x.gather(1, drawn.unsqueeze(-1).expand(-1, -1, x.shape[-1])), known)
        return chosen if self.problem.network.stacked else _single(chosen)

    @torch.no_grad()
    def _draw(self, step: int) -> Tensor:
        """Draw the indices of the points of each seed, (S, size)."""
        r = self.problem.residual(self.term, self.pool).square()
        r = r.sum(0) if r.ndim > 1 + self.problem.network.stacked else r
        size = r.sqrt().reshape(-1, len(self.pool)).double().cpu() ** self.power
        chance = size / size.mean(1, keepdim=True) + self.floor
        chance = torch.where(chance.isfinite().all(1, keepdim=True), chance, 1.0)  # a seed that diverged or whose residual is zero
        sources = [generator(self.seed, f"resampled points/{seed}", step) for seed in self.problem.network.seeds]  # independent
        drawn = [torch.multinomial(row, self.size, generator=source) for row, source in zip(chance, sources, strict=True)]
        return torch.stack(drawn).to(self.pool.x.device)

    def stateful(self) -> dict[str, Stateful]:
        """Return the drawn points by name, also those of resampled batches within; their state belongs to a checkpoint."""
        return {f"resampled {self.term}": self, **(self.batches.stateful() if isinstance(self.batches, Resampled) else {})}

    def state_dict(self) -> dict[str, Any]:
        """Return the indices of the drawn points in the pool, if any were drawn."""
        return {} if self._drawn is None else {"drawn": self._drawn.clone()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the drawn points."""
        self._drawn, self._chosen = state["drawn"].to(self.pool.x.device, copy=True) if "drawn" in state else None, None


def _single(points: Points) -> Points:
    return Points(points.x[0], {name: value[0] for name, value in points.known.items()})
