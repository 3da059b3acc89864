"""Description of the machine, and the load by other processes."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path

_STAT = Path("/proc/stat")


def describe() -> dict[str, object]:
    """Return processor, cores, vector units, memory, system and Python version."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    fields = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
    values = {name.strip(): value.strip() for name, value in fields.items()}
    flags = values.get("flags", "").split()
    vector = next((unit for unit in ("avx512f", "avx2", "avx") if unit in flags), "unknown")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": values.get("model name", platform.processor() or platform.machine()),
        "cores": os.cpu_count(),
        "vector": vector,
        "memory_gib": round(memory, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def ticks() -> tuple[float, float] | None:
    """Return the CPU seconds (busy, all) of the machine since it started; None if the system does not report them."""
    if not _STAT.exists():
        return None
    values = [int(v) for v in _STAT.read_text().splitlines()[0].split()[1:8]]
    per_second = os.sysconf("SC_CLK_TCK")
    return (sum(values) - values[3] - values[4]) / per_second, sum(values) / per_second


def share(before: tuple[float, float] | None, after: tuple[float, float] | None, own: float = 0.0) -> float | None:
    """Return the share of all cores that other processes took between two calls of `ticks`.

    Args: before, after: results of `ticks`. own: CPU seconds of our own processes.
    """
    if before is None or after is None:
        return None
    return max(0.0, after[0] - before[0] - own) / max(1e-9, after[1] - before[1])


def wait_idle(limit: float, threshold: float = 0.06) -> bool | None:
    """Wait at most `limit` seconds until other processes take less than `threshold` of the cores; return whether they do, None if unknown."""
    start = time.monotonic()
    while True:
        before = ticks()
        time.sleep(0.4)
        busy = share(before, ticks())
        if busy is None or busy < threshold:
            return None if busy is None else True
        if time.monotonic() - start > limit:
            return False
