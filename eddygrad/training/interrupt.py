"""An interrupt waits for the end of an update, so that what was trained up to then can be kept."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_USUAL: dict[int, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}


class Waiting:
    """What has been `asked` for and is still to come; of a second time it comes at once."""

    def __init__(self) -> None:
        self.asked: set[int] = set()
        self.usual: dict[int, Any] = {}

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if number in self.asked:
            signal.signal(number, self.usual[number])
            signal.raise_signal(number)
        self.asked.add(number)


@contextmanager
def waiting(wanted: bool = True) -> Iterator[Waiting]:
    """Within it Ctrl-C (SIGINT) and termination (SIGTERM, as batch systems send it) wait for the end; handlers of a user's own stay.

    with waiting() as interrupt:
        while not interrupt.asked:
            update()
    """
    interrupt = Waiting()
    if wanted and threading.current_thread() is threading.main_thread():  # no other may
        for number, usual in _USUAL.items():
            if signal.getsignal(number) == usual:
                interrupt.usual[number] = signal.signal(number, interrupt)
    try:
        yield interrupt
    finally:
        for number, usual in interrupt.usual.items():
            signal.signal(number, usual)
        for number in sorted(interrupt.asked):
            signal.raise_signal(number)
