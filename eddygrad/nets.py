"""Networks by short names: `eg.nets.ResNet(26, 8)`, `eg.nets.stack(MyNetwork, seeds=8)`."""

from __future__ import annotations

from eddygrad.correctors.resnet import ResNet
from eddygrad.correctors.stacked import Stacked, stack

__all__ = ["ResNet", "Stacked", "stack"]
