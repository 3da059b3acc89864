"""A study's folder while it runs: which study it belongs to, locks of its runs, and several runs at a time."""

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
    """Write `study.json`, or check that it describes the same study.

    Args:
        folder:    of the study. described: content of its `study.json`.
        defaults:  values of fields that an existing file lacks. advice: end of the error. free: fields that may differ.
    Raises: ValueError if the folder holds another study.
    """
    path = folder / "study.json"
    if path.exists():
        known = {**defaults, **json.loads(path.read_text())}
        different = [k for k in described if known.get(k) != described[k] and k not in free]
        if different:
            k = different[0]
            problem = f"study: {path} was made with {k}={known.get(k)!r}, got {described[k]!r}"
            raise ValueError(f"{problem}; choose another folder or delete it with all its runs{advice}")
        return
    write_atomically(path, (json.dumps(described, indent=1) + "\n").encode())
    hide_work(folder)


def hide_work(folder: Path) -> None:
    """Hide checkpoints and data from git."""
    write_atomically(folder / "work" / ".gitignore", b"*\n")


def side_by_side(
    work: Callable[..., None], folder: Path, runs: Sequence[Run], title: str, jobs: int = 1, threads: int = 1, progress: bool = True
) -> None:
    """Make runs, several processes at a time; an interrupt ends all of them.

    Args:
        work:     called as work(folder, run, threads, number of runs at a time, progress) for every run.
        folder:   of the study. runs: to make. title: of the progress bar.
        jobs:     processes at a time. threads: of each process. progress: whether a progress bar is shown.
    """
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
            except KeyboardInterrupt:  # it may have reached this process only
                pool.shutdown(wait=False, cancel_futures=True)
                ended = {*active_children()} - others
                for child in ended:
                    child.terminate()
                for child in ended:  # it writes its checkpoint first
                    child.join()
                raise


@contextmanager
def locked(folder: Path, wait: bool = False) -> Iterator[None]:
    """Hold the lock of a folder; it ends with the process, however that ends. Raises: ValueError if another process has it and `wait` is not set."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError:
            raise ValueError(f"study: another process works on {folder}; wait for it, or stop it") from None
        yield
