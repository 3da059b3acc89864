"""Train any module on any named losses: objectives, weightings, optimisers and the loop."""

from eddygrad.training.guard import Guard
from eddygrad.training.loop import Fit, Loop, train
from eddygrad.training.objectives import Unrolled, Unrolling
from eddygrad.training.schedule import Constant, Cosine, Exponential, Plateau
from eddygrad.training.training_config import TrainingConfig

__all__ = ["Constant", "Cosine", "Exponential", "Fit", "Guard", "Loop", "Plateau", "TrainingConfig", "Unrolled", "Unrolling", "train"]
