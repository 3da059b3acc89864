"""Pictures and animations of two-dimensional flows."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.animation import FFMpegWriter, FuncAnimation, PillowWriter
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from eddygrad.plotting.overlay import Outline, Overlay
from eddygrad.plotting.style import styled
from eddygrad.runtime.files import write_atomically

ANIMATIONS = (".gif", ".mp4")
_INCHES = 2.1  # side of a panel
_LONG = 0.6  # a box is long if its height is at most this part of its length
_WIDTH, _WIDE = 9.0, 6.0  # inches: of all panels of a long box in a row, and of one panel at most
_FOLDED = 0.3  # a long box is drawn two times a row if its height is more than this part of its length
_BAR = 0.15  # inches: width of a colour bar
_QUANTILE = 0.995  # of the sizes: a few extreme values do not set the colours


@styled
def planes(
    frames: ArrayLike,
    names: Sequence[str],
    times: Sequence[float],
    lengths: Sequence[float],
    title: str = "",
    scales: Sequence[float] = (),
    bodies: Sequence[Sequence[Outline]] = (),
    stream: ArrayLike | None = None,
    smooth: bool = False,
) -> Figure:
    """Draw fields of a plane flow: a row per channel, a column per time, x to the right and y upwards.

    A long box has a row per time instead, or two times a row for a single channel.

    Args:    frames: (T, C, nx, ny). names: of the channels, with their units. times: of the frames. lengths: of the box's sides.
             scales: value of the darkest colour per channel; by default the 99.5 % quantile of the sizes.
             bodies: outlines at each time, {"centre": (x, y), "radius": r} or {"corners": [(x, y), ...]}; see `FlowGeometry`.
             stream: stream function at the corners of the cells, (T, nx + 1, ny + 1), for streamlines. smooth: whether colours are interpolated.
    Returns: the figure; every channel has its own colour scale, symmetric about zero if the field has both signs.
    Raises:  ValueError if the frames are not (times, names, nx, ny).
    """
    values = _checked(frames, names, times)
    columns = [f"t = {t:.6g}" for t in times]
    figure, _ = _draw_panels(values, names, columns, lengths, title, scales or _scales(values), Overlay.of(bodies, stream), smooth)
    return figure


@styled
def animate(
    frames: ArrayLike,
    names: Sequence[str],
    times: Sequence[float],
    lengths: Sequence[float],
    path: Path,
    fps: int = 15,
    title: str = "",
    scales: Sequence[float] = (),
    bodies: Sequence[Sequence[Outline]] = (),
    stream: ArrayLike | None = None,
    smooth: bool = False,
) -> None:
    """Write the same fields as a film, a panel per channel, whole or not at all.

    Args:   path: a .gif, or a .mp4 if the program ffmpeg is installed. fps: frames per second. Others: see `planes`.
    Raises: ValueError for another kind of file, without ffmpeg, or for frames that are not (times, names, nx, ny).
    """
    values, overlay = _checked(frames, names, times), Overlay.of(bodies, stream)
    check_animation(path)
    first = values[:1].swapaxes(0, 1)  # channels take the place of times
    figure, images = _draw_panels(first, [""], list(names), lengths, title, [], Overlay(), smooth)
    for image, scale, field in zip(images, scales or _scales(values), values.swapaxes(0, 1)):
        _colours(image, field, scale)
    clock, drawn = figure.supxlabel("", fontsize=9), list[Artist]()

    def draw(k: int) -> list[AxesImage]:
        for image, field in zip(images, values[k]):
            image.set_data(field.T)
        while drawn:
            drawn.pop().remove()
        drawn.extend(artist for image in images for artist in overlay.draw(image.axes, lengths, k))
        clock.set_text(f"t = {times[k]:.4g}")
        return images

    _save(FuncAnimation(figure, draw, frames=len(values), blit=False), path, fps)


def _save(film: FuncAnimation, path: Path, fps: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / path.name
        film.save(whole, writer=PillowWriter(fps=fps) if path.suffix == ".gif" else FFMpegWriter(fps=fps), dpi=110)
        write_atomically(path, whole.read_bytes())


def check_animation(path: Path) -> None:
    """Raise ValueError for a kind of film that cannot be made here."""
    if path.suffix not in ANIMATIONS:
        raise ValueError(f"animation: expected a name that ends in one of {', '.join(ANIMATIONS)}, got {path}")
    if path.suffix == ".mp4" and not FFMpegWriter.isAvailable():
        raise ValueError(f"animation: {path} needs the program ffmpeg, which is not on the PATH; install it, or write a .gif")


def darkest(field: ArrayLike) -> float:
    """Return the default value of the darkest colour: the 99.5 % quantile of the field's sizes, which a few extreme values do not move."""
    return max(float(np.quantile(abs(np.asarray(field)), _QUANTILE)), 1e-12)


