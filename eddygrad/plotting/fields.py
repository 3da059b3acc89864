"""The fields of a trajectory that can be drawn: its channels and, for a plane velocity, its vorticity and its speed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from eddygrad.datasets.dataset import Dataset
from eddygrad.datasets.geometry import FlowGeometry
from eddygrad.solver.grid import Grid
from eddygrad.solver.vector_calculus import vorticity

_VELOCITY = ("velocity_x", "velocity_y")
_DERIVED = ("vorticity", "speed")


@dataclass(frozen=True)
class Fields:
    """A trajectory and what is known of its channels.

    Args:
        u:        the states (T, C, *grid).
        channels: names of the channels.
        grid:     of the states.
        scene:    sides and bodies of the flow; None if the solver had none.
    """

    u: Tensor
    channels: tuple[str, ...]
    grid: Grid
    scene: FlowGeometry | None

    @staticmethod
    def of(data: Dataset, sample: int) -> Fields:
        """Return the fields of one trajectory of a data set."""
        return Fields(data[sample], data.channels, data.grid, FlowGeometry.of(data, sample))

    @property
    def _flow(self) -> bool:
        return self.grid.ndim == 2 and set(_VELOCITY) <= set(self.channels)

    @property
    def _on_faces(self) -> bool:
        return self._flow and self.scene is not None and self.scene.faces

    @property
    def names(self) -> list[str]:
        """Names of all fields that can be drawn."""
        return [*self.channels, *(name for name in _DERIVED if self._flow and name not in self.channels)]

    @property
    def usual(self) -> list[str]:
        """Names of the fields drawn by default: all channels, with the vorticity in place of a velocity on faces."""
        if not self._on_faces:
            return list(self.channels)
        return list(dict.fromkeys("vorticity" if name in _VELOCITY else name for name in self.channels))

    def bodies_at(self, frames: Sequence[int]) -> list[Sequence[Mapping[str, Any]]]:
        """Return the outlines of the bodies in each of these frames."""
        return [[] if self.scene is None else self.scene.bodies_at(k) for k in frames]

    def frames(self, names: Sequence[str]) -> Tensor:
        """Return the named fields (T, len(names), *grid); face velocities are interpolated to the centres of their cells."""
        return torch.stack([self._field(name) for name in names], 1)

    def streams(self) -> Tensor:
        """Return the stream function at the corners of the cells (T, nx + 1, ny + 1) [m^2/s].

        Raises: ValueError if the velocity is not known on the faces of the cells.
        """
        if not self._on_faces or self.scene is None:
            raise ValueError("streamlines: expected a plane velocity on the faces of cells with boundary conditions, as in data sets of walled flows")
        return self.scene.stream_function(self._velocity)

    def scales(self, frames: Tensor) -> list[float]:
        """Return the value of the darkest colour of each channel for flows between walls; an empty list for others.

        It is the median over time of the 98 % quantile of the sizes, because at edges, at walls and after a sudden start the vorticity is far greater
        than in the flow.

        Args: frames: the fields (T, C, *grid).
        """
        if not self._on_faces:
            return []
        at_times = frames.double().abs().flatten(2).quantile(0.98, dim=2)
        return [max(float(scale), 1e-12) for scale in at_times.median(0).values]

    @property
    def _velocity(self) -> Tensor:
        return self.u[:, [self.channels.index(name) for name in _VELOCITY]].double()

    def _field(self, name: str) -> Tensor:
        if name in self.channels and not (self._on_faces and name in _VELOCITY):
            return self.u[:, self.channels.index(name)]
        velocity = self._velocity
        if name == "vorticity":
            return self.scene.vorticity(velocity) if self._on_faces and self.scene is not None else vorticity(velocity, self.grid)[:, 0]
        if self._on_faces and self.scene is not None:
            velocity = self.scene.centred(velocity)
        return velocity.square().sum(1).sqrt() if name == "speed" else velocity[:, _VELOCITY.index(name)]
