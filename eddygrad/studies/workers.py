"""Processes that work on a comparison side by side."""

from __future__ import annotations

import os
import threading
import time

import torch

from eddygrad.solver.memory import keep_freed_memory


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
