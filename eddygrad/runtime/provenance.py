"""Where a number comes from: the version of the code that computed it and the machine that ran it."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from eddygrad._version import __version__

PACKAGE = Path(__file__).resolve().parents[1]


def _source_digest() -> str:
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        digest.update(str(path.relative_to(PACKAGE)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


# Computed at import: the files of an editable installation may change while a run goes on.
_DIGEST = _source_digest()


@lru_cache(maxsize=1)
def code() -> dict[str, str]:
    """Return a digest of the package's source files and, inside a git repository, the commit.

    Returns: {"source": digest of the files when this process imported them, "commit": hash, followed by "+" where files differ from the commit}.
    """
    version = {"source": _DIGEST}
    try:
        command = ["git", "-C", str(PACKAGE), "describe", "--always", "--dirty=+", "--exclude=*"]
        version["commit"] = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        pass
    return version


def environment() -> dict[str, Any]:
    """Return the `environment` part of a run's JSON: versions of the code, of torch and of Python, processor, cores and threads."""
    return {
        "eddygrad": __version__,
        **code(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
    }


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
