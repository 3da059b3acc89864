"""Losses of residuals, terms for a part of the training, unknown coefficients, and resumed runs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from cases.oscillator import LINE, grid, known, oscillator

from eddygrad.pinn.collocation import Collocation, Term
from eddygrad.pinn.network.coordinate_network import CoordinateNetwork
from eddygrad.pinn.partials import Names, partials
from eddygrad.pinn.points import PointBatches, Points
from eddygrad.training.loop import train
from eddygrad.training.training_config import TrainingConfig
from eddygrad.training.weighting import InverseDirichlet, Uniform


def test_losses_are_means_of_squares_summed_over_components_and_sides() -> None:
    names = Names(("x", "y"), ("u", "v"))
    network = CoordinateNetwork(2, 5, 1, 2).double()
    x = torch.rand(6, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    terms = {"both": Term("in", lambda d, p: torch.stack([d.u_x, d.v_y]), ("u_x", "v_y")), "side": Term("rim", lambda d, p: d.u, ("u",))}
    losses = Collocation(network, names, terms).losses((0, {"in": Points(x), "rim": Points(x, parts=(2, 4))}))
    d = partials(network, x, names, ["u", "u_x", "v_y"])
    torch.testing.assert_close(losses["both"], (d.u_x**2 + d.v_y**2).mean())
    torch.testing.assert_close(losses["side"], (d.u[:2] ** 2).mean() + (d.u[2:] ** 2).mean())


def test_an_unknown_coefficient_is_recovered() -> None:
    problem = oscillator(seeds=(0, 1))
    train(problem, problem.losses, PointBatches(known()), TrainingConfig(steps=2000, lr=1e-2, weighting=InverseDirichlet("data", every=5)))
    assert problem.values()["k"].tolist() == pytest.approx([4.0, 4.0], rel=0.03)


def test_a_term_is_active_from_begins_until_ends() -> None:
    problem = oscillator(begins=3, ends=5)
    active = ["pde" in problem.losses(PointBatches(known())(step)) for step in range(7)]
    assert active == [False, False, False, True, True, False, False]


def test_a_resumed_run_with_a_late_term_is_bitwise_equal(tmp_path: Path) -> None:
    ends = []
    for stops, folder in (([30], None), ([8, 16, 30], tmp_path)):
        for stop in stops:
            problem = oscillator(begins=12)
            plan = TrainingConfig(steps=stop, lr=1e-2, weighting=InverseDirichlet("data"), checkpoint_every=4, log_every=4)
            train(problem, problem.losses, PointBatches(known(), {"all": 5}), plan, folder)
        ends.append([p.detach().clone() for p in problem.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*ends))


def test_losses_of_a_stack_are_those_of_its_single_networks() -> None:
    stack = oscillator(seeds=(4, 9))
    losses = stack.losses(PointBatches(known())(0))
    for s, seed in enumerate((4, 9)):
        single = oscillator(seeds=seed)
        with torch.no_grad():
            for mine, whole in zip(single.network.parameters(), stack.network.parameters()):
                mine.copy_(whole[s : s + 1])
        for name, loss in single.losses(PointBatches(known())(0)).items():
            torch.testing.assert_close(losses[name][s], loss, rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Collocation(CoordinateNetwork(1, 3, 1, 1), LINE, {}), "expected at least one term"),
        (lambda: Collocation(CoordinateNetwork(1, 3, 1, 1), LINE, {"a": Term("all", lambda d, p: d.v, ("v",))}), "one of u .*got 'v'"),
        (
            lambda: Collocation(CoordinateNetwork(1, 3, 1, 1), LINE, {"a": Term("all", lambda d, p: d.u, ("u",))}, {"k": -1.0}, ["k"]),
            "'k' needs an initial value above 0, got -1.0",
        ),
        (lambda: oscillator(begins=5, ends=3).losses((0, {"elsewhere": Points(grid(3))})), "expected points 'all', the batch has elsewhere"),
        (lambda: oscillator().losses((0, {"all": Points(grid(3))})), "'known_u' was not computed"),
    ],
)
def test_wrong_input_is_refused(make: Any, message: str) -> None:
    with pytest.raises((ValueError, KeyError), match=message):
        make()


def test_a_residual_of_another_shape_is_refused() -> None:
    terms = {"a": Term("all", lambda d, p: d.u.mean(), ("u",))}
    with pytest.raises(ValueError, match="the residual of 'a' has the shape"):
        Collocation(CoordinateNetwork(1, 3, 1, 1).double(), LINE, terms).losses((0, {"all": Points(grid(3))}))


def test_a_loss_that_is_not_finite_is_named_in_the_error() -> None:
    problem = oscillator()
    bad = {"all": Points(grid(3), {"u": torch.full((3,), math.nan, dtype=torch.float64)})}
    with pytest.raises(FloatingPointError, match="the loss 'data' is nan"):
        train(problem, problem.losses, PointBatches(bad), TrainingConfig(steps=2, weighting=InverseDirichlet("data")))


@pytest.mark.parametrize("weighting", [Uniform(), InverseDirichlet("fit")])
def test_a_term_that_is_not_a_number_is_named_in_the_error(weighting: Any) -> None:
    network = CoordinateNetwork(1, 6, 1, 1).double()
    terms = {"fit": Term("all", lambda d, p: d.u, ("u",)), "broken": Term("all", lambda d, p: d.u / (d.x - d.x), ("u",))}
    problem = Collocation(network, LINE, terms)
    with pytest.raises(FloatingPointError, match="broken"):
        train(problem, problem.losses, PointBatches(known()), TrainingConfig(steps=3, weighting=weighting))


def test_a_term_without_a_gradient_and_a_partial_that_needs_does_not_name_are_refused() -> None:
    network = CoordinateNetwork(1, 6, 1, 1).double()
    constant = Collocation(network, LINE, {"fit": Term("all", lambda d, p: d.u, ("u",)), "fixed": Term("all", lambda d, p: d.x, ())})
    with pytest.raises(ValueError, match="the loss 'fixed' has no gradient with respect to any parameter"):
        train(constant, constant.losses, PointBatches(known()), TrainingConfig(steps=3, weighting=InverseDirichlet("fit")))
    lacking = Collocation(network, LINE, {"fit": Term("all", lambda d, p: d.u_x, ("u",))})
    with pytest.raises(AttributeError, match="'u_x' was not computed"):
        train(lacking, lacking.losses, PointBatches(known()), TrainingConfig(steps=3))
