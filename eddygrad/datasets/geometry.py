"""What stands in and around a flow, as a data set tells it: sides and bodies, written as JSON and read back."""

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
from eddygrad.solver.step import Params, Stepper
from eddygrad.solver.stream_function import stream_function

_KINDS = {"periodic": Periodic, "free-slip": FreeSlip, "outflow": Outflow, "wall": Wall, "inflow": Inflow}


def describe_geometry(stepper: Stepper, grid: Grid, faces: bool, params: Params, times: Sequence[float] = (0.0,)) -> dict[str, Any] | None:
    """Sides and bodies of a stepper as JSON values; None for one that has no sides, on a periodic spectral grid say.

        {"faces": whether velocities are kept on faces, "sides": [[low, high], ...],
         "bodies": [{"centre", "radius"} or {"corners"}, with "hollow" where the fluid is within, ...],
         "moving": [{"radius" or "corners" about its centre, "poses": [[x, y, angle], ...] at the times of the frames}, ...]}
    A velocity at a side is a number, the name of a parameter, or what its function says at the faces of the kept grid when the first sample's flow
    begins. Bodies stand and move as in the first sample.

    Args: grid: that of what is kept. faces: see `Stored`. times: of the frames after the flow's begin [s].
    """
    sides: Sides | None = getattr(stepper, "sides", None)
    if sides is None:
        return None
    params = {name: value[:1] if isinstance(value, Tensor) and value.ndim else value for name, value in params.items()}
    like, start = torch.zeros((), dtype=torch.float64), float(params.get("t0", 0.0))

    def told(side: Side, axis: int, end: int) -> dict[str, Any]:
        kind = next(name for name, of in _KINDS.items() if type(side) is of)
        if isinstance(side, Outflow):
            return {"kind": kind, "condition": side.kind}
        if not isinstance(side, Prescribed):
            return {"kind": kind}
        each = [_value(side.component(d, grid.ndim), plane(grid, axis, end, d), start, params, like) for d in range(grid.ndim)]
        return {"kind": kind, "velocity": each}

    around = [[told(side, axis, end) for end, side in enumerate(pair)] for axis, pair in enumerate(sides)]
    bodies: Sequence[Body] = getattr(stepper, "bodies", ())
    standing = [_posed(_shape(body, grid), body.pose(start, params)) for body in bodies if not body.moves]
    moving = [{**_shape(body, grid), "poses": [body.pose(start + t, params) for t in times]} for body in bodies if body.moves]
    told_of = {"faces": faces, "sides": around, "bodies": [image for outline in standing for image in _drawn(outline, grid, sides)]}
    return told_of | ({"moving": moving} if moving else {})


def _value(value: Value, points: tuple[Tensor, ...], t: Tensor | float, params: Params, like: Tensor) -> float | str | list[float]:
    if isinstance(value, str):
        return value
    return evaluate(value, points, t, params, like)[0].flatten().tolist() if callable(value) else float(value)


def _shape(body: Body, grid: Grid) -> dict[str, Any]:
    """A body in its own frame."""
    hollow = {"hollow": True} if body.hollow else {}
    if isinstance(body, Cylinder):
        return {"radius": body.radius, **hollow}
    corners = [list(corner) for corner in body.corners] if isinstance(body, Polygon) else body.outline(min(grid.spacing) / 4).tolist()
    return {"corners": corners, **hollow}


def _posed(shape: Mapping[str, Any], pose: Sequence[float]) -> dict[str, Any]:
    """The outline of a shape whose centre and angle are (x, y, angle)."""
    x, y, angle = pose
    rest = {name: shape[name] for name in ("radius", "hollow") if name in shape}
    if "radius" in shape:
        return {"centre": [x, y], **rest}
    c, s = math.cos(angle), math.sin(angle)
    return {"corners": [[x + c * a - s * b, y + s * a + c * b] for a, b in shape["corners"]], **rest}


