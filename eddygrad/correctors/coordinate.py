"""Networks of coordinates: a point in, the fields there out, with any of their partial derivatives."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from eddygrad.correctors.taylor import ACTIVATIONS, Composition, Kept, Truncation, Way, members, order_of, scale
from eddygrad.solver.randomness import generator

_CACHED_BYTES = 1 << 21  # of all coefficients of a layer
_GAIN = {"tanh": 5 / 3}  # of Xavier's normal draw; 1 for the others


class CoordinateNetwork(nn.Module):
    """Dense layers from standardised coordinates, for one seed or many at once.

        h_0 = (x - mean) / std,   [h_0 <- (sin, cos)(2 pi B h_0)],   h_l = f(h_{l-1} W_l + b_l),   y = h_L W + b
    A periodic coordinate enters as (sin, cos)(2 pi x / length), so that every field and all its derivatives are periodic.
    Weights are drawn by Xavier's normal rule with gain 5/3 for tanh and 1 else, biases are zero; every layer has its own draw.

    Args:   inputs, width, depth, outputs: numbers of coordinates, neurons, hidden layers and fields: [3, 100 x 7, 2] is (3, 100, 7, 2).
            activation: "tanh", "sine", "silu" or "gelu". seeds: an int for one network, a sequence for a stack.
            mean, std: of the points, per coordinate or one number for all. fourier: number of features and the scale of the normal draw of B.
            periodic: coordinate by number -> its length.
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
        periodic: Mapping[int, float] | None = None,
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
        self.fourier, self.periodic = fourier, dict(sorted((periodic or {}).items()))
        wrong = [axis for axis, length in self.periodic.items() if axis not in range(inputs) or not length > 0]
        if wrong or (self.periodic and fourier):
            raise ValueError(f"CoordinateNetwork: periodic coordinates 0 to {inputs - 1} with a length, without Fourier features, got {periodic}")
        for name, value in (("mean", mean), ("std", std)):
            self.register_buffer(name, torch.broadcast_to(torch.as_tensor(value, dtype=torch.get_default_dtype()), (inputs,)).clone())
        if not bool((self.std > 0).all()):
            raise ValueError(f"CoordinateNetwork: std must be positive, got {self.std.tolist()}; a coordinate that is the same everywhere has none")
        first = inputs + len(self.periodic) if fourier is None else 2 * fourier[0]
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
            mean=self.mean.tolist(), std=self.std.tolist(), fourier=self.fourier, periodic=self.periodic,
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
        h = self._entered(x, kept)
        way = Way(kept, ACTIVATIONS[self.activation])
        for weight, bias in list(zip(self.weights, self.biases))[:-1]:
            h = Composition.apply(way, *_Affine.apply(weight, bias, *h))
        places = {index: kept.indices.index(index) for index in wanted}
        y = _Affine.apply(self.weights[-1], self.biases[-1], *(part if a in places.values() or not a else None for a, part in enumerate(h)))
        return {index: (y[a] if self.stacked else y[a][0]) * scale(index) for index, a in places.items()}

    def _entered(self, x: Tensor, kept: Truncation) -> Sequence[Tensor | None]:
        """Polynomials of the standardised coordinates, (S, N, inputs) or None where they are zero; then of the features."""
        h0 = ((x - self.mean) / self.std).expand(len(self.seeds), -1, -1).contiguous()
        h: list[Tensor | None] = [h0, *[None] * (len(kept.indices) - 1)]
        for a, index in enumerate(kept.indices):
            if order_of(index) == 1:
                axis = members(index)[0][1].index(1)
                slope = torch.zeros_like(h0)
                slope[..., axis] = 1 / self.std[axis]
                h[a] = slope
        if self.features is not None:
            features = self.features
            return self._turned([None if part is None else 2 * math.pi * torch.matmul(part, features) for part in h], kept)
        if not self.periodic:
            return h
        around, plain = list(self.periodic), [axis for axis in range(self.inputs) if axis not in self.periodic]
        turn = 2 * math.pi * self.std[around] / self.std.new_tensor([self.periodic[axis] for axis in around])
        turned = self._turned([None if part is None else turn * part[..., around] for part in h], kept)
        return [torch.cat([_or_zero(part, h0)[..., plain], circle], -1) for part, circle in zip(h, turned)]

    @staticmethod
    def _turned(z: list[Tensor | None], kept: Truncation) -> list[Tensor]:
        """(sin z, cos z)"""
        parts = [Composition.apply(Way(kept, way), *z) for way in (ACTIVATIONS["sine"], _cosine)]
        return [torch.cat(pair, -1) for pair in zip(*parts)]

    def extra_repr(self) -> str:
        around = f"periodic={self.periodic}, " if self.periodic else ""
        return (
            f"{self.inputs}, {self.width}, {self.depth}, {self.outputs}, activation={self.activation!r}, mean={self.mean.tolist()}, "
            f"std={self.std.tolist()}, fourier={self.fourier}, {around}parameters={self.parameter_count()}, seeds={self.seeds}"
        )

    def __repr__(self) -> str:
        return f"CoordinateNetwork({self.extra_repr()})"


def _or_zero(part: Tensor | None, like: Tensor) -> Tensor:
    return torch.zeros_like(like) if part is None else part


def _cosine(z: Tensor, n: int) -> list[Tensor]:
    return ACTIVATIONS["sine"](z, n + 1)[1:]


class _Affine(torch.autograd.Function):
    """h W of every coefficient (S, N, in) that is not None, plus b for the constant one.

    dL/dh_a = g_a W^T,   dL/dW = sum_a h_a^T g_a,   dL/db = sum of g_0
    """

    @staticmethod
    def forward(ctx: Any, weight: Tensor, bias: Tensor, *h: Tensor | None) -> tuple[Tensor | None, ...]:
        ctx.there = [a for a, part in enumerate(h) if part is not None]
        ctx.save_for_backward(weight, *(part for part in h if part is not None))
        y = [None if part is None else _product(part, weight) for part in h]
        assert y[0] is not None
        y[0].add_(bias)
        return tuple(y)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad: Tensor | None) -> tuple[Tensor | None, ...]:
        weight, *parts = ctx.saved_tensors
        slope, dh = torch.zeros_like(weight), [None] * len(grad)
        for a, h in zip(ctx.there, parts):
            g = grad[a]
            if g is None:
                continue
            if len(weight) == 1:
                slope[0].addmm_(h[0].mT, g[0])
            else:
                slope.baddbmm_(h.mT, g)
            if ctx.needs_input_grad[2 + a]:
                dh[a] = _product(g, weight.mT)
        g0 = grad[0]
        return slope, None if g0 is None else g0.sum(1, keepdim=True), *dh


def _product(h: Tensor, weight: Tensor) -> Tensor:
    """(S, N, out)"""
    return torch.mm(h[0], weight[0]).unsqueeze(0) if len(weight) == 1 else torch.bmm(h, weight)
