"""All seeds of a setting as the rows of one buffer, so that each seed is clipped, skipped, frozen and updated separately."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from eddygrad.training.optimizers.registry import by_tensor


class SeedStack:
    """The parameters of a module as a buffer (S, P), one row per seed; the module's own parameters become views of it.

    All parameters of a stacked module have the S seeds as first axis; any other module is a stack of one. Each row has its own parameter group, with
    its own learning rate and step count. A row without a gradient is not updated, so entry s of a stack does what a single run would do.

    An optimiser sees one flat vector of P numbers per seed. Elementwise optimisers (SGD, Adam, AdamW, RMSprop, Adagrad) do exactly what they would do
    with the network's own tensors; those that depend on a tensor's shape (`registry.BY_TENSOR`) get the tensors of each seed as views of its row.

    Args:
        module: module to train.
        seeds:  number of seeds, or None for a module without a seed axis.
    Raises: ValueError if there is no trainable parameter, or the first axis of a parameter is not the seeds.
    """

    def __init__(self, module: nn.Module, seeds: int | None = None) -> None:
        self.params = [p for p in module.parameters() if p.requires_grad]
        self.count, self.stacked = 1 if seeds is None else seeds, seeds is not None
        if not self.params:
            raise ValueError("fit: the stepper has no trainable parameters; pass a Corrected stepper or set requires_grad")
        for p in self.params if seeds is not None else ():
            if p.shape[0] != seeds:
                raise ValueError(f"fit: a stack of {seeds} seeds needs parameters (seeds, ...), got {tuple(p.shape)}")
        with torch.no_grad():
            self.buffer = torch.cat([p.reshape(self.count, -1) for p in self.params], 1).contiguous()
            for p, part in zip(self.params, self._split(self.buffer)):
                p.data = part
        self.pieces = [[nn.Parameter(row)] for row in self.buffer.unbind(0)]  # parameters of each seed's group

    def _split(self, buffer: Tensor) -> list[Tensor]:
        sizes = [p.numel() // self.count for p in self.params]
        return [part.view(p.shape) for p, part in zip(self.params, buffer.split(sizes, 1))]

    def columns(self, chosen: Sequence[int]) -> Tensor:
        """Return a mask (P,) of the numbers that belong to the chosen parameters."""
        sizes = [p.numel() // self.count for p in self.params]
        return torch.cat([torch.full((size,), i in chosen) for i, size in enumerate(sizes)])

    def combine(self, grads: Mapping[str, Sequence[Tensor | None]], weights: Mapping[str, float | Tensor]) -> Tensor:
        """Return sum_k w_k g_k, (S, P); weights are numbers or (S,)."""
        first, *rest = self._weighted(grads, weights)
        return sum(rest, start=first)

    def weighted(self, grads: Mapping[str, Sequence[Tensor | None]], weights: Mapping[str, float | Tensor]) -> Tensor:
        """Return w_k g_k, (S, K, P); weights as for `combine`."""
        return torch.stack(list(self._weighted(grads, weights)), 1)

    def _weighted(self, grads: Mapping[str, Sequence[Tensor | None]], weights: Mapping[str, float | Tensor]) -> Iterator[Tensor]:
        for name, parts in grads.items():
            flat = torch.cat([(torch.zeros_like(p) if g is None else g).reshape(self.count, -1) for p, g in zip(self.params, parts)], 1)
            weight = weights[name]
            if isinstance(weight, Tensor):
                flat = flat * weight.reshape(-1, 1)
            elif weight != 1:
                flat = flat * weight
            yield flat

    def optimizer(self, make: Callable[..., torch.optim.Optimizer], lr: float) -> torch.optim.Optimizer:
        """Return an optimiser with one parameter group per seed."""
        if by_tensor(make):
            self.pieces = [[nn.Parameter(part) for part in self._shaped(row)] for row in self.buffer.unbind(0)]
        return make([{"params": row, "lr": lr} for row in self.pieces])

    def _shaped(self, row: Tensor) -> list[Tensor]:
        """Split a seed's row (P,) into its tensors, without axes of length one."""
        sizes = [p.numel() // self.count for p in self.params]
        shapes = [p.shape[1:] if self.stacked else p.shape for p in self.params]
        return [part.view([n for n in shape if n > 1] or [1]) for part, shape in zip(row.split(sizes), shapes)]

    @torch.no_grad()
    def assign(self, grad: Tensor, active: Sequence[bool]) -> None:
        """Assign gradients to the active rows and None to the others, which the optimiser then skips, state and step count included."""
        for row, g, on in zip(self.pieces, grad.unbind(0), active):
            parts = [g] if len(row) == 1 else g.split([p.numel() for p in row])
            for p, part in zip(row, parts):
                p.grad = part.view_as(p) if on else None
