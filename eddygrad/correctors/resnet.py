"""The residual convolutional network of List et al. 2024, for many seeds at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from torch import Tensor, nn

from eddygrad.correctors.convolution import Convolution, ResidualBlock, ResidualLine, StackedConv
from eddygrad.correctors.seeded_network import SeededNetwork, Seeds, Sizes, seed_options

_SLOPE = 0.01
_USUAL = (2, 1, 1)  # cin, cout, ndim of the paper's Kuramoto-Sivashinsky networks


class ResNet(SeededNetwork):
    """A residual convolutional network.

        lift: conv3 in -> c;   `depth` blocks [conv3, LeakyReLU(.01), conv3, + skip, LeakyReLU(.01)];   drop: conv3 c -> out
        List et al. 2024, Kuramoto-Sivashinsky networks; bias everywhere, nothing after the lift
    With k = 3^ndim taps it has c (k in + 1) + 2 depth c (k c + 1) + out (k c + 1) parameters; 1-D, in 2, out 1, (26, 8): 33,125.

    Args:
        width, depth:  c and the number of blocks.
        cin, cout:     input and output channels. `fit` sets those that are None from data and features; until then they are 2 and 1, as for
                       Kuramoto-Sivashinsky: the state and the constant channel D/8 in, the correction out.
        ndim:          number of grid axes, 1, 2 or 3; set by `fit` likewise, until then 1.
        seeds:        an int for one network, a sequence for a stack; entry s depends on its own seed only.
        padding:       "circular", or "zeros" for axes that are not periodic; for all axes or one for each.
    Input (B, in, *grid) or (S, B, in, *grid); output alike. A stack that gets one batch returns (S, B, out, *grid).
    Raises: ValueError for a size out of range, an unknown padding, or an input of other channels.
    """

    def __init__(
        self,
        width: int,
        depth: int,
        cin: int | None = None,
        cout: int | None = None,
        ndim: int | None = None,
        *,
        seed: int = 0,
        seeds: Sequence[int] | None = None,
        padding: str | Sequence[str] = "circular",
    ) -> None:
        super().__init__((cin, cout, ndim), _USUAL, seed, seeds, padding)
        if width < 1 or depth < 0:
            raise ValueError(f"ResNet: width >= 1 and depth >= 0 expected, got {width=}, {depth=}")
        self.width, self.depth = width, depth
        sizes = [(self.cin, width)] + [(width, width)] * (2 * depth) + [(width, self.cout)]
        self.layers = nn.ModuleList(StackedConv(len(self.seeds), i, o, self.ndim) for i, o in sizes)
        self.reset()

    def _like(self, sizes: Sizes, seeds: Seeds) -> Self:
        return type(self)(self.width, self.depth, *sizes, **seed_options(seeds), padding=self.padding)

    def _sizes(self) -> dict[str, Any]:
        return {"width": self.width, "depth": self.depth}

    @property
    def _shape(self) -> str:
        return f"{self.width}, {self.depth}"

    def _through(self, x: Tensor, batch: int, *params: Tensor) -> Tensor:
        return ResidualLine.apply(x, batch, _SLOPE, *params) if self.ndim == 1 and not self.zeros else self._in_blocks(x, batch, *params)

    def _in_blocks(self, x: Tensor, batch: int, *params: Tensor) -> Tensor:
        """Compute the network block by block, in any dimension; on a line the tests compare it with `ResidualLine`."""
        w, b, *blocks, w_last, b_last = params
        rows = self._rows(batch)
        x = Convolution.apply(x, rows, w, b)
        for first in range(0, len(blocks), 4):
            x = ResidualBlock.apply(x, rows, _SLOPE, *blocks[first : first + 4])
        return Convolution.apply(x, rows, w_last, b_last)

    def extra_repr(self) -> str:
        """Return sizes and seeds, for `repr`."""
        return f"width={self.width}, depth={self.depth}, {self._summary()}"
