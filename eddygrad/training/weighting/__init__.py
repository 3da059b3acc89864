"""Named losses -> named weights."""

from eddygrad.training.weighting.aggregated import Aggregated
from eddygrad.training.weighting.averaged import AveragedWeighting
from eddygrad.training.weighting.base import Terms, Weighting
from eddygrad.training.weighting.by_gradients import MGDA, GradientNorm, InverseDirichlet, MaxAverage, NeuralTangentKernel
from eddygrad.training.weighting.by_losses import ReLoBRaLo, SoftAdapt
from eddygrad.training.weighting.constant import EpsilonOptimal, Fixed, Uniform
from eddygrad.training.weighting.custom import Custom
from eddygrad.training.weighting.learned import GradNorm, Homoscedastic, ResNorm

__all__ = [
    "MGDA",
    "Aggregated",
    "AveragedWeighting",
    "Custom",
    "EpsilonOptimal",
    "Fixed",
    "GradNorm",
    "GradientNorm",
    "Homoscedastic",
    "InverseDirichlet",
    "MaxAverage",
    "NeuralTangentKernel",
    "ReLoBRaLo",
    "ResNorm",
    "SoftAdapt",
    "Terms",
    "Uniform",
    "Weighting",
]
