"""What an equation offers to the spectral schemes: du/dt = L u + N(u) + f."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

from torch import Tensor

# Angular wavenumbers per axis x, y[, z], which broadcast against each other and against rows per sample; in which order modes lie is the scheme's.
Wavenumbers = tuple[Tensor, ...]
Values = Mapping[str, Tensor | float]
Table = Sequence[Sequence[Tensor | None]]


@runtime_checkable
class Equation(Protocol):
    """What every equation has: its name, its parameters with their units, the channels of its state and its number of space dimensions."""

    name: ClassVar[str]
    parameters: ClassVar[Mapping[str, str]]

    @property
    def channels(self) -> tuple[str, ...]: ...
    @property
    def ndim(self) -> int: ...


class SpectralEquation(Equation, Protocol):
    """du/dt = L u + N(u) + f on a periodic box, its nonlinear term a table of products of fields.

        field_f   = F^-1 sum_c S_fc(k) u_hat_c                synthesis: linear in the state, e.g. the velocity of a vorticity
        N_hat_c   = sum_p A_cp(k) F product_p(fields)         analysis: linear in what was multiplied in physical space
    A frozen dataclass without tensors. `k` are the angular wavenumbers per axis in float64, `params` every parameter by name: a number, or one per
    sample (B, *1), so all that is returned broadcasts to (B, *spectrum). A table's None is zero. Whatever a parameter enters has its gradient.

    `parameters` maps names to units; those with a default are attributes of the equation. `inside` names the parameters that `products` uses.
    `dealias` is the fraction of modes that frees the highest product of aliases, None if the equation is meant to keep them.
    """

    inside: ClassVar[tuple[str, ...]]
    needs: ClassVar[tuple[str, ...]]
    dealias: ClassVar[float | None]

    def symbol(self, k: Wavenumbers, params: Values) -> Sequence[Tensor]:
        """L(k) per channel [1/s]; one entry serves every channel. Complex where a mean flow carries the state."""
        ...

    def synthesis(self, k: Wavenumbers, params: Values) -> Table | None:
        """S, fields x channels; None if the fields are the state's channels."""
        ...

    def constraint(self, k: Wavenumbers) -> Table | None:
        """The projection onto states that the equation has, channels x channels: applied where a state enters and to a given force. None: all are."""
        ...

    def products(self, fields: Sequence[Tensor], params: Mapping[str, Tensor], out: Sequence[Tensor | None]) -> tuple[Tensor, ...]:
        """What is multiplied in physical space, field by field; a product is written into its `out` where there is one, as `torch.mul` does."""
        ...

    def products_adjoint(self, fields: Tensor, params: Mapping[str, Tensor], grad: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Gradients of <grad, products> by the fields (F, ..., *grid), and by each parameter of `inside` at every point: they are summed later."""
        ...

    def analysis(self, k: Wavenumbers, params: Values) -> Table:
        """A, channels x products."""
        ...

    def forcing(self, k: Wavenumbers, params: Values) -> Mapping[int, Mapping[tuple[int, ...], Tensor | complex]]:
        """Constant forcing as {channel: {mode: amplitude}}: amplitude of e^(i k.x) at a mode of the half spectrum; empty if there is none."""
        ...

    def residual(self, partials: Mapping[str, Tensor], params: Values | None = None) -> Tensor:
        """Left side minus right side from the partial derivatives named in `needs`; zero on a solution. See `for_residual` for `params`."""
        ...


def for_residual(equation: Any, given: Values | None) -> dict[str, Any]:
    """The values a residual is taken with: the equation's own under the given ones.

    Raises: ValueError for a name that the equation does not have; a misspelt coefficient would silently leave it at its own.
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
    """u_t = -transport (u . grad) u + damping u + viscosity lap u + stiffness lap^2 u - cubic |u|^2 u - grad p + f, a number or (B, *1) each."""

    transport: Tensor | float
    damping: Tensor | float
    viscosity: Tensor | float
    stiffness: Tensor | float
    cubic: Tensor | float


@runtime_checkable
class VelocityEquation(Equation, Protocol):
    """The equation of an incompressible velocity, as the finite-volume schemes need it."""

    def local(self, params: Values) -> Local:
        """The coefficients for all parameters by name."""
        ...

    def forcing(self, k: Wavenumbers, params: Values) -> Mapping[int, Mapping[tuple[int, ...], Tensor | complex]]:
        """Constant forcing by modes, see `SpectralEquation`."""
        ...
