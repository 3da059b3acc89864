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
    every: int = 1
    """A film shows one frame of so many."""

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
            animate(frames[:: self.every], names, times[:: self.every], self._sides(data), self.out, self.fps, self._title(data))
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
        if min(self.columns, self.fps, self.every) < 1:
            raise ValueError(f"plot: columns, fps and every must be at least one, got {self.columns}, {self.fps} and {self.every}")
        return [data.channels.index(name) for name in self.channels or data.channels]

    def _sides(self, data: Dataset) -> tuple[float, ...]:
        """Sides of this trajectory's box: one length for all of them where the data have it as a parameter."""
        side = data.params.get("length")
        return data.grid.lengths if side is None else (float(side[self.sample]),) * data.grid.ndim

    def _title(self, data: Dataset) -> str:
        return str(data.attrs.get("recipe") or data.attrs.get("pde") or self.data.name)

    def _picture(self, data: Dataset, frames, names: list[str]):  # type: ignore[no-untyped-def]
        import numpy as np

        from eddygrad.studies.planes import planes
        from eddygrad.studies.space_time import space_time

        if data.grid.ndim == 1:
            return space_time({name: frames[:, c] for c, name in enumerate(names)}, data.dt, self._sides(data)[0], self._title(data), names[0])
        if data.grid.ndim == 3:
            raise ValueError(f"plot: draws lines and planes, {self.data} lives in 3-D; open it and draw a slice")
        at = np.unique(np.linspace(0, len(frames) - 1, min(self.columns, len(frames))).round().astype(int))
        return planes(frames[at], names, [k * data.dt for k in at], self._sides(data), self._title(data))
