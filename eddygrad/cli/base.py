"""The base class of the subcommands, and the set-up of their process."""

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
    """The result of a command as JSON values, and its exit code."""

    data: dict[str, Any] = field(default_factory=dict)
    code: int = 0


@dataclass(frozen=True, kw_only=True)
class Command(abc.ABC):
    """Options that every subcommand has."""

    config: Path | None = None
    """TOML file with any of these options; the command line overrides it."""
    json: bool = False
    """Print one JSON object on standard output, for other programs."""
    threads: int | None = None
    """Threads of each process; by default OMP_NUM_THREADS, else one, which is best for small networks."""

    @staticmethod
    def expanded(args: Sequence[str]) -> list[str]:
        """Return the arguments with the command's shorthands written out as options."""
        return list(args)

    @staticmethod
    def preset_values(name: str) -> dict[str, Any]:
        """Return the options of a preset; none for a command without presets."""
        return {}

    @abc.abstractmethod
    def run(self, say: Say) -> Outcome:
        """Do the work. Args: say: prints a line for people; it is silent with --json."""


def set_up_process(count: int | None, device: str | None = None) -> int:
    """Set the number of threads of this process, and let it keep freed memory.

    Args:
        count:  number of threads; None takes OMP_NUM_THREADS, else one: on small kernels several threads mostly wait for each other.
        device: name of a device that must exist on this machine.
    Returns: the number of threads.
    Raises: ValueError for less than one thread or an unknown device.
    """
    import torch

    from eddygrad.runtime.devices import check_device
    from eddygrad.runtime.memory import keep_freed_memory

    default = os.environ.get("OMP_NUM_THREADS", "")
    number = (int(default) if default.isdigit() else 1) if count is None else count
    if number < 1:
        raise ValueError(f"threads: expected at least one, got {number}")
    if device is not None:
        check_device(device)
    torch.set_num_threads(number)
    keep_freed_memory()
    return number
