"""Scratch buffers, recomputation in the backward pass, and settings of the memory allocator."""

from __future__ import annotations

import ctypes
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint


@contextmanager
def ordinary_tensors() -> Iterator[None]:
    """Make tensors without gradients that training may use later, even where the caller is in inference mode, whose own tensors it may not use."""
    with torch.inference_mode(False), torch.no_grad():
        yield


def recomputed(fn: Callable[[Tensor], Any], state: Tensor) -> Any:
    """Return fn(state) and run fn a second time in the backward pass instead of storing its graph.

    Random state is not kept, because a step is a function: a network with dropout would draw other numbers the second time. An observer receives its
    numbers twice.

    Args:
        fn:    function of the state.
        state: its argument.
    """
    return checkpoint(fn, state, use_reentrant=False, preserve_rng_state=False)


class Workspace(NamedTuple):
    """A scratch buffer, and its slices along the first axis."""

    whole: Tensor
    parts: tuple[Tensor, ...]


class _Buffers(threading.local):
    """Scratch buffers of one thread, the oldest first."""

    def __init__(self) -> None:
        self.kept: OrderedDict[tuple[object, ...], Workspace] = OrderedDict()


_buffers = _Buffers()
_KEPT_WORKSPACES = 8


def workspace(name: str, shape: tuple[int, ...], like: Tensor) -> Workspace:
    """Return a scratch buffer of this thread; the next call with the same name and shape returns it again, to be overwritten.

    Fresh memory pages cost more than what is written to them. Inference mode has buffers of its own: its tensors have no version counters, so they
    must not be used outside, and other tensors are slower to write inside.

    Args:
        name:  purpose of the buffer.
        shape: of the buffer.
        like:  a tensor of the same dtype and device.
    """
    key = (name, shape, like.dtype, like.device, torch.is_inference_mode_enabled())
    kept = _buffers.kept
    try:
        return kept[key]
    except KeyError:
        while len(kept) >= _KEPT_WORKSPACES:
            kept.popitem(last=False)
        with torch.no_grad():
            whole = torch.empty(shape, dtype=like.dtype, device=like.device)
            kept[key] = Workspace(whole, whole.unbind())
        return kept[key]


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_KEPT_BYTES = 1 << 30


def keep_freed_memory() -> bool:
    """Let this process keep up to 1 GiB of the memory that tensors free, instead of giving it back and faulting it in again at the next operation.

    It is meant for programs, not for libraries: the command line calls it.

    Returns: whether the allocator has taken the setting; only that of glibc has it.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # another C library
        return False
    return all(mallopt(setting, _KEPT_BYTES) == 1 for setting in (_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD))
