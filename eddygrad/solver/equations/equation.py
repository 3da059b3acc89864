"""Protocols of equations, du/dt = L u + N(u) + f: spectral ones, and velocities on a staggered grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

from torch import Tensor

# Angular wavenumbers per axis x, y[, z], which broadcast against each other and against rows per sample. The scheme decides the order of the modes.
Wavenumbers = tuple[Tensor, ...]
Values = Mapping[str, Tensor | float]
Table = Sequence[Sequence[Tensor | None]]


@runtime_checkable
class Equation(Protocol):
    """An equation: name, parameters with their units, channels of the state, number of space dimensions."""

    name: ClassVar[str]
    parameters: ClassVar[Mapping[str, str]]

    @property
    def channels(self) -> tuple[str, ...]: ...
    @property
    def ndim(self) -> int: ...


class SpectralEquation(Equation, Protocol):
    """du/dt = L u + N(u) + f on a periodic box, with a nonlinear term made of products of fields.

        field_f   = F^-1 sum_c S_fc(k) u_hat_c                synthesis: linear in the state, e.g. the velocity of a vorticity
        N_hat_c   = sum_p A_cp(k) F product_p(fields)         analysis: linear in the products, which are taken in physical space
    A frozen dataclass without tensors. `k` are the angular wavenumbers per axis in float64; `params` holds every parameter by name, a number or one
    per sample (B, *1), so results broadcast to (B, *spectrum). None in a table is zero. Results have gradients with respect to the parameters.

    `parameters` maps names to units; those with a default are attributes of the equation. `inside` names the parameters that `products` uses.
    `needs` names the partial derivatives that `residual` uses. `dealias` is the fraction of modes that removes the aliases of the highest product;
    None if the equation is meant to keep them.
    """

    inside: ClassVar[tuple[str, ...]]
    needs: ClassVar[tuple[str, ...]]
    dealias: ClassVar[float | None]

    def symbol(self, k: Wavenumbers, params: Values) -> Sequence[Tensor]:
        """Return L(k) per channel [1/s], or one entry for all channels. Complex if a mean flow carries the state."""
        ...

    def synthesis(self, k: Wavenumbers, params: Values) -> Table | None:
        """Return S, fields x channels; None if the fields are the channels of the state."""
        ...

    def constraint(self, k: Wavenumbers) -> Table | None:
        """Return the projection onto admissible states, channels x channels, for initial states and given forces; None if all are admissible."""
        ...

    def products(self, fields: Sequence[Tensor], params: Mapping[str, Tensor], out: Sequence[Tensor | None]) -> tuple[Tensor, ...]:
        """Return the products in physical space.

        Args:
            fields: the fields (B, *grid).
            params: the parameters named in `inside`.
            out:    per product a tensor to write it into, as for `torch.mul`, or None.
        """
        ...

    def products_adjoint(self, fields: Tensor, params: Mapping[str, Tensor], grad: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the gradients of <grad, products> with respect to the fields and, at every point, to each parameter of `inside`.

        Args:
            fields: the fields (F, B, *grid).
            params: the parameters named in `inside`.
            grad:   gradient with respect to the products (P, B, *grid).
        """
        ...

    def analysis(self, k: Wavenumbers, params: Values) -> Table:
        """Return A, channels x products."""
        ...

    def forcing(self, k: Wavenumbers, params: Values) -> Mapping[int, Mapping[tuple[int, ...], Tensor | complex]]:
        """Return the constant forcing, {channel: {mode: amplitude}} with the amplitude of e^(i k.x) at modes of the half spectrum; {} for none."""
        ...

    def residual(self, partials: Mapping[str, Tensor], params: Values | None = None) -> Tensor:
        """Return left side minus right side from the partial derivatives named in `needs`; zero on a solution. `params`: see `for_residual`."""
        ...


def for_residual(equation: Any, given: Values | None) -> dict[str, Any]:
    """Return the parameters of a residual: the given ones, and the equation's own values for the others.

    Raises: ValueError for an unknown name: a misspelt coefficient would silently keep the equation's own value.
    """
    known = [*equation.parameters]
    for name in given or {}:
        if name not in known:
            near = get_close_matches(name.lower(), [k.lower() for k in known], n=1, cutoff=0.6)
            example = f"pass what it has by name, {{{known[0]!r}: p[{known[0]!r}]}}"
            meant = f"; did you mean {next(k for k in known if k.lower() == near[0])!r}?" if near else f"; {example}"
            raise ValueError(f"residual: {equation.name} has no {name!r}, only {', '.join(known)}{meant}")
    own = [name for name in known if name in equation.__dataclass_fields__]
    return {**{name: getattr(equation, name) for name in own}, **(given or {})}


class Local(NamedTuple):
    """Coefficients of u_t = -transport (u . grad) u + damping u + viscosity lap u + stiffness lap^2 u - cubic |u|^2 u - grad p + f.

    Each is a number or one per sample (B, *1).
    """

    transport: Tensor | float
    damping: Tensor | float
    viscosity: Tensor | float
    stiffness: Tensor | float
    cubic: Tensor | float


@runtime_checkable
class VelocityEquation(Equation, Protocol):
    """The equation of an incompressible velocity, as the finite-volume schemes need it."""

    def local(self, params: Values) -> Local:
        """Return the coefficients from the parameters."""
        ...

    def forcing(self, k: Wavenumbers, params: Values) -> Mapping[int, Mapping[tuple[int, ...], Tensor | complex]]:
        """Return the constant forcing by modes, see `SpectralEquation.forcing`."""
        ...
