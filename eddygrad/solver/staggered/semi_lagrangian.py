"""Semi-Lagrangian advection of face velocities along their paths, and its MacCormack correction."""

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
    """Advect a velocity by itself over dt: every face takes the value at the foot of its path.

        u_d(x, t + dt) = u_d(X, t),   X = x - dt u(x)  (order 1)   or   X = x - dt u(x - dt u(x) / 2)  (order 2)              Staniforth, Cote 1991
    Interpolation is multilinear, so values stay within the range of old and boundary values, and any dt is stable. First order in space at a fixed
    Courant number. A path that leaves through a side ends on it and takes the value of `faces` there.

    Args:
        u:     components (B, *grid) with the boundary values set, see `Faces.imposed` [m/s].
        faces: operators.
        dt:    time [s].
        order: order of the path in dt, 1 or 2.
    Returns: components of the same shapes [m/s]. Walls and slip sides remain impermeable; the caller sets the values of other sides again.
    Raises:  ValueError for a dt that is not positive and finite, or another order.
    """
    _check("semi_lagrangian", dt, order)
    nodes = _nodes(u, faces)
    foot = _stopped(_paths(u, nodes, faces, dt, order), faces)
    return list(_values(nodes, *_cells(foot, nodes, faces)).unbind(1))


def mac_cormack(u: Components, faces: Faces, dt: float, limiter: bool = True) -> list[Tensor]:
    """Advect a velocity by itself over dt, corrected by half of the error of advecting it forwards and back.

        v = S(dt) u,   w = S(-dt) v,   u' = v + (u - w) / 2,   S: `semi_lagrangian`             Selle, Fedkiw, Kim, Liu, Rossignac 2008
    The limiter keeps u' between the smallest and the largest value around the foot of the path. S(-dt) is advected by v, which gives second order in
    space and time; by u it would be first order in time. Where one of the two paths ends on a side, u' = v, for the way back starts from inflow.

    Args:
        u, faces, dt: see `semi_lagrangian`.
        limiter:      False allows new extrema.
    Returns: components of the same shapes, as in `semi_lagrangian` [m/s].
    Raises:  ValueError for a dt that is not positive and finite.
    """
    _check("mac_cormack", dt, 2)
    nodes = _nodes(u, faces)
    way = _paths(u, nodes, faces, dt, 2)
    foot = _stopped(way, faces)
    cell, parts = _cells(foot, nodes, faces)
    forward = _values(nodes, cell, parts)

    advected = list(forward.unbind(1))
    nodes_back = _nodes(advected, faces)
    way_back = _paths(advected, nodes_back, faces, -dt, 2)
    foot_back = _stopped(way_back, faces)
    back = _values(nodes_back, *_cells(foot_back, nodes_back, faces))

    new = forward + 0.5 * (torch.stack(list(u), 1) - back)
    if limiter:
        least, greatest = (values.gather(2, cell.flatten(2)).reshape(cell.shape) for values in _extremes(nodes, faces))
        new = new.clamp(least, greatest)
    ended = [far != near for far, near in zip(way + way_back, foot + foot_back) if far is not near]
    if ended:
        new = torch.where(reduce(torch.logical_or, ended), forward, new)
    return list(new.unbind(1))


def _check(name: str, dt: float, order: int) -> None:
    if not (dt > 0 and math.isfinite(dt)):
        raise ValueError(f"{name}: dt must be positive and finite, got {dt}")
    if order not in (1, 2):
        raise ValueError(f"{name}: order of the path must be 1 or 2, got {order!r}")


# Values along the paths ---------------------------------------------------------------------------------------------------------------------


def _nodes(u: Components, faces: Faces) -> Tensor:
    """Return all components with a ghost value at every end, (B, D, *(n + 2)); node k is at k h along the own axis, at (k - 1/2) h along others."""
    wide = replace(faces, known={side: tuple(_framed(v, faces, side[0]) for v in values) for side, values in faces.known.items()})
    out = []
    for d, component in enumerate(u):
        for axis in range(faces.grid.ndim):
            component = wide.padded(component, d, axis, 1)
        out.append(component)
    return torch.stack(out, 1)


def _framed(value: Tensor, faces: Faces, axis: int) -> Tensor:
    """Extend a side's values at both ends of the axes that are padded before its own, by periodic or nearest values."""
    for before in range(axis):
        dim = faces.dim(before)
        n = value.shape[dim]
        ends = (n - 1, 0) if faces.periodic(before) else (0, n - 1)
        value = torch.cat([value.narrow(dim, ends[0], 1), value, value.narrow(dim, ends[1], 1)], dim)
    return value


