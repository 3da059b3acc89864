"""What an equation offers to the schemes: du/dt = L u + N(u)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Protocol

from torch import Tensor


class SpectralEquation(Protocol):
    """du/dt = L u + N(u) with N_hat = i g(k) F(pointwise(u)); a frozen dataclass without tensors.

    `symbol` and `flux_symbol` take the angular wavenumbers per axis in float64 and return real factors that broadcast to the half spectrum.
    """

    name: ClassVar[str]
    channels: ClassVar[tuple[str, ...]]
    parameters: ClassVar[Mapping[str, str]]
    needs: ClassVar[tuple[str, ...]]
    ndim: ClassVar[int]

    def symbol(self, k: tuple[Tensor, ...]) -> Tensor: ...
    def pointwise(self, u: Tensor, out: Tensor | None = None) -> Tensor: ...
    def flux_symbol(self, k: tuple[Tensor, ...]) -> Tensor: ...
    def residual(self, partials: Mapping[str, Tensor], params: Mapping[str, Tensor | float] | None = None) -> Tensor: ...
