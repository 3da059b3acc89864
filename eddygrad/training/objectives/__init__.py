"""What is minimised: a trajectory or a network -> named losses."""

from eddygrad.training.objectives.physics import Divergence, KineticEnergy
from eddygrad.training.objectives.unrolled import Unrolled, Unrolling

__all__ = ["Divergence", "KineticEnergy", "Unrolled", "Unrolling"]
