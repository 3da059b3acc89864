"""Worker processes of a study: their set-up, and their end together with their parent."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch

from eddygrad.runtime.memory import keep_freed_memory


def set_up_process(threads: int | None = None) -> None:
    """Set the number of torch's threads in this process, and let it keep freed memory. Args: threads: None leaves the number."""
    if threads:
        torch.set_num_threads(threads)
    keep_freed_memory()


def leave_with_parent(parent: int) -> None:
    """End this process as soon as its parent has ended: it must not go on next to the run that resumes the killed one. Args: parent: process id."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.2)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def termination_told() -> Iterator[None]:
    """Raise KeyboardInterrupt at SIGTERM, as batch systems send it, so that workers are ended first; then let the signal take effect."""
    terminated = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        terminated.append(number)
        raise KeyboardInterrupt

    usual: Any = signal.getsignal(signal.SIGTERM)
    wanted = usual == signal.SIG_DFL and threading.current_thread() is threading.main_thread()
    try:
        if wanted:
            signal.signal(signal.SIGTERM, interrupt)
        yield
    finally:
        if wanted:
            signal.signal(signal.SIGTERM, usual)
        if terminated:
            signal.raise_signal(signal.SIGTERM)
