"""Networks of coordinates: a point in, the fields there out, with any of their partial derivatives."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Self

import torch
from torch import Tensor, nn

from eddygrad.correctors.taylor import ACTIVATIONS, Composition, Index, Truncation, factorial
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

    def partials(self, x: Tensor, wanted: Iterable[Index]) -> dict[Index, Tensor]:
        """d^a y at the points for every index a that is wanted, e.g. (2, 0, 1) for y_xxt; all in one pass, sharing what they have in common.

        Differentiable once by the parameters, not by the points.
        Returns: index -> (N, outputs), of a stack (S, N, outputs).
        """
        wanted = list(dict.fromkeys(wanted))
        if x.ndim not in (2, 3) or x.shape[-1] != self.inputs or (x.ndim == 3 and len(x) != len(self.seeds)):
            raise ValueError(f"CoordinateNetwork: expected points ([{len(self.seeds)} seeds,] N, {self.inputs}), got {tuple(x.shape)}")
        if any(len(index) != self.inputs for index in wanted):
            raise ValueError(f"CoordinateNetwork: expected indices of {self.inputs} numbers, got {wanted}")
        kept = Truncation.below(wanted)
        rows = max(1, _CACHED_BYTES // (len(kept.indices) * max(self.width, self.inputs) * x.element_size() * len(self.seeds)))
        if x.device.type == "cpu" and x.shape[-2] > rows:  # point by point the same: as many at once as stay in the cache
            parts = [self._partials(part, wanted, kept) for part in x.split(rows, -2)]
            return {index: torch.cat([part[index] for part in parts], -2) for index in wanted}
        return self._partials(x, wanted, kept)

    def _partials(self, x: Tensor, wanted: list[Index], kept: Truncation) -> dict[Index, Tensor]:
        h, nonzero = self._entered(x, kept)
        derivatives = ACTIVATIONS[self.activation]
        for weight, bias in list(zip(self.weights, self.biases))[:-1]:
            z = _affine(h, weight, bias, nonzero)
            h, nonzero = self._composed(z, kept, derivatives, nonzero)
        places = [kept.indices.index(index) for index in wanted]
        y = _affine(h[places], self.weights[-1], self.biases[-1], tuple(range(len(places))), constant=places.index(0) if 0 in places else None)
        return {index: (part if self.stacked else part[0]) * factorial(index) for index, part in zip(wanted, y)}

    def _entered(self, x: Tensor, kept: Truncation) -> tuple[Tensor, tuple[int, ...]]:
        """Polynomials of the standardised coordinates, (A, S, N, inputs), and which of their coefficients are not zero; then of the features."""
        count = len(self.seeds)
        h0 = ((x - self.mean) / self.std).expand(count, -1, -1)
        h = h0.new_zeros(len(kept.indices), *h0.shape)
        h[0] = h0
        for a, index in enumerate(kept.indices):
            if sum(index) == 1:
                axis = index.index(1)
                h[a, ..., axis] = 1 / self.std[axis]
        nonzero = tuple(a for a, index in enumerate(kept.indices) if sum(index) <= 1)
        if self.features is None:
            return h, nonzero
        z = 2 * math.pi * torch.matmul(h, self.features)
        sine, cosine = ACTIVATIONS["sine"], lambda z, n: ACTIVATIONS["sine"](z, n + 1)[1:]
        parts = [self._composed(z, kept, way, nonzero)[0] for way in (sine, cosine)]
        return torch.cat(parts, -1), tuple(range(len(kept.indices)))

    @staticmethod
    def _composed(z: Tensor, kept: Truncation, derivatives: object, nonzero: tuple[int, ...]) -> tuple[Tensor, tuple[int, ...]]:
        flat = z.flatten(1, 2)
        y = Composition.apply(flat, kept, derivatives, nonzero)
        return y.unflatten(1, z.shape[1:3]), tuple(range(len(kept.indices)))

    def extra_repr(self) -> str:
        return (
            f"{self.inputs}, {self.width}, {self.depth}, {self.outputs}, activation={self.activation!r}, mean={self.mean.tolist()}, "
            f"std={self.std.tolist()}, fourier={self.fourier}, parameters={self.parameter_count()}, seeds={self.seeds}"
        )

    def __repr__(self) -> str:
        return f"CoordinateNetwork({self.extra_repr()})"


def _affine(h: Tensor, weight: Tensor, bias: Tensor, nonzero: tuple[int, ...], constant: int | None = 0) -> Tensor:
    """h W of every coefficient (A, S, N, in), plus b for the constant one; coefficients that are zero stay so."""
    count = len(h)
    own = h if len(nonzero) == count else h[list(nonzero)]
    y = (own.flatten(0, 2) @ weight[0]).unflatten(0, own.shape[:3]) if len(weight) == 1 else torch.matmul(own, weight)
    if len(nonzero) < count:
        y = (
            torch.cat([y, y.new_zeros(count - len(nonzero), *y.shape[1:])])
            if nonzero == tuple(range(len(nonzero)))
            else y.new_zeros(count, *y.shape[1:]).index_copy(0, torch.tensor(nonzero, device=y.device), y)
        )
    if constant is None:
        return y
    shift = y.new_zeros(count, 1, 1, 1)
    shift[constant] = 1
    return torch.addcmul(y, shift, bias)
