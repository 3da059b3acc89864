"""`eddygrad plot`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from eddygrad.cli.base import Command, Outcome, Say

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from eddygrad.datasets.dataset import Dataset

    DrawingOptions = Callable[[Sequence[int]], dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Plot(Command):
    """Draw a trajectory of a data set: space and time on a line, fields at some times on a plane, or a film of it.

    For a velocity on a plane, vorticity and speed can be drawn too. Bodies in the flow are drawn in their shape.

    example: eddygrad plot data/turbulence.nc --out turbulence.png --channels vorticity

    example: eddygrad plot data/wake --sample 3 --out wake.gif

    example: eddygrad plot cavity.nc --out cavity.png --streamlines

    example: eddygrad plot data/turbulence.nc --out turbulence.gif --channels vorticity pressure
    """

    data: tyro.conf.Positional[Path]
    """The data set: a file or a folder of shards."""
    out: Path
    """Picture (.png, .pdf, .svg) or film (.gif, or .mp4 where ffmpeg is installed)."""
    sample: int = 0
    """Index of the trajectory."""
    channels: tuple[str, ...] = ()
    """Channels, or vorticity and speed of a velocity; by default all channels, for a velocity on cell faces its vorticity."""
    columns: int = 4
    """Number of times in a picture of a plane, evenly spread; 1 draws the last frame."""
    streamlines: bool = False
    """Draw streamlines; for a velocity on the cell faces of a plane."""
    fps: int = 15
    """Frames per second of a film."""
    every: int = 1
    """Draw every N-th frame of a film."""

    def run(self, say: Say) -> Outcome:
        """Draw the trajectory. Raises: ValueError for an index, channel or format that the data set cannot serve."""
        from eddygrad.cli import pictures
        from eddygrad.datasets import open as open_data
        from eddygrad.plotting.planes import ANIMATIONS, animate, check_animation

        film = self.out.suffix in ANIMATIONS
        check_animation(self.out) if film else pictures.check(self.out)
        data = open_data(self.data)
        self._check(data)
        names, frames, options_at = self._fields(data)
        if film and data.grid.ndim == 2:
            times = [k * data.dt for k in range(len(frames))]
            shown = frames[:: self.every], names, times[:: self.every]
            animate(*shown, self._sides(data), self.out, self.fps, self._title(data), **options_at(range(0, len(frames), self.every)))
        elif film:
            raise ValueError(f"plot: a film needs a plane, {self.data} lives in {data.grid.ndim}-D; write a .png")
        else:
            pictures.save(self._picture(data, frames, names, options_at), self.out)
        say(f"{self.out}: trajectory {self.sample} of {data!r}")
        return Outcome({"path": str(self.out), "sample": self.sample, "channels": names, "frames": len(frames)})

    def _check(self, data: Dataset) -> None:
        if not 0 <= self.sample < data.samples:
            raise ValueError(f"plot: sample: expected 0 to {data.samples - 1}, got {self.sample}")
        if min(self.columns, self.fps, self.every) < 1:
            raise ValueError(f"plot: columns, fps and every must be at least one, got {self.columns}, {self.fps} and {self.every}")

    def _fields(self, data: Dataset) -> tuple[list[str], NDArray[Any], DrawingOptions]:
        """Return names, frames (T, C, *grid), and a function from times to drawing options: colour scales, bodies, streamlines."""
        from eddygrad.plotting.fields import Fields

        fields = Fields.of(data, self.sample)
        names = list(self.channels) or fields.usual
        unknown = [name for name in names if name not in fields.names]
        if unknown:
            raise ValueError(f"plot: channels: expected some of {fields.names}, got {unknown[0]!r}")
        frames, stream = fields.frames(names), fields.streams().numpy() if self.streamlines else None
        common: dict[str, Any] = {"scales": fields.scales(frames), "smooth": fields.scene is not None}

        def options_at(at: Sequence[int]) -> dict[str, Any]:
            return {**common, "bodies": fields.bodies_at(at), "stream": None if stream is None else stream[at]}

        return names, frames.numpy(), options_at

    def _sides(self, data: Dataset) -> tuple[float, ...]:
        """Return the lengths of this trajectory's box; where the data have a parameter "length", all are equal to it."""
        side = data.params.get("length")
        return data.grid.lengths if side is None else (float(side[self.sample]),) * data.grid.ndim

    def _title(self, data: Dataset) -> str:
        title = str(data.attrs.get("recipe") or data.attrs.get("pde") or self.data.name)
        sets = [part["name"] for part in data.attrs.get("sets", []) for _ in range(part["samples"])]
        return f"{title}, {sets[self.sample]}" if len(sets) == data.samples and data.grid.ndim == 2 else title

    def _picture(self, data: Dataset, frames: NDArray[Any], names: list[str], options_at: DrawingOptions) -> Figure:
        import numpy as np

        from eddygrad.plotting.planes import planes
        from eddygrad.plotting.space_time import space_time

        if data.grid.ndim == 1:
            return space_time({name: frames[:, c] for c, name in enumerate(names)}, data.dt, self._sides(data)[0], self._title(data), names[0])
        if data.grid.ndim == 3:
            raise ValueError(f"plot: draws lines and planes, {self.data} lives in 3-D; open it and draw a slice")
        at = np.unique(np.linspace(len(frames) - 1, 0, min(self.columns, len(frames))).round().astype(int)).tolist()
        return planes(frames[at], names, [k * data.dt for k in at], self._sides(data), self._title(data), **options_at(at))
