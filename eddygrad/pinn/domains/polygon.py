"""Polygons, also with holes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from eddygrad.pinn.domains.region import Region

_BLOCK = 256  # edges tested for crossings at once


@dataclass(frozen=True)
class PolygonDomain(Region):
    """Polygon in the plane, given by its corners in order.

    A hole is joined to the outline by a slit: an edge that is passed in both directions, which is not part of the rim.

    Args:   corners: (x, y) of each corner; the outline closes by itself.
    Raises: ValueError for fewer than three corners, no enclosed area, or an outline that crosses itself.
    """

    corners: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        if len(self.corners) < 3 or any(isinstance(corner, int | float) or len(corner) != 2 for corner in self.corners):
            raise ValueError(f"pinn.PolygonDomain: expected at least three corners (x, y), got {self.corners!r}")
        object.__setattr__(self, "corners", tuple(tuple(c if type(c) is int else float(c) for c in corner) for corner in self.corners))
        if not all(math.isfinite(c) for corner in self.corners for c in corner):
            raise ValueError(f"pinn.PolygonDomain: expected finite corners (x, y), got {self.corners!r}")
        start, end = self._edges
        area = 0.5 * abs(float((start[:, 0] * end[:, 1] - end[:, 0] * start[:, 1]).sum()))
        size = float((start.amax(0) - start.amin(0)).prod())
        if area <= 1e-12 * size or size == 0:
            raise ValueError("pinn.PolygonDomain: the corners enclose no area")
        pair = _crossing(start, end)
        if pair is not None:
            raise ValueError(f"pinn.PolygonDomain: the outline crosses itself: the edges from corners {pair[0]} and {pair[1]} intersect")

    @property
    def _edges(self) -> tuple[Tensor, Tensor]:
        """First and last points of the edges, (corners, 2) each."""
        corners = torch.tensor(self.corners, dtype=torch.float64)
        return corners, corners.roll(-1, 0)

    @property
    def bounds(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        xs, ys = zip(*self.corners)
        return (min(xs), min(ys)), (max(xs), max(ys))

    def inside(self, x: Tensor) -> Tensor:
        """Return the mask of points from which a ray to the right crosses the outline an odd number of times."""
        corners = torch.tensor(self.corners, dtype=x.dtype)
        (x1, y1), (x2, y2) = corners.unbind(1), corners.roll(-1, 0).unbind(1)
        px, py = x[..., :1], x[..., 1:]
        straddles = (y1 > py) != (y2 > py)
        at = x1 + (py - y1) * (x2 - x1) / torch.where(y1 == y2, 1.0, y2 - y1)
        return (straddles & (px < at)).sum(-1) % 2 == 1

    def rim(self, count: int, seed: int = 0) -> Tensor:
        corners, last = self._edges
        directed = {(tuple(a), tuple(b)) for a, b in zip(corners.tolist(), last.tolist())}
        is_rim = torch.tensor([(tuple(b), tuple(a)) not in directed for a, b in zip(corners.tolist(), last.tolist())])  # a slit is passed both ways
        corners, last = corners[is_rim], last[is_rim]
        edges = last - corners
        ends = torch.linalg.vector_norm(edges, dim=1).cumsum(0)
        place = (torch.arange(count, dtype=torch.float64) + 0.5) / count * ends[-1]
        edge = torch.searchsorted(ends, place).clamp(max=len(corners) - 1)
        lengths = torch.linalg.vector_norm(edges, dim=1)
        share = 1 - (ends[edge] - place) / lengths[edge]
        return corners[edge] + share.unsqueeze(1) * edges[edge]


def _crossing(start: Tensor, end: Tensor) -> tuple[int, int] | None:
    """Return the numbers of two edges that cross, or None: the ends of each lie on different sides of the other."""

    def side(first: Tensor, last: Tensor, point: Tensor) -> Tensor:
        a, b = (last - first)[:, None], point[None] - first[:, None]
        return (a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]).sign()

    for begin in range(0, len(start), _BLOCK):
        some = slice(begin, begin + _BLOCK)
        others_separated = side(start[some], end[some], start) * side(start[some], end[some], end) < 0
        some_separated = side(start, end, start[some]) * side(start, end, end[some]) < 0
        crossings = (others_separated & some_separated.T).nonzero()
        if len(crossings):
            return begin + int(crossings[0, 0]), int(crossings[0, 1])
    return None
