"""The residual convolutional network of the paper, for many seeds at once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from eddygrad.correctors.convolution import ResidualLine, StackedConv
from eddygrad.solver.randomness import generator

_SLOPE = 0.01
_CACHED_BYTES = 4 << 20  # 16 seeds of width 16 at batch 48: 45 ms an update in two parts, 64 ms in one
_USUAL = (2, 1, 1)  # cin, cout, ndim of the paper's Kuramoto-Sivashinsky networks


class ResNet(nn.Module):
    """Residual CNN with circular padding.

        lift: conv3 in -> c;   `depth` blocks [conv3, LeakyReLU(.01), conv3, + skip, LeakyReLU(.01)];   drop: conv3 c -> out
        List et al. 2024, Kuramoto-Sivashinsky networks; bias everywhere, nothing after the lift
    With k = 3^ndim taps it has c (k in + 1) + 2 depth c (k c + 1) + out (k c + 1) parameters; 1-D, in 2, out 1, (26, 8): 33,125.

    Args:
        width, depth: c and the number of blocks.
        cin, cout:    input and output channels; ndim: 1, 2 or 3. Those left out are sized by `fit` from its data and features; until then, and
                      by hand, they are 2, 1 and 1 as for KS: the state and the constant channel D/8 in, the correction out.
        seeds:        an int for one network, a sequence for a stack; entry s depends on its own seed only.
    Input (B, in, *grid) or (S, B, in, *grid); output alike. A stack of S > 1 given one batch answers (S, B, out, *grid).
    Raises: ValueError for a size out of range or an input of other channels.
    """

    def __init__(
        self, width: int, depth: int, cin: int | None = None, cout: int | None = None, ndim: int | None = None, seeds: int | Sequence[int] = 0
    ) -> None:
        super().__init__()
        self._given = (cin, cout, ndim)
        cin, cout, ndim = (usual if value is None else value for value, usual in zip(self._given, _USUAL))
        if width < 1 or depth < 0 or cin < 1 or cout < 1 or ndim not in (1, 2, 3):
            raise ValueError(f"ResNet: width, channels >= 1, depth >= 0 and ndim 1..3 expected, got {width=}, {depth=}, {cin=}, {cout=}, {ndim=}")
        self.stacked = not isinstance(seeds, int)
        self.seeds = (seeds,) if isinstance(seeds, int) else tuple(seeds)
        if not self.seeds:
            raise ValueError("ResNet: seeds must name at least one seed, got an empty sequence")
        self.width, self.depth, self.cin, self.cout, self.ndim = width, depth, cin, cout, ndim
        sizes = [(cin, width)] + [(width, width)] * (2 * depth) + [(width, cout)]
        self.layers = nn.ModuleList(StackedConv(len(self.seeds), i, o, ndim) for i, o in sizes)
        self.reset()

    def reset(self) -> None:
        """Draw every entry from its seed."""
        for index, seed in enumerate(self.seeds):
            source = generator(seed, "network")
            for layer in self._convolutions():
                layer.reset(index, source)

    def _convolutions(self) -> list[StackedConv]:
        return [layer for layer in self.layers if isinstance(layer, StackedConv)]

    def with_seeds(self, seeds: int | Sequence[int]) -> ResNet:
        """A new network of this shape, drawn from other seeds; dtype and device are kept."""
        like = self._convolutions()[0].weight
        return ResNet(self.width, self.depth, *self._given, seeds).to(like.device, like.dtype)

    def sized(self, cin: int, cout: int, ndim: int) -> ResNet:
        """This network, or one drawn anew where a size that was left out at its making is another than here; sizes that were given stay."""
        cin, cout, ndim = (value if own is None else own for own, value in zip(self._given, (cin, cout, ndim)))
        if (cin, cout, ndim) == (self.cin, self.cout, self.ndim):
            return self
        like, seeds = self._convolutions()[0].weight, self.seeds if self.stacked else self.seeds[0]
        return ResNet(self.width, self.depth, cin, cout, ndim, seeds).to(like.device, like.dtype)

    @torch.no_grad()
    def entry(self, index: int) -> ResNet:
        """One network of the stack, by itself."""
        single = self.with_seeds(self.seeds[index])
        for mine, whole in zip(single.parameters(), self.parameters()):
            mine.copy_(whole[index : index + 1])
        return single

    def parameter_count(self) -> int:
        """Parameters of one network."""
        return sum(p[0].numel() for p in self.parameters())

    def forward(self, x: Tensor) -> Tensor:
        plain = x.ndim == self.ndim + 2
        if x.ndim not in (self.ndim + 2, self.ndim + 3) or x.shape[-self.ndim - 1] != self.cin:
            raise ValueError(
                f"ResNet: expected ([seeds,] batch, {self.cin}, {self.ndim} grid axes), got {tuple(x.shape)}; features add channels; "
                f"sizes are set by ResNet({self.width}, {self.depth}, cin=, cout=, ndim=)"
            )
        count = len(self.seeds)
        x = x.expand(count, *x.shape) if plain else x
        if x.shape[0] != count:
            raise ValueError(f"ResNet: a stack of {count} seeds got a seed axis of {x.shape[0]}")
        y = self._on_a_line(x) if self.ndim == 1 else self._in_groups(x)
        return y[0] if plain and not self.stacked else y

    def _on_a_line(self, x: Tensor) -> Tensor:
        """Batch innermost, (S, C, N, B), so that a stencil's neighbours are whole rows apart."""
        params = [p for layer in self._convolutions() for p in (layer.weight, layer.bias)]
        seeds, batch, _, n = x.shape
        rows = x.permute(0, 2, 3, 1).flatten(2).contiguous()
        # So many seeds at once that their unfolded stencils stay in the cache.
        together = max(1, _CACHED_BYTES // (3 * self.width * n * batch * x.element_size()))
        parts = zip(rows.split(together), *(p.split(together) for p in params)) if seeds > together else [(rows, *params)]
        y = [ResidualLine.apply(part, batch, _SLOPE, *own) for part, *own in parts]
        return (torch.cat(y) if len(y) > 1 else y[0]).unflatten(2, (n, batch)).permute(0, 3, 1, 2)

    def _in_groups(self, x: Tensor) -> Tensor:
        """Seeds as groups of torch's convolution, (B, S C, *grid); on a line the readable reference of `_on_a_line`."""
        lift, *middle, drop = self._convolutions()
        y = lift(x.transpose(0, 1).flatten(1, 2))
        for one, two in zip(middle[::2], middle[1::2]):
            y = two(one(y, slope=_SLOPE), skip=y, slope=_SLOPE)
        return drop(y).unflatten(1, (x.shape[0], self.cout)).transpose(0, 1)

    def extra_repr(self) -> str:
        seeds = self.seeds if len(self.seeds) <= 4 else f"{len(self.seeds)} of them"
        return f"width={self.width}, depth={self.depth}, parameters={self.parameter_count()}, seeds={seeds}"

    def __repr__(self) -> str:
        return f"ResNet({self.extra_repr()})"
