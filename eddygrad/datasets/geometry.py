"""Boundary conditions and bodies of a data set: written into its header as JSON, and read back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from torch import Tensor

from eddygrad.datasets.dataset import Dataset
from eddygrad.datasets.frame_diagnostics import centred
from eddygrad.solver.grid import Grid
from eddygrad.solver.staggered.bodies import Body, Cylinder, Polygon
from eddygrad.solver.staggered.boundary_conditions import (
    FreeSlip,
    Inflow,
    Outflow,
    Periodic,
    Prescribed,
    Side,
    Sides,
    Value,
    Wall,
    evaluate,
    periods,
    plane,
)
from eddygrad.solver.staggered.faces import Faces, known_values
from eddygrad.solver.step import Params, Stepper, info_of
from eddygrad.solver.stream_function import stream_function

_KINDS = {"periodic": Periodic, "free-slip": FreeSlip, "outflow": Outflow, "wall": Wall, "inflow": Inflow}


def describe_geometry(stepper: Stepper, grid: Grid, faces: bool, params: Params, times: Sequence[float] = (0.0,)) -> dict[str, Any] | None:
    """Return boundary conditions and bodies of a stepper as JSON values; None for a stepper without boundary conditions, e.g. a spectral one.

        {"faces": whether velocities are stored on faces, "sides": [[low, high], ...],
         "bodies": [{"centre", "radius"} or {"corners"}, with "hollow": true if the fluid is inside, ...],
         "moving": [{"radius" or "corners" about the centre, "poses": [[x, y, angle], ...], one per frame}, ...]}

    A velocity at a side is a number, the name of a parameter, or a list: the values of its function on the faces of the stored grid at the initial
    time of the first sample. Bodies have the positions and motion of the first sample.

    Args:
        stepper: the solver.
        grid:    of the stored fields.
        faces:   whether velocities are stored on faces, see `Stored`.
        params:  physical parameters; the first sample counts.
        times:   of the frames, after the initial time [s].
    """
    info = info_of(stepper)
    if info.sides is None:
        return None
    params = {name: value[:1] if isinstance(value, Tensor) and value.ndim else value for name, value in params.items()}
    start = float(params.get("t0", 0.0))
    sides = [[_side_json(side, grid, axis, end, start, params) for end, side in enumerate(pair)] for axis, pair in enumerate(info.sides)]
    fixed = [_posed(_shape(body, grid), body.pose(start, params)) for body in info.bodies if not body.moves]
    moving = [{**_shape(body, grid), "poses": [body.pose(start + t, params) for t in times]} for body in info.bodies if body.moves]
    description = {"faces": faces, "sides": sides, "bodies": [image for outline in fixed for image in _images(outline, grid, info.sides)]}
    return description | ({"moving": moving} if moving else {})


def _side_json(side: Side, grid: Grid, axis: int, end: int, start: float, params: Params) -> dict[str, Any]:
    kind = next(name for name, cls in _KINDS.items() if type(side) is cls)
    if isinstance(side, Outflow):
        return {"kind": kind, "condition": side.kind}
    if not isinstance(side, Prescribed):
        return {"kind": kind}
    like = torch.zeros((), dtype=torch.float64)
    velocity = [_value(side.component(d, grid.ndim), plane(grid, axis, end, d), start, params, like) for d in range(grid.ndim)]
    return {"kind": kind, "velocity": velocity}


def _value(value: Value, points: tuple[Tensor, ...], t: Tensor | float, params: Params, like: Tensor) -> float | str | list[float]:
    if isinstance(value, str):
        return value
    return evaluate(value, points, t, params, like)[0].flatten().tolist() if callable(value) else float(value)


def _shape(body: Body, grid: Grid) -> dict[str, Any]:
    """A body in its own frame of reference."""
    hollow = {"hollow": True} if body.hollow else {}
    if isinstance(body, Cylinder):
        return {"radius": body.radius, **hollow}
    corners = [list(corner) for corner in body.corners] if isinstance(body, Polygon) else body.outline(min(grid.spacing) / 4).tolist()
    return {"corners": corners, **hollow}


def _posed(shape: Mapping[str, Any], pose: Sequence[float]) -> dict[str, Any]:
    """Outline of a shape placed at (x, y) and turned by an angle."""
    x, y, angle = pose
    rest = {name: shape[name] for name in ("radius", "hollow") if name in shape}
    if "radius" in shape:
        return {"centre": [x, y], **rest}
    c, s = math.cos(angle), math.sin(angle)
    return {"corners": [[x + c * a - s * b, y + s * a + c * b] for a, b in shape["corners"]], **rest}


def _images(outline: dict[str, Any], grid: Grid, sides: Sides) -> list[dict[str, Any]]:
    """An outline and its periodic images that overlap the box; for a hollow body only the one in the box."""
    name = "centre" if "centre" in outline else "corners"
    corners = torch.tensor(outline[name], dtype=torch.float64).reshape(-1, 2)
    radius, middle = outline.get("radius", 0.0), corners.mean(0)
    shifts = []
    for x, length, period in zip(middle.tolist(), grid.lengths, periods(grid, sides)):
        home = 0.0 if period is None else -period * (x // length)
        shifts.append([home] if period is None or "hollow" in outline else [home, home - length, home + length])
    images = []
    for shift in product(*shifts):
        moved = corners + torch.tensor(shift, dtype=torch.float64)
        low, high = moved.amin(0) - radius, moved.amax(0) + radius
        if all(b > 0 and a < length for a, b, length in zip(low.tolist(), high.tolist(), grid.lengths)):
            images.append({**outline, name: moved[0].tolist() if name == "centre" else moved.tolist()})
    return images or [outline]


@dataclass(frozen=True)
class FlowGeometry:
    """Boundary conditions and bodies of a trajectory on the grid of its data.

    Args:
        grid:   of the data.
        sides:  boundary conditions (low, high) per axis.
        bodies: outlines of fixed bodies, {"centre": (x, y), "radius": r} or {"corners": ((x, y), ...)} [m].
        faces:  whether the velocity is on the faces of the cells.
        params: physical parameters of the trajectory.
        moving: outlines of moving bodies about their centres, with a pose (x, y, angle) per frame; see `describe_geometry`.
    """

    grid: Grid
    sides: Sides
    bodies: tuple[Mapping[str, Any], ...]
    faces: bool
    params: Mapping[str, Tensor]
    moving: tuple[Mapping[str, Any], ...] = ()

    @staticmethod
    def of(data: Dataset, sample: int = 0) -> FlowGeometry | None:
        """Return the geometry of one sample from the header of its data set; None if the header has none."""
        params = {name: value[sample : sample + 1] for name, value in data.params.items()}
        return FlowGeometry.from_json(data.attrs.get("scene"), data.grid, params)

    @staticmethod
    def from_json(description: Mapping[str, Any] | None, grid: Grid, params: Mapping[str, Tensor]) -> FlowGeometry | None:
        """Return the geometry that `describe_geometry` wrote; None for None.

        Args:
            description: the JSON values.
            grid:        of the data.
            params:      physical parameters of the trajectory.
        """
        if description is None:
            return None
        sides = tuple((_side(low), _side(high)) for low, high in description["sides"])
        return FlowGeometry(grid, sides, tuple(description["bodies"]), bool(description["faces"]), params, tuple(description.get("moving", ())))

    def bodies_at(self, k: int) -> list[Mapping[str, Any]]:
        """Return the outlines of all bodies in frame k."""
        moving = [image for shape in self.moving for image in _images(_posed(shape, shape["poses"][k]), self.grid, self.sides)]
        return [*self.bodies, *moving]

    @property
    def periodic(self) -> tuple[bool, ...]:
        """For each axis, whether it is periodic."""
        return tuple(isinstance(low, Periodic) for low, _ in self.sides)

    def centred(self, u: Tensor) -> Tensor:
        """Return face velocities (T, D, *grid) interpolated to the cell centres."""
        return centred(u, self.periodic)

    def vorticity(self, u: Tensor) -> Tensor:
        """Return w = v_x - u_y of face velocities in a plane: the mean over a cell's four corners.

        At corners on a boundary the velocity outside is the solver's ghost value: 2 U - u at a wall that moves with U, u at a free-slip side.

        Args:    u: face velocities (T, 2, nx, ny) [m/s].
        Returns: (T, nx, ny) [1/s], float64.
        """
        u = u.to(torch.float64)
        faces = Faces(self.grid, self.sides, known_values(self.grid, self.sides, 0.0, self.params, u))
        (hx, hy), (along, across) = self.grid.spacing, u.unbind(1)
        v_x = self._at_corners(faces.padded(across, 1, 0, 1).diff(dim=-2) / hx, faces.with_lower(across, 1), 0)
        u_y = self._at_corners(faces.padded(along, 0, 1, 1).diff(dim=-1) / hy, faces.with_lower(along, 0), 1)
        w = v_x - u_y
        w = 0.5 * (w[..., 1:, :] + w[..., :-1, :])
        return 0.5 * (w[..., 1:] + w[..., :-1])

    def stream_function(self, u: Tensor) -> Tensor:
        """Return the stream function psi of face velocities in a plane, u = d psi / d y, v = -d psi / d x.

        Args:    u: face velocities (T, 2, nx, ny) [m/s].
        Returns: psi at the cell corners, (T, nx + 1, ny + 1) [m^2/s], float64.
        """
        u = u.to(torch.float64)
        faces = Faces(self.grid, self.sides, known_values(self.grid, self.sides, 0.0, self.params, u))
        return stream_function([faces.with_lower(part, axis) for axis, part in enumerate(u.unbind(1))], self.grid)

    def _at_corners(self, slope: Tensor, velocity: Tensor, axis: int) -> Tensor:
        """Extend a slope along `axis` from the cells' upper corners to all corners; on the lower side it is the slope of the side's velocity."""
        own, other = axis - 2, -1 - axis
        if self.periodic[1 - axis]:
            return torch.cat([slope.narrow(other, slope.shape[other] - 1, 1), slope], other)
        first = velocity.narrow(other, 0, 1)
        n = first.shape[own]
        if self.periodic[axis]:
            before, after = first.narrow(own, n - 1, 1), first.narrow(own, 0, 1)
        else:  # in a corner of the box, the adjacent slope
            before = 2 * first.narrow(own, 0, 1) - first.narrow(own, 1, 1)
            after = 2 * first.narrow(own, n - 1, 1) - first.narrow(own, n - 2, 1)
        line = torch.cat([before, first, after], own)
        return torch.cat([line.diff(dim=own) / self.grid.spacing[axis], slope], other)


def _side(description: Mapping[str, Any]) -> Side:
    kind = description["kind"]
    if kind == "outflow":
        return Outflow(description["condition"])
    if "velocity" not in description:
        return Periodic() if kind == "periodic" else FreeSlip()
    values = tuple(_SideValues(tuple(value)) if isinstance(value, list) else value for value in description["velocity"])
    return Wall(values) if kind == "wall" else Inflow(values)


@dataclass(frozen=True)
class _SideValues:
    """A velocity on a side, given by its values on the faces."""

    values: tuple[float, ...]

    def __call__(self, points: tuple[Tensor, ...], t: Tensor | float, params: Params) -> Tensor:
        shape = torch.broadcast_shapes(*(p.shape for p in points))
        return torch.tensor(self.values, dtype=torch.float64).reshape(shape)