@dataclass(frozen=True)
class _Layout:
    """Arrangement of the panels: in a long box times are rows and channels columns; folded, a row holds two times of the only channel.

    Args:
        across, down:  panels in a row, rows. long, folded: see above.
        width, height: of a panel [inches].
        bars_below:    whether colour bars are below the panels, not beside them.
    """

    across: int
    down: int
    long: bool
    folded: bool
    width: float
    height: float
    bars_below: bool

    @staticmethod
    def of(channels: int, times: int, lengths: Sequence[float], bars: bool) -> _Layout:
        aspect, long = lengths[1] / lengths[0], lengths[1] <= _LONG * lengths[0]
        folded = long and channels == 1 and times > 2 and aspect > _FOLDED
        across = 2 if folded else channels if long else times
        down = -(-times // 2) if folded else times if long else channels
        width = min(_WIDTH / across, _WIDE) if long else _INCHES
        return _Layout(across, down, long, folded, width, width * aspect + (0.42 if long else 0.2), long and bars and channels > 1)

    def figure(self, bars: bool) -> Figure:
        below = 0.6 if self.bars_below else 0.0
        beside = 0.6 + (0.0 if below else 0.75 * bars)
        size = (beside + self.width * self.across, 0.75 + below + self.height * self.down)
        return Figure(figsize=size, layout=ConstrainedLayoutEngine(w_pad=0.05, h_pad=0.05))


def _draw_panels(
    values: NDArray[np.float64],
    rows: Sequence[str],
    columns: Sequence[str],
    lengths: Sequence[float],
    title: str,
    scales: Sequence[float],
    overlay: Overlay,
    smooth: bool,
) -> tuple[Figure, list[AxesImage]]:
    """Draw panels (columns, rows, nx, ny), with a colour bar for each of `rows` if there are scales; see `_Layout`."""
    layout = _Layout.of(len(rows), len(columns), lengths, bool(scales))
    figure = layout.figure(bool(scales))
    grid = figure.subplots(layout.down, layout.across, squeeze=False, sharex=True, sharey=True)
    panels = [list(grid.flat)] if layout.folded else [list(line) for line in (grid.T if layout.long else grid)]
    images = []
    for i, line in enumerate(panels):
        for j, axes in enumerate(line[: len(columns)]):
            image = _image(axes, values[j, i], lengths, smooth)
            if scales:
                _colours(image, values[:, i], scales[i])
            overlay.draw(axes, lengths, j)
            images.append(image)
            if i == 0:
                axes.set_title(columns[j])
        for axes in line[len(columns) :]:
            axes.set_visible(False)
        if scales:
            _colour_bar(figure, images[-1], line, rows[i], layout)
    _label_axes(grid, layout.width, lengths[1] / lengths[0])
    if title:
        figure.suptitle(title, fontsize=9.5, fontweight="bold")
    return figure, images


def _colour_bar(figure: Figure, image: AxesImage, panels: Sequence[Axes], name: str, layout: _Layout) -> None:
    below = layout.bars_below
    reach = layout.width if below else layout.height * layout.down if layout.long else layout.height
    where: dict[str, Any] = {"fraction": 0.3 / (layout.width * layout.across)}
    if below:
        where = {"location": "bottom", "fraction": 0.2 / layout.height, "shrink": 0.8}
    label = name.replace(", ", "\n", 1) if below else name  # the panel above the bar may be narrow
    bar = figure.colorbar(image, ax=panels, label=label, extend="both", extendfrac=0.04, pad=0.02, aspect=reach / _BAR, **where)
    bar.outline.set_visible(False)


def _label_axes(grid: NDArray[Any], width: float, aspect: float) -> None:
    for axes in grid[:, 0]:
        axes.set_ylabel("y")
        axes.yaxis.set_major_locator(MaxNLocator(max(1, min(5, int(width * aspect / 0.3))), steps=[1, 2, 5, 10]))
    for j, last in enumerate(grid[-1]):
        axes = last if last.get_visible() else grid[-2, j]
        axes.set_xlabel("x")
        axes.xaxis.set_major_locator(MaxNLocator(max(2, min(6, int(width / 0.7))), steps=[1, 2, 5, 10]))
        axes.tick_params(labelbottom=True)


def _image(axes: Axes, field: NDArray[np.float64], lengths: Sequence[float], smooth: bool) -> AxesImage:
    axes.grid(False)
    extent, between = (0.0, lengths[0], 0.0, lengths[1]), "bicubic" if smooth else "nearest"
    image = axes.imshow(field.T, origin="lower", extent=extent, interpolation=between, aspect="equal")
    axes.set(xlim=(0.0, lengths[0]), ylim=(0.0, lengths[1]))
    return image


def _colours(image: AxesImage, field: NDArray[np.float64], scale: float) -> None:
    signed = np.nanmin(field, initial=0.0) < -0.05 * scale
    image.set_cmap("RdBu_r" if signed else "viridis")
    image.set_clim(-scale if signed else 0.0, scale)


def _scales(values: NDArray[np.float64]) -> list[float]:
    return [darkest(field) for field in values.swapaxes(0, 1)]


def _checked(frames: ArrayLike, names: Sequence[str], times: Sequence[float]) -> NDArray[np.float64]:
    values = np.asarray(frames, dtype=np.float64)
    if values.ndim != 4 or values.shape[:2] != (len(times), len(names)):
        raise ValueError(f"planes: expected frames ({len(times)} times, {len(names)} channels, nx, ny), got {values.shape}")
    return values
