"""Drag and lift of a data set are means over the steps of a frame."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from eddygrad.datasets.forces import WithForces
from eddygrad.datasets.generate import generate
from eddygrad.datasets.recipes import wake


def test_forces_are_the_mean_of_a_frames_steps_and_need_a_body() -> None:
    scheme = wake.solver((32, 16), 1)
    u = torch.zeros(2, 2, 32, 16, dtype=torch.float64)
    u[:, 0] = 1.0
    made = [generate(WithForces(scheme, 1.0, 20.0), u, {"viscosity": 0.2}, None, frames=4 // s + 1, stride=s, progress=False) for s in (1, 2)]
    every, second = (data.diagnostics["drag"] for data in made)
    torch.testing.assert_close(second[:, 1:], 0.5 * (every[:, 1::2] + every[:, 2::2]), rtol=1e-12, atol=0)
    with pytest.raises(ValueError, match="with bodies"):
        WithForces(replace(scheme, bodies=()))
    with pytest.raises(ValueError, match="positive"):
        WithForces(scheme, speed=0.0)
