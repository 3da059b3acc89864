"""What a stepper around a scheme has from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from eddygrad.solver.grid import Grid
from eddygrad.solver.schemes.spectral.spectral_scheme import SpectralScheme
from eddygrad.solver.schemes.staggered_scheme import StaggeredScheme

S = TypeVar("S", SpectralScheme, StaggeredScheme)


@dataclass(frozen=True)
class Around(Generic[S]):
    """Time step, grid and equation are the scheme's."""

    scheme: S

    @property
    def dt(self) -> float:
        return self.scheme.dt

    @property
    def grid(self) -> Grid:
        return self.scheme.grid

    @property
    def equation(self) -> Any:
        return self.scheme.equation

    @property
    def differentiable(self) -> bool:
        return True
