"""Processes that work on a comparison side by side."""

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
    """Threads of this process, and memory that it keeps: a worker of the comparison's own."""
    if threads:
        torch.set_num_threads(threads)
    keep_freed_memory()


def leave_with_parent(parent: int) -> None:
    """A worker whose parent was killed must not go on beside the run that resumes it."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.2)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def termination_told() -> Iterator[None]:
    """Within it SIGTERM, as batch systems send it, is a KeyboardInterrupt, for workers to be ended first; then it has its way."""
    terminated = []

    def told(number: int, frame: FrameType | None) -> None:
        terminated.append(number)
        raise KeyboardInterrupt

    usual: Any = signal.getsignal(signal.SIGTERM)
    wanted = usual == signal.SIG_DFL and threading.current_thread() is threading.main_thread()
    try:
        if wanted:
            signal.signal(signal.SIGTERM, told)
        yield
    finally:
        if wanted:
            signal.signal(signal.SIGTERM, usual)
        if terminated:
            signal.raise_signal(signal.SIGTERM)
