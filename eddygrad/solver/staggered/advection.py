"""Finite-volume advection of face velocities: fluxes through the faces of every velocity's own cell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

from eddygrad.solver.staggered.faces import Components, Faces

Advection = Literal["central", "upwind1", "upwind3", "van-leer"]
Carriers = Sequence[Sequence[Tensor]]


def carriers(u: Components, faces: Faces) -> Carriers:
    """Return the velocities that advect every component along every axis, see `Faces.carrier`."""
    return [[faces.carrier(u, d, axis) for axis in range(faces.grid.ndim)] for d in range(len(u))]


def advection(u: Components, faces: Faces, scheme: Advection = "central", by: Carriers | None = None) -> list[Tensor]:
    """Return -(U . grad) u, as minus the divergence of fluxes U u_f through the faces of each velocity's cell.

        central:  u_f = (u_C + u_R) / 2, and + u_d div(U) / 2: skew-symmetric, so <u, N(u)> = 0 whatever the divergence      Verstappen, Veldman 2003
        upwind1:  u_f = u_C                                                                          first order, C upstream of the face
        upwind3:  u_f = (2 u_R + 5 u_C - u_L) / 6                                                    third order for a smooth carrier
        van-leer: u_f = u_C + phi(r) (u_R - u_C) / 2,  r = (u_C - u_L) / (u_R - u_C),  phi = (r + |r|) / (1 + |r|)         van Leer 1974; TVD
    The points in flow direction are L, C, face, R. Second order in space on the staggered grid, `upwind1` first order.

    Args:
        u:      components (B, *grid) [m/s].
        faces:  operators.
        scheme: "central", "upwind1", "upwind3" or "van-leer".
        by:     velocities U that advect them, see `carriers`; None takes u. With given velocities the result is linear in u, except for van-leer.
    Returns: accelerations of the same shapes [m/s^2].
    Raises:  ValueError for an unknown scheme.
    """
    if scheme not in WIDTH:
        raise ValueError(f"advection: expected one of {', '.join(WIDTH)}, got {scheme!r}")
    by = carriers(u, faces) if by is None else by
    out = []
    for d, component in enumerate(u):
        total: Tensor | None = None
        for axis, h in enumerate(faces.grid.spacing):
            dim, carrier = faces.dim(axis), by[d][axis]
            padded = faces.padded(component, d, axis, WIDTH[scheme])
            if scheme == "central":
                n = component.shape[dim]
                over, under = carrier.narrow(dim, 1, n) * padded.narrow(dim, 2, n), carrier.narrow(dim, 0, n) * padded.narrow(dim, 0, n)
                change = (under - over) / (2 * h)
            else:
                change = torch.diff(carrier * _UPWIND[scheme](padded, carrier, dim), dim=dim) / -h
            total = change if total is None else total + change
        assert total is not None
        out.append(total)
    return out


def _points(padded: Tensor, dim: int, width: int) -> list[Tensor]:
    """Return the 2 `width` values around every face, in ascending order."""
    count = padded.shape[dim] - 2 * width + 1
    return [padded.narrow(dim, j, count) for j in range(2 * width)]


def _upwind1(padded: Tensor, carrier: Tensor, dim: int) -> Tensor:
    below, above = _points(padded, dim, 1)
    return torch.where(carrier > 0, below, above)


def _upwind3(padded: Tensor, carrier: Tensor, dim: int) -> Tensor:
    a, b, c, d = _points(padded, dim, 2)
    return torch.where(carrier > 0, 2 * c + 5 * b - a, 2 * b + 5 * c - d) / 6


def _van_leer(padded: Tensor, carrier: Tensor, dim: int) -> Tensor:
    a, b, c, d = _points(padded, dim, 2)
    middle = c - b
    up = carrier > 0
    back, centre = torch.where(up, b - a, c - d), torch.where(up, b, c)
    ahead = torch.where(up, middle, -middle)
    product = back * ahead
    # phi(r) (u_R - u_C) / 2 = back ahead / (back + ahead) if both have the same sign, else 0
    together = torch.where(product > 0, back + ahead, 1)
    return centre + torch.where(product > 0, product, 0) / together


_UPWIND: dict[str, Callable[[Tensor, Tensor, int], Tensor]] = {"upwind1": _upwind1, "upwind3": _upwind3, "van-leer": _van_leer}
WIDTH = {"central": 1, "upwind1": 1, "upwind3": 2, "van-leer": 2}