def _extremes(nodes: Tensor, faces: Faces) -> tuple[Tensor, Tensor]:
    """Return the smallest and the largest corner of every cell of nodes, by the index of its lowest corner, (B, D, .); ghosts are boundary values."""
    values = list(nodes.unbind(1))
    for axis, n in enumerate(faces.grid.shape):
        if not faces.periodic(axis):
            dim = faces.dim(axis)
            for d, v in enumerate(values):
                below, above = v.narrow(dim, 0, 2), v.narrow(dim, n, 2)
                # Along its own axis a component has nodes on the sides, 0 and n; along others a side lies half way between the last two nodes.
                ends = (p.narrow(dim, 0, 1) if d == axis else p.mean(dim, keepdim=True) for p in (below, above))
                values[d] = torch.cat([next(ends), v.narrow(dim, 1, n), next(ends)], dim)
    least = greatest = torch.stack(values, 1).flatten(2)
    for stride in _strides(nodes):  # no cell begins at the end of a line, so entries that mix two lines are never used
        count = least.shape[2] - stride
        least = torch.minimum(least.narrow(2, 0, count), least.narrow(2, stride, count))
        greatest = torch.maximum(greatest.narrow(2, 0, count), greatest.narrow(2, stride, count))
    return least, greatest


def _strides(nodes: Tensor) -> list[int]:
    """Return the distance of neighbours along every axis in the flattened nodes of one component."""
    return [math.prod(nodes.shape[axis + 3 :]) for axis in range(nodes.ndim - 2)]


# Paths ---------------------------------------------------------------------------------------------------------------------------------------------


def _paths(u: Components, nodes: Tensor, faces: Faces, dt: float, order: int) -> list[Tensor]:
    """Return the displacement from every point to the foot of its path, per axis, (B, D, *grid) in cells."""
    ndim = faces.grid.ndim
    rates = [-dt / h for h in faces.grid.spacing]
    around = [faces.at_points(u, d) for d in range(ndim)]
    way = [rate * torch.stack([own[axis] for own in around], 1) for axis, rate in enumerate(rates)]
    if order == 1:
        return way
    half = _stopped([0.5 * own for own in way], faces)
    # Points of components d and c with the same index differ by half a cell along the axes d and c.
    shifted = [own.unsqueeze(1) + shift for own, shift in zip(half, _shifts(ndim, nodes.dtype, nodes.device))]
    middle = _values(nodes, *_cells(shifted, nodes, faces))
    return [rate * velocity for rate, velocity in zip(rates, middle.unbind(1))]


@lru_cache(maxsize=16)
def _shifts(ndim: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, ...]:
    """Return per axis the displacement (D, D, *1) from the point of component d (first index) to that of component c, in cells."""
    with ordinary_tensors():
        own = 0.5 * torch.eye(ndim, dtype=dtype, device=device)
        return tuple((shift - shift.unsqueeze(1)).reshape(ndim, ndim, *[1] * ndim) for shift in own)


def _stopped(way: list[Tensor], faces: Faces) -> list[Tensor]:
    """Clip displacements at the sides."""
    out = []
    for axis, (own, n) in enumerate(zip(way, faces.grid.shape)):
        if not faces.periodic(axis):
            offset = [1.0 if d == axis else 0.5 for d in range(len(way))]
            low = -_count(own, faces, axis) - torch.tensor(offset, dtype=own.dtype, device=own.device).reshape(-1, *[1] * len(way))
            own = own.clamp(low, low + n)
        out.append(own)
    return out


def _cells(way: list[Tensor], nodes: Tensor, faces: Faces) -> tuple[Tensor, list[Tensor]]:
    """Return the cell of nodes in which every displacement ends, by the index of its lowest corner, and the position in it per axis, 0 to 1."""
    cell: Tensor | None = None
    parts = []
    for axis, (own, n, stride) in enumerate(zip(way, faces.grid.shape, _strides(nodes))):
        whole = own.detach().floor()
        parts.append(own - whole)  # before the index is added, which would cost digits
        node = whole + (_count(own, faces, axis) + 1)
        if faces.periodic(axis):
            node = node - n * torch.floor(node / n)
        number = node.long().clamp_(0, n).mul_(stride)  # a path to NaN gets a cell too; its position in it is NaN
        cell = number if cell is None else cell.add_(number)
    assert cell is not None
    return cell, parts


def _count(like: Tensor, faces: Faces, axis: int) -> Tensor:
    """Return 0 .. n - 1 along `axis`."""
    ndim = faces.grid.ndim
    return torch.arange(faces.grid.shape[axis], dtype=like.dtype, device=like.device).reshape(-1, *[1] * (ndim - 1 - axis))


def _values(nodes: Tensor, cell: Tensor, parts: list[Tensor]) -> Tensor:
    """Interpolate multilinearly between the corners of cells; shape of `cell`."""
    values = nodes.flatten(2)
    corners = [sum(ends) for ends in product(*((0, stride) for stride in _strides(nodes)))]
    around = [values.gather(2, (cell + corner).flatten(2)).reshape(cell.shape) for corner in corners]
    for part in reversed(parts):
        around = [torch.lerp(low, high, part) for low, high in zip(around[::2], around[1::2])]
    return around[0]
