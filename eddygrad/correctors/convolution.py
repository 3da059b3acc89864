"""Convolutions of stacked seeds as batched matrix products: layers and residual blocks in any dimension, and the residual network on a line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from operator import mul
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from eddygrad.runtime.memory import workspace

_leaky_relu_backward = torch.ops.aten.leaky_relu_backward.default


def unfold(x: Tensor, batch: int, reverse: bool = False) -> Tensor:
    """Return the columns of a circular 3-point stencil, the batch innermost: (S, C, N B) -> (S, 3 C, N B).

    Row 3 c + j holds x[c] at i + j - 1, or at i - j + 1 if `reverse`. The result lives in this thread's scratch memory and is overwritten by the next
    call of the same shape.

    Args:
        x:       (S, C, N B).
        batch:   B.
        reverse: use the stencil of the adjoint.
    """
    seeds, channels, points = x.shape
    columns = workspace("columns", (seeds, channels, 3 * points), x).whole
    before, after = [x[:, :, -batch:], x[:, :, :-batch]], [x[:, :, batch:], x[:, :, :batch]]
    torch.cat([*after, x, *before] if reverse else [*before, x, *after], 2, out=columns)
    return columns.view(seeds, 3 * channels, points)


class ResidualLine(torch.autograd.Function):
    """The whole residual network on a periodic line with its hand-written adjoint: one node of the graph instead of fifty. Input (S, C, N B).

        x_1 = w_0 * x_0 + b_0;   x_{l+1} = act(w_l * x_l + b_l [+ x_{l-1} if l is even]),  l = 1 .. 2 depth;   out = w * x + b
        (w * x)[o, i] = sum_{c, j} w[o, c, j] x[c, i + j - 1]
    Both adjoints of a convolution are products with the unfolded gradient, so only the layers' outputs are saved.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, batch: int, slope: float, *params: Tensor) -> Tensor:
        """Compute the output and store what the adjoint needs. Args: see the class."""
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
        """Return the gradients with respect to input, weights and biases."""
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
    """Return w[o, c, j] of each layer as the matrix (c, 3 o + j); the middle layers have one shape and are transposed in one copy."""
    lift, *middle, drop = weights
    turned = [torch.stack(same).transpose(2, 3).flatten(3).unbind() for same in ([lift], middle, [drop]) if same]
    return [matrix for group in turned for matrix in group]


def _closes_block(layer: int, last: int) -> bool:
    return 0 < layer < last and layer % 2 == 0


class Rows(NamedTuple):
    """Layout and padding: the batch is innermost in the last grid axis; axes in `zeros` are padded by zeros, the others periodically."""

    batch: int
    zeros: tuple[int, ...] = ()


def windows(x: Tensor, kernel: int, rows: Rows | int) -> list[Tensor]:
    """Return the windows of a stencil: one (S, C k, points) per tap of the axes but the last, as views of one array.

        window_j[(c, l), i] = x[c, i + (j, l) - k // 2],  l along the last axis, where the batch is innermost
    Along the other axes a shift is an offset in memory, so that 3 x 3 points need three copies of x, not nine. In 3-D the points include the margins
    between planes (`_spaced`, `_cropped`).

    Args:
        x:      (S, C, *grid).
        kernel: number of taps k per axis.
        rows:   layout and padding; an int is the batch with all axes periodic.
    """
    if kernel == 1:
        return [x.flatten(2)]
    *outer, last = x.shape[2:]
    margin = kernel // 2
    batch, zeros = (rows, ()) if isinstance(rows, int) else rows
    margins = [margin] * len(outer) + [margin * batch]
    padded = F.pad(x, [m for m in reversed(margins) for _ in range(2)], mode="circular") if not zeros else _bounded(x, margins, zeros)
    seed, channel, *steps = padded.stride()
    shifted = padded.as_strided((*x.shape[:2], kernel, *padded.shape[2:-1], last), (seed, channel, batch, *steps)).contiguous()
    strides = shifted.stride()[3:-1]
    columns, points = shifted.view(x.shape[0], x.shape[1] * kernel, -1), last + sum((n - 1) * step for n, step in zip(outer, strides))
    return [columns.narrow(2, sum(map(mul, tap, strides)), points) for tap in product(range(kernel), repeat=len(outer))]


