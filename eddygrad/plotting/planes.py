"""Pictures and animations of two-dimensional flows."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from matplotlib.animation import FFMpegWriter, FuncAnimation, PillowWriter
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Circle, Patch, PathPatch, Polygon
from matplotlib.path import Path as Curve
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from eddygrad.datasets.geometry import FlowGeometry
from eddygrad.plotting.style import INK, styled
from eddygrad.runtime.files import write_atomically
from eddygrad.solver.grid import Grid
from eddygrad.solver.vector_calculus import vorticity
from eddygrad.studies.unrolling.results.run import TASKS, Run

ANIMATIONS = (".gif", ".mp4")
Outline = Mapping[str, Any]  # of a body: {"centre", "radius"} or {"corners"}
_INCHES = 2.1  # side of a panel
_LONG = 0.6  # of its length a box is high at most that counts as long
_WIDTH, _WIDE = 9.0, 6.0  # inches: of all panels of a long box side by side, and of one at most
_SOLID = "#c9ced4"
_FOLDED = 0.3  # of its length a long box is high at least for two times a row
_BAR = 0.15  # inches: width of a colour bar
_STREAMLINES = 12
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
    """Fields of a plane flow: a row per channel, a column per time, x to the right and y upwards.

    Of a long box a row per time instead, or two times a row where there is one channel.

    Args:    frames: (T, C, nx, ny). names: of the channels, with units if they have some. times: of the frames. lengths: of the box's sides.
             scales: value of the darkest colour per channel; default, what 99.5 % of the sizes stay below.
             bodies: at each time, drawn in their shape, {"centre": (x, y), "radius": r} or {"corners": [(x, y), ...]}; see `FlowGeometry`.
             stream: stream function at the corners of the cells, (T, nx + 1, ny + 1), for streamlines. smooth: no edges between cells.
    Returns: the figure; every channel has its own colour scale, symmetric about zero where the field has both signs.
    Raises:  ValueError if the frames are not (times, names, nx, ny).
    """
    values = _checked(frames, names, times)
    figure, _ = _panels(values, names, [f"t = {t:.6g}" for t in times], lengths, title, scales or _scales(values), _Around.of(bodies, stream, smooth))
    return figure


def compared(run: Run, data: xr.Dataset) -> Figure:
    """Reference, solver alone and model, the rows, at the kept times but the first, the columns; one test set of each kind.

    Of a velocity the vorticity is drawn, else the first channel; around bodies, and with what the sides say, where the data tell of them.

    Args: data: variables `reference`, `prediction` and, if there, `uncorrected`, (set, time, channel, x, y); attributes `box` and, if there, `scene`.
    """
    titles = {"reference": "reference", "uncorrected": "uncorrected", "prediction": f"{TASKS.get(run.task or '', 'prediction')}, {run.modality}"}
    grid = Grid(data["reference"].shape[-2:], tuple(np.atleast_1d(data.attrs["box"])))
    channels, kinds = [str(name) for name in data["channel"].values], [s.kind for s in run.test.sets]
    flow = channels[:2] == ["velocity_x", "velocity_y"]
    told = json.loads(data.attrs["scene"]) if "scene" in data.attrs else None

    def shown(values: NDArray[np.float64], params: Mapping[str, float]) -> NDArray[np.float64]:
        if not flow:
            return values[:, 0]
        u = torch.from_numpy(values[:, :2]).double()
        scene = FlowGeometry.from_json(told, grid, {name: torch.tensor(value).reshape(1, 1, 1, 1) for name, value in params.items()})
        return (vorticity(u, grid)[:, 0] if scene is None else scene.vorticity(u)).numpy()

    rows, names, scales = [], [], []
    for i in (kinds.index(kind) for kind in dict.fromkeys(kinds)):
        fields = {n: shown(data[n].values[i, 1:], run.test.sets[i].params) for n in titles if n in data}
        rows += list(fields.values())
        names += [f"{run.test.sets[i].name}, {titles[n]}" for n in fields]
        scales += [max(float(np.quantile(abs(fields["reference"]), _QUANTILE)), 1e-12)] * len(fields)
    times, title = data["time"].values[1:].round(6).tolist(), "vorticity" if flow else channels[0]
    return planes(np.stack(rows, 1), names, times, grid.lengths, title, scales, () if told is None else [told["bodies"]] * len(times))


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
    """The same fields as a film, a panel per channel: .gif, or .mp4 where the program ffmpeg is installed. Written whole or not at all.

    Raises: ValueError for another kind of file, no ffmpeg, or frames that are not (times, names, nx, ny).
    """
    values = _checked(frames, names, times)
    check_animation(path)
    swapped = values[:1].swapaxes(0, 1)  # channels as if they were times
    around = _Around.of(bodies, stream, smooth)
    figure, images = _panels(swapped, [""], list(names), lengths, title, [], _Around((), None, smooth))
    for image, scale, field in zip(images, scales or _scales(values), values.swapaxes(0, 1)):
        _colours(image, field, scale)
    drawn: list[Artist] = []
    clock = figure.supxlabel("", fontsize=9)

    def draw(k: int) -> list[AxesImage]:
        for image, field in zip(images, values[k]):
            image.set_data(field.T)
        while drawn:
            drawn.pop().remove()
        drawn.extend(artist for image in images for artist in around.drawn(image.axes, lengths, k))
        clock.set_text(f"t = {times[k]:.4g}")
        return images

    film = FuncAnimation(figure, draw, frames=len(values), blit=False)
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / path.name
        film.save(made, writer=PillowWriter(fps=fps) if path.suffix == ".gif" else FFMpegWriter(fps=fps), dpi=110)
        write_atomically(path, made.read_bytes())


@dataclass(frozen=True)
class _Around:
    """What is drawn with the fields: bodies at each time, and streamlines at levels that are the same at all times."""

    bodies: Sequence[Sequence[Outline]]
    stream: NDArray[np.float64] | None
    smooth: bool

    @staticmethod
    def of(bodies: Sequence[Sequence[Outline]], stream: ArrayLike | None, smooth: bool) -> _Around:
        return _Around(bodies, None if stream is None else np.asarray(stream, dtype=np.float64), smooth)

    @cached_property
    def levels(self) -> NDArray[np.float64]:
        """Zero, and even ones on both of its sides: fewer, but some, on that where less flows round. Even ones where no side starts at zero."""
        assert self.stream is not None
        low, high = min(self.stream.min(), 0.0), max(self.stream.max(), 0.0)
        most = max(high, -low, 1e-300)
        if all(np.ptp(edge, axis=1).max() > 1e-6 * most for edge in (self.stream[:, :, 0], self.stream[:, 0, :])):
            return np.linspace(low, high, _STREAMLINES + 2)[1:-1]
        parts = [
            np.linspace(0, end, (_STREAMLINES if abs(end) == most else _STREAMLINES // 3) + 2)[1:-1] for end in (low, high) if abs(end) > 1e-3 * most
        ]
        return np.unique(np.concatenate([[0.0], *parts]))

    def drawn(self, axes: Axes, lengths: Sequence[float], k: int) -> list[Artist]:
        """Bodies and streamlines at the k-th time."""
        return [*self._shapes(axes, lengths, k), *self._lines(axes, lengths, k)]

    def _shapes(self, axes: Axes, lengths: Sequence[float], k: int) -> list[Artist]:
        """Bodies at the k-th time."""
        look: Any = {"facecolor": _SOLID, "edgecolor": INK, "linewidth": 0.8, "zorder": 3}
        found = self.bodies[k] if self.bodies else ()
        return [axes.add_patch(_solid(body, lengths, look)) for body in found]

    def _lines(self, axes: Axes, lengths: Sequence[float], k: int) -> list[Artist]:
        """Streamlines at the k-th time."""
        if self.stream is None:
            return []
        psi = self.stream[k]
        x, y = (np.linspace(0, length, n) for length, n in zip(lengths, psi.shape))
        return [axes.contour(x, y, psi.T, levels=self.levels, colors=INK, linewidths=0.5, alpha=0.55, linestyles="solid", zorder=2)]


def _solid(body: Outline, lengths: Sequence[float], look: Mapping[str, Any]) -> Patch:
    """What a body fills; of a hollow one what is around its outline."""
    if not body.get("hollow"):
        return Circle(body["centre"], body["radius"], **look) if "radius" in body else Polygon(body["corners"], closed=True, **look)
    within = Curve.circle(body["centre"], body["radius"]) if "radius" in body else Curve([*body["corners"], body["corners"][0]], closed=True)
    (a, b), m = lengths, max(lengths)  # clockwise, the outline being anticlockwise: what lies within both winds to zero
    around = Curve([(-m, -m), (-m, b + m), (a + m, b + m), (a + m, -m), (-m, -m)], closed=True)
    return PathPatch(Curve.make_compound_path(around, within), **look)


def check_animation(path: Path) -> None:
    """Raise ValueError for a kind of film that cannot be made here."""
    if path.suffix not in ANIMATIONS:
        raise ValueError(f"animation: expected a name that ends in one of {', '.join(ANIMATIONS)}, got {path}")
    if path.suffix == ".mp4" and not FFMpegWriter.isAvailable():
        raise ValueError(f"animation: {path} needs the program ffmpeg, which is not on the PATH; install it, or write a .gif")


def _panels(
    values: NDArray[np.float64],
    rows: Sequence[str],
    columns: Sequence[str],
    lengths: Sequence[float],
    title: str,
    scales: Sequence[float],
    around: _Around,
) -> tuple[Figure, list[AxesImage]]:
    """Panels (columns, rows, nx, ny), a colour bar for each of `rows`; where the box is long they stand the other way round."""
    aspect, long = lengths[1] / lengths[0], lengths[1] <= _LONG * lengths[0]
    folded = long and len(rows) == 1 and len(columns) > 2 and aspect > _FOLDED
    across = 2 if folded else len(rows) if long else len(columns)
    down = -(-len(columns) // 2) if folded else len(columns) if long else len(rows)
    width = min(_WIDTH / across, _WIDE) if long else _INCHES
    height = width * aspect + (0.42 if long else 0.2)
    below = 0.6 if long and scales and len(rows) > 1 else 0.0  # bars under the panels, beside them otherwise
    beside = 0.6 + (0.0 if below else 0.75 * bool(scales))
    figure = Figure(figsize=(beside + width * across, 0.75 + below + height * down), layout=ConstrainedLayoutEngine(w_pad=0.05, h_pad=0.05))
    grid = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True)
    panels = [list(grid.flat)] if folded else [list(line) for line in (grid.T if long else grid)]
    images = []
    for i, line in enumerate(panels):
        for j, axes in enumerate(line[: len(columns)]):
            image = _image(axes, values[j, i], lengths, around.smooth)
            if scales:
                _colours(image, values[:, i], scales[i])
            around.drawn(axes, lengths, j)
            images.append(image)
            if i == 0:
                axes.set_title(columns[j])
        for axes in line[len(columns) :]:
            axes.set_visible(False)
        if scales:
            reach = width if below else height * down if long else height
            where = {"location": "bottom", "fraction": 0.2 / height, "shrink": 0.8} if below else {"fraction": 0.3 / (width * across)}
            label = rows[i].replace(", ", "\n", 1) if below else rows[i]  # a panel below which it stands may be narrow
            bar = figure.colorbar(images[-1], ax=line, label=label, extend="both", extendfrac=0.04, pad=0.02, aspect=reach / _BAR, **where)
            bar.outline.set_visible(False)
    for axes in grid[:, 0]:
        axes.set_ylabel("y")
        axes.yaxis.set_major_locator(MaxNLocator(max(1, min(5, int(width * aspect / 0.3))), steps=[1, 2, 5, 10]))
    for j, axes in enumerate(grid[-1]):
        axes = axes if axes.get_visible() else grid[-2, j]
        axes.set_xlabel("x")
        axes.xaxis.set_major_locator(MaxNLocator(max(2, min(6, int(width / 0.7))), steps=[1, 2, 5, 10]))
        axes.tick_params(labelbottom=True)
    if title:
        figure.suptitle(title, fontsize=9.5, fontweight="bold")
    return figure, images


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
    return [max(float(np.quantile(abs(field), _QUANTILE)), 1e-12) for field in values.swapaxes(0, 1)]


def _checked(frames: ArrayLike, names: Sequence[str], times: Sequence[float]) -> NDArray[np.float64]:
    values = np.asarray(frames, dtype=np.float64)
    if values.ndim != 4 or values.shape[:2] != (len(times), len(names)):
        raise ValueError(f"planes: expected frames ({len(times)} times, {len(names)} channels, nx, ny), got {values.shape}")
    return values
