"""Base of the one-dimensional equations with the flux u^2 / 2."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from eddygrad.solver.equations.equation import Table, Values, Wavenumbers


class ConservativeLine(abc.ABC):
    """u_t + (u^2 / 2)_x = L u + f in one dimension: N_hat = -1/2 i k F(u^2). The flux conserves the mean of u."""

    channels: ClassVar[tuple[str, ...]] = ("u",)
    inside: ClassVar[tuple[str, ...]] = ()
    ndim: ClassVar[int] = 1

    @abc.abstractmethod
    def symbol(self, k: Wavenumbers, params: Values) -> tuple[Tensor]:
        """Return L(k) [1/s]."""

    def synthesis(self, k: Wavenumbers, params: Values) -> None:
        """Return None: the field is the state."""
        return None

    def constraint(self, k: Wavenumbers) -> None:
        """Return None: every state is admissible."""
        return None

    def pointwise(self, u: Tensor, out: Tensor | None = None) -> Tensor:
        """Return u^2, the product in physical space, in `out` if given."""
        return torch.mul(u, u, out=out)

    def products(self, fields: Sequence[Tensor], params: Mapping[str, Tensor], out: Sequence[Tensor | None]) -> tuple[Tensor]:
        """Return u^2. Args: see `SpectralEquation.products`."""
        return (self.pointwise(fields[0], out[0]),)

    def products_adjoint(self, fields: Tensor, params: Mapping[str, Tensor], grad: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return 2 u grad. Args: see `SpectralEquation.products_adjoint`."""
        return (fields * grad).mul_(2), {}

    def analysis(self, k: Wavenumbers, params: Values) -> Table:
        """Return -i k / 2, the derivative of the flux."""
        return ((-0.5j * k[0],),)

    def forcing(self, k: Wavenumbers, params: Values) -> Mapping[int, Mapping[tuple[int, ...], Tensor | complex]]:
        """Return no forcing."""
        return {}
