"""Solutions: pictures of each seed, and losses at other points."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import eddygrad as eg


def exact(x: Tensor) -> Tensor:
    return torch.sin(x[:, 0]) * torch.exp(x[:, 1])


def laplace(**options: Any) -> eg.pinn.Problem:
    return eg.pinn.Problem(lambda d, p: {"pde": d.u_lap}, eg.pinn.Box(0, 1), boundary=exact, rim=20, width=20, depth=2, **options)


def test_each_seed_can_be_plotted() -> None:
    stack = eg.fit(laplace(points=20), steps=1, seeds=[3, 5], progress=False)
    drawn = [stack.plot(seed=seed).axes[0].collections[0].get_array() for seed in (None, 3, 5)]
    assert (drawn[0] == drawn[1]).all() and (drawn[1] != drawn[2]).any()
    with pytest.raises(ValueError, match="expected one of the seeds 3, 5, got 4"):
        stack.plot(seed=4)


def test_losses_between_few_points_are_larger_than_at_them() -> None:
    few, many = (laplace(points=points) for points in (4, 400))
    between = {}
    for problem in (few, many):
        solution = eg.fit(problem, steps=400, lr=1e-2, seeds=2, progress=False)
        (unseen,) = solution.unseen_losses(500).values()
        assert solution.fit is not None and unseen.shape == (2,)
        between[problem.points] = float(unseen.log().mean() - torch.tensor(solution.fit.curve[-1]["terms"]["pde"]["loss"]).log().mean())
    assert between[4] > between[400] + 3 and abs(between[400]) < 1.5


def test_a_loss_at_other_points_is_the_mean_square_summed_over_components() -> None:
    cauchy_riemann = lambda d, p: {"flow": torch.stack([d.u_x + d.v_y, d.u_y - d.v_x])}  # noqa: E731
    problem = eg.pinn.Problem(
        cauchy_riemann, eg.pinn.Box(0, 1), boundary=0.0, outputs=("u", "v"), points=10, pointwise={"flow": eg.pinn.SelfAdaptive()}
    )
    solution = eg.fit(problem, steps=2, progress=False)
    d = solution.partials(problem.domain.interior(50, problem.seed + 1), ("u_x", "u_y", "v_x", "v_y"))
    expected = ((d.u_x + d.v_y).square() + (d.u_y - d.v_x).square()).mean()
    torch.testing.assert_close(solution.unseen_losses(50), {"flow": expected.reshape(1)})
