"""Reference solutions of the flow problems."""

from __future__ import annotations

import math

import pytest
import torch

from eddygrad.pinn.problems.flows import burgers_exact


def test_burgers_front_has_the_published_slope() -> None:
    """u_x(0, 1.6037 / pi) = -152.00516, Basdevant et al. 1986."""
    x = torch.tensor([[0.0, 1.6037 / math.pi]], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(burgers_exact(x, 0.01 / math.pi).sum(), x)
    assert float(slope[0, 0]) == pytest.approx(-152.00516, abs=2e-5)
