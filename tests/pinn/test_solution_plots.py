"""Pictures of a solution and of its training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cases.laplace_problem import exact, laplace

import eddygrad as eg

PANELS = ("loss", "weight", "std of the gradient", "cosine of gradients", "error")


def test_plot_training_shows_losses_weights_and_diagnosis(tmp_path: Path) -> None:
    """With and without an error during the training."""
    for options, panels in (({}, ["loss", "weight"]), ({"errors": exact, "diagnose": True}, list(PANELS))):
        solution = eg.fit(laplace(), steps=40, seeds=2, progress=False, folder=tmp_path / str(len(options)), **options)
        assert solution.fit is not None and [record["step"] for record in solution.fit.curve] == list(range(1, 41))
        figure = solution.plot_training()
        assert [axes.get_title(loc="left") for axes in figure.axes] == panels
        weights = next(axes for axes in figure.axes if axes.get_title(loc="left") == "weight")
        drawn = {line.get_label(): line.get_ydata() for line in weights.lines}
        recorded = [record["terms"]["boundary"]["weight"] for record in solution.fit.curve]
        np.testing.assert_allclose(drawn["boundary"], np.median(recorded, 1))
    assert "network.weights.1" in next(r for r in solution.fit.curve if "layers" in r)["layers"]["pde"]


PLANE, LINE = eg.pinn.Box(0, 1), eg.pinn.Box(0, 1, axes=1)


SMALL: dict[str, Any] = {"points": 30, "rim": 8, "start": 8, "width": 4, "depth": 1}


def posed(residual: Any = lambda d, p: {"pde": d.u_lap}, domain: Any = PLANE, **options: Any) -> eg.pinn.Problem:
    return eg.pinn.Problem(residual, domain, **{"boundary": 0.0, **SMALL, **options})


def test_a_solution_takes_arrays_and_is_drawn_from_another_device() -> None:
    """Partials of a network on another device are moved to the CPU before plotting."""
    solution = eg.fit(posed(), steps=1, progress=False)
    x = PLANE.interior(5)
    assert torch.equal(solution(x.numpy())["u"], solution(x)["u"])
    moved = []
    found = solution.partials

    class Elsewhere(torch.Tensor):
        def cpu(self, *args: Any, **options: Any) -> Any:
            moved.append(1)
            return self.as_subclass(torch.Tensor)

    solution.partials = lambda *args: {"u": found(*args)["u"].as_subclass(Elsewhere)}  # type: ignore[method-assign,assignment,return-value]
    assert solution.plot() is not None and moved


def test_a_field_on_a_line_is_a_curve_per_seed() -> None:
    solution = eg.fit(posed(lambda d, p: {"pde": d.u_xx}, LINE), steps=1, seeds=[3, 5], progress=False)
    for seed, shown in ((None, ["seed 3", "seed 5"]), (5, ["seed 5"])):
        (axes,) = solution.plot(seed=seed).axes
        assert [line.get_label() for line in axes.lines] == shown and axes.get_xlabel() == "x"
    drawn = torch.as_tensor(axes.lines[0].get_ydata())
    torch.testing.assert_close(drawn, solution(torch.linspace(0, 1, len(drawn)).unsqueeze(1))["u"][1].double(), rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="one of the seeds 3, 5, got 4"):
        solution.plot(seed=4)
