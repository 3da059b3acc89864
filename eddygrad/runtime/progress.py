"""Progress on standard error: a bar in a terminal, a plain line now and then in a file."""

from __future__ import annotations

import io
import sys
from typing import TextIO

from tqdm import tqdm as Bar

_SECONDS_BETWEEN_LINES = 30.0


class _Lines(io.TextIOBase):
    """A stream on which each drawing of a bar becomes a line, without carriage returns."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        shown = text.strip("\r\n ")
        if shown:
            self.stream.write(shown + "\n")
        return len(text)

    def flush(self) -> None:
        self.stream.flush()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self.stream.encoding


def bar(title: str, total: int, done: int = 0, unit: str = "it", keep: bool = True, show: bool = True) -> Bar:
    """Return a progress bar.

    Args:
        title: text before the bar.
        total: number of units.
        done:  units that are done already.
        unit:  name of a unit.
        keep:  leave the bar on the screen when it ends.
        show:  False returns a bar that draws nothing.
    """
    if sys.stderr.isatty():
        return Bar(total=total, initial=done, desc=title, unit=unit, leave=keep, disable=not show, mininterval=0.5)
    return Bar(total=total, initial=done, desc=title, unit=unit, disable=not show, mininterval=_SECONDS_BETWEEN_LINES, file=_Lines(sys.stderr))


__all__ = ["Bar", "bar"]
