"""The networks of a comparison, by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from eddygrad.correctors.encoder_decoder import SIZES, EncoderDecoder
from eddygrad.correctors.resnet import ResNet
from eddygrad.correctors.seeded_network import SeededNetwork

NETWORKS = ("resnet", *(f"encoder-decoder:{size}" for size in SIZES))


class NetworkChoice(Protocol):
    """The fields of a configuration that choose a network."""

    @property
    def network(self) -> str:
        """Name of the network."""

    @property
    def width(self) -> int:
        """Channels of a residual network."""

    @property
    def depth(self) -> int:
        """Blocks of a residual network."""


def check_network(name: str) -> None:
    """Raise ValueError for an unknown network."""
    if name not in NETWORKS:
        raise ValueError(f"network: expected one of {', '.join(NETWORKS)}, got {name!r}")


def build(c: NetworkChoice, cin: int, cout: int, ndim: int, seeds: Sequence[int], padding: str | tuple[str, ...] = "circular") -> SeededNetwork:
    """Return the networks of all seeds, stacked.

    Args: c: the choice. cin, cout: channels of input and output. ndim: dimensions of the grid. seeds: of the networks. padding: see `Setting`.
    """
    if c.network == "resnet":
        return ResNet(c.width, c.depth, cin, cout, ndim, seeds=tuple(seeds), padding=padding)
    return EncoderDecoder(c.network.partition(":")[2], cin, cout, ndim, seeds=tuple(seeds), padding=padding)


def network_slug(c: NetworkChoice) -> str:
    """Return the network as part of a run's name: "w16d4"."""
    return f"w{c.width}d{c.depth}" if c.network == "resnet" else c.network.replace(":", "-").replace(".", "-").lower()


def network_summary(c: NetworkChoice) -> str:
    """Return the network in a line of text: "(16, 4)"."""
    return f"({c.width}, {c.depth})" if c.network == "resnet" else c.network
