"""Networks of coordinates: a point in, the fields there out, with any of their partial derivatives."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from eddygrad.correctors.taylor import ACTIVATIONS, Composition, Kept, Truncation, members, order_of, scale
from eddygrad.solver.randomness import generator

_CACHED_BYTES = 1 << 21  # of all coefficients of a layer
_GAIN = {"tanh": 5 / 3}  # of Xavier's normal draw; 1 for the others


class CoordinateNetwork(nn.Module):
    """Dense layers from standardised coordinates, for one seed or many at once.

        h_0 = (x - mean) / std,   [h_0 <- (sin, cos)(2 pi B h_0)],   h_l = f(h_{l-1} W_l + b_l),   y = h_L W + b
    Weights are drawn by Xavier's normal rule with gain 5/3 for tanh and 1 else, biases are zero; every layer has its own draw.

    Args:   inputs, width, depth, outputs: numbers of coordinates, neurons, hidden layers and fields: [3, 100 x 7, 2] is (3, 100, 7, 2).
            activation: "tanh", "sine", "silu" or "gelu". seeds: an int for one network, a sequence for a stack.
            mean, std: of the points, per coordinate or one number for all. fourier: number of features and the scale of the normal draw of B.
    Input (N, inputs), or (S, N, inputs) where seeds see their own points; output (N, outputs), of a stack (S, N, outputs).
    Raises: ValueError for a size or an activation that there is not, or points of other coordinates.
    """

    mean: Tensor
    std: Tensor
    features: Tensor | None

    def __init__(
        self,
        inputs: int,
        width: int,
        depth: int,
        outputs: int,
        activation: str = "tanh",
        seeds: int | Sequence[int] = 0,
        *,
        mean: float | Sequence[float] = 0.0,
        std: float | Sequence[float] = 1.0,
        fourier: tuple[int, float] | None = None,
    ) -> None:
        super().__init__()
        if min(inputs, width, depth, outputs) < 1 or activation not in ACTIVATIONS:
            raise ValueError(
                f"CoordinateNetwork: sizes of at least 1 and an activation of {', '.join(ACTIVATIONS)} expected, "
                f"got {inputs}, {width}, {depth}, {outputs}, {activation!r}"
            )
        self.inputs, self.width, self.depth, self.outputs, self.activation = inputs, width, depth, outputs, activation
        self.stacked = not isinstance(seeds, int)
        self.seeds: tuple[int, ...] = (seeds,) if isinstance(seeds, int) else tuple(seeds)
        if not self.seeds:
            raise ValueError("CoordinateNetwork: seeds must name at least one seed, got an empty sequence")
        self.fourier = fourier
        for name, value in (("mean", mean), ("std", std)):
            self.register_buffer(name, torch.broadcast_to(torch.as_tensor(value, dtype=torch.get_default_dtype()), (inputs,)).clone())
        if not bool((self.std > 0).all()):
            raise ValueError(f"CoordinateNetwork: std must be positive, got {self.std.tolist()}; a coordinate that is the same everywhere has none")
        first = inputs if fourier is None else 2 * fourier[0]
        sizes = [first, *[width] * depth, outputs]
        count = len(self.seeds)
        self.weights = nn.ParameterList(nn.Parameter(torch.empty(count, i, o)) for i, o in pairwise(sizes))
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(count, 1, o)) for o in sizes[1:])
        self.register_buffer("features", None if fourier is None else torch.empty(count, inputs, fourier[0]))
        self.reset()

    @torch.no_grad()
    def reset(self) -> None:
        """Draw every entry from its seed."""
        for index, seed in enumerate(self.seeds):
            source = generator(seed, "network")
            if self.features is not None and self.fourier is not None:
                self.features[index] = self.fourier[1] * torch.randn(self.features.shape[1:], generator=source, dtype=torch.float64).to(self.features)
            for weight, bias in zip(self.weights, self.biases):
                fan_in, fan_out = weight.shape[1:]
                spread = _GAIN.get(self.activation, 1.0) * math.sqrt(2 / (fan_in + fan_out))
                weight[index] = spread * torch.randn(fan_in, fan_out, generator=source, dtype=torch.float64).to(weight)
                bias[index] = 0

    def _like(self, seeds: int | Sequence[int]) -> Self:
        made = type(self)(
            self.inputs, self.width, self.depth, self.outputs, self.activation, seeds,
            mean=self.mean.tolist(), std=self.std.tolist(), fourier=self.fourier,
        )  # fmt: skip
        return made.to(self.mean.device, self.mean.dtype)

    def with_seeds(self, seeds: int | Sequence[int]) -> Self:
        """A new network of this shape, drawn from other seeds; dtype and device are kept."""
        return self._like(seeds)

    @torch.no_grad()
    def entry(self, index: int) -> Self:
        """One network of the stack, by itself."""
        single = self._like(self.seeds[index])
        for mine, whole in zip((*single.parameters(), *single.buffers()), (*self.parameters(), *self.buffers())):
            mine.copy_(whole if mine.ndim == 1 else whole[index : index + 1])
        return single

    def parameter_count(self) -> int:
        """Parameters of one network."""
        return sum(p[0].numel() for p in self.parameters())

    def forward(self, x: Tensor) -> Tensor:
        none = (0,) * self.inputs
        return self.partials(x, [none])[none]

    def partials(self, x: Tensor, wanted: Iterable[Kept]) -> dict[Kept, Tensor]:
        """d^a y at the points for every index a that is wanted, e.g. (2, 0, 1) for y_xxt; all in one pass, sharing what they have in common.

        A combination such as ((1.0, (2, 0)), (1.0, (0, 2))), y_xx + y_yy, costs less than its members. Differentiable
        once by the parameters, not by the points.
        Returns: index -> (N, outputs), of a stack (S, N, outputs).
        """
        wanted = list(dict.fromkeys(wanted))
        if x.ndim not in (2, 3) or x.shape[-1] != self.inputs or (x.ndim == 3 and len(x) != len(self.seeds)):
            raise ValueError(f"CoordinateNetwork: expected points ([{len(self.seeds)} seeds,] N, {self.inputs}), got {tuple(x.shape)}")
        if any(len(member) != self.inputs for index in wanted for _, member in members(index)):
            raise ValueError(f"CoordinateNetwork: expected indices of {self.inputs} numbers, got {wanted}")
        kept = Truncation.below(wanted)
        rows = max(1, _CACHED_BYTES // (len(kept.indices) * max(self.width, self.inputs) * x.element_size() * len(self.seeds)))
        if x.device.type == "cpu" and x.shape[-2] > rows:  # point by point the same: as many at once as stay in the cache
            parts = [self._partials(part, wanted, kept) for part in x.split(rows, -2)]
            return {index: torch.cat([part[index] for part in parts], -2) for index in wanted}
        return self._partials(x, wanted, kept)

    def _partials(self, x: Tensor, wanted: list[Kept], kept: Truncation) -> dict[Kept, Tensor]:
        h, nonzero = self._entered(x, kept)
        derivatives = ACTIVATIONS[self.activation]
        for weight, bias in list(zip(self.weights, self.biases))[:-1]:
            z = _Affine.apply(h, weight, bias, len(nonzero), True)
            h, nonzero = self._composed(z, kept, derivatives, nonzero)
        y = _Affine.apply(h, self.weights[-1], self.biases[-1], len(h), True)
        return {index: (y[a] if self.stacked else y[a, 0]) * scale(index) for index, a in ((i, kept.indices.index(i)) for i in wanted)}

    def _entered(self, x: Tensor, kept: Truncation) -> tuple[Tensor, tuple[int, ...]]:
        """Polynomials of the standardised coordinates, (A, S, N, inputs), and which of their coefficients are not zero; then of the features."""
        count = len(self.seeds)
        h0 = ((x - self.mean) / self.std).expand(count, -1, -1)
        h = h0.new_zeros(count, len(kept.indices), *h0.shape[1:]).transpose(0, 1)
        h[0] = h0
        for a, index in enumerate(kept.indices):
            if order_of(index) == 1:
                axis = members(index)[0][1].index(1)
                h[a, ..., axis] = 1 / self.std[axis]
        nonzero = tuple(a for a, index in enumerate(kept.indices) if order_of(index) <= 1)
        if self.features is None:
            return h, nonzero
        z = 2 * math.pi * torch.matmul(h, self.features)
        sine, cosine = ACTIVATIONS["sine"], lambda z, n: ACTIVATIONS["sine"](z, n + 1)[1:]
        parts = [self._composed(z, kept, way, nonzero)[0] for way in (sine, cosine)]
        return torch.cat(parts, -1), tuple(range(len(kept.indices)))

    @staticmethod
    def _composed(z: Tensor, kept: Truncation, derivatives: object, nonzero: tuple[int, ...]) -> tuple[Tensor, tuple[int, ...]]:
        return Composition.apply(z, kept, derivatives, nonzero), tuple(range(len(kept.indices)))

    def extra_repr(self) -> str:
        return (
            f"{self.inputs}, {self.width}, {self.depth}, {self.outputs}, activation={self.activation!r}, mean={self.mean.tolist()}, "
            f"std={self.std.tolist()}, fourier={self.fourier}, parameters={self.parameter_count()}, seeds={self.seeds}"
        )

    def __repr__(self) -> str:
        return f"CoordinateNetwork({self.extra_repr()})"


class _Affine(torch.autograd.Function):
    """h W of the coefficients that are not zero, (A, S, N, in), plus b for the constant one; what comes of the others is never read.

        dL/dh = g W^T,   dL/dW = sum_a h_a^T g_a,   dL/db = sum of g_0
    In memory seeds come first, so that each seed's coefficients and points are the rows of one product.
    """

    @staticmethod
    def forward(ctx: Any, h: Tensor, weight: Tensor, bias: Tensor, count: int, constant: bool) -> Tensor:
        y = _product(h, weight, count)
        if constant:
            y[0].add_(bias)
        ctx.count, ctx.constant = count, constant
        ctx.save_for_backward(h, weight)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        h, weight = ctx.saved_tensors
        slope = torch.bmm(_rows(h, ctx.count).mT, _rows(grad, ctx.count))
        dh = None
        if ctx.needs_input_grad[0]:
            dh = _product(grad, weight.mT, ctx.count)
            dh[ctx.count :] = 0
        return dh, slope, grad[0].sum(1, keepdim=True) if ctx.constant else None, None, None


def _rows(h: Tensor, count: int) -> Tensor:
    """(A, S, N, in) -> (S, count N, in)"""
    return h[:count].transpose(0, 1).flatten(1, 2)


def _product(h: Tensor, weight: Tensor, count: int) -> Tensor:
    """(A, S, N, out), of the first `count` coefficients; seeds first in memory."""
    total, seeds, points = h.shape[:3]
    y = h.new_empty(seeds, total, points, weight.shape[2])
    if seeds == 1:
        torch.mm(_rows(h, count)[0], weight[0], out=y[0, :count].flatten(0, 1))
    elif count == total:
        torch.bmm(_rows(h, count), weight, out=y.flatten(1, 2))
    else:
        y[:, :count] = torch.bmm(_rows(h, count), weight).unflatten(1, (count, points))
    return y.transpose(0, 1)
