"""Named losses -> named weights."""

from eddygrad.training.weighting.uniform import Uniform

__all__ = ["Uniform"]
