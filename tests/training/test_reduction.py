"""A training whose processes see a part of the points each is that of the whole: two threads that meet at every value stand for two processes."""

from __future__ import annotations

from threading import Barrier, Thread
from typing import Any

import pytest
import torch
from cases.oscillator import known, oscillator
from torch import Tensor

from eddygrad.pinn.point_weights import Causal, ResidualAttention, SelfAdaptive
from eddygrad.pinn.points import PointBatches, Points
from eddygrad.training.gradients import reduced
from eddygrad.training.loop import Loop, train
from eddygrad.training.optimizers.registry import find_optimizer
from eddygrad.training.training_config import TrainingConfig
from eddygrad.training.weighting import InverseDirichlet, MaxAverage, NeuralTangentKernel


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


def together(loops: Any, work: Any) -> list[Any]:
    """work(loop) of two loops, each in a thread of its own; loops(rank, reduce)."""
    meeting, found, made = Meeting(), [None, None], []  # type: Meeting, list[Any], list[Any]
    made = [loops(rank, meeting.of(rank)) for rank in range(2)]
    threads = [Thread(target=lambda r=rank: found.__setitem__(r, work(made[r]))) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_all_processes_have_the_same_loss_to_the_last_bit() -> None:
    g, w = torch.Generator().manual_seed(0), torch.ones((), requires_grad=True)
    for own, mean in 10 ** (4 * torch.rand(200, 2, generator=g) - 2):
        found = reduced({"a": own * w}, lambda value, mean=mean: mean)["a"]
        assert torch.equal(found.detach(), mean) and torch.equal(torch.autograd.grad(found, w)[0], own)


def half(rank: int) -> dict[str, Points]:
    return {"all": known(20)["all"].at(torch.arange(rank, 20, 2))}


@pytest.mark.parametrize("optimizer, updates", [("adam", 12), ("lbfgs", 6)])
@pytest.mark.parametrize("weighting", [InverseDirichlet("data", every=2), MaxAverage("data")], ids=["inverse-dirichlet", "max-average"])
def test_two_halves_train_as_the_whole(weighting: Any, optimizer: str, updates: int) -> None:
    """Statistics are those of the mean gradient: the spread of a mean is not the mean of spreads, which one half alone has another of."""
    points = known(20)["all"]
    make, rate = find_optimizer(optimizer)

    def loop(numbers: Tensor, reduce: Any = None) -> Loop:
        problem, batches = oscillator(), PointBatches({"all": points.at(numbers)})
        plan = TrainingConfig(steps=updates, lr=rate, optimizer=make, weighting=weighting, reduce=reduce)
        return Loop(problem, problem.losses, batches, plan)

    whole = weights_of(loop(torch.arange(20)), updates)
    found = together(lambda rank, reduce: loop(torch.arange(rank, 20, 2), reduce), lambda half: weights_of(half, updates))
    for one, two, expected in zip(*found, whole, strict=True):
        assert torch.equal(one, two)
        torch.testing.assert_close(one, expected, rtol=1e-6, atol=1e-8)
    apart = weights_of(loop(torch.arange(0, 20, 2)), updates)
    assert max(float((a - b).abs().max()) for a, b in zip(apart, whole)) > 1e-4


@pytest.mark.parametrize("rule", [lambda: Causal(0, (0.0, 3.0), chunks=6, tolerance=0.3), SelfAdaptive], ids=["causal", "self-adaptive"])
def test_weights_of_points_are_those_of_all_points(rule: Any) -> None:
    """Chunks of time hold other numbers of points in each half: one of six has none of the first."""

    def loop(points: dict[str, Points], reduce: Any = None) -> Loop:
        problem = oscillator(pointwise=rule())
        return Loop(
            problem, problem.losses, PointBatches(points), TrainingConfig(steps=12, lr=1e-2, weighting=InverseDirichlet("data"), reduce=reduce)
        )

    numbers = [torch.tensor([0, 1, 2, 8, 9, 10, 11, 17, 18, 19]), torch.tensor([3, 4, 5, 6, 7, 12, 13, 14, 15, 16])]
    whole = weights_of(loop(known(20)), 12)
    found = together(lambda rank, reduce: loop({"all": known(20)["all"].at(numbers[rank])}, reduce), lambda half: weights_of(half, 12))
    for one, two, expected in zip(*found, whole, strict=True):
        assert torch.equal(one, two)
        torch.testing.assert_close(one, expected, rtol=1e-9, atol=1e-11)


def test_traces_of_the_tangent_kernel_are_means_over_processes() -> None:
    """tr K / N over all points is the mean of the halves' own: the gradient of a mean probe would have lost half of it."""

    def loop(rank: int, reduce: Any = None) -> Loop:
        problem = oscillator()
        plan = TrainingConfig(steps=1, lr=1e-2, weighting=NeuralTangentKernel(average=1.0), reduce=reduce)
        return Loop(problem, problem.losses, PointBatches(half(rank)), plan)

    def traces(loop: Loop) -> dict[str, Tensor]:
        loop.update()
        return loop.weighting.state_dict()["traces"]

    own = [traces(loop(rank)) for rank in range(2)]
    for found in together(loop, traces):
        for name, trace in found.items():
            torch.testing.assert_close(trace, (own[0][name] + own[1][name]) / 2)


def test_what_no_process_knows_is_said() -> None:
    problem = oscillator(pointwise=ResidualAttention())
    loop = Loop(problem, problem.losses, PointBatches(known()), TrainingConfig(steps=1, reduce=lambda value: value))
    with pytest.raises(ValueError, match="with several processes none knows the largest residual"):
        loop.update()


def test_after_a_training_nobody_waits_for_others() -> None:
    rule = SelfAdaptive()
    problem = oscillator(pointwise=rule)
    seen = []
    plan = TrainingConfig(steps=2, reduce=lambda value: seen.append(1) or value)
    train(problem, problem.losses, PointBatches(known()), plan)
    count = len(seen)
    problem.losses(PointBatches(known())(0))
    assert rule.reduce is None and len(seen) == count > 0
