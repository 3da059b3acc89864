"""Drag and lift of bodies, recorded with every frame of a data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

from torch import Tensor

from eddygrad.solver.schemes.staggered_scheme import StaggeredScheme
from eddygrad.solver.schemes.wrapper import SchemeWrapper
from eddygrad.solver.staggered.bodies import Body
from eddygrad.solver.staggered.boundary_conditions import Sides
from eddygrad.solver.step import Observer, Params, Step


@dataclass(frozen=True)
class WithForces(SchemeWrapper[StaggeredScheme]):
    """A staggered scheme that reports drag and lift coefficients of all its bodies together, for data sets.

        C_D = 2 F_x / (U^2 D),   C_L = 2 F_y / (U^2 D)

    F is the force per density, averaged over dt. The observer receives "drag" and "lift" in addition to what the scheme reports. A data set stores
    their mean over the steps of a frame.

    Args:
        scheme: a staggered scheme with bodies.
        speed:  reference speed U [m/s].
        length: reference length D [m].
    Raises: ValueError for a scheme without bodies, or a reference value that is not positive.
    """

    speed: float = 1.0
    length: float = 1.0
    observed: ClassVar[Mapping[str, str]] = MappingProxyType({"drag": "mean", "lift": "mean"})
    observed_units: ClassVar[Mapping[str, str]] = MappingProxyType({"drag": "1", "lift": "1"})

    def __post_init__(self) -> None:
        if not self.scheme.bodies:
            raise ValueError(f"WithForces: expected a scheme with bodies, got {self.scheme!r}; without a body there is no force to record")
        if not (self.speed > 0 and self.length > 0):
            raise ValueError(f"WithForces: speed and length must be positive, got {self.speed} and {self.length}")

    @property
    def sides(self) -> Sides:
        """Boundary conditions of the scheme, (low, high) per axis."""
        return self.scheme.sides

    @property
    def bodies(self) -> tuple[Body, ...]:
        """Bodies of the scheme."""
        return self.scheme.bodies

    @property
    def substep(self) -> float:
        """Inner time step of the scheme [s]."""
        return self.scheme.substep

    def free(self, params: Params, like: Tensor) -> Tensor:
        """Return the mask of free values, see `StaggeredScheme.free`."""
        return self.scheme.free(params, like)

    def fluid(self, params: Params, like: Tensor) -> Tensor:
        """Return the mask of fluid cells, see `StaggeredScheme.fluid`."""
        return self.scheme.fluid(params, like)

    def at(self, params: Params, like: Tensor, observe: Observer | None = None) -> Step:
        """Bind to physical parameters.

        Args: params, like, observe: see `Stepper.at`.
        """
        if observe is None:
            return self.scheme.at(params, like)
        scale = 2 / (self.speed**2 * self.length)

        def report(name: str, value: Tensor) -> None:
            observe(name, value)
            if name == "force":
                total = scale * value.sum(-2)
                observe("drag", total[..., 0])
                observe("lift", total[..., 1])

        return self.scheme.at(params, like, report)
