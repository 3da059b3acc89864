"""Recipes between walls at small sizes: settings, mass conservation, and provenance."""

from __future__ import annotations

import pytest
import torch

from eddygrad.datasets.recipes import classic_flows, kolmogorov_piso, wake


def test_a_lid_drives_the_cavity_and_nothing_leaves_it() -> None:
    data = classic_flows.cavity(frames=3, reynolds=(100.0, 400.0), points=16).generate(progress=False, store_dtype=torch.float64)
    u = data.all()
    assert data.samples == 2 and not u[:, 0].any() and bool((u[:, 2, 0, :, -1].mean(-1) > 0).all())  # along with the lid
    assert not u[:, :, 0, -1].any() and not u[:, :, 1, :, -1].any()
    with pytest.raises(ValueError, match="expected Re >= 100"):
        classic_flows.cavity(reynolds=(50.0,))


def test_the_inflow_over_the_step_leaves_the_channel() -> None:
    recipe = classic_flows.backward_step(frames=3, reynolds=(100.0,), cells=8)
    data = recipe.generate(progress=False, store_dtype=torch.float64)
    leaves = data.all()[0, 1:, 0, -1].mean(-1)
    entering = classic_flows.Parabola(0.5, 1.0)((None, (torch.arange(8).double() + 0.5) / 8)).mean()
    torch.testing.assert_close(leaves, entering.expand(2), rtol=1e-12, atol=0)
    assert float(classic_flows.Parabola(0.5, 1.0)((None, torch.linspace(0.5, 1, 10_001).double())).mean()) == pytest.approx(1.0, rel=1e-3)
    with pytest.raises(ValueError, match="expected an even number of cells"):
        classic_flows.backward_step(cells=7)


def test_the_channel_is_the_benchmarks() -> None:
    recipe = classic_flows.channel_cylinder()
    solver = classic_flows.channel_solver()
    assert float(recipe.params["viscosity"]) == 1e-3 and solver.grid.lengths == (2.2, 0.41)
    assert float(classic_flows.Parabola(0.0, 0.41)((None, torch.tensor([0.205]).double()))) == pytest.approx(1.5)
    with pytest.raises(ValueError, match="expected Re >="):
        classic_flows.channel_cylinder(reynolds=(1.0,))


@pytest.mark.parametrize(
    "make", [wake.training, kolmogorov_piso.training, classic_flows.cavity, classic_flows.channel_cylinder, classic_flows.backward_step]
)
def test_provenance_is_the_same_in_every_process(make) -> None:
    assert " at 0x" not in repr(make().stepper)
