"""Loss weightings by short names: `eg.weightings.InverseDirichlet("pde")`, or `eg.weightings.weighting("inverse-dirichlet")`."""

from __future__ import annotations

from eddygrad.training.weighting import *  # noqa: F403
from eddygrad.training.weighting import __all__ as _classes
from eddygrad.training.weighting.registry import NAMES, weighting

__all__ = ["NAMES", "weighting", *_classes]
