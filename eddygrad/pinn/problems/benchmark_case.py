"""A benchmark problem: the module to train, its points, its errors and its usual settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from eddygrad.pinn.adaptive_sampling import Resampled
from eddygrad.pinn.collocation import Collocation
from eddygrad.pinn.points import PointBatches


@dataclass(frozen=True)
class Case:
    """A benchmark problem, ready to be trained.

    Args:
        problem:   module that is trained.
        batches:   points of every update.
        errors:    module -> errors by name, (S,) each; the first one is the endpoint of a study.
        reference: term whose weight is held at one; of several, the first that is present.
        steps:     number of updates.
        drops:     shares of the updates after which the learning rate falls to a tenth.
        every:     updates between evaluations of gradients by a weighting.
        optimal:   optimal weights by term, where the solution is known.
        published: (weighting, optimiser) -> published value of the endpoint, where the settings are the published ones.
        digest:    digest of a problem that a user registered.
    """

    problem: Collocation
    batches: PointBatches | Resampled
    errors: Callable[[Collocation], Mapping[str, Tensor]]
    reference: str | tuple[str, ...]
    steps: int
    drops: tuple[float, ...] = (1 / 3, 2 / 3)
    every: int = 5
    optimal: Mapping[str, float] | None = None
    published: Mapping[tuple[str, str], float] = field(default_factory=dict)
    digest: str = ""

    def to(self, device: torch.device | str) -> Case:
        """Return the case on a device; errors are computed there too."""
        return replace(self, problem=self.problem.to(device), batches=self.batches.to(device))
