"""The encoder-decoder network of List et al. 2024 for Kolmogorov flow, for many seeds at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from torch import Tensor, nn

from eddygrad.correctors.convolution import Convolution, ResidualBlock, StackedConv
from eddygrad.correctors.seeded_network import SeededNetwork, Seeds, Sizes, seed_options

SIZES = {
    "32k": (8, 20, 30, 20, 8),
    "116k": (8, 16, 32, 64, 32, 16, 8),
    "461k": (16, 32, 64, 128, 64, 32, 16),
    "1.08M": (16, 32, 64, 128, 128, 128, 64, 32, 16),
}
_SLOPE = 0.01
_USUAL = (4, 2, 2)  # cin, cout, ndim of the paper's Kolmogorov flow: [u, v, p, .001 Re] -> [u, v]


class EncoderDecoder(SeededNetwork):
    """An encoder-decoder at full resolution: the number of channels grows and shrinks over stages, residual blocks with a 1-point skip convolution.

        x_{i+1} = act(conv_k(act(conv_k x_i)) + conv_1 x_i),  i = 1 .. stages;   out = conv_k x;   act = LeakyReLU(.01)
        List et al. 2024, Kolmogorov networks; bias everywhere
    A stage a -> b has b (k^n a + 1) + b (k^n b + 1) + b (a + 1) parameters in n dimensions, the last layer out (k^n c + 1).

    The paper gives widths and parameter counts; its code names residual blocks with convolutions as skips, but their layers are not public. They are
    inferred from the counts in the code, which are the formula above with k = 3 and three channels in and out: 32,369; 115,803; 461,235; 1,084,595.
    With four in and two out, as the network is used, they are 32,376; 115,810; 461,250; 1,084,610, as the paper prints them. A chain of plain
    convolutions does not fit: of all symmetric kernels from 1, 3, 5, 7 one choice fits the smallest size, (5, 1, 5, 5, 1, 5), and another one the
    461k, (7, 3, 3, 5, 5, 3, 3, 7). Positions of the activations (as in the paper's Kuramoto-Sivashinsky blocks), their slope and the initialisation
    (torch's) do not show in a count and are our choice.

    Args:
        widths:    channels after each stage, or a size of the paper: "32k", "116k", "461k", "1.08M".
        cin, cout: input and output channels. `fit` sets those that are None from data and features; until then they are 4 and 2:
                   [u, v, p, .001 Re] in, the correction of [u, v] out.
        ndim:      number of grid axes, 1, 2 or 3; set by `fit` likewise, until then 2.
        seed:      seed of a single network.
        seeds:     seeds of a stack, e.g. (0, 1, 2) or range(8); None makes a single network. Entry s depends on its own seed only.
        kernels:   odd number of points per axis of conv_k, one for all or one for each stage and the last layer.
        padding:   "circular", or "zeros" for axes that are not periodic; for all axes or one for each.
    Input (B, in, *grid) or (S, B, in, *grid); output alike. A stack that gets one batch returns (S, B, out, *grid).
    Raises: ValueError for a size out of range or unknown, an even kernel, an unknown padding, or an input of other channels.
    """

    def __init__(
        self,
        widths: Sequence[int] | str,
        cin: int | None = None,
        cout: int | None = None,
        ndim: int | None = None,
        *,
        seed: int = 0,
        seeds: Sequence[int] | None = None,
        kernels: int | Sequence[int] = 3,
        padding: str | Sequence[str] = "circular",
    ) -> None:
        super().__init__((cin, cout, ndim), _USUAL, seed, seeds, padding)
        if isinstance(widths, str) and widths not in SIZES:
            raise ValueError(f"EncoderDecoder: expected a size of {', '.join(SIZES)} or a sequence of widths, got {widths!r}")
        self.widths = SIZES[widths] if isinstance(widths, str) else tuple(widths)
        self.kernels = (kernels,) * (len(self.widths) + 1) if isinstance(kernels, int) else tuple(kernels)
        if not self.widths or any(w < 1 for w in self.widths):
            raise ValueError(f"EncoderDecoder: at least one width, each >= 1, expected, got {self.widths}")
        if len(self.kernels) != len(self.widths) + 1 or any(k < 1 or k % 2 == 0 for k in self.kernels):
            raise ValueError(
                f"EncoderDecoder: kernels must be odd, one for all or one for each of {len(self.widths)} stages and the last layer, got {kernels}"
            )
        layers: list[StackedConv] = []
        for a, b, kernel in zip((self.cin, *self.widths), self.widths, self.kernels):
            layers += [StackedConv(len(self.seeds), i, b, self.ndim, k) for i, k in ((a, kernel), (b, kernel), (a, 1))]
        self.layers = nn.ModuleList([*layers, StackedConv(len(self.seeds), self.widths[-1], self.cout, self.ndim, self.kernels[-1])])
        self.reset()

    def _like(self, sizes: Sizes, seeds: Seeds) -> Self:
        return type(self)(self.widths, *sizes, **seed_options(seeds), kernels=self.kernels, padding=self.padding)

    def _sizes(self) -> dict[str, Any]:
        return {"widths": list(self.widths)}

    @property
    def _shape(self) -> str:
        return str(self.widths)

    def _through(self, x: Tensor, batch: int, *params: Tensor) -> Tensor:
        *stages, w, b = params
        rows = self._rows(batch)
        for first in range(0, len(stages), 6):
            x = ResidualBlock.apply(x, rows, _SLOPE, *stages[first : first + 6])
        return Convolution.apply(x, rows, w, b)

    def extra_repr(self) -> str:
        """Return widths, kernels and seeds, for `repr`."""
        kernels = self.kernels[0] if len(set(self.kernels)) == 1 else self.kernels
        return f"widths={self.widths}, kernels={kernels}, {self._summary()}"
