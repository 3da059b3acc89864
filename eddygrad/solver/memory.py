"""Tensors that outlive the call that makes them, and memory that outlives its tensors."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def ordinary_tensors() -> Iterator[None]:
    """Make tensors for keeping, without gradients: ordinary ones, even where the caller is in inference mode, whose tensors training must not use."""
    with torch.inference_mode(False), torch.no_grad():
        yield


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_KEPT_BYTES = 1 << 30


def keep_freed_memory() -> bool:
    """Let this process keep the memory that tensors free, up to 1 GiB, instead of giving it back and faulting it in anew at the next operation.

    It is for programs, not for libraries: the command line calls it. Returns whether the allocator took it; only glibc's has these settings.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and all(mallopt(setting, _KEPT_BYTES) == 1 for setting in (_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD))
