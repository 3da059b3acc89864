"""Sobolev training: derivatives of the target function, and the problem without coefficients."""

from __future__ import annotations

import pytest
import torch

from eddygrad.pinn.problems import problem
from eddygrad.pinn.problems.sobolev import DERIVED, series


def test_derivatives_of_the_target_function() -> None:
    x = (torch.rand(7, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 6).requires_grad_()
    f = series(x)
    ways = [f, f]
    for order, name in enumerate(DERIVED, 1):
        ways = [torch.autograd.grad(way.sum(), x, create_graph=True)[0][:, axis] for axis, way in enumerate(ways)]
        torch.testing.assert_close(series(x, order).detach(), (ways[0] + ways[1]).detach(), msg=name)
    case = problem("sobolev", {}, (0,), torch.float64)
    assert case.optimal is not None and sum(case.optimal.values()) == pytest.approx(1.0)
    sizes = [case.optimal[name] for name in case.problem.terms]
    assert sizes == sorted(sizes, reverse=True) and sizes[0] > 1e3 * sizes[-1]


def test_without_coefficients_losses_are_those_with_coefficients_one() -> None:
    """Losses without coefficients equal those with unknown coefficients set to one."""
    small = {"points": 60, "batch": 60, "width": 6, "depth": 2}
    plain, scaled = (problem("sobolev", {**small, "unknown": unknown}, (0, 1), torch.float64) for unknown in (False, True))
    assert not list(plain.problem.excluded()) and list(plain.errors(plain.problem)) == ["function"]
    for value in scaled.problem.unknown.values():
        torch.nn.init.ones_(value)
    losses = [case.problem.losses(case.batches(0)) for case in (plain, scaled)]
    assert list(losses[0]) == ["value", *DERIVED]
    for name, loss in losses[0].items():
        torch.testing.assert_close(loss, losses[1][name])
