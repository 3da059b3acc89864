"""A study's folder while its runs are made: whose it is, one process per run, runs side by side."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Any, TypeVar

from eddygrad.runtime.files import write_atomically
from eddygrad.runtime.processes import leave_with_parent, termination_told
from eddygrad.runtime.progress import bar

Run = TypeVar("Run")


def claim(folder: Path, described: Mapping[str, Any], defaults: Mapping[str, Any], advice: str = "", free: Collection[str] = ()) -> None:
    """Write `study.json`, or check that it says the same; a field that it lacks has its default, and one that is `free` may differ.

    Raises: ValueError if the folder holds another study.
    """
    path = folder / "study.json"
    if path.exists():
        known = {**defaults, **json.loads(path.read_text())}
        different = [k for k in described if known.get(k) != described[k] and k not in free]
        if different:
            k = different[0]
            found = f"study: {path} was made with {k}={known.get(k)!r}, got {described[k]!r}"
            raise ValueError(f"{found}; choose another folder or delete it with all its runs{advice}")
        return
    write_atomically(path, (json.dumps(described, indent=1) + "\n").encode())
    hide_work(folder)


def hide_work(folder: Path) -> None:
    """Checkpoints and data are nothing for git."""
    write_atomically(folder / "work" / ".gitignore", b"*\n")


def side_by_side(
    work: Callable[..., None], folder: Path, runs: Sequence[Run], title: str, jobs: int = 1, threads: int = 1, progress: bool = True
) -> None:
    """work(folder, run, threads, number of runs at a time, progress) of every run, `jobs` processes at a time; an interrupt ends them all at once."""
    if jobs == 1:
        for run in runs:
            work(folder, run, threads, 1, progress)
    elif runs:
        others = {*active_children()}
        # Processes start clean: a fork would inherit torch's thread pool.
        pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=leave_with_parent, initargs=(os.getpid(),))
        with termination_told(), pool:
            futures = [pool.submit(work, folder, run, threads, min(jobs, len(runs)), False) for run in runs]
            try:
                with bar(title, len(runs), unit="run", show=progress) as shown:
                    for future in futures:
                        future.result()
                        shown.update()
            except KeyboardInterrupt:  # which may have reached this process alone
                pool.shutdown(wait=False, cancel_futures=True)
                ended = {*active_children()} - others
                for child in ended:
                    child.terminate()
                for child in ended:  # it keeps what it did first
                    child.join()
                raise


@contextmanager
def locked(folder: Path, wait: bool = False) -> Iterator[None]:
    """One process per run: the lock goes with the process, however it ends. The second waits, or is refused."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError:
            raise ValueError(f"study: another process works on {folder}; wait for it, or stop it") from None
        yield
