"""Space-time plots of one-dimensional trajectories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import ArrayLike, NDArray

from eddygrad.plotting.style import MUTED, styled

ERROR = "error"  # fields whose name starts with it are shown as absolute values, on a scale of their own
_MARGIN = 0.12  # inches


@styled
def space_time(
    fields: ArrayLike | Mapping[str, ArrayLike],
    dt: float = 1.0,
    length: float | None = None,
    title: str = "",
    quantity: str = "u",
    time_unit: str = "",
    length_unit: str = "",
) -> Figure:
    """Draw one-dimensional trajectories: time to the right, space upwards, colour for the value; several fields next to each other on one scale.

    Args:
        fields:   one trajectory (T, N), or several by title; titles that start with "error" are shown as absolute values on a scale of their own.
        dt:       time between frames, in `time_unit`.
        length:   of the periodic domain, in `length_unit`; None counts grid points.
        title:    of the figure. quantity: label of the colour bar, with its unit.
    Returns: the figure; grey marks values that are not finite, arrows at the colour bar values beyond the scale of the first field.
    Raises:  ValueError for a field that is not (T, N).
    """
    named = fields if isinstance(fields, Mapping) else {"": fields}
    return space_time_rows([({k: _field(k, v) for k, v in named.items()}, length, title)], dt, quantity, time_unit, length_unit)


Row = tuple[Mapping[str, NDArray[np.float64]], float | None, str]  # fields (T, N) by title, length of the domain, title of the row


@styled
def space_time_rows(rows: Sequence[Row], dt: float, quantity: str = "u", time_unit: str = "", length_unit: str = "") -> Figure:
    """Draw several rows of one-dimensional trajectories on one colour scale, the fields of each next to each other.

    Args: rows: (fields by title, length of the domain, title). Others: see `space_time`.
    """
    columns = max(len(named) for named, _, _ in rows)
    size = (9.0 if columns > 1 else 6.5, 0.9 + (1.7 if columns > 1 else 2.6) * len(rows))
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(w_pad=_MARGIN, h_pad=_MARGIN))
    grid = figure.subplots(len(rows), columns, squeeze=False, sharex=True, sharey="row")
    scale = _size([next(iter(named.values())) for named, _, _ in rows])
    wrong = _size([v for named, _, _ in rows for k, v in named.items() if k.startswith(ERROR)], limit=2 * scale)
    value, error = None, None
    for number, (line, (named, length, title)) in enumerate(zip(grid, rows, strict=True)):
        for axes, (name, field) in zip(line, named.items(), strict=False):
            if name.startswith(ERROR):
                error = _heat(axes, abs(field), dt, length, "inferno", Normalize(0, wrong))
            else:
                value = _heat(axes, field, dt, length, "RdBu_r", Normalize(-scale, scale))
            if number == 0:
                axes.set_title(name if len(named) > 1 else title)
        unit = f" [{length_unit}]" if length_unit else "" if length else " [points]"
        line[0].set_ylabel((f"{title}\n" if title and columns > 1 else "") + "x" + unit)
    for axes in grid[-1]:
        if all(field.shape[0] == 1 for named, _, _ in rows for field in named.values()):
            axes.set_xticks([0.0])
        axes.set_xlabel(f"time [{time_unit}]" if time_unit else "time")
    signed = [axes for line in grid for axes, name in zip(line, rows[0][0], strict=False) if not name.startswith(ERROR)]
    _bar(figure, value, signed, quantity, "both", aspect=16.0 * columns)
    _bar(figure, error, list(grid[:, -1]), f"|error of {quantity}|", "max", aspect=20.0)
    return figure


def _bar(figure: Figure, image: AxesImage | None, axes: list[Axes], label: str, extend: Literal["both", "max"], aspect: float) -> None:
    if image is not None:
        bar = figure.colorbar(image, ax=axes, location="bottom", extend=extend, label=label, aspect=aspect, pad=0.02, shrink=0.9)
        bar.outline.set_visible(False)


def _heat(axes: Axes, field: NDArray[np.float64], dt: float, length: float | None, colours: str, norm: Normalize) -> AxesImage:
    height = length if length is not None else float(field.shape[1])
    shades = colormaps[colours].with_extremes(bad=MUTED)
    axes.grid(False)
    extent = (-0.5 * dt, (field.shape[0] - 0.5) * dt, 0.0, height)
    return axes.imshow(field.T, aspect="auto", origin="lower", cmap=shades, norm=norm, extent=extent, interpolation="nearest")


def _size(arrays: Sequence[NDArray[np.float64]], limit: float = np.inf) -> float:
    """Return a colour limit that a few extreme values do not move: the 99.5 % quantile of the sizes, twice that of a constant, at most `limit`."""
    values = np.concatenate([a[np.isfinite(a)] for a in arrays]) if arrays else np.ones(1)
    if not values.any():
        return 1.0
    room = 2.0 if np.ptp(values) <= 1e-12 * abs(values).max() else 1.0
    return float(min(max(room * np.quantile(abs(values), 0.995), 1e-12), limit))


def _field(name: str, value: ArrayLike) -> NDArray[np.float64]:
    field = np.asarray(value, dtype=np.float64)
    if field.ndim != 2:
        raise ValueError(
            f"space_time: {name or 'the field'}: expected one trajectory (time, x), got shape {field.shape}; pick a sample and a channel"
        )
    return field
