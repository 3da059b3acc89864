"""Networks by short names: `eg.nets.ResNet(26, 8)`, `eg.nets.EncoderDecoder("32k")`, `eg.nets.stack(MyNetwork)`.

A network takes `seed=3`, or `seeds=(0, 1, 2)` for a stack of networks that train side by side; `eg.fit(.., seeds=8)` makes a stack of seeds 0 .. 7.
"""

from __future__ import annotations

from eddygrad.correctors.encoder_decoder import EncoderDecoder
from eddygrad.correctors.network_stack import Stacked, stack
from eddygrad.correctors.resnet import ResNet
from eddygrad.pinn.network.coordinate_network import CoordinateNetwork

__all__ = ["CoordinateNetwork", "EncoderDecoder", "ResNet", "Stacked", "stack"]
