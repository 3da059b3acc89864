"""Number of torch's threads for the duration of a block."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

# Below this many numbers torch itself does not divide an operation among threads (its grain size); the library of the transforms always does.
_GRAIN = 32768


@contextmanager
def threads(count: int | None) -> Iterator[int]:
    """Set torch's number of threads within the block and yield it. Args: count: None leaves the number. Raises: ValueError below one."""
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
    """Use one thread within the block where fields on the CPU are too small to divide: two threads would mostly wait for each other.

    Only the main thread changes the number: the library of the transforms has one number per process, and several threads would race for it.

    Args:
        numbers: size of the fields.
        device:  device of the fields.
    """
    if numbers >= _GRAIN or device.type != "cpu" or torch.compiler.is_compiling():
        return nullcontext()
    if torch.get_num_threads() == 1 or threading.current_thread() is not threading.main_thread():
        return nullcontext()
    return threads(1)
