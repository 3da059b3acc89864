"""A training whose processes see a part of the points each is that of the whole: two threads that meet at every value stand for two processes."""

from __future__ import annotations

from threading import Barrier, Thread
from typing import Any

import pytest
import torch
from test_residual import known, oscillator
from torch import Tensor

from eddygrad.training.loop import Loop
from eddygrad.training.objectives.residual import Batches
from eddygrad.training.optimizers import named
from eddygrad.training.settings import Training
from eddygrad.training.weighting import InverseDirichlet, MaxAverage


class Meeting:
    """`reduce` for one of two threads."""

    def __init__(self) -> None:
        self.barrier, self.values = Barrier(2, timeout=60), [torch.zeros(())] * 2

    def of(self, rank: int) -> Any:
        def reduce(value: Tensor) -> Tensor:
            self.values[rank] = value.detach()
            self.barrier.wait()
            mean = (self.values[0] + self.values[1]) / 2
            self.barrier.wait()
            return mean

        return reduce


def weights_of(loop: Loop, updates: int) -> list[Tensor]:
    for _ in range(updates):
        loop.update()
    return [p.detach().clone() for p in loop.module.parameters()]


@pytest.mark.parametrize("optimizer, updates", [("adam", 12), ("lbfgs", 6)])
@pytest.mark.parametrize("weighting", [InverseDirichlet("data", every=2), MaxAverage("data")], ids=["inverse-dirichlet", "max-average"])
def test_two_halves_train_as_the_whole(weighting: Any, optimizer: str, updates: int) -> None:
    """Statistics are those of the mean gradient: the spread of a mean is not the mean of spreads, which one half alone has another of."""
    points = known(20)["all"]
    make, rate = named(optimizer)

    def loop(numbers: Tensor, reduce: Any = None) -> Loop:
        problem, batches = oscillator(), Batches({"all": points.at(numbers)})
        plan = Training(steps=updates, lr=rate, optimizer=make, weighting=weighting, reduce=reduce)
        return Loop(problem, problem.losses, batches, plan)

    whole = weights_of(loop(torch.arange(20)), updates)
    meeting, found = Meeting(), [[], []]  # type: Meeting, list[Any]
    halves = [loop(torch.arange(rank, 20, 2), meeting.of(rank)) for rank in range(2)]
    threads = [Thread(target=lambda r=rank: found.__setitem__(r, weights_of(halves[r], updates))) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one, two, expected in zip(*found, whole, strict=True):
        assert torch.equal(one, two)
        torch.testing.assert_close(one, expected, rtol=1e-6, atol=1e-8)
    apart = weights_of(loop(torch.arange(0, 20, 2)), updates)
    assert max(float((a - b).abs().max()) for a, b in zip(apart, whole)) > 1e-4
