"""Objectives, weightings and the loop."""

from eddygrad.training.guard import Guard
from eddygrad.training.loop import Fit, Loop, fit
from eddygrad.training.objectives import Unrolled, Unrolling
from eddygrad.training.schedule import Constant, Cosine, Exponential, Plateau
from eddygrad.training.training_config import Training

__all__ = ["Constant", "Cosine", "Exponential", "Fit", "Guard", "Loop", "Plateau", "Training", "Unrolled", "Unrolling", "fit"]
