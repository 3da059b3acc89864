"""Compiled programs are kept apart by instruction set and have to agree with the plain operations."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from eddygrad.runtime import compilation
from eddygrad.runtime.compilation import Verified, deviation, instruction_set, use_own_cache

PROGRAM = """
import torch
from eddygrad.pinn.network.activations import ACTIVATIONS
from eddygrad.pinn.network.compiled_activations import Fused
from eddygrad.pinn.network.taylor import Truncation

z = torch.linspace(-1, 1, 48, dtype=torch.float64).reshape(1, 3, 2, 8)
kept = Truncation.below([(1,)])
gap = Fused(ACTIVATIONS["tanh"]).forward(z, kept)[0] - ACTIVATIONS["tanh"].forward(z, kept)[0]
assert gap.abs().max() < 1e-14
"""


def test_a_shared_folder_serves_two_instruction_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch's own key does not hold the instruction set: the child found its parent's program, and failed or returned wrong numbers."""
    exec(PROGRAM, {})
    other = "avx2" if torch.backends.cpu.get_cpu_capability() == "DEFAULT" else "default"
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", other)
    child = PROGRAM + "\nimport os; print(os.environ['TORCHINDUCTOR_CACHE_DIR'])"
    # errors for warnings: a program that deviates from the plain operations would be replaced with a warning
    done = subprocess.run([sys.executable, "-W", "error::UserWarning", "-c", child], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    ours, theirs = Path(os.environ["TORCHINDUCTOR_CACHE_DIR"]), Path(done.stdout.split()[-1])
    assert ours.parent == theirs.parent and ours != theirs


@pytest.mark.parametrize("what", ["capability", "variable", "flags", "torch"])
def test_the_folder_differs_wherever_programs_may_not_be_shared(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    before = instruction_set()
    assert before == instruction_set()
    if what == "capability":
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "SVE256")
    elif what == "variable":
        monkeypatch.setenv("ATEN_CPU_CAPABILITY", "one that torch does not know")
    elif what == "flags":
        monkeypatch.setattr(compilation, "_processor_flags", lambda: "x86_64 flags: fpu sse2")
    else:
        monkeypatch.setattr(torch, "__version__", "1.0")
    assert instruction_set() != before


def test_the_folder_stands_in_the_one_that_the_user_chose(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    assert use_own_cache() == use_own_cache() == tmp_path / instruction_set() == Path(os.environ["TORCHINDUCTOR_CACHE_DIR"])
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "eddygrad-of-a-parent-process"))
    assert use_own_cache() == tmp_path / instruction_set()


def doubled(x: Tensor) -> tuple[Tensor]:
    return (2 * x,)


def test_a_program_that_agrees_is_called_alone_afterwards() -> None:
    calls: list[str] = []

    def plain(x: Tensor) -> tuple[Tensor]:
        calls.append("plain")
        return (2 * x,)

    def compiled(x: Tensor) -> tuple[Tensor]:
        calls.append("compiled")
        return (2 * x * (1 + 1e-15),)

    run, x = Verified(compiled, plain, "compiled"), torch.rand(5, dtype=torch.float64)
    assert torch.equal(run(x / 0)[0], x / 0)  # says nothing about the program
    for _ in range(3):
        assert torch.equal(run(x)[0], compiled(x)[0])
    assert calls.count("plain") == 2


@pytest.mark.parametrize("factor", [1.001, 1e150, float("nan")])
def test_a_program_that_deviates_is_left_out_with_a_warning(factor: float) -> None:
    def compiled(x: Tensor) -> tuple[Tensor]:
        return (2 * x * torch.tensor([1.0, factor], dtype=x.dtype),)

    run, x = Verified(compiled, doubled, "compiled"), torch.tensor([1.0, 0.5])
    with pytest.warns(UserWarning, match="compiled: the compiled program deviates from the plain operations"):
        assert torch.equal(run(x)[0], 2 * x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(run(x)[0], 2 * x)


def test_deviations_are_relative_and_sums_that_cancel_count_on_the_first_ones_scale() -> None:
    first, sums = torch.tensor([100.0, 1.0]), torch.tensor([0.0])
    cases: Any = {0.01: first + 1.0, 0.0: first}
    for expected, found in cases.items():
        assert deviation([found, sums], [first, sums]) == pytest.approx(expected)
    assert deviation([first, sums + 1e-5], [first, sums]) == pytest.approx(1e-7)
    assert deviation([sums + 1e-30], [sums]) == float("inf")
    assert deviation([first], [first / 0]) is None
