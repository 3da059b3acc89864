"""Mistakes of a first day with a problem of one's own, each with a word on what to do."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

import eddygrad as eg

PLANE, LINE = eg.pinn.Box(0, 1), eg.pinn.Box(0, 1, axes=1)
SMALL: dict[str, Any] = {"points": 30, "rim": 8, "start": 8, "width": 4, "depth": 1}


def posed(residual: Any = lambda d, p: {"pde": d.u_lap}, domain: Any = PLANE, **options: Any) -> eg.pinn.Problem:
    return eg.pinn.Problem(residual, domain, **{"boundary": 0.0, **SMALL, **options})


def heat(**options: Any) -> eg.pinn.Problem:
    return posed(lambda d, p: {"pde": d.u_t - d.u_xx}, LINE.over(0.0, 0.5), initial=0.0, **options)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: posed(domain=((0, 1), (0, 1))), r"domain expects a Box, .* got \(\(0, 1\), \(0, 1\)\)"),
        (lambda: posed(data=(torch.zeros(3, 2), torch.zeros(3))), r"data expects Points\(x, "),
        (lambda: posed(lambda d, p: {"pde": d.u_lap + math.sin(d.x)}), r"torch.sin\(d.x\) instead of math.sin"),
        (
            lambda: posed(lambda d, p: {"pde": torch.autograd.grad(d.u.sum(), d.x)[0]}),
            "instead of calling torch.autograd.grad",
        ),
        (lambda: posed(positive=("k",)), "'k' needs an initial value"),
        (lambda: posed(lambda d, p: {"pde": p.k * d.u_x}, unknown={"k": -1.0}, positive=("k",)), "'k' needs an initial value above 0"),
        (lambda: heat(pointwise={"pde": eg.pinn.Causal(axis=0, span=(0.0, 0.5))}), r"use Causal\(axis=1, span=\(0.0, 0.5\)\)"),
        (lambda: heat(pointwise={"pde": eg.pinn.Causal(axis=1, span=(0, 4))}), r"use Causal\(axis=1, span=\(0.0, 0.5\)\)"),
        (lambda: posed(gain=0.0).make_network(0, torch.float32), "a gain above 0"),
        (lambda: eg.pinn.PolygonDomain([0, 0, 1]), r"at least three corners \(x, y\)"),  # type: ignore[arg-type]
        (lambda: eg.fit(posed(), steps=0), "steps is a whole number of updates, at least 1, got 0"),
        (lambda: eg.fit(posed(), steps=2.5), "steps is a whole number of updates, at least 1, got 2.5"),
        (lambda: eg.fit(posed(), optimizer=3), "optimizer: expected a name"),
        (lambda: eg.fit(posed(), device="gpu"), "device: expected one of cpu"),
        (lambda: eg.pinn.compare(problem=posed()), "eg.pinn.register"),
        (lambda: eg.weightings.weighting("max-average"), "max-average needs a reference"),
        (lambda: eg.fit(posed(lambda d, p: {"pde": d.u_x - d.x[:, None]}), steps=1, progress=False), "as many components as points, 30: a column"),
    ],
)
def test_a_first_days_mistake_is_told(make: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()


def test_points_of_another_precision_are_told() -> None:
    from eddygrad.pinn.partials import partials

    network, names = posed().make_network(0, torch.float32), posed().names
    with pytest.raises(ValueError, match=r"the network has torch.float32, the points torch.float64; use points.to\(torch.float32\)"):
        partials(network, PLANE.interior(5), names, ["u"])


def test_a_solution_takes_arrays_and_is_drawn_from_any_device() -> None:
    """Of a network elsewhere only `partials` knows; what is drawn is on the CPU."""
    solution = eg.fit(posed(), steps=1, progress=False)
    x = PLANE.interior(5)
    assert torch.equal(solution(x.numpy())["u"], solution(x)["u"])
    asked = []
    found = solution.partials

    class There(torch.Tensor):
        def cpu(self, *args: Any, **options: Any) -> Any:
            asked.append(1)
            return self.as_subclass(torch.Tensor)

    solution.partials = lambda *args: {"u": found(*args)["u"].as_subclass(There)}  # type: ignore[method-assign,assignment,return-value]
    assert solution.plot() is not None and asked


def test_a_field_on_a_line_is_a_curve_of_every_seed() -> None:
    solution = eg.fit(posed(lambda d, p: {"pde": d.u_xx}, LINE), steps=1, seeds=[3, 5], progress=False)
    for seed, shown in ((None, ["seed 3", "seed 5"]), (5, ["seed 5"])):
        (axes,) = solution.plot(seed=seed).axes
        assert [line.get_label() for line in axes.lines] == shown and axes.get_xlabel() == "x"
    drawn = torch.as_tensor(axes.lines[0].get_ydata())
    torch.testing.assert_close(drawn, solution(torch.linspace(0, 1, len(drawn)).unsqueeze(1))["u"][1].double(), rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="one of the seeds 3, 5, got 4"):
        solution.plot(seed=4)
