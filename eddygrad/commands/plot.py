"""`eddygrad plot`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from eddygrad.commands.command import Command, Outcome, Say

if TYPE_CHECKING:
    from eddygrad.datasets.dataset import Dataset


@dataclass(kw_only=True)
class Plot(Command):
    """Draw a trajectory of a data set: space and time on a line, fields at some times on a plane, or a film of it.

    example: eddygrad plot data/turbulence.nc --out turbulence.png --channels vorticity
    example: eddygrad plot data/turbulence.nc --out turbulence.gif --channels vorticity pressure
    """

    data: tyro.conf.Positional[Path]
    """The data set: a file or a folder of shards."""
    out: Path
    """Picture (.png, .pdf, .svg) or film (.gif, or .mp4 where ffmpeg is installed)."""
    sample: int = 0
    """Which trajectory."""
    channels: tuple[str, ...] = ()
    """Which channels; by default all of them."""
    columns: int = 4
    """Times in a picture of a plane, evenly spread."""
    fps: int = 15
    """Frames per second of a film."""

    def run(self, say: Say) -> Outcome:
        from eddygrad.commands import pictures
        from eddygrad.datasets import open as open_data
        from eddygrad.studies.planes import ANIMATIONS, animate, check_animation

        film = self.out.suffix in ANIMATIONS
        check_animation(self.out) if film else pictures.check(self.out)
        data = open_data(self.data)
        index = self._index(data)
        frames = data[self.sample][:, index].numpy()
        names = [data.channels[i] for i in index]
        if film and data.grid.ndim == 2:
            times = [k * data.dt for k in range(len(frames))]
            animate(frames, names, times, (data.grid.lengths[0], data.grid.lengths[1]), self.out, self.fps, self._title(data))
        elif film:
            raise ValueError(f"plot: a film needs a plane, {self.data} lives in {data.grid.ndim}-D; write a .png")
        else:
            pictures.save(self._picture(data, frames, names), self.out)
        say(f"{self.out}: trajectory {self.sample} of {data!r}")
        return Outcome({"path": str(self.out), "sample": self.sample, "channels": names, "frames": len(frames)})

    def _index(self, data: Dataset) -> list[int]:
        unknown = [name for name in self.channels if name not in data.channels]
        if unknown:
            raise ValueError(f"plot: channels: expected some of {list(data.channels)}, got {unknown[0]!r}")
        if not 0 <= self.sample < data.samples:
            raise ValueError(f"plot: sample: expected 0 to {data.samples - 1}, got {self.sample}")
        if self.columns < 1 or self.fps < 1:
            raise ValueError(f"plot: columns and fps must be at least one, got {self.columns} and {self.fps}")
        return [data.channels.index(name) for name in self.channels or data.channels]

    def _title(self, data: Dataset) -> str:
        return str(data.attrs.get("recipe") or data.attrs.get("pde") or self.data.name)

    def _picture(self, data: Dataset, frames, names: list[str]):  # type: ignore[no-untyped-def]
        import numpy as np

        from eddygrad.studies.planes import planes
        from eddygrad.studies.space_time import space_time

        if data.grid.ndim == 1:
            side = data.params.get("length")
            length = data.grid.lengths[0] if side is None else float(side[self.sample])
            return space_time({name: frames[:, c] for c, name in enumerate(names)}, data.dt, length, self._title(data), names[0])
        if data.grid.ndim == 3:
            raise ValueError(f"plot: draws lines and planes, {self.data} lives in 3-D; open it and draw a slice")
        at = np.unique(np.linspace(0, len(frames) - 1, min(self.columns, len(frames))).round().astype(int))
        return planes(frames[at], names, [k * data.dt for k in at], (data.grid.lengths[0], data.grid.lengths[1]), self._title(data))
