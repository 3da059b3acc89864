"""Gradients of named losses; no `.grad` is changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

Reduce = Callable[[Tensor], Tensor]  # a value of this process -> the mean over all


def reduced(losses: Mapping[str, Tensor], reduce: Reduce | None) -> dict[str, Tensor]:
    """Return the losses with their values averaged over processes, bitwise equal in all of them; gradients stay those of this process."""
    return {name: loss if reduce is None else reduce(loss.detach()) + (loss - loss.detach()) for name, loss in losses.items()}


def gradients(losses: Mapping[str, Tensor], params: Sequence[Tensor], reduce: Reduce | None = None) -> dict[str, tuple[Tensor | None, ...]]:
    """Return one `autograd.grad` per named loss. A stacked loss (S,) is summed first: entry s depends on the s-th network alone.

    Losses of one compiled function share a graph that is traversed once per loss: compile it with
    torch._functorch.config.donated_buffer = False.

    Args:
        losses: name -> () or (S,).
        params: parameters to differentiate with respect to.
        reduce: mean over processes; None for a single process.
    Returns: name -> one gradient per parameter, None where the loss does not depend on it.
    """
    grads: dict[str, tuple[Tensor | None, ...]] = {}
    last = len(losses) - 1
    for i, (name, loss) in enumerate(losses.items()):
        if not loss.requires_grad:  # a weighting that needs this gradient raises with the name of the term
            grads[name] = (None,) * len(params)
            continue
        found = torch.autograd.grad(loss.sum(), params, retain_graph=i < last, allow_unused=True)
        grads[name] = found if reduce is None else tuple(g if g is None else reduce(g) for g in found)
    return grads