def _bounded(x: Tensor, margins: Sequence[int], zeros: Sequence[int]) -> Tensor:
    """Pad x by zeros along some axes and periodically along the others."""
    padded = F.pad(x, [m for m in reversed(margins) for _ in range(2)])
    for axis, (margin, n) in enumerate(zip(margins, x.shape[2:])):
        if axis not in zeros:
            if margin > n:
                raise ValueError(f"convolution: expected a kernel that fits a periodic axis of {n} entries, got margin {margin}; use a smaller one")
            padded.narrow(axis + 2, 0, margin).copy_(padded.narrow(axis + 2, n, margin))
            padded.narrow(axis + 2, n + margin, margin).copy_(padded.narrow(axis + 2, margin, margin))
    return padded


def _spaced(x: Tensor, kernel: int, points: int) -> Tensor:
    """Return x at the points of `windows`, with zeros between planes: (S, C, points)."""
    return x.flatten(2) if points == x[0, 0].numel() else F.pad(x, (0, 0, 0, kernel - 1)).flatten(2).narrow(2, 0, points)


def _cropped(y: Tensor, kernel: int, grid: Sequence[int]) -> Tensor:
    """Apply the adjoint of `_spaced`: (S, C, points) -> (S, C, *grid), a view."""
    if y.shape[2] == math.prod(grid):
        return y.view(*y.shape[:2], *grid)
    _, rows, last = grid
    return y.as_strided((*y.shape[:2], *grid), (*y.stride()[:2], (rows + kernel - 1) * last, last, 1))


def _matrices(w: Tensor) -> Tensor:
    """Reshape weights (S, out, in, k, ...) to (taps of the axes but the last, S, out, in k), to be multiplied by `windows`."""
    *outer, last = range(3, w.ndim)
    return w.permute(*outer, 0, 1, 2, last).reshape(-1, *w.shape[:2], w.shape[2] * w.shape[-1])


def _products(total: Tensor | None, w: Tensor, columns: Sequence[Tensor], grid: Sequence[int]) -> Tensor:
    """Return total + w * x from the `windows` of x, (S, out, *grid); `total` is overwritten."""
    dense = columns[0].shape[2] == math.prod(grid)
    y = total.flatten(2) if dense and total is not None else None
    for matrix, column in zip(_matrices(w), columns):
        y = torch.bmm(matrix, column) if y is None else y.baddbmm_(matrix, column)
    assert y is not None
    y = _cropped(y, w.shape[-1], grid)
    return y.contiguous() if dense or total is None else total.view(y.shape).add_(y)


def _convolved(x: Tensor, rows: Rows | int, w: Tensor, total: Tensor) -> Tensor:
    """Return total + w * x; `total` (S, out, *grid) is overwritten."""
    return _products(total, w, windows(x, w.shape[-1], rows), x.shape[2:])


def _filled(b: Tensor, x: Tensor) -> Tensor:
    """Expand a bias (S, out) to the points of x."""
    return _columnwise(b, x).expand(*b.shape, *x.shape[2:]).contiguous()


def _columnwise(b: Tensor, x: Tensor) -> Tensor:
    return b.view(*b.shape, *[1] * (x.ndim - 2))


def _pulled_back(
    grad: Tensor, x: Tensor, rows: Rows | int, w: Tensor, wanted: bool = True, total: Tensor | None = None
) -> tuple[Tensor | None, Tensor, Tensor]:
    """Return the gradients with respect to x, w and b of y = w * x + b; that of x is added to `total` (overwritten), and None unless `wanted`.

        dx = w^T * dy,  w^T[c, o, j] = w[o, c, k - 1 - j];   dw[o, c, j] = sum_i x[c, i] dy[o, i - j + k // 2]
    Both are products with the windows of dy, so that x is not unfolded again.
    """
    (seeds, out, cin, *kernel), axes = w.shape, tuple(range(3, w.ndim))
    columns = windows(grad, kernel[0], rows)
    spaced = _spaced(x, kernel[0], columns[0].shape[2])
    products = x.new_empty((len(columns), seeds, cin, out * kernel[0]))
    for matrix, column in zip(products, columns):
        torch.bmm(spaced, column.transpose(1, 2), out=matrix)
    n = len(kernel)
    dw = products.view(*kernel[1:], seeds, cin, out, kernel[0]).permute(n - 1, n + 1, n, *range(n - 1), n + 2).flip(axes).contiguous()
    dx = _products(total, w.flip(axes).transpose(1, 2), columns, x.shape[2:]) if wanted else None
    return dx, dw, grad.flatten(2).sum(2)


