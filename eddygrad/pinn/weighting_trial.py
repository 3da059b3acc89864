"""Trial of a weighting on the terms of a problem before the training."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch

from eddygrad.pinn.collocation import Collocation
from eddygrad.training.weighting.aggregated import Aggregated
from eddygrad.training.weighting.averaged import AveragedWeighting
from eddygrad.training.weighting.base import Grads
from eddygrad.training.weighting.constant import ConstantWeights


def tried(weighting: Any, problem: Collocation) -> None:
    """Call a copy of the weighting with made-up gradients at every change of the terms, so that a wrong reference fails before the training.

    Other weightings than eddygrad's are not called.

    Raises: ValueError of the weighting, for a term that it names and that is absent.
    """
    own = deepcopy(weighting.weighting if isinstance(weighting, Aggregated) else weighting)
    for step in sorted({0, *problem.joins, *problem.leaves}):
        losses = {name: torch.ones(()) for name, term in problem.terms.items() if term.active(step)}
        if not losses:
            continue
        if isinstance(own, AveragedWeighting):
            own.calls = own.warmup  # past the warm-up, so that it computes weights
            made: Grads = {name: (torch.linspace(-1, 2, 8),) for name in losses}
            own(losses, None if own.needs == "probes" else made, probes=made)
        elif isinstance(own, ConstantWeights):
            own(losses)
