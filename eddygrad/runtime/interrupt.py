"""Interrupts that wait for the end of an update, so that a checkpoint can be written first."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

# Default handlers, in the order in which pending signals are raised: termination first, so that an interrupt does not prevent it.
_USUAL: dict[int, Any] = {signal.SIGTERM: signal.SIG_DFL, signal.SIGINT: signal.default_int_handler}


class Waiting:
    """A signal handler that records signals in `asked` for later; a signal that arrives a second time takes effect at once."""

    def __init__(self) -> None:
        self.asked: set[int] = set()
        self.process = os.getpid()

    def __call__(self, number: int, frame: FrameType | None) -> None:
        # A pool that loses one worker terminates the others, which may have received the signal already: it is no second request.
        again = number in self.asked and not (number == signal.SIGTERM and multiprocessing.parent_process() is not None)
        if again or os.getpid() != self.process:  # a process forked from this one has no update to finish
            signal.signal(number, _USUAL[number])
            signal.raise_signal(number)
        self.asked.add(number)


@contextmanager
def waiting(wanted: bool = True) -> Iterator[Waiting]:
    """Defer Ctrl-C (SIGINT) and termination (SIGTERM, as batch systems send it) to the end of the block; a user's own handlers stay.

        with waiting() as interrupt:
            while not interrupt.asked:
                update()
    Args: wanted: False defers nothing.
    Raises: KeyboardInterrupt at the end of the block, where an interrupt has arrived.
    """
    interrupt = Waiting()
    try:
        if wanted and threading.current_thread() is threading.main_thread():  # no other thread may set handlers
            for number, usual in _USUAL.items():
                if signal.getsignal(number) == usual:
                    signal.signal(number, interrupt)
        yield interrupt
    except BaseException:
        if signal.SIGTERM in interrupt.asked:  # the process ends below, before anybody could print it
            traceback.print_exc()
        raise
    finally:
        for number, usual in _USUAL.items():
            if signal.getsignal(number) is interrupt:
                signal.signal(number, usual)
            if number in interrupt.asked:
                signal.raise_signal(number)
    if interrupt.asked:  # a handler that was installed meanwhile ignored it
        raise KeyboardInterrupt
