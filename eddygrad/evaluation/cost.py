"""Cost of a stepper: time per frame, memory of an update's graph, resident memory."""

from __future__ import annotations

import ctypes
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from eddygrad.correctors.compose import Corrected
from eddygrad.solver.step import Params, Stepper, info_of
from eddygrad.solver.unroll import BatchAt


@torch.no_grad()
def seconds_per_frame(stepper: Stepper, params: Params, like: Tensor, repeats: int = 7, frames: int = 10) -> float:
    """Return the median wall time of one frame of one network or solver [s].

    Of a stack of seeds only the first network is timed. A step that stays in its own representation is timed with `leave` at every frame and one
    `enter` per repeat, as in a roll-out.

    Args:
        stepper: any stepper.
        params:  physical parameters, see `Stepper.at`.
        like:    states (B, C, *grid) that are stepped at once.
        repeats: timings of which the median is returned.
        frames:  frames per timing.
    """
    if isinstance(stepper, Corrected):
        stepper = stepper.first_seed()
    step: Any = stepper.at(params, like)
    stays_inside = info_of(stepper).stays_inside
    times = []
    for _ in range(repeats):
        u = state = step.enter(like) if stays_inside else like
        _synchronize(like.device)
        begin = time.perf_counter()
        for k in range(frames):
            state = step.inner(state, k) if stays_inside else step(state, k)
            u = step.leave(state) if stays_inside else state
        _synchronize(u.device)
        times.append((time.perf_counter() - begin) / frames)
    return statistics.median(times)


def _synchronize(device: torch.device) -> None:
    """Wait until an accelerator has finished its queued work."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def saved_megabytes(module: nn.Module, objective: Callable[..., Any], batch_at: BatchAt | Any, horizon: int, step: int = 0) -> float:
    """Return the memory that the graph of an update keeps for its backward pass [MB].

    Each storage counts once, parameters do not count. The number is deterministic.

    Args:
        module:    the trained module, whose parameters are left out.
        objective: batch -> losses.
        batch_at:  (step, horizon) -> batch.
        horizon:   frames that are unrolled.
        step:      the update whose batch is taken.
    """
    sizes: dict[int, int] = {}
    parameters = {p.untyped_storage().data_ptr() for p in module.parameters()}

    def keep(t: Tensor) -> Tensor:
        storage = t.untyped_storage()
        if storage.data_ptr() not in parameters:
            sizes[storage.data_ptr()] = storage.nbytes()
        return t

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        losses = objective(batch_at(step, horizon))
    del losses
    return sum(sizes.values()) / 1e6


def peak_resident(work: Callable[[], Any]) -> float | None:
    """Return the largest resident memory of this process while `work` runs, above that before it [MB]; None where the system is not Linux.

    Freed memory is given back to the system first.
    """
    try:
        ctypes.CDLL(None).malloc_trim(0)  # else `work` would use memory that is free and yet resident
        Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM
        before = _process_status("VmRSS")
        work()
        return max(0.0, (_process_status("VmHWM") - before) / 1e6)
    except (OSError, AttributeError, StopIteration):
        return None


def _process_status(key: str) -> float:
    """Return an entry of /proc/self/status [bytes]."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{key}:"))
    return 1024 * float(line.split()[1])
