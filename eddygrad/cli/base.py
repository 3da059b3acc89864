"""What every subcommand is: options, a place to speak, and an outcome."""

from __future__ import annotations

import abc
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Say = Callable[[str], None]


@dataclass
class Outcome:
    """What a command found, as JSON values, and its exit code."""

    data: dict[str, Any] = field(default_factory=dict)
    code: int = 0


@dataclass(kw_only=True)
class Command(abc.ABC):
    """Options that every subcommand has."""

    config: Path | None = None
    """TOML file with any of these options; the command line overrides it."""
    json: bool = False
    """One JSON object on standard output, for machines."""
    threads: int | None = None
    """Threads of a process; by default OMP_NUM_THREADS, else one, which is best for small networks."""

    @staticmethod
    def reworded(args: Sequence[str]) -> list[str]:
        """Arguments as options have it, where a command has a shorter way to say them."""
        return list(args)

    @abc.abstractmethod
    def run(self, say: Say) -> Outcome:
        """Do it; `say` prints a line for people and is silent with --json."""


def set_up_process(count: int | None, device: str | None = None) -> int:
    """Set the threads of this process, and let it keep freed memory; returns the threads.

    None is OMP_NUM_THREADS, else one: on small kernels several threads mostly wait for each other.

    Raises: ValueError below one, and for a device that is not here.
    """
    import torch

    from eddygrad.runtime.devices import check_device
    from eddygrad.runtime.memory import keep_freed_memory

    asked = os.environ.get("OMP_NUM_THREADS", "")
    number = (int(asked) if asked.isdigit() else 1) if count is None else count
    if number < 1:
        raise ValueError(f"threads: expected at least one, got {number}")
    if device is not None:
        check_device(device)
    torch.set_num_threads(number)
    keep_freed_memory()
    return number
