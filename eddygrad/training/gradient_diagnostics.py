"""Diagnosis of the terms' gradients: spreads, angles between them, and their distribution in every layer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import torch
from torch import Tensor

BINS, REACH = 41, 5.0  # bins and half-width of a layer's histogram, in standard deviations of the layer


@torch.no_grad()
def diagnose(grads: Mapping[str, Sequence[Tensor | None]], counted: Sequence[int], seeds: int, names: Sequence[str] = ()) -> dict[str, Any]:
    """Return numbers for a log; lists are over seeds.

        stds[k] = std of g_k over all weights;   cosines["a b"] = g_a . g_b / |g_a| |g_b|, None where one is zero
        layers[k][tensor] = std of the tensor's gradient over finite seeds, its size, counts of g / std in 41 bins of -5 .. 5
        Maddu et al. 2021, fig. 2: a term whose gradients concentrate at zero in every layer is not learned
    Args:
        grads:   result of `gradients`.
        counted: numbers of the parameters that count.
        seeds:   number of stacked seeds.
        names:   names of all parameters; by default their numbers.
    """
    like = {i: part for parts in grads.values() for i in counted if (part := parts[i]) is not None}
    flat = {name: torch.cat([_filled(parts[i], like[i]).reshape(seeds, -1).double() for i in like], 1) for name, parts in grads.items()}
    stds = {name: row.std(1).tolist() for name, row in flat.items()}
    norms = {name: torch.linalg.vector_norm(row, dim=1) for name, row in flat.items()}
    cosines = {f"{a} {b}": _angle((flat[a] * flat[b]).sum(1) / (norms[a] * norms[b])) for a, b in combinations(flat, 2)}
    tensors = {i: names[i] if names else str(i) for i in counted}
    layers = {name: {tensors[i]: _histogram(parts[i], seeds) for i in counted if parts[i] is not None} for name, parts in grads.items()}
    return {"stds": stds, "cosines": cosines, "layers": layers}


def _angle(cosine: Tensor) -> list[float | None]:
    """Cosines; None for a gradient that is zero."""
    return [None if math.isnan(value) else value for value in cosine.tolist()]


def _filled(part: Tensor | None, like: Tensor) -> Tensor:
    return torch.zeros_like(like) if part is None else part


def _histogram(part: Tensor | None, seeds: int) -> dict[str, Any]:
    assert part is not None
    rows = part.reshape(seeds, -1).double().cpu()
    values = rows[rows.isfinite().all(1)].reshape(-1)
    std = float(values.std()) if values.numel() > 1 else 0.0
    counts = torch.histc(values / std, BINS, -REACH, REACH).int().tolist() if std > 0 else []
    return {"std": std, "size": values.numel(), "counts": counts}
