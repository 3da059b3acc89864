"""How many threads torch works with, for a while."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

# Numbers below which torch itself does not share an operation between threads (its grain size); the transforms' library always does.
_GRAIN = 32768


@contextmanager
def threads(count: int | None) -> Iterator[int]:
    """Torch's number of threads inside; None leaves it. Raises ValueError below one."""
    before = torch.get_num_threads()
    if count is not None:
        if count < 1:
            raise ValueError(f"threads must be at least 1, got {count}; None leaves torch's number")
        torch.set_num_threads(count)
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(before)


def one_thread_if_small(numbers: int, device: torch.device) -> AbstractContextManager[object]:
    """One thread for fields of so many numbers on the CPU where that is too few to share: two then mostly wait for each other.

    Only the main thread changes it: the transforms' library has one number for the process, and threads that step side by side would race for it.
    """
    if numbers >= _GRAIN or device.type != "cpu" or torch.compiler.is_compiling():
        return nullcontext()
    if torch.get_num_threads() == 1 or threading.current_thread() is not threading.main_thread():
        return nullcontext()
    return threads(1)
