"""The networks that a comparison can name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from eddygrad.correctors.encoder_decoder import SIZES, EncoderDecoder
from eddygrad.correctors.resnet import ResNet
from eddygrad.correctors.seeded_network import SeededNetwork

NETWORKS = ("resnet", *(f"encoder-decoder:{size}" for size in SIZES))


class Named(Protocol):
    """What says which network: fields of a `Configuration`."""

    @property
    def network(self) -> str: ...
    @property
    def width(self) -> int: ...
    @property
    def depth(self) -> int: ...


def check_network(name: str) -> None:
    """Raise ValueError for a name that is no network's."""
    if name not in NETWORKS:
        raise ValueError(f"network: expected one of {', '.join(NETWORKS)}, got {name!r}")


def build(c: Named, cin: int, cout: int, ndim: int, seeds: Sequence[int], padding: str | tuple[str, ...] = "circular") -> SeededNetwork:
    """The networks of these seeds, stacked. Args: padding: see `Setting`."""
    if c.network == "resnet":
        return ResNet(c.width, c.depth, cin, cout, ndim, seeds=tuple(seeds), padding=padding)
    return EncoderDecoder(c.network.partition(":")[2], cin, cout, ndim, seeds=tuple(seeds), padding=padding)


def network_slug(c: Named) -> str:
    """As part of a run's name."""
    return f"w{c.width}d{c.depth}" if c.network == "resnet" else c.network.replace(":", "-").replace(".", "-").lower()


def network_summary(c: Named) -> str:
    """In a line of text."""
    return f"({c.width}, {c.depth})" if c.network == "resnet" else c.network
