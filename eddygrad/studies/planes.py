"""Pictures and animations of two-dimensional flows."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from matplotlib.animation import FFMpegWriter, FuncAnimation, PillowWriter
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import ArrayLike, NDArray

from eddygrad.solver.grid import Grid
from eddygrad.solver.vector_calculus import vorticity
from eddygrad.studies.look import styled
from eddygrad.studies.runs import TASKS, Run
from eddygrad.training.checkpoint import write_atomically

ANIMATIONS = (".gif", ".mp4")
_INCHES = 2.1  # side of a panel
_QUANTILE = 0.995  # of the sizes: a few extreme values do not set the colours


@styled
def planes(
    frames: ArrayLike, names: Sequence[str], times: Sequence[float], lengths: Sequence[float], title: str = "", scales: Sequence[float] = ()
) -> Figure:
    """Fields of a plane flow: a row per channel, a column per time, x to the right and y upwards.

    Args:    frames: (T, C, nx, ny). names: of the channels, with units if they have some. times: of the frames. lengths: of the box's sides.
             scales: value of the darkest colour per channel; default, what 99.5 % of the sizes stay below.
    Returns: the figure; every row has its own colour scale, symmetric about zero where the field has both signs.
    Raises:  ValueError if the frames are not (times, names, nx, ny).
    """
    values = _checked(frames, names, times)
    figure, _ = _panels(values, names, [f"t = {t:g}" for t in times], lengths, title, scales or _scales(values))
    return figure


def compared(run: Run, data: xr.Dataset) -> Figure:
    """Reference, solver alone and model, the rows, at the kept times but the first, the columns; one test set of each kind.

    Of a velocity the vorticity is drawn, else the first channel.

    Args: data: variables `reference`, `prediction` and, if there, `uncorrected`, (set, time, channel, x, y); `box` among its attributes.
    """
    titles = {"reference": "reference", "uncorrected": "uncorrected", "prediction": f"{TASKS.get(run.task or '', 'prediction')}, {run.modality}"}
    grid = Grid(data["reference"].shape[-2:], tuple(np.atleast_1d(data.attrs["box"])))
    channels, kinds = [str(name) for name in data["channel"].values], [s.kind for s in run.test.sets]
    flow = channels == ["velocity_x", "velocity_y"]

    def shown(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return vorticity(torch.from_numpy(values).double(), grid)[:, 0].numpy() if flow else values[:, 0]

    rows, names, scales = [], [], []
    for i in (kinds.index(kind) for kind in dict.fromkeys(kinds)):
        fields = {n: shown(data[n].values[i, 1:]) for n in titles if n in data}
        rows += list(fields.values())
        names += [f"{run.test.sets[i].name}, {titles[n]}" for n in fields]
        scales += [max(float(np.quantile(abs(fields["reference"]), _QUANTILE)), 1e-12)] * len(fields)
    return planes(np.stack(rows, 1), names, data["time"].values[1:].round(6).tolist(), grid.lengths, "vorticity" if flow else channels[0], scales)


@styled
def animate(
    frames: ArrayLike, names: Sequence[str], times: Sequence[float], lengths: Sequence[float], path: Path, fps: int = 15, title: str = ""
) -> None:
    """The same fields as a film, a panel per channel: .gif, or .mp4 where the program ffmpeg is installed. Written whole or not at all.

    Raises: ValueError for another kind of file, no ffmpeg, or frames that are not (times, names, nx, ny).
    """
    values = _checked(frames, names, times)
    check_animation(path)
    swapped = values[:1].swapaxes(0, 1)  # channels side by side
    figure, images = _panels(swapped, [""], list(names), lengths, title, [])
    for image, scale, field in zip(images, _scales(values), values.swapaxes(0, 1)):
        _colours(image, field, scale)
    clock = figure.supxlabel("", fontsize=9)

    def draw(k: int) -> list[AxesImage]:
        for image, field in zip(images, values[k]):
            image.set_data(field.T)
        clock.set_text(f"t = {times[k]:.4g}")
        return images

    film = FuncAnimation(figure, draw, frames=len(values), blit=False)
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / path.name
        film.save(made, writer=PillowWriter(fps=fps) if path.suffix == ".gif" else FFMpegWriter(fps=fps), dpi=110)
        write_atomically(path, made.read_bytes())


def check_animation(path: Path) -> None:
    """Raise ValueError for a kind of film that cannot be made here."""
    if path.suffix not in ANIMATIONS:
        raise ValueError(f"animation: expected a name that ends in one of {', '.join(ANIMATIONS)}, got {path}")
    if path.suffix == ".mp4" and not FFMpegWriter.isAvailable():
        raise ValueError(f"animation: {path} needs the program ffmpeg, which is not on the PATH; install it, or write a .gif")


def _panels(
    values: NDArray[np.float64], rows: Sequence[str], columns: Sequence[str], lengths: Sequence[float], title: str, scales: Sequence[float]
) -> tuple[Figure, list[AxesImage]]:
    """Panels (columns, rows, nx, ny)."""
    aspect = lengths[1] / lengths[0]
    size = (0.9 + _INCHES * len(columns), 0.7 + (_INCHES * aspect + 0.15) * len(rows))
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(w_pad=0.05, h_pad=0.05))
    grid = figure.subplots(len(rows), len(columns), squeeze=False, sharex=True, sharey=True)
    images = []
    for i, line in enumerate(grid):
        for j, axes in enumerate(line):
            image = _image(axes, values[j, i], lengths)
            if scales:
                _colours(image, values[:, i], scales[i])
            images.append(image)
            if i == 0:
                axes.set_title(columns[j])
        line[0].set_ylabel("y")
        if scales:
            bar = figure.colorbar(images[-1], ax=list(line), label=rows[i], extend="both", aspect=16, pad=0.02)
            bar.outline.set_visible(False)
    for axes in grid[-1]:
        axes.set_xlabel("x")
    if title:
        figure.suptitle(title, fontsize=9.5, fontweight="bold")
    return figure, images


def _image(axes: Axes, field: NDArray[np.float64], lengths: Sequence[float]) -> AxesImage:
    axes.grid(False)
    return axes.imshow(field.T, origin="lower", extent=(0.0, lengths[0], 0.0, lengths[1]), interpolation="nearest")


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
