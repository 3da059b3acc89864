"""One loop unrolls: where gradients are cut, and what a trajectory keeps."""

from __future__ import annotations

import pytest
import torch
from cases.solver_cases import scheme, smooth
from torch import Tensor

from eddygrad.solver.step import Step
from eddygrad.solver.unroll import Cut, always, every, first, frames_of, never, repeat, trajectory, unroll

POLICIES: dict[str, tuple[Cut, set[int]]] = {
    "never": (never, set()),
    "always": (always, {1, 2, 3, 4, 5}),
    "every(1)": (every(1), {1, 2, 3, 4, 5}),
    "every(2)": (every(2), {2, 4}),
    "every(6)": (every(6), set()),
    "first(0)": (first(0), set()),
    "first(3)": (first(3), {1, 2, 3}),
    "a user's own": (lambda k: True, {1, 2, 3, 4, 5}),
}


def learnable(theta: Tensor) -> Step:
    """The solver with a bilinear term: u+ = solver(u) + theta u u_shifted."""
    solver = scheme(1).at({}, smooth())
    return lambda u, k=0: solver(u) + theta * u * u.roll(1, -1)


def gradients(cut: Cut, n: int = 6) -> tuple[Tensor, Tensor]:
    theta, u = torch.tensor(0.05, dtype=torch.float64, requires_grad=True), smooth().requires_grad_()
    loss = torch.stack([v.square().mean() for v in unroll(learnable(theta), u, n, cut)]).sum()
    return torch.autograd.grad(loss, (theta, u))


@pytest.mark.parametrize("name", POLICIES)
def test_a_cut_detaches_the_input_of_its_step_and_nothing_else(name: str) -> None:
    cut, cuts = POLICIES[name]
    attached = []

    def step(u: Tensor, k: int = 0) -> Tensor:
        attached.append(u.requires_grad)
        return u + theta

    theta = torch.ones((), requires_grad=True)
    assert len(list(unroll(step, torch.zeros(1, 1, 4, requires_grad=True), 6, cut))) == 6
    assert {k for k, kept in enumerate(attached) if not kept} == cuts


@pytest.mark.parametrize("name", POLICIES)
def test_gradients_are_those_of_the_loop_written_by_hand(name: str) -> None:
    cut, cuts = POLICIES[name]
    theta, start = torch.tensor(0.05, dtype=torch.float64, requires_grad=True), smooth().requires_grad_()
    step, u, loss = learnable(theta), start, torch.zeros((), dtype=torch.float64)
    for k in range(6):
        if k in cuts:
            u = u.detach()
        u = step(u)
        loss = loss + u.square().mean()
    for ours, hand in zip(gradients(cut), torch.autograd.grad(loss, (theta, start))):
        assert torch.equal(ours, hand)


def test_values_do_not_depend_on_the_cut() -> None:
    theta = torch.tensor(0.05, dtype=torch.float64)
    frames = [torch.stack(list(unroll(learnable(theta), smooth(), 5, cut))) for cut, _ in POLICIES.values()]
    assert all(torch.equal(frames[0], other) for other in frames[1:])


def test_the_first_state_always_has_a_gradient() -> None:
    for cut, _ in POLICIES.values():
        assert gradients(cut)[1].abs().max() > 0


def test_without_temporal_gradients_it_is_the_mean_of_one_step_gradients() -> None:
    theta = torch.tensor(0.05, dtype=torch.float64, requires_grad=True)
    step, n = learnable(theta), 5
    visited = [smooth(), *(v.detach() for v in unroll(learnable(theta), smooth(), n - 1))]
    single = [torch.autograd.grad(step(v).square().mean(), theta)[0] for v in visited]
    mean_loss = torch.stack([v.square().mean() for v in unroll(step, smooth(), n, always)]).mean()
    torch.testing.assert_close(torch.autograd.grad(mean_loss, theta)[0], torch.stack(single).mean(), rtol=1e-14, atol=0)


def test_the_full_gradient_agrees_with_finite_differences_and_the_cut_one_does_not() -> None:
    u, direction, eps = smooth(), smooth(seed=1), 1e-5
    step = learnable(torch.tensor(0.05, dtype=torch.float64))

    def loss(v: Tensor, cut: Cut = never) -> Tensor:
        return torch.stack([w.square().mean() for w in unroll(step, v, 3, cut)]).sum()

    difference = float((loss(u + eps * direction) - loss(u - eps * direction)) / (2 * eps))
    v = u.clone().requires_grad_()
    full, cut = (float((torch.autograd.grad(loss(v, c), v)[0] * direction).sum()) for c in (never, always))
    assert full == pytest.approx(difference, rel=1e-6)
    assert cut != pytest.approx(difference, rel=1e-2)


@pytest.mark.parametrize("make, value", [(every, 0), (first, -1)])
def test_impossible_cuts_are_refused(make: object, value: int) -> None:
    with pytest.raises(ValueError, match=f"got {value}"):
        make(value)  # type: ignore[operator]


def test_a_trajectory_is_the_loop_with_stride_and_warmup() -> None:
    u, step = smooth(), scheme().at({}, smooth())
    states = [u, *unroll(step, u, 12)]
    kept = trajectory(step, u, frames=3, stride=2, warmup=4)
    torch.testing.assert_close(kept, torch.stack([states[6], states[8], states[10]], 1), rtol=0, atol=1e-11)
    with_start = trajectory(step, u, frames=3, stride=2, warmup=4, include_start=True)
    torch.testing.assert_close(with_start, torch.stack([states[4], states[6], states[8]], 1), rtol=0, atol=1e-11)
    assert not kept.requires_grad
    stacked = trajectory(step, u[None], frames=3, time_axis=2)
    assert stacked.shape == (1, 3, 3, 1, 48)


def test_a_step_is_told_its_index() -> None:
    seen: list[int] = []

    def step(u: Tensor, k: int = 0) -> Tensor:
        seen.append(k)
        return u + k

    u = torch.zeros(1, 1, 4)
    list(frames_of(step, u, frames=2, stride=3, warmup=2))
    assert seen == list(range(8))
    seen.clear()
    list(unroll(step, u, 4))
    assert seen == list(range(4))
    seen.clear()
    assert float(repeat(step, u, 3, k=5)[0, 0, 0]) == 5 + 6 + 7 and seen == [5, 6, 7]


def test_no_steps_change_nothing() -> None:
    u = smooth()
    assert torch.equal(repeat(scheme().at({}, u), u, 0), u)
    assert list(unroll(scheme().at({}, u), u, 0)) == []
