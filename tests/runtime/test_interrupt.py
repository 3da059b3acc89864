"""An interrupt of a training is kept in a checkpoint before it is obeyed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from eddygrad.runtime.interrupt import waiting
from eddygrad.training.checkpoint import load_state
from eddygrad.training.loop import train
from eddygrad.training.training_config import TrainingConfig
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
    plan = TrainingConfig(steps=20, lr=0.01, weighting=InverseDirichlet("a", every=3), log_every=log_every, keep_log=True)
    train(module, module.losses, batch_at, plan, folder)
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
def test_a_handler_that_was_put_in_its_place_meanwhile_stays_and_the_training_ends_all_the_same() -> None:
    heard: list[int] = []

    def own(number: int, frame: Any) -> None:
        heard.append(number)

    with pytest.raises(KeyboardInterrupt), waiting() as interrupt:
        signal.raise_signal(signal.SIGINT)
        assert interrupt.asked == {signal.SIGINT}
        signal.signal(signal.SIGINT, own)
    assert heard == [signal.SIGINT] and signal.signal(signal.SIGINT, signal.default_int_handler) is own


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


def elsewhere(work: Callable[[], object], log: Path) -> tuple[int | None, str]:
    """Run `work` in a forked process, which has everything imported; return its exit code and what it wrote to stderr."""

    def child() -> None:
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        sys.stderr = os.fdopen(2, "w", buffering=1)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        work()

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(120)
    return process.exitcode, log.read_text()


def test_termination_by_a_batch_system_is_kept_too_and_comes_before_an_interrupt(tmp_path: Path) -> None:
    def both(step: int, horizon: int) -> int:
        for number in (signal.SIGINT, signal.SIGTERM):
            interrupting(7, number=number)(step, horizon)
        return step

    for at, batch_at in enumerate((interrupting(7, number=signal.SIGTERM), both)):
        folder = tmp_path / str(at)
        status, _ = elsewhere(lambda: trained(folder, batch_at), tmp_path / "log")  # noqa: B023
        assert status == -signal.SIGTERM and load_state(folder / "checkpoint.pt")["step"] == 8
        assert torch.equal(trained(folder, interrupting(-1)), trained(None, interrupting(-1)))


def test_an_error_before_a_termination_is_told(tmp_path: Path) -> None:
    terminating = interrupting(7, number=signal.SIGTERM)
    before = lambda step, _: terminating(step, 1) if step < 7 else 1 / (7 - step)  # noqa: E731
    meanwhile = lambda step, _: (terminating(step, 1), 1 / (7 - step))[0]  # noqa: E731
    for batch_at, expected in ((before, 1), (meanwhile, -signal.SIGTERM)):
        status, said = elsewhere(lambda: trained(tmp_path / "run", batch_at), tmp_path / "log")  # noqa: B023
        assert status == expected and "ZeroDivisionError" in said


def test_a_forked_process_does_not_wait(tmp_path: Path) -> None:
    def work() -> None:
        with waiting():
            child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
            child.start()
            time.sleep(0.5)
            child.terminate()
            child.join(20)
            sys.exit(0 if child.exitcode == -signal.SIGTERM else 1)

    status, said = elsewhere(work, tmp_path / "log")
    assert status == 0, said
