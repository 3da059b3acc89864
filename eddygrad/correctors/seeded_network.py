"""What convolutional networks of stacked seeds have in common: sizes, a start from seeds, single entries, the seed axis of a call."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor, nn

from eddygrad.correctors.convolution import Rows, StackedConv
from eddygrad.runtime.randomness import generator

_CACHED_BYTES = 4 << 20  # 16 seeds of width 16 at batch 48 on a line: 45 ms an update in two parts, 64 ms in one
Sizes = tuple[int | None, int | None, int | None]


class SeededNetwork(nn.Module, ABC):
    """S networks of one shape, each drawn from its own seed; a subclass adds `layers`, calls `reset` and says what they compute.

    Args:
        given: cin, cout and ndim, or None for those that `sized` may still choose; until then they are `usual`.
        seeds: an int for one network, a sequence for a stack; entry s depends on its own seed only.
        padding: "circular" or "zeros", for all axes or one for each; one for each says how many axes there are, unless `ndim` does.
    Input (B, in, *grid) or (S, B, in, *grid); output alike. A stack given one batch answers (S, B, out, *grid).
    Raises: ValueError for a size out of range, no seeds, an unknown padding, or an input of other channels.
    """

    layers: nn.ModuleList

    def __init__(self, given: Sizes, usual: tuple[int, int, int], seeds: int | Sequence[int], padding: str | Sequence[str] = "circular") -> None:
        super().__init__()
        self.padding = padding if isinstance(padding, str) else tuple(padding)
        if given[2] is None and not isinstance(padding, str):
            given = (*given[:2], len(padding))
        self._given = given
        self.cin, self.cout, self.ndim = (default if value is None else value for default, value in zip(usual, given))
        if self.cin < 1 or self.cout < 1 or self.ndim not in (1, 2, 3):
            raise ValueError(f"{self._name}: channels >= 1 and ndim 1..3 expected, got cin={self.cin}, cout={self.cout}, ndim={self.ndim}")
        each = (self.padding,) * self.ndim if isinstance(self.padding, str) else self.padding
        if len(each) != self.ndim or not set(each) <= {"circular", "zeros"}:
            raise ValueError(f"{self._name}: padding is 'circular' or 'zeros', for all axes or one for each of {self.ndim}, got {padding!r}")
        self.zeros = tuple(axis for axis, word in enumerate(each) if word == "zeros")
        self.stacked = not isinstance(seeds, int)
        self.seeds: tuple[int, ...] = (seeds,) if isinstance(seeds, int) else tuple(seeds)
        if not self.seeds:
            raise ValueError(f"{self._name}: seeds must name at least one seed, got an empty sequence")

    @abstractmethod
    def _like(self, sizes: Sizes, seeds: int | Sequence[int]) -> Self:
        """A fresh network of this shape."""

    @abstractmethod
    def _through(self, x: Tensor, batch: int, *params: Tensor) -> Tensor:
        """(S, in, *grid) -> (S, out, *grid), the batch innermost in the last grid axis; weight and bias of each layer in turn."""

    @property
    @abstractmethod
    def _shape(self) -> str:
        """The leading arguments as they are typed, e.g. "26, 8"."""

    @property
    def _name(self) -> str:
        return type(self).__name__

    def reset(self) -> None:
        """Draw every entry from its seed."""
        for index, seed in enumerate(self.seeds):
            source = generator(seed, "network")
            for layer in self._convolutions():
                layer.reset(index, source)

    def _convolutions(self) -> list[StackedConv]:
        return [layer for layer in self.layers if isinstance(layer, StackedConv)]

    def _fresh(self, sizes: Sizes, seeds: int | Sequence[int]) -> Self:
        like = self._convolutions()[0].weight
        return self._like(sizes, seeds).to(like.device, like.dtype)

    def with_seeds(self, seeds: int | Sequence[int]) -> Self:
        """A new network of this shape, drawn from other seeds; dtype and device are kept."""
        return self._fresh(self._given, seeds)

    def sized(self, cin: int, cout: int, ndim: int) -> Self:
        """This network, or one drawn anew where a size that was left out at its making is another than here; sizes that were given stay."""
        cin, cout, ndim = (value if own is None else own for own, value in zip(self._given, (cin, cout, ndim)))
        if (cin, cout, ndim) == (self.cin, self.cout, self.ndim):
            return self
        return self._fresh((cin, cout, ndim), self.seeds if self.stacked else self.seeds[0])

    @torch.no_grad()
    def entry(self, index: int) -> Self:
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
                f"{self._name}: expected ([seeds,] batch, {self.cin}, {self.ndim} grid axes), got {tuple(x.shape)}; features add channels; "
                f"sizes are set by {self._name}({self._shape}, cin=, cout=, ndim=)"
            )
        count = len(self.seeds)
        x = x.expand(count, *x.shape) if plain else x
        if x.shape[0] != count:
            raise ValueError(f"{self._name}: a stack of {count} seeds got a seed axis of {x.shape[0]}")
        y = self._respond(x)
        return y[0] if plain and not self.stacked else y

    def _respond(self, x: Tensor) -> Tensor:
        """(S, B, in, *grid) -> (S, B, out, *grid), so many seeds at once that their unfolded stencils stay in the cache."""
        seeds, batch = x.shape[:2]
        params = [p for layer in self._convolutions() for p in (layer.weight, layer.bias)]
        # The batch innermost: a stencil's neighbours are whole rows apart.
        rows = x.movedim(1, -1).flatten(-2).contiguous()
        together = max(1, _CACHED_BYTES // (self._unfolded * rows[0, 0].numel() * x.element_size())) if x.device.type == "cpu" else seeds
        parts = zip(rows.split(together), *(p.split(together) for p in params)) if seeds > together else [(rows, *params)]
        y = [self._through(part, batch, *own) for part, *own in parts]
        return (torch.cat(y) if len(y) > 1 else y[0]).unflatten(-1, (-1, batch)).movedim(-1, 1)

    def _rows(self, batch: int) -> Rows | int:
        return Rows(batch, self.zeros) if self.zeros else batch

    @property
    def _unfolded(self) -> int:
        """Rows of the largest unfolded stencil: channels times the taps of one axis."""
        return max(max(w.shape[1:3]) * w.shape[-1] for w in (layer.weight for layer in self._convolutions()))

    def _told(self) -> str:
        seeds = self.seeds if len(self.seeds) <= 4 else f"{len(self.seeds)} of them"
        padding = f"padding={self.padding!r}, " if self.zeros else ""
        return f"{padding}parameters={self.parameter_count()}, seeds={seeds}"

    def __repr__(self) -> str:
        return f"{self._name}({self.extra_repr()})"
