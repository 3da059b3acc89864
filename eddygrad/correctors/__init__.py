"""Networks and the composed step in which they correct or replace a solver."""

from eddygrad.correctors.compose import Corrected, correct, predict, transition
from eddygrad.correctors.encoder_decoder import EncoderDecoder
from eddygrad.correctors.features import Features, Geometry, domain_size
from eddygrad.correctors.resnet import ResNet

__all__ = ["Corrected", "EncoderDecoder", "Features", "Geometry", "ResNet", "correct", "domain_size", "predict", "transition"]