def _drawn(outline: dict[str, Any], grid: Grid, sides: Sides) -> list[dict[str, Any]]:
    """An outline and its images a period away, as far as they reach into the box; of a hollow body the one in the box."""
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
    """Sides and bodies of a trajectory on the grid of its data.

    Args: faces: whether its velocity stands on the faces of the cells. bodies: {"centre": (x, y), "radius": r} or {"corners": ((x, y), ...)} [m].
          moving: shapes about their centres with one pose (x, y, angle) a frame, see `describe_geometry`.
    """

    grid: Grid
    sides: Sides
    bodies: tuple[Mapping[str, Any], ...]
    faces: bool
    params: Mapping[str, Tensor]
    moving: tuple[Mapping[str, Any], ...] = ()

    @staticmethod
    def of(data: Dataset, sample: int = 0) -> FlowGeometry | None:
        """As its file says; None where it says nothing of sides."""
        params = {name: value[sample : sample + 1] for name, value in data.params.items()}
        return FlowGeometry.from_json(data.attrs.get("scene"), data.grid, params)

    @staticmethod
    def from_json(found: Mapping[str, Any] | None, grid: Grid, params: Mapping[str, Tensor]) -> FlowGeometry | None:
        """From what `describe_geometry` made; None of None."""
        if found is None:
            return None
        sides = tuple((_side(low), _side(high)) for low, high in found["sides"])
        return FlowGeometry(grid, sides, tuple(found["bodies"]), bool(found["faces"]), params, tuple(found.get("moving", ())))

    def bodies_at(self, k: int) -> list[Mapping[str, Any]]:
        """Outlines of all bodies in the k-th frame."""
        there = [image for shape in self.moving for image in _drawn(_posed(shape, shape["poses"][k]), self.grid, self.sides)]
        return [*self.bodies, *there]

    @property
    def periodic(self) -> tuple[bool, ...]:
        return tuple(isinstance(low, Periodic) for low, _ in self.sides)

    def centred(self, u: Tensor) -> Tensor:
        """Face velocities (T, D, *grid) at the centres of the cells."""
        return centred(u, self.periodic)

    def vorticity(self, u: Tensor) -> Tensor:
        """w = v_x - u_y of face velocities (T, 2, nx, ny) in a plane, the mean of a cell's four corners, (T, nx, ny) [1/s].

        At the corners on a side the velocity beyond it is the one that the solver takes: 2 U - u across a wall that has U, u across a free-slip side.
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
        """psi of face velocities (T, 2, nx, ny) in a plane, u = d psi / d y, at the corners of the cells, (T, nx + 1, ny + 1) [m^2/s]."""
        u = u.to(torch.float64)
        faces = Faces(self.grid, self.sides, known_values(self.grid, self.sides, 0.0, self.params, u))
        return stream_function([faces.with_lower(part, axis) for axis, part in enumerate(u.unbind(1))], self.grid)

    def _at_corners(self, slope: Tensor, velocity: Tensor, axis: int) -> Tensor:
        """A slope along `axis` at all corners, from that at the upper ends of the other axis: at its lower side the slope of the side's velocity."""
        own, other = axis - 2, -1 - axis
        if self.periodic[1 - axis]:
            return torch.cat([slope.narrow(other, slope.shape[other] - 1, 1), slope], other)
        first = velocity.narrow(other, 0, 1)
        n = first.shape[own]
        if self.periodic[axis]:
            before, after = first.narrow(own, n - 1, 1), first.narrow(own, 0, 1)
        else:  # in the box's corner, the slope next to it
            before = 2 * first.narrow(own, 0, 1) - first.narrow(own, 1, 1)
            after = 2 * first.narrow(own, n - 1, 1) - first.narrow(own, n - 2, 1)
        line = torch.cat([before, first, after], own)
        return torch.cat([line.diff(dim=own) / self.grid.spacing[axis], slope], other)


def _side(told: Mapping[str, Any]) -> Side:
    kind = told["kind"]
    if kind == "outflow":
        return Outflow(told["condition"])
    if "velocity" not in told:
        return Periodic() if kind == "periodic" else FreeSlip()
    values = tuple(_Table(tuple(value)) if isinstance(value, list) else value for value in told["velocity"])
    return Wall(values) if kind == "wall" else Inflow(values)


@dataclass(frozen=True)
class _Table:
    """A side's velocity by its values."""

    values: tuple[float, ...]

    def __call__(self, points: tuple[Tensor, ...], t: Tensor | float, params: Params) -> Tensor:
        shape = torch.broadcast_shapes(*(p.shape for p in points))
        return torch.tensor(self.values, dtype=torch.float64).reshape(shape)
