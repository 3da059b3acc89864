"""Loss weightings as classes, `eg.weightings.InverseDirichlet("pde")`, and by name, `eg.weightings.weighting("inverse-dirichlet")`."""

from __future__ import annotations

from eddygrad.training.weighting import *  # noqa: F403
from eddygrad.training.weighting import __all__ as _classes
from eddygrad.training.weighting.registry import NAMES, weighting

__all__ = ["NAMES", "weighting", *_classes]
