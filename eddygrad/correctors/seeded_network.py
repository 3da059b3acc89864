"""Networks of stacked seeds: `SeedNetwork`, what they all share, and `SeededNetwork`, the base of the convolutional ones."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Self, TypedDict

import torch
from torch import Tensor, nn

from eddygrad.correctors.convolution import Rows, StackedConv
from eddygrad.runtime.randomness import generator

_CACHED_BYTES = 4 << 20  # 16 seeds of width 16 at batch 48 on a line: 45 ms an update in two parts, 64 ms in one
Sizes = tuple[int | None, int | None, int | None]
Seeds = int | Sequence[int]  # an int is one network, a sequence a stack


class SeedOptions(TypedDict):
    """The two arguments by which a network's constructor takes its seeds."""

    seed: int
    seeds: Sequence[int] | None


def seed_options(seeds: Seeds) -> SeedOptions:
    """Return `seed` and `seeds` of a network's constructor: one network for an int, a stack for a sequence."""
    return {"seed": seeds, "seeds": None} if isinstance(seeds, int) else {"seed": 0, "seeds": tuple(seeds)}


class SeedNetwork(nn.Module, ABC):
    """S networks of one shape in one module, each drawn from its own seed, so that all seeds train in one program.

    Every parameter leads with the seed axis (S, ...), also that of a single network (S = 1).

    Args:
        seed:  seed of a single network.
        seeds: seeds of a stack; None makes a single network. Entry s depends on its own seed only.
    Raises: ValueError if `seeds` is a number or empty.
    """

    def __init__(self, seed: int = 0, seeds: Sequence[int] | None = None) -> None:
        super().__init__()
        if isinstance(seeds, int):
            raise ValueError(
                f"{self._name}: expected a sequence of seeds, got {seeds}; write seeds=range({seeds}) for a stack, seed={seeds} for one network"
            )
        self.stacked = seeds is not None
        self.seeds: tuple[int, ...] = (seed,) if seeds is None else tuple(seeds)
        if not self.seeds:
            raise ValueError(f"{self._name}: seeds must name at least one seed, got an empty sequence")

    @property
    def _name(self) -> str:
        return type(self).__name__

    @abstractmethod
    def with_seeds(self, seeds: Seeds) -> Self:
        """Return new networks of this shape, drawn from other seeds: a stack, or a single one for an int; dtype and device are kept."""

    def sized(self, cin: int, cout: int, ndim: int) -> Self:
        """Return a network for these sizes: this one, unless sizes were left out when it was made.

        Args:
            cin:  channels of the input.
            cout: channels of the output.
            ndim: number of grid axes.
        """
        return self

    @torch.no_grad()
    def entry(self, index: int) -> Self:
        """Return one network of the stack as a single network."""
        single, stack = self.with_seeds(self.seeds[index]), self.state_dict()
        for name, value in single.state_dict().items():
            value.copy_(stack[name] if stack[name].shape == value.shape else stack[name][index : index + 1])
        return single

    def parameter_count(self) -> int:
        """Return the number of parameters of one network."""
        return sum(p[0].numel() for p in self.parameters())

    def describe(self) -> dict[str, Any]:
        """Return name, sizes and number of parameters as JSON values, for the record of a run."""
        return {"name": self._name, **self._sizes(), "parameters": self.parameter_count()}

    def _sizes(self) -> dict[str, Any]:
        return {}


