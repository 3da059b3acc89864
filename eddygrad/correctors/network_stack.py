"""A user's network stacked over seeds: all entries in one forward pass, each drawn from its own seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from eddygrad.correctors.seeded_network import SeedNetwork, Seeds, seed_options
from eddygrad.runtime.randomness import generator


class Stacked(SeedNetwork):
    """S copies of a user's network, each with its own weights; made by `stack`.

        y[s] = network_s(x[s]),   network_s = factory() with torch's generator at (seed_s, "network")
    Parameters keep the network's names and lead with the seed axis. The state of the global generator is restored.

    Args:
        factory: makes one network ([B, C_in, *grid] -> [B, C_out, *grid]) on the CPU, drawing from torch's generator only.
        seeds:   seeds of a stack; None makes a single network.
        ndim:    number of grid axes, 1, 2 or 3.
        seed:    seed of a single network.
    Input (B, C, *grid) or (S, B, C, *grid); a stack that gets one batch returns (S, B, out, *grid).
    Raises: ValueError if the factory makes no trainable network, or one that keeps batch statistics.
    """

    def __init__(self, factory: Callable[[], nn.Module], seeds: Sequence[int] | None = None, ndim: int = 1, *, seed: int = 0) -> None:
        super().__init__(seed, seeds)
        self.factory, self.ndim = factory, ndim
        entries = [_draw(factory, seed) for seed in self.seeds]
        self.network = entries[0]
        with torch.no_grad():
            _replace(self.network, [_slots(entry) for entry in entries])

    def forward(self, x: Tensor) -> Tensor:
        """Apply every network to its input, or all to the same one.

        Raises: ValueError for an input of another number of axes or seeds.
        """
        plain = x.ndim == self.ndim + 2
        if x.ndim not in (self.ndim + 2, self.ndim + 3) or (not plain and x.shape[0] != len(self.seeds)):
            raise ValueError(f"Stacked: expected ([{len(self.seeds)} seeds,] batch, channels, {self.ndim} grid axes), got {tuple(x.shape)}")
        state = _slots(self.network)
        if len(self.seeds) == 1:
            y = self._call({name: value[0] for name, value in state.items()}, x if plain else x[0])
            return y if plain and not self.stacked else y.unsqueeze(0)
        return vmap(self._call, in_dims=(0, None if plain else 0), randomness="different")(state, x)

    def _call(self, state: dict[str, Tensor], x: Tensor) -> Any:
        # All slots are given, so no tying is needed; torch's own tying would not restore a module that is used twice.
        return functional_call(self.network, state, (x,), tie_weights=False)

    def with_seeds(self, seeds: Seeds) -> Self:
        """Return new networks from other seeds, see `SeedNetwork.with_seeds`."""
        like = next(self.parameters())
        return type(self)(self.factory, ndim=self.ndim, **seed_options(seeds)).to(like.device, like.dtype)

    @property
    def _name(self) -> str:
        return "stack"

    def describe(self) -> dict[str, Any]:
        """Return the name of the user's network and its number of parameters."""
        return {**super().describe(), "name": type(self.network).__name__}

    def __repr__(self) -> str:
        seeds = self.seeds if len(self.seeds) <= 4 else f"{len(self.seeds)} of them"
        return f"stack({self.network!r}, parameters={self.parameter_count()}, seeds={seeds})"


def stack(factory: Callable[[], nn.Module], seeds: Sequence[int] | None = None, ndim: int = 1, *, seed: int = 0) -> Stacked:
    """Stack a user's own network over seeds, so that all seeds train in one program.

        eg.fit(eg.correct(solver, eg.nets.stack(MyNetwork)), data, seeds=8)
    Args:
        factory: makes one network, e.g. its class: ([B, C_in, *grid] -> [B, C_out, *grid]).
        seeds:   seeds of a stack, e.g. (0, 1, 2) or range(8); None makes a single network, which `fit(.., seeds=8)` stacks.
        ndim:    number of grid axes, 1, 2 or 3.
        seed:    seed of a single network.
    Raises: ValueError if the factory makes no trainable network, or one with batch statistics; see `Stacked`.
    """
    return Stacked(factory, seeds, ndim, seed=seed)


def _draw(factory: Callable[[], nn.Module], seed: int) -> nn.Module:
    """Make a network from its seed: torch's generator is set for `factory` and restored."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(generator(seed, "network").initial_seed())
        network = factory()
    if not isinstance(network, nn.Module):
        raise ValueError(f"stack: the factory must return a network (nn.Module), got {type(network).__name__}; pass a class or a function")
    if not any(p.requires_grad for p in network.parameters()):
        raise ValueError(f"stack: {type(network).__name__} has no trainable parameters")
    for module in network.modules():
        if getattr(module, "track_running_stats", False):
            raise ValueError(f"stack: {type(module).__name__} keeps batch statistics, which seeds cannot share; use GroupNorm or no normalisation")
    return network


def _slots(network: nn.Module) -> dict[str, Tensor]:
    """Return every parameter and buffer by name: those of a module that is used twice once, a parameter that two modules share twice."""
    return {
        f"{prefix}.{name}" if prefix else name: value
        for prefix, module in network.named_modules()
        for name, value in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
    }


def _replace(network: nn.Module, entries: Sequence[dict[str, Tensor]]) -> None:
    """Replace every parameter and buffer by its stack (S, ...); tied parameters stay tied."""
    made: dict[int, Tensor] = {}
    for name, value in entries[0].items():
        if id(value) not in made:
            whole = torch.stack([entry[name].detach() for entry in entries])
            made[id(value)] = nn.Parameter(whole, requires_grad=value.requires_grad) if isinstance(value, nn.Parameter) else whole
    for name, value in entries[0].items():
        where, _, last = name.rpartition(".")
        setattr(network.get_submodule(where), last, made[id(value)])
