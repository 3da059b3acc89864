"""Activations of truncated Taylor polynomials, coefficient by coefficient, and their gradients."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from eddygrad.pinn.network.activation_derivatives import gelu_derivatives, silu_derivatives
from eddygrad.pinn.network.taylor import Truncation

_TIMES_SLOPE_OF_TANH = torch.ops.aten.tanh_backward.grad_input  # x, t -> x (1 - t^2)
Parts = Sequence[Tensor]
Derivatives = Callable[[Tensor, int], list[Tensor]]  # z, n -> f(z), f'(z), .. the n-th derivative


class Activation(ABC):
    """An activation y = f(z) of a truncated polynomial z, whose coefficients have the shape (S, width, N) each.

    The gradient needs only the polynomial of the slope f'(z):   dL/dz_b = sum_{a >= b} dL/dy_a [f'(z)]_{a-b}
    """

    factor = 1.0  # the coefficients of a slope, all but the constant, are stored divided by this factor

    @abstractmethod
    def propagate(self, z: Parts, y: Parts, saved: Parts, kept: Truncation) -> None:
        """Compute all coefficients of f(z).

        Args:
            z:     coefficients of z; missing ones at the end are zero.
            y:     coefficients of f(z), written in place.
            saved: values that `slope` needs later, written in place.
            kept:  truncation of f(z).
        """

    def saved_count(self, kept: Truncation) -> int:
        """Return the number of coefficients that are saved for the gradient in addition to those of f(z)."""
        return len(kept.indices)

    def slope(self, y: Parts, saved: Parts, kept: Truncation) -> Parts:
        """Return the coefficients of f'(z), all but the constant divided by `factor`. Only `times_slope` reads the constant.

        Args:
            y:     coefficients of f(z).
            saved: values saved by `propagate`.
            kept:  truncation.
        """
        return saved

    def times_slope(self, x: Tensor, y: Tensor, slope: Tensor, out: Tensor) -> None:
        """Compute x times the constant of the slope.

        Args:
            x:     factor.
            y:     constant of f(z).
            slope: constant of the slope.
            out:   product, written in place.
        """
        torch.mul(x, slope, out=out)

    def pull_back(self, g: Parts, y: Parts, saved: Parts, kept: Truncation) -> None:
        """Replace gradients with respect to the coefficients of y by those with respect to the coefficients of z.

        Args:
            g:     gradients, overwritten.
            y:     coefficients of f(z).
            saved: values saved by `propagate`.
            kept:  truncation.
        """
        slope = self.slope(y, saved, kept)
        for b, own in enumerate(g):  # in rising order, because g[b] is not read again after it is overwritten
            self.times_slope(own, y[0], slope[0], own)
            for a, c, factor in kept.above[b]:
                own.addcmul_(g[a], slope[c], value=factor * self.factor)

    def forward(self, z: Tensor, kept: Truncation, bias: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Return f(z + bias), (S, width, n, N), and the values saved for the gradient, or None.

        Args:
            z:    coefficients (S, width, n, N), overwritten if a bias is given.
            kept: truncation of f(z).
            bias: (S, 1, width), added to the constant; None for none.
        """
        if bias is not None:
            z[:, :, 0].add_(bias.mT)
        y, saved = (z.new_empty(*z.shape[:2], n, z.shape[3]) for n in (len(kept.indices), self.saved_count(kept)))
        self.propagate(z.unbind(2), y.unbind(2), saved.unbind(2), kept)
        return y, saved if saved.shape[2] else None

    def backward(self, grad: Tensor, y: Tensor, saved: Tensor | None, kept: Truncation) -> tuple[Tensor, Tensor]:
        """Return the gradients with respect to z and to the bias, (S, width, n, N) and (S, 1, width).

        Args:
            grad:  gradient with respect to y, (S, width, n, N); may be overwritten.
            y:     f(z), as `forward` returned it.
            saved: values that `forward` saved.
            kept:  truncation.
        """
        self.pull_back(grad.unbind(2), y.unbind(2), () if saved is None else saved.unbind(2), kept)
        return grad, grad[:, :, 0].sum(2).unsqueeze(1)


class Recurrence(Activation):
    """Base of activations whose slope follows from y and z, so that both are computed in one recursion.

    y_a = sum_{0 < b <= a} |b| / |a| z_b S_{a-b},   S the slope                      [Euler's theorem on homogeneous functions]
    """

    def recur(self, z: Parts, y: Parts, slope: Parts, kept: Truncation) -> None:
        """Compute the coefficients of y and of the slope, in rising order.

        Args:
            z:     coefficients of z; missing ones at the end are zero.
            y:     coefficients of f(z), written in place.
            slope: leading coefficients of the slope, written in place; as many as the list is long.
            kept:  truncation of f(z).
        """
        self.constants(z[0], y[0], slope[0])
        for a in range(1, len(y)):
            if a < len(z):
                self.times_slope(z[a], y[0], slope[0], y[a])
            else:
                y[a].zero_()
            for b, c, factor in kept.shares[a]:
                if b < len(z):
                    y[a].addcmul_(z[b], slope[c], value=self.factor * factor)
            if a < len(slope):
                self.slope_coefficient(z, y, slope[a], a, kept)

    @abstractmethod
    def constants(self, z: Tensor, y: Tensor, slope: Tensor) -> None:
        """Compute the constants of y and of its slope.

        Args:
            z:     constant of z.
            y:     constant of f(z), written in place.
            slope: constant of the slope, written in place.
        """

    @abstractmethod
    def slope_coefficient(self, z: Parts, y: Parts, own: Tensor, a: int, kept: Truncation) -> None:
        """Compute one coefficient of the slope, divided by `factor`.

        Args:
            z:    coefficients of z; missing ones at the end are zero.
            y:    coefficients of f(z), those up to a.
            own:  the coefficient, written in place.
            a:    its place, above 0.
            kept: truncation of f(z).
        """


