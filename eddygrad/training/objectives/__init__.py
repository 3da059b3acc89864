"""Objectives: a window of a trajectory -> named losses."""

from eddygrad.training.objectives.physics import Divergence, KineticEnergy
from eddygrad.training.objectives.unrolled import Unrolled, Unrolling

__all__ = ["Divergence", "KineticEnergy", "Unrolled", "Unrolling"]
