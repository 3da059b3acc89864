"""Mistakes in a problem are refused when it is posed, with a message that says how to fix them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from cases.laplace_problem import exact, laplace, small_laplace

import eddygrad as eg

PLANE, LINE = eg.pinn.Box(0, 1), eg.pinn.Box(0, 1, axes=1)


SMALL: dict[str, Any] = {"points": 30, "rim": 8, "start": 8, "width": 4, "depth": 1}


def posed(residual: Any = lambda d, p: {"pde": d.u_lap}, domain: Any = PLANE, **options: Any) -> eg.pinn.Problem:
    return eg.pinn.Problem(residual, domain, **{"boundary": 0.0, **SMALL, **options})


def heat(**options: Any) -> eg.pinn.Problem:
    return posed(lambda d, p: {"pde": d.u_t - d.u_xx}, LINE.over(0.0, 0.5), initial=0.0, **options)


@pytest.mark.parametrize(
    ("make", "message"),
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
def test_common_mistakes_are_refused_with_a_fix(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_points_of_another_precision_are_refused() -> None:
    from eddygrad.pinn.partials import partials

    network, names = posed().make_network(0, torch.float32), posed().names
    with pytest.raises(ValueError, match=r"the network has torch.float32, the points torch.float64; use points.to\(torch.float32\)"):
        partials(network, PLANE.interior(5), names, ["u"])


@pytest.mark.parametrize(
    "options, message",
    [
        ({"fourier": (0, 1.0)}, r"fourier expects \(number of features, std of their frequencies\), such as \(64, 1.0\), got \(0, 1.0\)"),
        ({"fourier": 5}, "fourier expects"),
        ({"fourier": (8, 1.0), "periodic": {"x": 1.0}}, "Fourier features are not periodic"),
        ({"unknown": {"type": 1.0}}, "'type' cannot be the name"),
        ({"unknown": {"K.1": 1.0}}, "'K.1' cannot be the name"),
        ({"unknown": {"training": 1.0}}, "'training' cannot be the name"),
        ({"hard": True, "outputs": ("u", "v"), "boundary": 0.0}, "hard boundary values are for one field, got outputs u, v"),
        ({"hard": True, "boundary": lambda x: np.sin(x[:, 0].numpy())}, "hard=True need functions of torch"),
        ({"hard": True, "boundary": lambda x: {}}, "hard boundary values must be those of 'u', got none"),
        ({"hard": True, "boundary": lambda x: torch.zeros(7)}, "known values have the shape|expected a row"),
    ],
)
def test_options_are_checked_when_a_problem_is_posed(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small_laplace(**options)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: laplace(inputs=("x",)), "has 2 coordinates, got inputs x"),
        (lambda: laplace(initial=exact), "need a domain with time"),
        (lambda: laplace(begins={"pdf": 0.1}), "begins names 'pdf'; the terms are pde, boundary"),
        (lambda: laplace(hard=True, outputs=("u", "v")).make_network(0, torch.float32), "for one field"),
        (lambda: eg.pinn.Problem(lambda d, p: {"pde": d.u_x - p.c}, eg.pinn.Box(0, 1)), "no coefficient 'c', only none"),
        (lambda: eg.pinn.Problem(lambda d, p: {"pde": d.u_x - p["c"]}, eg.pinn.Box(0, 1)), "no coefficient 'c', only none"),
        (lambda: laplace(unknown={"k": 1.0}), "no residual depends on the coefficient 'k'"),
        (lambda: laplace(unknown={"k": "1"}), "unknown expects an initial number for each coefficient, got 'k': '1'"),
        (lambda: eg.pinn.Problem(lambda d, p: d.u_x, eg.pinn.Box(0, 1)), "residuals must return {name: residual}, .* got Tensor"),
        (lambda: eg.pinn.Problem(lambda d, p: {}, eg.pinn.Box(0, 1)), "residuals must return {name: residual}, .* got nothing"),
        (lambda: eg.pinn.Problem(lambda d, p: {"pde": d.x}, eg.pinn.Box(0, 1)), "the residuals pde read no field; .* such as d.u_x"),
        (
            lambda: eg.pinn.Problem(lambda d, p: {"pde": {**d, "u_t": 0.0}["u"]}, eg.pinn.Box(0, 1)),
            r"cannot be iterated, .* d.replaced\(u_t=0.0\)",
        ),
        (lambda: laplace(pointwise={"pde": eg.pinn.SelfAdaptive}), "pointwise of 'pde' expects point weights such as SelfAdaptive\\(\\)"),
        (lambda: laplace(pointwise={"pde": eg.pinn.Causal(5, (0.0, 1.0))}), "Causal\\(axis=5\\), but there are 2 coordinates: x, y"),
        (lambda: eg.fit(laplace(), schedule=0.5), "schedule: expected a name or a schedule such as .*, got 0.5"),
        (lambda: eg.fit(laplace(), schedule="drop"), "schedule: expected one of constant, .*, got 'drop'"),
        (lambda: eg.fit(laplace(), weighting="mgda:floor=0.9"), "shares of at least 0.9 exceed 1"),
        (lambda: eg.fit(laplace(), weighting=eg.weightings.InverseDirichlet("pdf")), "the reference 'pdf' is none of the terms"),
        (
            lambda: eg.fit(laplace(ends={"boundary": 0.5}), weighting=eg.weightings.InverseDirichlet("boundary", every=7)),
            r"the reference 'boundary' is none of the terms \['pde'\]",
        ),
        (lambda: laplace(periodic={"x": 0.0}), "a period above 0 for each coordinate, got 'x': 0.0"),
        (lambda: laplace(points=True), "points expects a whole number of at least 1, got True"),
        (lambda: laplace(rim=0), "rim expects a whole number of at least 1, got 0"),
        (lambda: eg.fit(laplace(), weighting=3), "weighting: expected a name, a weighting .* got 3"),
        (lambda: eg.fit(laplace(), weighting=eg.weightings.Uniform), "weighting: expected a name, a weighting"),
        (lambda: eg.fit(laplace(), dtype="float16"), "dtype is torch.float32 or torch.float64, got torch.float16"),
        (lambda: eg.fit(laplace(), dtype="float7"), "dtype is torch.float32 or torch.float64, got None"),
        (lambda: eg.fit(laplace(), seeds=[3, 3]), r"seeds must differ, got \[3, 3\]"),
        (lambda: eg.fit(laplace(), lr=1e-2, optimizer="adam:lr=1e-3"), "expected one learning rate, got lr=0.01 and optimizer='adam:lr=1e-3'"),
        (lambda: laplace(positive="kappa"), r"positive expects a tuple of names, \('kappa',\), got 'kappa'"),
        (lambda: laplace(resample={"boundary": 100}), "the points of 'boundary' are not inside"),
        (lambda: eg.fit(laplace(batch=20), optimizer="lbfgs"), "got batches of 20 points"),
        (lambda: eg.fit(laplace(resample={"pde": 100}), optimizer="lbfgs"), "points are redrawn"),
        (lambda: eg.fit(laplace(begins={"pde": 0.999}), steps=10), "'pde' gets none of the 10 updates"),
        (lambda: eg.pinn.Problem(lambda d, p: {"pde": d.w_x}, eg.pinn.Box(0, 1)).terms(1), "one of u .*got 'w_x'"),
        (lambda: laplace(outputs=("u", "v")).terms(1), "expected a row of u, v for each of the 2 points"),
        (lambda: laplace(periodic={"z": 1.0}), "periodic names 'z'; the coordinates are x, y"),
        (lambda: laplace(periodic={"x": 1.0}, hard=True), "hard boundary values are not periodic"),
        (lambda: laplace(periodic={"x": 1.0, "y": 0.5}), "leaves no rim for boundary="),
        (
            lambda: eg.pinn.Problem(lambda d, p: {"pde": d.u_x}, eg.pinn.Annulus((0, 0), 0, 1), 0.0, periodic={"x": 2.0}),
            "only a Box has sides with names; give the values of the other sides as conditions=",
        ),
        (lambda: eg.fit(laplace(), exact), "pass options by name"),
        (lambda: eg.fit(laplace(), weighting="inverse"), "expected one of uniform, inverse-dirichlet"),
        (lambda: eg.pinn.Problem(lambda d, p: {"pde": d.u_x}, eg.pinn.Box(0, 1), hard=True), "for a rectangle"),
        (lambda: eg.pinn.Problem(lambda d, p: {"boundary": d.u_x}, eg.pinn.Box(0, 1), exact).terms(1), "a residual is called 'boundary'"),
        (lambda: eg.fit(eg.pinn.Problem(lambda d, p: {"pde": d.u_x, "idle": d.x}, eg.pinn.Box(0, 1)), weighting="uniform"), "'idle' has no gradient"),
    ],
)
def test_options_that_contradict_each_other_are_refused(make: Any, message: str) -> None:
    with pytest.raises((ValueError, AttributeError), match=message):
        make()


def test_resampling_times_and_polish_are_checked() -> None:
    with pytest.raises(ValueError, match="resample names 'pde2'"):
        laplace(resample={"pde2": 5})
    with pytest.raises(ValueError, match="the points of 'boundary' are not inside"):
        laplace(resample={"boundary": 5})
    with pytest.raises(ValueError, match="the weights of 'pde' belong to fixed points"):
        laplace(resample={"pde": 5}, pointwise={"pde": eg.pinn.SelfAdaptive()})
    for times in (
        {"ends": {"boundary": 5.0}},
        {"ends": {"boundary": 0.0}},
        {"begins": {"pde": 0.6}, "ends": {"pde": 0.3}},
        {"begins": {"pde": -0.1}},
    ):
        with pytest.raises(ValueError, match="0 <= begins < ends <= 1"):
            laplace(**times)
    with pytest.raises(ValueError, match=r"no term is trained at share 0\.5"):
        laplace(ends={"pde": 0.5, "boundary": 0.5})
    with pytest.raises(ValueError, match="ends names 'data'; the terms are pde, boundary"):
        laplace(ends={"data": 0.5})
    with pytest.raises(ValueError, match="got batches of 50 points"):
        eg.fit(laplace(batch=50), steps=20, polish=5, progress=False)
    with pytest.raises(ValueError, match="got 2 stacked seeds"):
        eg.fit(laplace(), steps=20, polish=5, seeds=2, progress=False)
