"""An interrupt of a training is kept in a checkpoint before it is obeyed."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from eddygrad.training.checkpoint import load_state
from eddygrad.training.interrupt import waiting
from eddygrad.training.loop import fit
from eddygrad.training.settings import Training
from eddygrad.training.weighting import InverseDirichlet


class Two(nn.Module):
    """Two terms of three numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor([0.3, -0.2, 0.9]))

    def losses(self, step: int) -> dict[str, Tensor]:
        return {"a": (self.w - 0.1 * step).square().mean(), "b": 100 * self.w.sin().square().mean()}


def trained(folder: Path | None, batch_at: Any, log_every: int = 5) -> Tensor:
    module = Two()
    plan = Training(steps=20, lr=0.01, weighting=InverseDirichlet("a", every=3), log_every=log_every, keep_log=True)
    fit(module, module.losses, batch_at, plan, folder)
    return module.w.detach().clone()


def interrupting(at: int, times: int = 1, number: int = signal.SIGINT) -> Any:
    def batch_at(step: int, horizon: int) -> int:
        for _ in range(times if step == at else 0):
            signal.raise_signal(number)
        return step

    return batch_at


@pytest.fixture
def heard() -> Iterator[None]:
    """The suite itself may be deaf to it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.signal(signal.SIGINT, before) == signal.default_int_handler


@pytest.mark.usefixtures("heard")
def test_what_was_trained_before_an_interrupt_is_kept_and_goes_on_bitwise(tmp_path: Path) -> None:
    whole, rows = trained(None, interrupting(-1)), []
    for folder in (tmp_path / "straight", tmp_path / "stopped"):
        if folder.name == "stopped":
            with pytest.raises(KeyboardInterrupt):
                trained(folder, interrupting(7))
            assert load_state(folder / "checkpoint.pt")["step"] == 8 and not (folder / "weights.safetensors").exists()
        assert torch.equal(trained(folder, interrupting(-1)), whole)
        rows.append([line.split(', "seconds"')[0] for line in (folder / "metrics.jsonl").read_text().splitlines()])
    assert rows[0] == rows[1] and len(rows[0]) == 4


@pytest.mark.usefixtures("heard")
def test_a_second_interrupt_does_not_wait_and_neither_does_one_without_a_folder(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, interrupting(7, times=2))
    assert not (tmp_path / "checkpoint.pt").exists()
    reached = []

    def batch_at(step: int, horizon: int) -> int:
        interrupting(7)(step, horizon)
        reached.append(step)
        return step

    with pytest.raises(KeyboardInterrupt):
        trained(None, batch_at)
    assert reached == [*range(7)]


@pytest.mark.usefixtures("heard")
def test_a_users_own_handler_stays() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    try:
        with waiting() as interrupt:
            signal.raise_signal(signal.SIGTERM)
            assert heard == [signal.SIGTERM] and not interrupt.asked
    finally:
        signal.signal(signal.SIGTERM, before)


def test_termination_by_a_batch_system_is_kept_too(tmp_path: Path) -> None:
    code = "import sys; from test_interrupt import *; trained(Path(sys.argv[1]), interrupting(7, number=signal.SIGTERM))"
    ended = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=Path(__file__).parent, timeout=120)
    assert ended.returncode == -signal.SIGTERM and load_state(tmp_path / "checkpoint.pt")["step"] == 8
    assert torch.equal(trained(tmp_path, interrupting(-1)), trained(None, interrupting(-1)))
