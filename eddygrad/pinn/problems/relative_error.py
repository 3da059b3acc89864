"""Relative error of fields."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def relative(found: Sequence[Tensor], truth: Sequence[Tensor]) -> Tensor:
    """Return |fields - truth| / |truth|, Euclidean over all components and points, in float64: (S,).

    Args:
        found: components of the fields, (N,) or (S, N) each.
        truth: components of the exact solution, (N,) each.
    """
    fields = torch.stack(list(found), -1).double()
    exact = torch.stack(list(truth), -1).to(fields)
    off = fields - exact
    return (off.flatten(-2).norm(dim=-1) / exact.norm()).reshape(-1)
