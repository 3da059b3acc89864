"""What is minimised: a trajectory or a network -> named losses."""

from eddygrad.training.objectives.unrolled import Unrolled, Unrolling

__all__ = ["Unrolled", "Unrolling"]