class Tanh(Recurrence):
    """The hyperbolic tangent: y' = 1 - y^2,   S_a = -2 H_a,   H_a = y_0 y_a + sum_{b + c = a} y_b y_c / 2; recomputed from y for the gradient.

    tanh z = 2 s - 1 with s the sigmoid of 2 z: eight times as fast on a CPU as torch's tanh, equal to within an ulp of 1. The constant of the
    slope is never stored: torch multiplies by 1 - y^2 in one pass.
    """

    factor = -2.0

    def propagate(self, z: Parts, y: Parts, saved: Parts, kept: Truncation) -> None:
        self.recur(z, y, [torch.empty_like(y[0]) for _ in range(kept.inner)], kept)

    def saved_count(self, kept: Truncation) -> int:
        return 0

    def times_slope(self, x: Tensor, y: Tensor, slope: Tensor, out: Tensor) -> None:
        _TIMES_SLOPE_OF_TANH(x, y, grad_input=out)

    def constants(self, z: Tensor, y: Tensor, slope: Tensor) -> None:
        torch.mul(z, 2, out=y).sigmoid_()
        torch.add(y.new_full((), -1), y, alpha=2, out=y)

    def slope_coefficient(self, z: Parts, y: Parts, own: Tensor, a: int, kept: Truncation) -> None:
        torch.mul(y[a], y[0], out=own)
        for b, c, factor in kept.pairs[a]:
            own.addcmul_(y[b], y[c], value=0.5 * factor)

    def slope(self, y: Parts, saved: Parts, kept: Truncation) -> Parts:
        slope = [torch.empty_like(part) for part in y]
        for a in range(1, len(y)):
            self.slope_coefficient(y, y, slope[a], a, kept)
        return slope


class Sinusoid(Recurrence):
    """Sine and cosine: y'' = -y,   S_a = -C_a,   C_a = sum_{0 < b <= a} |b| / |a| z_b y_{a-b}.

    Args:
        constants: function (z, y, slope) that writes f(z) and f'(z) into y and slope.
    """

    factor = -1.0

    def __init__(self, constants: Callable[[Tensor, Tensor, Tensor], object]) -> None:
        self._constants = constants

    def propagate(self, z: Parts, y: Parts, saved: Parts, kept: Truncation) -> None:
        self.recur(z, y, saved, kept)

    def constants(self, z: Tensor, y: Tensor, slope: Tensor) -> None:
        self._constants(z, y, slope)

    def slope_coefficient(self, z: Parts, y: Parts, own: Tensor, a: int, kept: Truncation) -> None:
        if a < len(z):
            torch.mul(z[a], y[0], out=own)
        else:
            own.zero_()
        for b, c, factor in kept.shares[a]:
            if b < len(z):
                own.addcmul_(z[b], y[c], value=factor)


class FaaDiBruno(Activation):
    """Any function with known derivatives, by the formula of Faa di Bruno.

        z = z_0 + d,   P_k = d^k / k! = d P_{k-1} / k,   y_a = sum_{k <= |a|} f^(k)(z_0) P_k,a;   the slope with f^(k+1) instead of f^(k)

    Args:
        derivatives: function (z, n) -> [f(z), f'(z), .., f^(n)(z)].
    """

    def __init__(self, derivatives: Derivatives) -> None:
        self.derivatives = derivatives

    def propagate(self, z: Parts, y: Parts, saved: Parts, kept: Truncation) -> None:
        f = self.derivatives(z[0], kept.order + 1)
        first = dict(enumerate(z[1:], 1))
        powers = [{}, first]
        for k in range(2, kept.order + 1):
            powers.append(_times(first, powers[k - 1], kept, k))
        for order, out in enumerate((y, saved)):
            out[0].copy_(f[order])
            for part in out[1:]:
                part.zero_()
            for k, power in enumerate(powers):
                for a, part in power.items():
                    out[a].addcmul_(f[k + order], part)


def _times(d: dict[int, Tensor], power: dict[int, Tensor], kept: Truncation, k: int) -> dict[int, Tensor]:
    """Return P_k = d P_{k-1} / k; its coefficients of orders below k are zero and left out."""
    out: dict[int, Tensor] = {}
    for a, pairs in enumerate(kept.pairs):
        for b, c, factor in pairs if kept.orders[a] >= k else ():
            if b in d and c in power:
                out[a] = torch.zeros_like(d[b]) if a not in out else out[a]
                out[a].addcmul_(d[b], power[c], value=factor / k)
    return out


def _sine(z: Tensor, y: Tensor, slope: Tensor) -> None:
    torch.sin(z, out=y)
    torch.cos(z, out=slope)


def _cosine(z: Tensor, y: Tensor, slope: Tensor) -> None:
    torch.cos(z, out=y)
    torch.sin(z, out=slope).neg_()


ACTIVATIONS: dict[str, Activation] = {
    "sine": Sinusoid(_sine),
    "tanh": Tanh(),
    "silu": FaaDiBruno(silu_derivatives),
    "gelu": FaaDiBruno(gelu_derivatives),
}
COSINE = Sinusoid(_cosine)
