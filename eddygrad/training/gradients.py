"""Gradients of named losses; `.grad` of nothing is touched."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

Reduce = Callable[[Tensor], Tensor]  # a value of this process -> the mean over all


def reduced(losses: Mapping[str, Tensor], reduce: Reduce | None) -> dict[str, Tensor]:
    """The losses themselves, their values those of all processes to the last bit, their gradients still this one's."""
    return {name: loss if reduce is None else reduce(loss.detach()) + (loss - loss.detach()) for name, loss in losses.items()}


def gradients(losses: Mapping[str, Tensor], params: Sequence[Tensor], reduce: Reduce | None = None) -> dict[str, tuple[Tensor | None, ...]]:
    """One `autograd.grad` per named loss. A stacked loss (S,) is summed first: entry s depends on the s-th network alone.

    Losses that one compiled function computes share a graph that is gone through once per loss: compile it with
    torch._functorch.config.donated_buffer = False.

    Args:    losses: name -> () or (S,). params: what is differentiated for.
    Returns: name -> one gradient per parameter, None where the loss does not depend on it.
    """
    grads: dict[str, tuple[Tensor | None, ...]] = {}
    last = len(losses) - 1
    for i, (name, loss) in enumerate(losses.items()):
        if not loss.requires_grad:  # a weighting that looks at gradients says so, by the term's name
            grads[name] = (None,) * len(params)
            continue
        found = torch.autograd.grad(loss.sum(), params, retain_graph=i < last, allow_unused=True)
        grads[name] = found if reduce is None else tuple(g if g is None else reduce(g) for g in found)
    return grads
