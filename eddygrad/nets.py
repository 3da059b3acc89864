"""Networks by short names: `eg.nets.ResNet(26, 8)`, `eg.nets.EncoderDecoder("32k")`, `eg.nets.stack(MyNetwork)`."""

from __future__ import annotations

from eddygrad.correctors.encoder_decoder import EncoderDecoder
from eddygrad.correctors.network_stack import Stacked, stack
from eddygrad.correctors.resnet import ResNet
from eddygrad.pinn.network.coordinate_network import CoordinateNetwork

__all__ = ["CoordinateNetwork", "EncoderDecoder", "ResNet", "Stacked", "stack"]
