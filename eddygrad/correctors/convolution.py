"""Circular convolutions for stacked seeds: layers of any dimension, and the residual network on a line as batched matrix products."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from eddygrad.solver.memory import ordinary_tensors

_scratch = threading.local()
_leaky_relu_backward = torch.ops.aten.leaky_relu_backward.default


def _workspace(name: str, shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Memory of this thread that is overwritten at the next call: columns live for one line, and fresh pages cost more than they."""
    key = (name, shape, like.dtype, like.device)
    kept: OrderedDict[tuple[object, ...], Tensor] = _scratch.__dict__.setdefault("kept", OrderedDict())
    if key not in kept:
        while len(kept) >= 8:
            kept.popitem(last=False)
        with ordinary_tensors():
            kept[key] = torch.empty(shape, dtype=like.dtype, device=like.device)
    return kept[key]


def unfold(x: Tensor, batch: int, reverse: bool = False) -> Tensor:
    """Columns of a circular 3-point stencil, the batch innermost: (S, C, N B) -> (S, 3 C, N B).

    Row 3 c + j holds x[c] at i + j - 1, or at i - j + 1 if `reverse`: the stencil of the adjoint. The result lives in this thread's scratch
    memory and is overwritten by the next call of the same shape.
    """
    seeds, channels, points = x.shape
    columns = _workspace("columns", (seeds, channels, 3 * points), x)
    before, after = [x[:, :, -batch:], x[:, :, :-batch]], [x[:, :, batch:], x[:, :, :batch]]
    torch.cat([*after, x, *before] if reverse else [*before, x, *after], 2, out=columns)
    return columns.view(seeds, 3 * channels, points)


class ResidualLine(torch.autograd.Function):
    """The whole residual network on a periodic line with its hand-written adjoint: one node instead of fifty. Its input is (S, C, N B).

        x_1 = w_0 * x_0 + b_0;   x_{l+1} = act(w_l * x_l + b_l [+ x_{l-1} if l is even]),  l = 1 .. 2 depth;   out = w * x + b
        (w * x)[o, i] = sum_{c, j} w[o, c, j] x[c, i + j - 1]
    Both adjoints of a convolution are products with the unfolded gradient, so only the layers' outputs are saved.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, batch: int, slope: float, *params: Tensor) -> Tensor:
        weights, biases = params[::2], params[1::2]
        values, last = [x], len(weights) - 1
        for layer, (w, b) in enumerate(zip(weights, biases)):
            matrix, columns = w.flatten(2), unfold(values[-1], batch)
            if _closes_block(layer, last):
                y = torch.baddbmm(values[-2], matrix, columns).add_(b.unsqueeze(2))
            else:
                y = torch.baddbmm(b.unsqueeze(2), matrix, columns)
            values.append(F.leaky_relu_(y, slope) if 0 < layer < last else y)
        ctx.save_for_backward(*weights, *values[:-1])
        ctx.batch, ctx.slope = batch, slope
        return values[-1]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        layers = len(ctx.saved_tensors) // 2
        weights, values = ctx.saved_tensors[:layers], ctx.saved_tensors[layers:]
        last, skip, grads, adjoints = layers - 1, None, [], _adjoints(weights)
        grad = grad.contiguous()
        for layer in reversed(range(layers)):
            w, x = weights[layer], values[layer]
            if 0 < layer < last:
                grad = _leaky_relu_backward(grad, values[layer + 1], ctx.slope, True)
            columns = unfold(grad, ctx.batch, reverse=True)
            product = torch.bmm(x, columns.transpose(1, 2))
            grads += [grad.sum(2), product.unflatten(2, (w.shape[1], w.shape[3])).transpose(1, 2)]
            if layer == 0 and not ctx.needs_input_grad[0]:
                return None, None, None, *reversed(grads)
            if skip is not None and not _closes_block(layer, last):
                grad, skip = torch.baddbmm(skip, adjoints[layer], columns), None
            else:
                skip = grad if _closes_block(layer, last) else None
                grad = torch.bmm(adjoints[layer], columns)
        return grad, None, None, *reversed(grads)


def _adjoints(weights: Sequence[Tensor]) -> list[Tensor]:
    """w[o, c, j] of each layer as the matrix (c, 3 o + j); the middle layers are of one shape and are turned in one copy."""
    lift, *middle, drop = weights
    turned = [torch.stack(same).transpose(2, 3).flatten(3).unbind() for same in ([lift], middle, [drop]) if same]
    return [matrix for group in turned for matrix in group]


def _closes_block(layer: int, last: int) -> bool:
    return 0 < layer < last and layer % 2 == 0


class StackedConv(nn.Module):
    """Circular convolution with an odd kernel in 1, 2 or 3 dimensions for S networks at once.

    Weights (S, out, in, k[, k[, k]]) and biases (S, out) in torch's order; entry s starts as torch's own layer would: uniform within 1/sqrt(fan in).
    """

    def __init__(self, seeds: int, cin: int, cout: int, ndim: int, kernel: int = 3) -> None:
        super().__init__()
        assert kernel % 2 == 1
        self.ndim, self.margin = ndim, kernel // 2
        self.weight = nn.Parameter(torch.empty(seeds, cout, cin, *[kernel] * ndim))
        self.bias = nn.Parameter(torch.empty(seeds, cout))

    @torch.no_grad()
    def reset(self, index: int, generator: torch.Generator) -> None:
        """Draw entry `index` anew; float64 numbers are drawn whatever the dtype, so that precision does not change the start."""
        bound = 1 / math.sqrt(self.weight[0, 0].numel())
        for p in (self.weight, self.bias):
            drawn = torch.rand(p.shape[1:], generator=generator, dtype=torch.float64)
            p[index] = ((2 * drawn - 1) * bound).to(p)

    def forward(self, x: Tensor, skip: Tensor | None = None, slope: float = 1.0) -> Tensor:
        """act(w * x + b + skip) with the seeds as groups: (B, S C, *grid) -> (B, S out, *grid)."""
        padded = F.pad(x, (self.margin,) * (2 * self.ndim), mode="circular") if self.margin else x
        conv = (F.conv1d, F.conv2d, F.conv3d)[self.ndim - 1]
        y = conv(padded, self.weight.flatten(0, 1), self.bias.flatten(), groups=self.weight.shape[0])
        if skip is not None:
            y = y + skip
        return y if slope == 1 else F.leaky_relu(y, slope)
