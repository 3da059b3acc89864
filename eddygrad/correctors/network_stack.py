"""Any network as a stack of seeds: all entries in one forward, each drawn from its own seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from eddygrad.runtime.randomness import generator


class Stacked(nn.Module):
    """S copies of a user's network with weights of their own; made by `stack`.

        y[s] = network_s(x[s]),   network_s = factory() with the generator at (seed_s, "network")
    Parameters keep the network's names and lead with the axis of seeds, so that training treats every seed by itself. The global generator is left
    as it was found.

    Args:
        factory: makes one network ([B, C_in, *grid] -> [B, C_out, *grid]) on the CPU, drawing from torch's generator only.
        seeds:   an int for one network, a sequence for a stack.
        ndim:    number of grid axes, 1, 2 or 3.
    Input (B, C, *grid) or (S, B, C, *grid); a stack given one batch answers (S, B, out, *grid).
    Raises: ValueError if the factory makes no trainable network, or one that counts batch statistics.
    """

    def __init__(self, factory: Callable[[], nn.Module], seeds: int | Sequence[int] = 0, ndim: int = 1) -> None:
        super().__init__()
        self.factory, self.ndim = factory, ndim
        self.stacked = not isinstance(seeds, int)
        self.seeds: tuple[int, ...] = (seeds,) if isinstance(seeds, int) else tuple(seeds)
        if not self.seeds:
            raise ValueError("stack: seeds must name at least one seed, got an empty sequence")
        entries = [_draw(factory, seed) for seed in self.seeds]
        self.network = entries[0]
        with torch.no_grad():
            _replace(self.network, [_slots(entry) for entry in entries])

    def forward(self, x: Tensor) -> Tensor:
        plain = x.ndim == self.ndim + 2
        if x.ndim not in (self.ndim + 2, self.ndim + 3) or (not plain and x.shape[0] != len(self.seeds)):
            raise ValueError(f"Stacked: expected ([{len(self.seeds)} seeds,] batch, channels, {self.ndim} grid axes), got {tuple(x.shape)}")
        state = _slots(self.network)
        if len(self.seeds) == 1:
            y = self._call({name: value[0] for name, value in state.items()}, x if plain else x[0])
            return y if plain and not self.stacked else y.unsqueeze(0)
        return vmap(self._call, in_dims=(0, None if plain else 0), randomness="different")(state, x)

    def _call(self, state: dict[str, Tensor], x: Tensor) -> Any:
        # Every slot is given, so nothing is left to tie; torch's own tying does not put a module back that is used twice.
        return functional_call(self.network, state, (x,), tie_weights=False)

    def with_seeds(self, seeds: int | Sequence[int]) -> Stacked:
        """Networks of the same factory, drawn from other seeds; dtype and device are kept."""
        like = next(self.parameters())
        return Stacked(self.factory, seeds, self.ndim).to(like.device, like.dtype)

    @torch.no_grad()
    def entry(self, index: int) -> Stacked:
        """One network of the stack, by itself."""
        single = self.with_seeds(self.seeds[index])
        for name, value in single.state_dict().items():
            value.copy_(self.state_dict()[name][index : index + 1])
        return single

    def parameter_count(self) -> int:
        """Parameters of one network."""
        return sum(p[0].numel() for p in self.parameters())

    def __repr__(self) -> str:
        seeds = self.seeds if len(self.seeds) <= 4 else f"{len(self.seeds)} of them"
        return f"stack({self.network!r}, parameters={self.parameter_count()}, seeds={seeds})"


def stack(factory: Callable[[], nn.Module], seeds: int | Sequence[int] = 0, ndim: int = 1) -> Stacked:
    """A user's own network in a form whose seeds train side by side: `eg.fit(eg.correct(solver, eg.nets.stack(MyNetwork)), data, seeds=8)`.

    Args and errors: see `Stacked`.
    """
    return Stacked(factory, seeds, ndim)


def _draw(factory: Callable[[], nn.Module], seed: int) -> nn.Module:
    """A network from its seed: the generator that `factory` draws from is put there and put back."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(generator(seed, "network").initial_seed())
        network = factory()
    if not isinstance(network, nn.Module):
        raise ValueError(f"stack: the factory must return a network (nn.Module), got {type(network).__name__}; pass a class or a function")
    if not any(p.requires_grad for p in network.parameters()):
        raise ValueError(f"stack: {type(network).__name__} has no trainable parameters")
    for module in network.modules():
        if getattr(module, "track_running_stats", False):
            raise ValueError(f"stack: {type(module).__name__} counts batch statistics, which seeds cannot share; take GroupNorm or no normalisation")
    return network


def _slots(network: nn.Module) -> dict[str, Tensor]:
    """Every place that holds a parameter or a buffer: a module that is used twice once, a parameter that two modules share twice."""
    return {
        f"{prefix}.{name}" if prefix else name: value
        for prefix, module in network.named_modules()
        for name, value in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
    }


def _replace(network: nn.Module, entries: Sequence[dict[str, Tensor]]) -> None:
    """Put (S, ...) in the place of every parameter and buffer; what was tied stays tied."""
    made: dict[int, Tensor] = {}
    for name, value in entries[0].items():
        if id(value) not in made:
            whole = torch.stack([entry[name].detach() for entry in entries])
            made[id(value)] = nn.Parameter(whole, requires_grad=value.requires_grad) if isinstance(value, nn.Parameter) else whole
    for name, value in entries[0].items():
        where, _, last = name.rpartition(".")
        setattr(network.get_submodule(where), last, made[id(value)])
