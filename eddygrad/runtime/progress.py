"""Progress on standard error: a bar in a terminal, now and then a plain line in a file."""

from __future__ import annotations

import sys
from typing import Any, TextIO

from tqdm import tqdm as Bar

_SECONDS_BETWEEN_LINES = 30.0


class _Lines:
    """A stream on which every drawing of a bar is a line of its own, without carriage returns."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> None:
        shown = text.strip("\r\n ")
        if shown:
            self.stream.write(shown + "\n")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def bar(title: str, total: int, done: int = 0, unit: str = "it", keep: bool = True, show: bool = True) -> Bar:
    """A progress bar of `total` units of which `done` are done; `keep` leaves it on the screen when it ends."""
    if sys.stderr.isatty():
        return Bar(total=total, initial=done, desc=title, unit=unit, leave=keep, disable=not show, mininterval=0.5)
    lines: Any = _Lines(sys.stderr)
    return Bar(total=total, initial=done, desc=title, unit=unit, disable=not show, mininterval=_SECONDS_BETWEEN_LINES, file=lines)


__all__ = ["Bar", "bar"]
