"""Coordinate networks: fields as functions of the coordinates of a point, with all their partial derivatives."""

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

_CACHED_BYTES, _CACHED_BYTES_COMPILED = 1 << 22, 1 << 24  # memory of all coefficients of a layer: as much as stays in the processor's cache
_LANES = 16  # numbers in a vector register: large chunks of points are a multiple of it


class CoordinateNetwork(SeedNetwork):
    """Dense layers from standardised coordinates to fields, for one seed or a stack of seeds.

        h_0 = (x - mean) / std,   [h_0 <- (sin, cos)(2 pi B h_0)],   h_l = f(h_{l-1} W_l + b_l),   y = h_L W + b
    A periodic coordinate enters as (sin, cos)(2 pi x / length), so that every field and all its derivatives are periodic.
    Weights are drawn by Xavier's normal rule, std = gain sqrt(2 / (fan_in + fan_out)); biases are zero.
    Input (N, inputs), or (S, N, inputs) with points for each seed; output (N, outputs), of a stack (S, N, outputs).

    With the attribute `compiled` set to True, activations are compiled by torch where gradients are needed, see `Fused`: equal up to round-off,
    and the faster the more derivatives there are (docs/performance/pinn.md). Needs a C++ compiler, and up to a minute the first time.

    Args:
        inputs:     number of coordinates.
        width:      neurons per hidden layer.
        depth:      number of hidden layers.
        outputs:    number of fields; the published network [3, 100 x 7, 2] is (3, 100, 7, 2).
        activation: "tanh", "sine", "silu" or "gelu".
        seed:       seed of a single network.
        seeds:      seeds of a stack; None makes a single network.
        mean:       mean of the points, per coordinate or one number for all.
        std:        standard deviation of the points, likewise.
        fourier:    number of Fourier features and standard deviation of their frequencies B; None for none.
        periodic:   number of a coordinate -> its period.
        gain:       factor of the initial weights: 5/3 with tanh for steep fields such as Poisson's at k = 6 (Maddu et al. 2021), else 1. It enters
                    the initial derivatives with a power that grows with depth and order.
    Raises: ValueError for a size below 1, an unknown activation, or points with another number of coordinates.
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
                f"CoordinateNetwork: expected sizes of at least 1 and an activation of {', '.join(ACTIVATIONS)}, "
                f"got {inputs}, {width}, {depth}, {outputs}, {activation!r}"
            )
        self.inputs, self.width, self.depth, self.outputs, self.activation = inputs, width, depth, outputs, activation
        if not gain > 0:
            raise ValueError(f"CoordinateNetwork: expected a gain above 0, got {gain}")
        self.compiled, self.gain = False, gain
        self.fourier, self.periodic = fourier, dict(sorted((periodic or {}).items()))
        wrong = [axis for axis, length in self.periodic.items() if axis not in range(inputs) or not length > 0]
        if wrong or (self.periodic and fourier):
            raise ValueError(
                f"CoordinateNetwork: periodic expects a period above 0 for coordinates 0 to {inputs - 1}, and no Fourier features, got {periodic}"
            )
        self._set_standardisation(mean, std)
        first = inputs + len(self.periodic) if fourier is None else 2 * fourier[0]
        sizes, count = [first, *[width] * depth, outputs], len(self.seeds)
        self.weights = nn.ParameterList(nn.Parameter(torch.empty(count, i, o)) for i, o in pairwise(sizes))
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(count, 1, o)) for o in sizes[1:])
        self.register_buffer("features", None if fourier is None else torch.empty(count, inputs, fourier[0]))
        self.reset()

    def _set_standardisation(self, mean: float | Sequence[float], std: float | Sequence[float]) -> None:
        for name, value in (("mean", mean), ("std", std)):
            self.register_buffer(name, torch.broadcast_to(torch.as_tensor(value, dtype=torch.get_default_dtype()), (self.inputs,)).clone())
        if not bool((self.std > 0).all()):
            raise ValueError(f"CoordinateNetwork: expected a positive std, got {self.std.tolist()}; leave out a coordinate that is constant")

    @torch.no_grad()
    def reset(self) -> None:
        """Draw the weights of each seed anew."""
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
        """Return partial derivatives d^a y at the points, all in one pass.

        Differentiable once with respect to the parameters, not with respect to the points.

        Args:
            x:      points (N, inputs), or (S, N, inputs).
            wanted: indices a, e.g. (2, 0, 1) for y_xxt, or combinations such as ((1.0, (2, 0)), (1.0, (0, 2))) for y_xx + y_yy, which cost less
                    than their members.
        Returns: index -> (N, outputs), of a stack (S, N, outputs).
        Raises:  ValueError for points or indices of another size, or points that require gradients.
        """
        wanted = list(dict.fromkeys(wanted))
        if x.ndim not in (2, 3) or x.shape[-1] != self.inputs or (x.ndim == 3 and len(x) != len(self.seeds)):
            raise ValueError(f"CoordinateNetwork: expected points ([{len(self.seeds)} seeds,] N, {self.inputs}), got {tuple(x.shape)}")
        if any(len(member) != self.inputs for index in wanted for _, member in members(index)):
            raise ValueError(f"CoordinateNetwork: expected indices of {self.inputs} numbers, got {wanted}")
        if x.requires_grad and torch.is_grad_enabled():
            raise ValueError(
                "CoordinateNetwork: expected points without requires_grad, got points with it; request derivatives by index, partials(x, [(2, 0)])"
            )
        kept = Truncation.below(wanted)
        places = tuple(kept.indices.index(index) for index in wanted)
        activation = self._activation()
        cached = _CACHED_BYTES_COMPILED if isinstance(activation, Fused) else _CACHED_BYTES
        rows = max(1, cached // (len(kept.indices) * max(self.width, self.inputs) * x.element_size() * len(self.seeds)))
        rows = rows - rows % _LANES if rows > _LANES else rows
        chunks = x.split(rows, -2) if x.device.type == "cpu" else (x,)  # results do not depend on the chunks
        y = _Layers.apply(activation, kept, [self._first_polynomials(chunk, kept) for chunk in chunks], places, *self.weights, *self.biases)
        y = tuple(part.mT for part in y) if self.stacked else tuple(part[0].mT for part in y)
        return {index: part if scale(index) == 1 else part * scale(index) for index, part in zip(wanted, y)}

    def _activation(self) -> Activation:
        plain = ACTIVATIONS[self.activation]
        return Fused(plain) if self.compiled and torch.is_grad_enabled() else plain  # evaluations without gradients are too rare to compile

    def _first_polynomials(self, x: Tensor, kept: Truncation) -> Tensor:
        """Return the polynomials that enter the first layer, (S, features, n, N); missing coefficients at the end are zero."""
        first = [(a, factor, member) for a, order in enumerate(kept.orders) if order == 1 for factor, member in members(kept.indices[a])]
        h = x.new_zeros(len(self.seeds), self.inputs, 1 + max((a for a, _, _ in first), default=0), x.shape[-2])
        h[:, :, 0] = ((x - self.mean) / self.std).mT
        for a, factor, member in first:
            axis = member.index(1)
            h[:, axis, a] = factor / scale(kept.indices[a]) / self.std[axis]
        if self.features is not None:
            return self._sine_and_cosine(2 * math.pi * _product(h, self.features.mT, None), kept)
        if not self.periodic:
            return h
        periodic, plain = list(self.periodic), [axis for axis in range(self.inputs) if axis not in self.periodic]
        turn = 2 * math.pi * self.std[periodic] / self.std.new_tensor([self.periodic[axis] for axis in periodic])
        circle = self._sine_and_cosine(turn[:, None, None] * h[:, periodic], kept)
        rest = h.new_zeros(len(h), len(plain), *circle.shape[2:])
        rest[:, :, : h.shape[2]] = h[:, plain]
        return torch.cat([rest, circle], 1)

    @staticmethod
    def _sine_and_cosine(z: Tensor, kept: Truncation) -> Tensor:
        """Return (sin z, cos z) along the axis of features."""
        return torch.cat([activation.forward(z, kept)[0] for activation in (ACTIVATIONS["sine"], COSINE)], 1)

    def extra_repr(self) -> str:
        periodic = f"periodic={self.periodic}, " if self.periodic else ""
        return (
            f"{self.inputs}, {self.width}, {self.depth}, {self.outputs}, activation={self.activation!r}, mean={self.mean.tolist()}, "
            f"std={self.std.tolist()}, fourier={self.fourier}, {periodic}parameters={self.parameter_count()}, seeds={self.seeds}"
        )

    def __repr__(self) -> str:
        return f"CoordinateNetwork({self.extra_repr()})"


class _Layers(torch.autograd.Function):
    """Dense layers of polynomials (S, in, n, N): W^T h for each coefficient, plus b for the constant one, then the activation.

        dL/dh_a = W g_a,   dL/dW = sum_a h_a g_a^T,   dL/db = sum over points of g_0
    Points are the last axis: a small matrix times many columns is a third faster than many rows times the matrix. Each chunk of points goes through
    all layers before the next chunk, and gradients reuse memory. Returns the coefficients at the wanted places, for the points of all chunks.
    """

    @staticmethod
    def forward(
        ctx: Any, activation: Activation, kept: Truncation, chunks: Sequence[Tensor], wanted: tuple[int, ...], *parameters: Tensor
    ) -> tuple[Tensor, ...]:
        weights, biases = parameters[: len(parameters) // 2], parameters[len(parameters) // 2 :]
        saved: list[Tensor | None] = []
        out = weights[-1].new_empty(len(weights[-1]), weights[-1].shape[2], len(wanted), sum(h.shape[3] for h in chunks))
        hidden = list(zip(weights[:-1], biases))
        for h, own in zip(chunks, out.split([h.shape[3] for h in chunks], 3)):
            z = None
            saved.append(h)
            for weight, bias in hidden:
                z = _product(h, weight.mT, z)
                h, extra = activation.forward(z, kept, bias)
                saved += (h, extra)
            for a, part in zip(wanted, own.unbind(2)):
                part.copy_(torch.baddbmm(biases[-1].mT, weights[-1].mT, h[:, :, a], beta=0 if a else 1))
        if any(ctx.needs_input_grad):
            ctx.activation, ctx.kept, ctx.wanted, ctx.chunks = activation, kept, wanted, len(chunks)
            ctx.present = [part is not None for part in saved]
            ctx.save_for_backward(*weights, *(part for part in saved if part is not None))
            ctx.set_materialize_grads(False)
        return out.unbind(2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad: Tensor | None) -> tuple[Any, ...]:
        activation, kept, count = ctx.activation, ctx.kept, 1 + (len(ctx.present) // ctx.chunks - 1) // 2
        tensors = iter(ctx.saved_tensors)
        weights = [next(tensors) for _ in range(count)]
        saved = iter([next(tensors) if present else None for present in ctx.present])
        by_weight, by_bias = [torch.zeros_like(weight) for weight in weights], [torch.zeros_like(weight[:, :1]) for weight in weights]
        begin = 0
        for _ in range(ctx.chunks):
            first = _present(next(saved))
            layers = [(_present(next(saved)), next(saved)) for _ in weights[1:]]
            end = begin + first.shape[3]
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
                y, extra = layers[k]
                g, constant = activation.backward(g, y, extra, kept)
                by_bias[k] += constant
                h = layers[k - 1][0] if k else first
                by_weight[k].baddbmm_(h.flatten(2), g[:, :, : h.shape[2]].flatten(2).mT)
                if k:
                    g, spare = _product(g, weights[k], spare), g
            begin = end
        return None, None, None, None, *by_weight, *by_bias


def _present(part: Tensor | None) -> Tensor:
    assert part is not None
    return part


def _product(h: Tensor, matrix: Tensor, memory: Tensor | None) -> Tensor:
    """Return M h, (S, out, n, N), for M (S, out, in); written into `memory` if that has the right shape."""
    size = (len(h), matrix.shape[1], *h.shape[2:])
    out = h.new_empty(size) if memory is None or memory.shape != size else memory
    torch.bmm(matrix, h.flatten(2), out=out.flatten(2))
    return out
