"""What is drawn over the fields of a plane flow: bodies and streamlines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.patches import Circle, Patch, PathPatch, Polygon
from matplotlib.path import Path as Curve
from numpy.typing import ArrayLike, NDArray

from eddygrad.plotting.style import INK

Outline = Mapping[str, Any]  # of a body: {"centre", "radius"} or {"corners"}, and "hollow" if the fluid is inside
_SOLID = "#c9ced4"
_STREAMLINES = 12


@dataclass(frozen=True)
class Overlay:
    """Bodies at each time, and streamlines at levels that are the same at all times.

    Args:
        bodies: outlines at each time; () draws none.
        stream: stream function at the corners of the cells (T, nx + 1, ny + 1); None draws no streamlines.
    """

    bodies: Sequence[Sequence[Outline]] = ()
    stream: NDArray[np.float64] | None = None

    @staticmethod
    def of(bodies: Sequence[Sequence[Outline]], stream: ArrayLike | None) -> Overlay:
        """Return the overlay of these outlines and this stream function."""
        return Overlay(bodies, None if stream is None else np.asarray(stream, dtype=np.float64))

    @cached_property
    def levels(self) -> NDArray[np.float64]:
        """Values of the stream function at which streamlines are drawn: zero, and evenly spaced levels on both sides of it.

        The side on which less fluid circulates gets fewer levels. If the stream function is zero on no side of the box, the levels are evenly spaced
        between its extremes.
        """
        assert self.stream is not None
        low, high = min(self.stream.min(), 0.0), max(self.stream.max(), 0.0)
        most = max(high, -low, 1e-300)
        if all(np.ptp(edge, axis=1).max() > 1e-6 * most for edge in (self.stream[:, :, 0], self.stream[:, 0, :])):
            return np.linspace(low, high, _STREAMLINES + 2)[1:-1]
        parts = [
            np.linspace(0, end, (_STREAMLINES if abs(end) == most else _STREAMLINES // 3) + 2)[1:-1] for end in (low, high) if abs(end) > 1e-3 * most
        ]
        return np.unique(np.concatenate([[0.0], *parts]))

    def draw(self, axes: Axes, lengths: Sequence[float], k: int) -> list[Artist]:
        """Draw bodies and streamlines at the k-th time and return them.

        Args: axes: to draw on. lengths: of the box's sides. k: index of the time.
        """
        return [*self._draw_bodies(axes, lengths, k), *self._draw_streamlines(axes, lengths, k)]

    def _draw_bodies(self, axes: Axes, lengths: Sequence[float], k: int) -> list[Artist]:
        style: Any = {"facecolor": _SOLID, "edgecolor": INK, "linewidth": 0.8, "zorder": 3}
        bodies = self.bodies[k] if self.bodies else ()
        return [axes.add_patch(_patch(body, lengths, style)) for body in bodies]

    def _draw_streamlines(self, axes: Axes, lengths: Sequence[float], k: int) -> list[Artist]:
        if self.stream is None:
            return []
        psi = self.stream[k]
        x, y = (np.linspace(0, length, n) for length, n in zip(lengths, psi.shape))
        return [axes.contour(x, y, psi.T, levels=self.levels, colors=INK, linewidths=0.5, alpha=0.55, linestyles="solid", zorder=2)]


def _patch(body: Outline, lengths: Sequence[float], style: Mapping[str, Any]) -> Patch:
    """Return the area that a body fills: inside its outline, or outside of it if the body is hollow."""
    if not body.get("hollow"):
        return Circle(body["centre"], body["radius"], **style) if "radius" in body else Polygon(body["corners"], closed=True, **style)
    inner = Curve.circle(body["centre"], body["radius"]) if "radius" in body else Curve([*body["corners"], body["corners"][0]], closed=True)
    (a, b), m = lengths, max(lengths)  # clockwise, the outline being anticlockwise: the winding number inside both is zero, so it stays empty
    outer = Curve([(-m, -m), (-m, b + m), (a + m, b + m), (a + m, -m), (-m, -m)], closed=True)
    return PathPatch(Curve.make_compound_path(outer, inner), **style)