class SeededNetwork(SeedNetwork):
    """S convolutional networks of one shape; a subclass adds `layers`, calls `reset` and defines what they compute.

    Args:
        given:   cin, cout and ndim; None for those that `sized` may still choose, which until then are those of `usual`.
        usual:   cin, cout and ndim by default.
        seed:    seed of a single network.
        seeds:   seeds of a stack; None makes a single network.
        padding: "circular" or "zeros", for all axes or one for each; one for each also sets the number of axes unless `ndim` does.
    Input (B, in, *grid) or (S, B, in, *grid); output alike. A stack that gets one batch returns (S, B, out, *grid).
    Raises: ValueError for a size out of range, no seeds, an unknown padding, or an input of other channels.
    """

    layers: nn.ModuleList

    def __init__(
        self,
        given: Sizes,
        usual: tuple[int, int, int],
        seed: int = 0,
        seeds: Sequence[int] | None = None,
        padding: str | Sequence[str] = "circular",
    ) -> None:
        super().__init__(seed, seeds)
        self.padding = padding if isinstance(padding, str) else tuple(padding)
        if given[2] is None and not isinstance(padding, str):
            given = (*given[:2], len(padding))
        self._given = given
        self.cin, self.cout, self.ndim = (default if value is None else value for default, value in zip(usual, given))
        if self.cin < 1 or self.cout < 1 or self.ndim not in (1, 2, 3):
            raise ValueError(f"{self._name}: channels >= 1 and ndim 1..3 expected, got cin={self.cin}, cout={self.cout}, ndim={self.ndim}")
        paddings = (self.padding,) * self.ndim if isinstance(self.padding, str) else self.padding
        if len(paddings) != self.ndim or not set(paddings) <= {"circular", "zeros"}:
            raise ValueError(f"{self._name}: padding is 'circular' or 'zeros', for all axes or one for each of {self.ndim}, got {padding!r}")
        self.zeros = tuple(axis for axis, word in enumerate(paddings) if word == "zeros")

    @abstractmethod
    def _like(self, sizes: Sizes, seeds: Seeds) -> Self:
        """Return a new network of this shape."""

    @abstractmethod
    def _through(self, x: Tensor, batch: int, *params: Tensor) -> Tensor:
        """Map (S, in, *grid) to (S, out, *grid), the batch innermost in the last grid axis; `params` are weight and bias of each layer in turn."""

    @property
    @abstractmethod
    def _shape(self) -> str:
        """The leading arguments as a user types them, e.g. "26, 8", for error messages."""

    def reset(self) -> None:
        """Draw every entry from its seed."""
        for index, seed in enumerate(self.seeds):
            source = generator(seed, "network")
            for layer in self._convolutions():
                layer.reset(index, source)

    def _convolutions(self) -> list[StackedConv]:
        return [layer for layer in self.layers if isinstance(layer, StackedConv)]

    def _fresh(self, sizes: Sizes, seeds: Seeds) -> Self:
        like = self._convolutions()[0].weight
        return self._like(sizes, seeds).to(like.device, like.dtype)

    def with_seeds(self, seeds: Seeds) -> Self:
        """Return new networks of this shape from other seeds, see `SeedNetwork.with_seeds`."""
        return self._fresh(self._given, seeds)

    def sized(self, cin: int, cout: int, ndim: int) -> Self:
        """Return this network, or a new one of the same seeds if a size that was left out differs; sizes that were given stay.

        Args:
            cin:  channels of the input.
            cout: channels of the output.
            ndim: number of grid axes.
        """
        cin, cout, ndim = (value if own is None else own for own, value in zip(self._given, (cin, cout, ndim)))
        if (cin, cout, ndim) == (self.cin, self.cout, self.ndim):
            return self
        return self._fresh((cin, cout, ndim), self.seeds if self.stacked else self.seeds[0])

    def forward(self, x: Tensor) -> Tensor:
        """Apply every network to its input, or all to the same one.

        Raises: ValueError for an input of another number of channels, axes or seeds.
        """
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
        """Map (S, B, in, *grid) to (S, B, out, *grid), as many seeds at once as have their unfolded stencils in the cache."""
        seeds, batch = x.shape[:2]
        params = [p for layer in self._convolutions() for p in (layer.weight, layer.bias)]
        # With the batch innermost, neighbours of a stencil are whole rows apart.
        rows = x.movedim(1, -1).flatten(-2).contiguous()
        together = max(1, _CACHED_BYTES // (self._unfolded * rows[0, 0].numel() * x.element_size())) if x.device.type == "cpu" else seeds
        parts = zip(rows.split(together), *(p.split(together) for p in params)) if seeds > together else [(rows, *params)]
        y = [self._through(part, batch, *own) for part, *own in parts]
        return (torch.cat(y) if len(y) > 1 else y[0]).unflatten(-1, (-1, batch)).movedim(-1, 1)

    def _rows(self, batch: int) -> Rows | int:
        return Rows(batch, self.zeros) if self.zeros else batch

    @property
    def _unfolded(self) -> int:
        """Number of rows of the largest unfolded stencil: channels times the taps of one axis."""
        return max(max(w.shape[1:3]) * w.shape[-1] for w in (layer.weight for layer in self._convolutions()))

    def _summary(self) -> str:
        seeds = self.seeds if len(self.seeds) <= 4 else f"{len(self.seeds)} of them"
        padding = f"padding={self.padding!r}, " if self.zeros else ""
        return f"{padding}parameters={self.parameter_count()}, seeds={seeds}"

    def __repr__(self) -> str:
        return f"{self._name}({self.extra_repr()})"
