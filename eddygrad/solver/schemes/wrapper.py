"""Base of steppers that wrap a scheme."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import ClassVar, Generic, TypeVar

from eddygrad.solver.equations.equation import Equation
from eddygrad.solver.grid import Grid
from eddygrad.solver.schemes.spectral.spectral_scheme import SpectralScheme
from eddygrad.solver.schemes.staggered_scheme import StaggeredScheme
from eddygrad.solver.step import StepperInfo

S = TypeVar("S", SpectralScheme, StaggeredScheme)


@dataclass(frozen=True)
class SchemeWrapper(Generic[S]):
    """A stepper around a scheme, with the scheme's time step, grid and equation.

    A subclass that reports numbers to the observer names them in `observed` and gives their units in `observed_units`, see `StepperInfo`.
    """

    scheme: S
    observed: ClassVar[Mapping[str, str]] = MappingProxyType({})
    observed_units: ClassVar[Mapping[str, str]] = MappingProxyType({})

    @property
    def dt(self) -> float:
        return self.scheme.dt

    @property
    def grid(self) -> Grid:
        return self.scheme.grid

    @property
    def equation(self) -> Equation:
        return self.scheme.equation

    @property
    def differentiable(self) -> bool:
        return True

    def info(self) -> StepperInfo:
        """Return the facts of the scheme with the observed numbers of this wrapper."""
        return replace(self.scheme.info(), observed=self.observed, observed_units=self.observed_units)
