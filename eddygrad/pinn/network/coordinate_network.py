"""Networks of coordinates: a point in, the fields there out, with any of their partial derivatives."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from eddygrad.correctors.seeded_network import SeedNetwork, Seeds, seed_options
from eddygrad.pinn.network.activations import ACTIVATIONS, COSINE, Activation
from eddygrad.pinn.network.compiled_activations import Fused
from eddygrad.pinn.network.taylor import Kept, Truncation, members, scale
from eddygrad.runtime.randomness import generator

_CACHED_BYTES, _CACHED_BYTES_COMPILED = 1 << 22, 1 << 24  # of all coefficients of a layer: the more, the fewer calls, until they leave the cache
_LANES = 16  # numbers that a processor handles at once: whole ones of them where points are many


class CoordinateNetwork(SeedNetwork):
    """Dense layers from standardised coordinates, for one seed or many at once.

        h_0 = (x - mean) / std,   [h_0 <- (sin, cos)(2 pi B h_0)],   h_l = f(h_{l-1} W_l + b_l),   y = h_L W + b
    A periodic coordinate enters as (sin, cos)(2 pi x / length), so that every field and all its derivatives are periodic.
    Weights are drawn by Xavier's normal rule, std = gain sqrt(2 / (fan_in + fan_out)), biases are zero; every layer has its own draw.

    Args:   inputs, width, depth, outputs: numbers of coordinates, neurons, hidden layers and fields: [3, 100 x 7, 2] is (3, 100, 7, 2).
            activation: "tanh", "sine", "silu" or "gelu". seed: seed of a single network. seeds: seeds of a stack; None makes a single network.
            mean, std: of the points, per coordinate or one number for all. fourier: number of features and the scale of the normal draw of B.
            periodic: coordinate by number -> its length. gain: of the draw; 5/3 with tanh for steep fields such as Poisson's at k = 6
            (Maddu et al. 2021), 1 for others: the derivatives with which a network begins grow with the power of it that depth and order make.
    `compiled`, an attribute: if True, activations are fused by torch's compiler where gradients are asked for (see `correctors.fused`), to
    round-off, faster the more derivatives there are (docs/performance.md); it needs a C++ compiler and up to a minute the first time.
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
        *,
        seed: int = 0,
        seeds: Sequence[int] | None = None,
        mean: float | Sequence[float] = 0.0,
        std: float | Sequence[float] = 1.0,
        fourier: tuple[int, float] | None = None,
        periodic: Mapping[int, float] | None = None,
        gain: float = 1.0,
    ) -> None:
        super().__init__(seed, seeds)
        if min(inputs, width, depth, outputs) < 1 or activation not in ACTIVATIONS:
            raise ValueError(
                f"CoordinateNetwork: sizes of at least 1 and an activation of {', '.join(ACTIVATIONS)} expected, "
                f"got {inputs}, {width}, {depth}, {outputs}, {activation!r}"
            )
        self.inputs, self.width, self.depth, self.outputs, self.activation = inputs, width, depth, outputs, activation
        if not gain > 0:
            raise ValueError(f"CoordinateNetwork: expected a gain above 0, got {gain}")
        self.compiled, self.gain = False, gain
        self.fourier, self.periodic = fourier, dict(sorted((periodic or {}).items()))
        wrong = [axis for axis, length in self.periodic.items() if axis not in range(inputs) or not length > 0]
        if wrong or (self.periodic and fourier):
            raise ValueError(f"CoordinateNetwork: periodic coordinates 0 to {inputs - 1} with a length, without Fourier features, got {periodic}")
        for name, value in (("mean", mean), ("std", std)):
            self.register_buffer(name, torch.broadcast_to(torch.as_tensor(value, dtype=torch.get_default_dtype()), (inputs,)).clone())
        if not bool((self.std > 0).all()):
            raise ValueError(f"CoordinateNetwork: std must be positive, got {self.std.tolist()}; a coordinate that is the same everywhere has none")
        first = inputs + len(self.periodic) if fourier is None else 2 * fourier[0]
        sizes, count = [first, *[width] * depth, outputs], len(self.seeds)
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
                spread = self.gain * math.sqrt(2 / (fan_in + fan_out))
                weight[index] = spread * torch.randn(fan_in, fan_out, generator=source, dtype=torch.float64).to(weight)
                bias[index] = 0

    def with_seeds(self, seeds: Seeds) -> Self:
        made = type(self)(
            self.inputs, self.width, self.depth, self.outputs, self.activation, **seed_options(seeds),
            mean=self.mean.tolist(), std=self.std.tolist(), fourier=self.fourier, periodic=self.periodic, gain=self.gain,
        )  # fmt: skip
        made.compiled = self.compiled
        return made.to(self.mean.device, self.mean.dtype)

    def _sizes(self) -> dict[str, Any]:
        return {"width": self.width, "depth": self.depth}

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
        if x.requires_grad and torch.is_grad_enabled():
            raise ValueError("CoordinateNetwork: derivatives by the points are partials to be asked for by index, got points that require gradients")
        kept = Truncation.below(wanted)
        places = tuple(kept.indices.index(index) for index in wanted)
        activation = self._activation()
        cached = _CACHED_BYTES_COMPILED if isinstance(activation, Fused) else _CACHED_BYTES
        rows = max(1, cached // (len(kept.indices) * max(self.width, self.inputs) * x.element_size() * len(self.seeds)))
        rows = rows - rows % _LANES if rows > _LANES else rows
        parts = x.split(rows, -2) if x.device.type == "cpu" else (x,)  # point by point the same: as many at once as stay in the cache
        y = _Layers.apply(activation, kept, [self._entered(part, kept) for part in parts], places, *self.weights, *self.biases)
        y = tuple(part.mT for part in y) if self.stacked else tuple(part[0].mT for part in y)
        return {index: part if scale(index) == 1 else part * scale(index) for index, part in zip(wanted, y)}

    def _activation(self) -> Activation:
        plain = ACTIVATIONS[self.activation]
        return Fused(plain) if self.compiled and torch.is_grad_enabled() else plain  # errors are looked at too seldom to compile for them

    def _entered(self, x: Tensor, kept: Truncation) -> Tensor:
        """Polynomials of the standardised coordinates, then of the features: (S, .., n, N), those that are missing at the end are zero."""
        first = [(a, factor, member) for a, order in enumerate(kept.orders) if order == 1 for factor, member in members(kept.indices[a])]
        h = x.new_zeros(len(self.seeds), self.inputs, 1 + max((a for a, _, _ in first), default=0), x.shape[-2])
        h[:, :, 0] = ((x - self.mean) / self.std).mT
        for a, factor, member in first:
            axis = member.index(1)
            h[:, axis, a] = factor / scale(kept.indices[a]) / self.std[axis]
        if self.features is not None:
            return self._turned(2 * math.pi * _product(h, self.features.mT, None), kept)
        if not self.periodic:
            return h
        around, plain = list(self.periodic), [axis for axis in range(self.inputs) if axis not in self.periodic]
        turn = 2 * math.pi * self.std[around] / self.std.new_tensor([self.periodic[axis] for axis in around])
        circle = self._turned(turn[:, None, None] * h[:, around], kept)
        rest = h.new_zeros(len(h), len(plain), *circle.shape[2:])
        rest[:, :, : h.shape[2]] = h[:, plain]
        return torch.cat([rest, circle], 1)

    @staticmethod
    def _turned(z: Tensor, kept: Truncation) -> Tensor:
        """(sin z, cos z)"""
        return torch.cat([activation.propagated(z, kept)[0] for activation in (ACTIVATIONS["sine"], COSINE)], 1)

    def extra_repr(self) -> str:
        around = f"periodic={self.periodic}, " if self.periodic else ""
        return (
            f"{self.inputs}, {self.width}, {self.depth}, {self.outputs}, activation={self.activation!r}, mean={self.mean.tolist()}, "
            f"std={self.std.tolist()}, fourier={self.fourier}, {around}parameters={self.parameter_count()}, seeds={self.seeds}"
        )

    def __repr__(self) -> str:
        return f"CoordinateNetwork({self.extra_repr()})"


class _Layers(torch.autograd.Function):
    """Dense layers of polynomials (S, in, n, N): of every coefficient W^T h, plus b for the constant one, then the activation.

        dL/dh_a = W g_a,   dL/dW = sum_a h_a g_a^T,   dL/db = sum of g_0
    Points come last: a small matrix times many columns is a third faster than many rows times the matrix. Called with several lots of points, each
    of which goes through all layers before the next; gradients are written over each other. Gives of all points together the coefficients at the
    places that are wanted.
    """

    @staticmethod
    def forward(
        ctx: Any, activation: Activation, kept: Truncation, lots: Sequence[Tensor], wanted: tuple[int, ...], *parameters: Tensor
    ) -> tuple[Tensor, ...]:
        weights, biases = parameters[: len(parameters) // 2], parameters[len(parameters) // 2 :]
        saved: list[Tensor | None] = []
        out = weights[-1].new_empty(len(weights[-1]), weights[-1].shape[2], len(wanted), sum(h.shape[3] for h in lots))
        hidden = list(zip(weights[:-1], biases))
        for h, own in zip(lots, out.split([h.shape[3] for h in lots], 3)):
            z = None
            saved.append(h)
            for weight, bias in hidden:
                z = _product(h, weight.mT, z)
                h, beside = activation.propagated(z, kept, bias)
                saved += (h, beside)
            for a, part in zip(wanted, own.unbind(2)):
                part.copy_(torch.baddbmm(biases[-1].mT, weights[-1].mT, h[:, :, a], beta=0 if a else 1))
        if any(ctx.needs_input_grad):
            ctx.activation, ctx.kept, ctx.wanted, ctx.lots = activation, kept, wanted, len(lots)
            ctx.there = [part is not None for part in saved]
            ctx.save_for_backward(*weights, *(part for part in saved if part is not None))
            ctx.set_materialize_grads(False)
        return out.unbind(2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad: Tensor | None) -> tuple[Any, ...]:
        activation, kept, count = ctx.activation, ctx.kept, 1 + (len(ctx.there) // ctx.lots - 1) // 2
        tensors = iter(ctx.saved_tensors)
        weights = [next(tensors) for _ in range(count)]
        saved = iter([next(tensors) if there else None for there in ctx.there])
        by_weight, by_bias = [torch.zeros_like(weight) for weight in weights], [torch.zeros_like(weight[:, :1]) for weight in weights]
        begin = 0
        for _ in range(ctx.lots):
            entered = _sure(next(saved))
            layers = [(_sure(next(saved)), next(saved)) for _ in weights[1:]]
            end = begin + entered.shape[3]
            last = layers[-1][0]
            g = torch.zeros_like(last)
            for a, part in zip(ctx.wanted, grad):
                if part is not None:
                    own = part[..., begin:end]
                    by_weight[-1].baddbmm_(last[:, :, a], own.mT)
                    by_bias[-1] += 0 if a else own.sum(2).unsqueeze(1)
                    g[:, :, a] = torch.bmm(weights[-1], own)
            spare: Tensor | None = None
            for k in reversed(range(count - 1)):
                y, beside = layers[k]
                g, constant = activation.pulled(g, y, beside, kept)
                by_bias[k] += constant
                h = layers[k - 1][0] if k else entered
                by_weight[k].baddbmm_(h.flatten(2), g[:, :, : h.shape[2]].flatten(2).mT)
                if k:
                    g, spare = _product(g, weights[k], spare), g
            begin = end
        return None, None, None, None, *by_weight, *by_bias


def _sure(part: Tensor | None) -> Tensor:
    assert part is not None
    return part


def _product(h: Tensor, matrix: Tensor, memory: Tensor | None) -> Tensor:
    """M h, (S, out, n, N), in given memory where it is of that shape; M (S, out, in)."""
    size = (len(h), matrix.shape[1], *h.shape[2:])
    out = h.new_empty(size) if memory is None or memory.shape != size else memory
    torch.bmm(matrix, h.flatten(2), out=out.flatten(2))
    return out