class Convolution(torch.autograd.Function):
    """y = w * x + b with its hand-written adjoint: (S, C, *grid) -> (S, out, *grid), the batch innermost in the last grid axis."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, rows: Rows | int, w: Tensor, b: Tensor) -> Tensor:
        """Compute the output and store what the adjoint needs. Args: see the class."""
        ctx.save_for_backward(x, w)
        ctx.rows = rows
        return _convolved(x, rows, w, _filled(b, x))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients with respect to input, weights and biases."""
        x, w = ctx.saved_tensors
        dx, *own = _pulled_back(grad.contiguous(), x, ctx.rows, w, ctx.needs_input_grad[0])
        return dx, None, *own


class ResidualBlock(torch.autograd.Function):
    """Two convolutions and a skip with their hand-written adjoint; arrays as in `Convolution`; only the layers' outputs are stored.

    h = act(w_1 * x + b_1);   y = act(w_2 * h + b_2 + skip);   act = LeakyReLU(slope)
    skip = w_3 * x + b_3, or x if there is no third layer
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, rows: Rows | int, slope: float, *params: Tensor) -> Tensor:
        """Compute the output and store what the adjoint needs. Args: see the class."""
        (one, two, *third), (b_1, b_2, *b_3) = params[::2], params[1::2]
        h = F.leaky_relu_(_convolved(x, rows, one, _filled(b_1, x)), slope)
        skip = _convolved(x, rows, third[0], _filled(b_2 + b_3[0], x)) if third else x + _columnwise(b_2, x)
        y = F.leaky_relu_(_convolved(h, rows, two, skip), slope)
        ctx.save_for_backward(x, h, y, one, two, *third)
        ctx.rows, ctx.slope = rows, slope
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients with respect to input, weights and biases."""
        x, h, y, one, two, *third = ctx.saved_tensors
        rows, wanted = ctx.rows, ctx.needs_input_grad[0]
        grad = _leaky_relu_backward(grad.contiguous(), y, ctx.slope, True)
        dh, dw_2, db_2 = _pulled_back(grad, h, rows, two)
        dx, *skipped = _pulled_back(grad, x, rows, third[0], wanted) if third else (grad,)
        dx, dw_1, db_1 = _pulled_back(_leaky_relu_backward(dh, h, ctx.slope, True), x, rows, one, wanted, dx)
        return dx, None, None, dw_1, db_1, dw_2, db_2, *skipped


class StackedConv(nn.Module):
    """Convolution with an odd kernel in 1, 2 or 3 dimensions for S networks at once.

    Weights (S, out, in, k[, k[, k]]) and biases (S, out) in torch's order; initialised as torch's layers: uniform within 1/sqrt(fan in).

    Args:
        seeds:  number S of networks.
        cin:    input channels.
        cout:   output channels.
        ndim:   number of grid axes.
        kernel: odd number of taps per axis.
    """

    def __init__(self, seeds: int, cin: int, cout: int, ndim: int, kernel: int = 3) -> None:
        super().__init__()
        assert kernel % 2 == 1
        self.weight = nn.Parameter(torch.empty(seeds, cout, cin, *[kernel] * ndim))
        self.bias = nn.Parameter(torch.empty(seeds, cout))

    @torch.no_grad()
    def reset(self, index: int, generator: torch.Generator) -> None:
        """Draw entry `index`, in float64 whatever the dtype, so that the precision does not change the initial weights."""
        bound = 1 / math.sqrt(self.weight[0, 0].numel())
        for p in (self.weight, self.bias):
            drawn = torch.rand(p.shape[1:], generator=generator, dtype=torch.float64)
            p[index] = ((2 * drawn - 1) * bound).to(p)

    def forward(self, x: Tensor, rows: Rows | int = 1) -> Tensor:
        """Return w * x + b, (S, C, *grid) -> (S, out, *grid), with the batch innermost in the last grid axis."""
        return Convolution.apply(x, rows, self.weight, self.bias)
