"""Time a block of equal steps and print the result as one JSON line. Imports neither torch nor jax, so that all environments can use it."""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def arguments(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options that all scripts share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="cores that the run may use")
    parser.add_argument("--repetitions", type=int, default=9, help="largest number of timed blocks")
    parser.add_argument("--max-seconds", type=float, default=12.0, help="no further block after this time, but at least three")
    return parser


def restrict_cores(threads: int) -> None:
    """Bind this process to its first `threads` cores, by which jax chooses the size of its thread pool. Call it before importing jax."""
    if sys.platform == "linux":
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def measure(block: Callable[[], object], steps: int, repetitions: int = 9, max_seconds: float = 12.0) -> dict[str, Any]:
    """Return the seconds per step of `block`.

    The first call, which may compile, is timed separately; a second call warms up; then at least three blocks are timed.

    Args:
        block:       makes `steps` steps and returns when they are finished.
        steps:       steps of a block.
        repetitions: largest number of timed blocks.
        max_seconds: no further block starts after this time [s].
    Returns: median, minimum and maximum over the blocks, CPU time over wall time, and minor page faults per step.
    """
    start = time.perf_counter()
    block()
    first = time.perf_counter() - start
    block()
    times: list[float] = []
    before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    while len(times) < repetitions and (len(times) < 3 or time.perf_counter() - start < max_seconds):
        t = time.perf_counter()
        block()
        times.append((time.perf_counter() - t) / steps)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "seconds": statistics.median(times),
        "seconds_min": min(times),
        "seconds_max": max(times),
        "repetitions": len(times),
        "first_call_seconds": round(first, 4),
        "cpu_over_wall": round(cpu / wall, 2),
        "page_faults_per_step": round((after.ru_minflt - before.ru_minflt) / (len(times) * steps), 2),
    }


def _status_mb(name: str) -> float | None:
    """A line of the process's status [MB]: VmRSS is the resident memory, VmHWM its maximum."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(name)), None)


def available_mb() -> float | None:
    """Return the memory that is available without swapping [MB]; None if the system does not report it."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("MemAvailable")), None)


def measure_memory(block: Callable[[], object], steps: int, repetitions: int = 9, max_seconds: float = 12.0, least: int = 64) -> dict[str, Any]:
    """Return the result of `measure` with `extra_mb`, the peak memory over all calls minus the resident memory before the first.

    Compile before the call, else the memory of the compiler counts. `extra_mb` is None if the system does not report memory.

    Args:
        block, steps, repetitions, max_seconds: see `measure`.
        least: a block is repeated until it has this many steps, because tens of milliseconds are too short to time two threads.
    """
    repeats = max(1, least // steps)
    before = _status_mb("VmRSS")
    try:
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    except OSError:
        before = None
    result = measure(lambda: [block() for _ in range(repeats)], repeats * steps, repetitions, max_seconds)
    peak = _status_mb("VmHWM")
    return {**result, "extra_mb": None if before is None or peak is None else round(peak - before, 1)}


def emit(workload: str, implementation: str, result: dict[str, Any], **settings: object) -> None:
    """Print a run as one JSON line. `seconds` is per step, or per update and model."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"workload": workload, "implementation": implementation, **settings, **result, "peak_rss_mb": round(peak, 1)}), flush=True)
