"""Tensors that outlive the call that makes them, and memory that outlives its tensors."""

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
    """Make tensors for keeping, without gradients: ordinary ones, even where the caller is in inference mode, whose tensors training must not use."""
    with torch.inference_mode(False), torch.no_grad():
        yield


def recomputed(fn: Callable[[Tensor], Any], state: Tensor) -> Any:
    """fn(state), run a second time in the backward pass instead of keeping its graph.

    A step is a function, so no random state is kept: a network with dropout would draw anew. What an observer is told, it is told twice.
    """
    return checkpoint(fn, state, use_reentrant=False, preserve_rng_state=False)


class Workspace(NamedTuple):
    """Memory to write in, and its slices along the first axis."""

    whole: Tensor
    parts: tuple[Tensor, ...]


_scratch = threading.local()
_KEPT_WORKSPACES = 8


def workspace(name: str, shape: tuple[int, ...], like: Tensor) -> Workspace:
    """Memory of this thread that the next call of the same name and shape overwrites: fresh pages cost more than what is written there.

    Inference mode has memory of its own, without version counters: its tensors must not be met outside, and others are slower to write inside.
    """
    key = (name, shape, like.dtype, like.device, torch.is_inference_mode_enabled())
    try:
        found: Workspace = _scratch.kept[key]
        return found
    except (AttributeError, KeyError):
        kept: OrderedDict[tuple[object, ...], Workspace] = _scratch.__dict__.setdefault("kept", OrderedDict())
        while len(kept) >= _KEPT_WORKSPACES:
            kept.popitem(last=False)
        with torch.no_grad():
            whole = torch.empty(shape, dtype=like.dtype, device=like.device)
            kept[key] = Workspace(whole, whole.unbind())
        return kept[key]


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
