"""An interrupt waits for the end of an update, so that what was trained up to then can be kept."""

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

# In the order in which they are obeyed: a process that is to end must not go on because it was interrupted too.
_USUAL: dict[int, Any] = {signal.SIGTERM: signal.SIG_DFL, signal.SIGINT: signal.default_int_handler}


class Waiting:
    """What has been `asked` for and is still to come; of a second time it comes at once."""

    def __init__(self) -> None:
        self.asked: set[int] = set()
        self.process = os.getpid()

    def __call__(self, number: int, frame: FrameType | None) -> None:
        # A pool that loses one worker terminates the others, who may have been asked already: that is no impatience.
        again = number in self.asked and not (number == signal.SIGTERM and multiprocessing.parent_process() is not None)
        if again or os.getpid() != self.process:  # a process that was forked from this one has no update to end
            signal.signal(number, _USUAL[number])
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
    try:
        if wanted and threading.current_thread() is threading.main_thread():  # no other may
            for number, usual in _USUAL.items():
                if signal.getsignal(number) == usual:
                    signal.signal(number, interrupt)
        yield interrupt
    except BaseException:
        if signal.SIGTERM in interrupt.asked:  # which leaves nobody to tell it
            traceback.print_exc()
        raise
    finally:
        for number, usual in _USUAL.items():
            if signal.getsignal(number) is interrupt:
                signal.signal(number, usual)
            if number in interrupt.asked:
                signal.raise_signal(number)
    if interrupt.asked:  # a handler that was put in its place meanwhile let it pass
        raise KeyboardInterrupt
