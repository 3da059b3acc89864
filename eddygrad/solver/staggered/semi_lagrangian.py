"""Transport of face velocities along their paths: semi-Lagrangian, and MacCormack's correction of it."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache, reduce
from itertools import product
from typing import Literal

import torch
from torch import Tensor

from eddygrad.runtime.memory import ordinary_tensors
from eddygrad.solver.staggered.faces import Components, Faces


def semi_lagrangian(u: Components, faces: Faces, dt: float, order: Literal[1, 2] = 2) -> list[Tensor]:
    """u after dt of transport by itself: every face takes what the field was at the foot of its path.

        u_d(x, t + dt) = u_d(X, t),   X = x - dt u(x)  (order 1)   or   X = x - dt u(x - dt u(x) / 2)  (order 2)              Staniforth, Cote 1991
    Multilinear between the values, so none leaves the range of the old ones and of the sides' and no step is too long. First order in space for a
    fixed Courant number. A path that leaves through a side ends on it and brings in the value that `faces` has there.

    Args:    u: components (B, *grid) that know their sides, see `Faces.imposed` [m/s]. dt: [s]. order: of the path in dt.
    Returns: components of the same shapes [m/s]. Nothing goes through walls and slip sides as before; other sides are the caller's to impose again.
    Raises:  ValueError for a dt that is not positive and finite, or another order.
    """
    _check("semi_lagrangian", dt, order)
    nodes = _nodes(u, faces)
    foot = _stopped(_paths(u, nodes, faces, dt, order), faces)
    return list(_values(nodes, *_cells(foot, nodes, faces)).unbind(1))


def mac_cormack(u: Components, faces: Faces, dt: float, limiter: bool = True) -> list[Tensor]:
    """u after dt of transport by itself, less half of what is lost on the way there and back.

        v = S(dt) u,   w = S(-dt) v,   u' = v + (u - w) / 2,   S: `semi_lagrangian`             Selle, Fedkiw, Kim, Liu, Rossignac 2008
    The limiter keeps u' between the least and the greatest value around the foot of the path. S(-dt) is carried by v: back by u itself would be first
    order in time, this is second order in space and time. Where one of the two paths ends on a side, u' = v: the way back starts from what came in.

    Args:    u, dt: as in `semi_lagrangian`. limiter: False leaves new extrema in.
    Returns: components of the same shapes, as in `semi_lagrangian` [m/s].
    Raises:  ValueError for a dt that is not positive and finite.
    """
    _check("mac_cormack", dt, 2)
    nodes = _nodes(u, faces)
    way = _paths(u, nodes, faces, dt, 2)
    foot = _stopped(way, faces)
    cell, parts = _cells(foot, nodes, faces)
    there = _values(nodes, cell, parts)

    carried = list(there.unbind(1))
    nodes_there = _nodes(carried, faces)
    way_back = _paths(carried, nodes_there, faces, -dt, 2)
    foot_back = _stopped(way_back, faces)
    again = _values(nodes_there, *_cells(foot_back, nodes_there, faces))

    new = there + 0.5 * (torch.stack(list(u), 1) - again)
    if limiter:
        least, greatest = (values.gather(2, cell.flatten(2)).reshape(cell.shape) for values in _extremes(nodes, faces))
        new = new.clamp(least, greatest)
    ended = [far != near for far, near in zip(way + way_back, foot + foot_back) if far is not near]
    if ended:
        new = torch.where(reduce(torch.logical_or, ended), there, new)
    return list(new.unbind(1))


def _check(name: str, dt: float, order: int) -> None:
    if not (dt > 0 and math.isfinite(dt)):
        raise ValueError(f"{name}: dt must be positive and finite, got {dt}")
    if order not in (1, 2):
        raise ValueError(f"{name}: order of the path must be 1 or 2, got {order!r}")


# Values that paths run through ---------------------------------------------------------------------------------------------------------------------


def _nodes(u: Components, faces: Faces) -> Tensor:
    """All components with a ghost value at every end, (B, D, *(n + 2)); node k lies at k h along the own axis, at (k - 1/2) h along others."""
    wide = replace(faces, known={side: tuple(_framed(v, faces, side[0]) for v in values) for side, values in faces.known.items()})
    out = []
    for d, component in enumerate(u):
        for axis in range(faces.grid.ndim):
            component = wide.padded(component, d, axis, 1)
        out.append(component)
    return torch.stack(out, 1)


def _framed(value: Tensor, faces: Faces, axis: int) -> Tensor:
    """A side's values with one more at both ends of the axes that are padded before its own: the period's, or the nearest."""
    for before in range(axis):
        dim = faces.dim(before)
        n = value.shape[dim]
        ends = (n - 1, 0) if faces.periodic(before) else (0, n - 1)
        value = torch.cat([value.narrow(dim, ends[0], 1), value, value.narrow(dim, ends[1], 1)], dim)
    return value


def _extremes(nodes: Tensor, faces: Faces) -> tuple[Tensor, Tensor]:
    """The least and the greatest corner of every cell of nodes, by the number of its lowest, (B, D, .), with the sides' values for the ghosts."""
    values = list(nodes.unbind(1))
    for axis, n in enumerate(faces.grid.shape):
        if not faces.periodic(axis):
            dim = faces.dim(axis)
            for d, v in enumerate(values):
                below, above = v.narrow(dim, 0, 2), v.narrow(dim, n, 2)
                # Along its own axis a component has nodes on the sides, 0 and n; along others a side is half way between the last two.
                ends = (p.narrow(dim, 0, 1) if d == axis else p.mean(dim, keepdim=True) for p in (below, above))
                values[d] = torch.cat([next(ends), v.narrow(dim, 1, n), next(ends)], dim)
    least = greatest = torch.stack(values, 1).flatten(2)
    for stride in _strides(nodes):  # no cell begins where a line ends, so what mixes two lines is never asked for
        count = least.shape[2] - stride
        least = torch.minimum(least.narrow(2, 0, count), least.narrow(2, stride, count))
        greatest = torch.maximum(greatest.narrow(2, 0, count), greatest.narrow(2, stride, count))
    return least, greatest


