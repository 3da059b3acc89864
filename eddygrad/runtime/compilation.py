"""Programs made by torch's compiler: where they are kept, and the comparison with the plain operations that each has to pass."""

from __future__ import annotations

import hashlib
import math
import os
import platform
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"
_PREFIX = "eddygrad-"


def use_own_cache() -> Path:
    """Let torch's compiler keep its programs in a sub-folder that belongs to this processor's instruction set and this torch.

    Call it before every compilation. torch keys its cache by neither the instruction set that a program was generated for nor the processor behind
    `-march=native`. Where nodes of several kinds share a folder, or another ATEN_CPU_CAPABILITY has filled it, the programs found return wrong
    numbers or end the process. The folder is set in TORCHINDUCTOR_CACHE_DIR, as torch itself does, so child processes find it as well.

    Returns: the folder; it need not exist yet.
    """
    from torch._inductor.runtime.cache_dir_utils import default_cache_dir  # torch's compiler takes seconds to import

    folder = Path(os.environ.get(_VARIABLE) or default_cache_dir()).absolute()
    if folder.name.startswith(_PREFIX):  # set by this function, here or in a parent process
        folder = folder.parent
    folder = folder / instruction_set()
    os.environ[_VARIABLE] = str(folder)
    return folder


def instruction_set() -> str:
    """Return a folder name that differs where programs made on one machine must not run on the other.

    It holds torch's capability (`ATEN_CPU_CAPABILITY` lowers it) and a digest of the processor's flags and torch's version.
    """
    capability = torch.backends.cpu.get_cpu_capability()
    parts = (capability, os.environ.get("ATEN_CPU_CAPABILITY", ""), _processor_flags(), torch.__version__)
    return f"{_PREFIX}{capability.lower().replace(' ', '-')}-{hashlib.sha256(repr(parts).encode()).hexdigest()[:12]}"


@cache
def _processor_flags() -> str:
    """The instruction sets that the processor has; its name where the system does not list them."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    flags = next((line for line in lines if line.lower().startswith(("flags", "features"))), "")
    return " ".join((platform.machine(), flags or platform.processor()))


class Verified:
    """A compiled function whose first result is compared with that of the plain function; if they differ, the plain one is used from then on.

    Args:
        compiled: the compiled function, of tensors to a tuple of tensors.
        plain:    the same function without the compiler.
        name:     begins the warning.
    """

    def __init__(self, compiled: Callable[..., Any], plain: Callable[..., Any], name: str) -> None:
        self._compiled, self._plain, self._name = compiled, plain, name
        self._run = self._compare

    def __call__(self, *args: Tensor) -> Any:
        return self._run(*args)

    def _compare(self, *args: Tensor) -> Any:
        expected = self._plain(*args)
        found = self._compiled(*args)
        gap = deviation(found, expected)
        if gap is None:  # a result that is not finite says nothing about the program: the next one is compared
            return found
        agrees = gap <= round_off(expected[0].dtype)
        self._run = self._compiled if agrees else self._plain
        if agrees:
            return found
        warn_of_deviation(self._name, gap)
        return expected


def deviation(found: Sequence[Tensor], expected: Sequence[Tensor]) -> float | None:
    """Return the largest difference of two results, relative to the largest number of the same tensor or of the first one; None if not finite.

    The first tensor sets a scale because others, such as sums over positive and negative values, may cancel to round-off.
    """
    with torch.no_grad():
        scales = [float(x.abs().max()) if x.numel() else 0.0 for x in expected]
        if not all(map(math.isfinite, scales)):
            return None
        worst = 0.0
        for got, wanted, scale in zip(found, expected, scales, strict=True):
            gap = float((got - wanted).abs().max()) if wanted.numel() else 0.0
            if gap != 0.0:
                largest = max(scale, scales[0])
                worst = max(worst, gap / largest if largest > 0.0 and math.isfinite(gap) else math.inf)
        return worst


def round_off(dtype: torch.dtype) -> float:
    """Return the relative difference that a compiled program may have: the root of the machine epsilon.

    Sums of N numbers in another order differ by far less. A program for another instruction set is wrong by the size of the numbers themselves.
    """
    return math.sqrt(torch.finfo(dtype).eps)


def warn_of_deviation(name: str, gap: float) -> None:
    """Warn that a compiled program is not used."""
    warnings.warn(
        f"{name}: the compiled program deviates from the plain operations by {gap:.1e} of the largest number, more than round-off; the plain ones "
        f"are used instead. Delete the compiler's cache {os.environ.get(_VARIABLE)}, or leave out `compiled`",
        stacklevel=3,
    )
