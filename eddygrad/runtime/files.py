"""Files that are whole or absent: a process that is killed while it writes leaves the old file, or none."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable
from pathlib import Path


def write_atomically(path: Path, content: bytes | Callable[[Path], object]) -> None:
    """Write a file so that a reader sees either all of it or the file that was there before.

    The content goes to `.NAME.PID.tmp` in the same folder, is synced to disk and renamed; then the folder is synced. Temporary files of writers that
    were killed are removed first.

    Args:
        path:    the file. Its folder is made where it is missing.
        content: the bytes, or a function that writes the file at the temporary path that it is given.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_stale(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    if callable(content):
        content(temporary)
    else:
        temporary.write_bytes(content)
    _sync(temporary)
    os.replace(temporary, path)
    _sync(path.parent)


def remove_stale(path: Path) -> None:
    """Remove the temporary files of this path whose writing process no longer runs."""
    for stale in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        writer = stale.name.removesuffix(".tmp").rpartition(".")[2]
        if writer.isdigit() and not _is_running(int(writer)):
            stale.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
