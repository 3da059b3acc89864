"""A physics-informed problem ready to be trained, and how wrong its network is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from eddygrad.pinn.collocation import Collocation, PointBatches


@dataclass(frozen=True)
class Case:
    """What a setting of the field comes to.

    Args: problem, batches: what is trained, on what. errors: name -> error per seed (S,) of the network as it is; the first is the endpoint.
          reference: the term whose weight is held at one, or several, of which it is the first that is there. optimal: weights that are optimal
          for the known solution, by term, if they are known.
          steps, drops: updates, and shares of them after which the learning rate is a tenth. every: updates between looks at gradients.
          digest: of a problem that a user registered, to know it by.
          published: (weighting, optimiser) -> the endpoint's published value, where the setting is the published one.
    """

    problem: Collocation
    batches: PointBatches
    errors: Callable[[Collocation], Mapping[str, Tensor]]
    reference: str | tuple[str, ...]
    steps: int
    drops: tuple[float, ...] = (1 / 3, 2 / 3)
    every: int = 5
    optimal: Mapping[str, float] | None = None
    published: Mapping[tuple[str, str], float] = field(default_factory=dict)
    digest: str = ""

    def to(self, device: torch.device | str) -> Case:
        """The same on a device, where errors are found too."""
        return replace(self, problem=self.problem.to(device), batches=self.batches.to(device))
