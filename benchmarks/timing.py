"""Time a block of equal steps and print one JSON line. Neither torch nor jax is imported here: peers in other environments use it too."""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def arguments(description: str | None) -> argparse.ArgumentParser:
    """A parser with the options that every script has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="cores that the run may use")
    parser.add_argument("--repetitions", type=int, default=9, help="timed blocks at most")
    parser.add_argument("--max-seconds", type=float, default=12.0, help="no further block after this time, once three are done")
    return parser


def restrict_cores(threads: int) -> None:
    """Keep this process on its first `threads` cores, where the system can: jax sizes its pool by them. Call it before jax is imported."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def measure(block: Callable[[], object], steps: int, repetitions: int = 9, max_seconds: float = 12.0) -> dict[str, Any]:
    """Seconds per step of `block`, which makes `steps` steps and returns when they are done.

    The first call (compilation) is timed apart, a second one warms up; then at least three and at most `repetitions` blocks.
    Returns: median, min and max over the blocks, and what the process used meanwhile (CPU over wall time, minor page faults per step).
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
    """A line of the process's status [MB]: VmRSS is what is resident, VmHWM the most that was."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(name)), None)


def available_mb() -> float | None:
    """Memory that may still be taken without swapping [MB]; None where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("MemAvailable")), None)


def measure_memory(block: Callable[[], object], steps: int, repetitions: int = 9, max_seconds: float = 12.0, least: int = 64) -> dict[str, Any]:
    """As `measure`, with `extra_mb`: the process's peak over all calls beyond what was resident before the first; None where that cannot be told.

    Whatever is compiled ahead and kept must be so before, or it counts. A short block is made again until it has `least` steps: tens of milliseconds
    are not enough to time two threads by.
    """
    again = max(1, least // steps)
    before = _status_mb("VmRSS")
    try:
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    except OSError:
        before = None
    result = measure(lambda: [block() for _ in range(again)], again * steps, repetitions, max_seconds)
    peak = _status_mb("VmHWM")
    return {**result, "extra_mb": None if before is None or peak is None else round(peak - before, 1)}


def emit(workload: str, implementation: str, result: dict[str, Any], **settings: object) -> None:
    """Print the run as one JSON line. `seconds` is per step, or per update of one model."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"workload": workload, "implementation": implementation, **settings, **result, "peak_rss_mb": round(peak, 1)}), flush=True)