def _strides(nodes: Tensor) -> list[int]:
    """How far apart neighbours along every axis are among the nodes of one component."""
    return [math.prod(nodes.shape[axis + 3 :]) for axis in range(nodes.ndim - 2)]


# Paths ---------------------------------------------------------------------------------------------------------------------------------------------


def _paths(u: Components, nodes: Tensor, faces: Faces, dt: float, order: int) -> list[Tensor]:
    """The way back to the foot of every point's path, per axis, (B, D, *grid) in cells."""
    ndim = faces.grid.ndim
    rates = [-dt / h for h in faces.grid.spacing]
    around = [faces.at_points(u, d) for d in range(ndim)]
    way = [rate * torch.stack([own[axis] for own in around], 1) for axis, rate in enumerate(rates)]
    if order == 1:
        return way
    half = _stopped([0.5 * own for own in way], faces)
    # From the points of component d, those of component c with the same number lie half a cell off along the two's own axes.
    shifted = [own.unsqueeze(1) + shift for own, shift in zip(half, _shifts(ndim, nodes.dtype, nodes.device))]
    middle = _values(nodes, *_cells(shifted, nodes, faces))
    return [rate * velocity for rate, velocity in zip(rates, middle.unbind(1))]


@lru_cache(maxsize=16)
def _shifts(ndim: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, ...]:
    """Per axis, (D, D, *1): from the point of component d (first) to that of component c [cells]."""
    with ordinary_tensors():
        own = 0.5 * torch.eye(ndim, dtype=dtype, device=device)
        return tuple((shift - shift.unsqueeze(1)).reshape(ndim, ndim, *[1] * ndim) for shift in own)


def _stopped(way: list[Tensor], faces: Faces) -> list[Tensor]:
    """The same ways, none beyond a side."""
    out = []
    for axis, (own, n) in enumerate(zip(way, faces.grid.shape)):
        if not faces.periodic(axis):
            offset = [1.0 if d == axis else 0.5 for d in range(len(way))]
            low = -_count(own, faces, axis) - torch.tensor(offset, dtype=own.dtype, device=own.device).reshape(-1, *[1] * len(way))
            own = own.clamp(low, low + n)
        out.append(own)
    return out


def _cells(way: list[Tensor], nodes: Tensor, faces: Faces) -> tuple[Tensor, list[Tensor]]:
    """The cell of nodes where every way ends, by the number of its lowest corner, and the part of it that lies behind the end, per axis."""
    cell: Tensor | None = None
    parts = []
    for axis, (own, n, stride) in enumerate(zip(way, faces.grid.shape, _strides(nodes))):
        whole = own.detach().floor()
        parts.append(own - whole)  # not from the sum with the position, which has fewer digits left for it
        node = whole + (_count(own, faces, axis) + 1)
        if faces.periodic(axis):
            node = node - n * torch.floor(node / n)
        number = node.long().clamp_(0, n).mul_(stride)  # a path to NaN has a cell too; its part of it is NaN
        cell = number if cell is None else cell.add_(number)
    assert cell is not None
    return cell, parts


def _count(like: Tensor, faces: Faces, axis: int) -> Tensor:
    """0 .. n - 1 along `axis`."""
    ndim = faces.grid.ndim
    return torch.arange(faces.grid.shape[axis], dtype=like.dtype, device=like.device).reshape(-1, *[1] * (ndim - 1 - axis))


def _values(nodes: Tensor, cell: Tensor, parts: list[Tensor]) -> Tensor:
    """Multilinear between the corners of the cells, of the shape of `cell`."""
    values = nodes.flatten(2)
    corners = [sum(ends) for ends in product(*((0, stride) for stride in _strides(nodes)))]
    around = [values.gather(2, (cell + corner).flatten(2)).reshape(cell.shape) for corner in corners]
    for part in reversed(parts):
        around = [torch.lerp(low, high, part) for low, high in zip(around[::2], around[1::2])]
    return around[0]
