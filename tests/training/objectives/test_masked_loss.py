"""Losses and scores over free values only: by loops and by indexing, blind to what bodies hold, on boxes that are neither square nor periodic."""

import json
import math

import pytest
import torch

from eddygrad.correctors.compose import correct, predict
from eddygrad.correctors.features import Features, Geometry
from eddygrad.correctors.resnet import ResNet
from eddygrad.correctors.seeded_network import seed_options
from eddygrad.datasets.dataset import Dataset
from eddygrad.evaluation import metrics
from eddygrad.evaluation.baselines import Persistence
from eddygrad.evaluation.evaluate import evaluate
from eddygrad.fitting.compatibility import check_fits
from eddygrad.solver.equations.navier_stokes import NavierStokesVelocity
from eddygrad.solver.grid import Grid
from eddygrad.solver.schemes.piso import PISO
from eddygrad.solver.schemes.projection import Projection
from eddygrad.solver.staggered.bodies import Cylinder
from eddygrad.solver.staggered.boundary_conditions import FreeSlip, Inflow, Outflow
from eddygrad.solver.unroll import Window, trajectory
from eddygrad.solver.wrap import wrap
from eddygrad.training.objectives.unrolled import Unrolled

BOX = Grid((64, 32), (200.0, 100.0))  # the wake's, seldom square and not periodic
DT = 1.0
PARAMS = {"viscosity": torch.tensor([0.2, 0.5], dtype=torch.float64).reshape(2, 1, 1, 1)}


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def flow(scheme=Projection, **options):
    sides = ((Inflow((1.0, 0.0)), Outflow()), FreeSlip())
    return scheme(NavierStokesVelocity(), BOX, DT, sides, bodies=(Cylinder((50.0, 51.0), radius=10.0),), **options)


def begin(batch=2, channels=2):
    u = 0.1 * noise(batch, channels, *BOX.shape)
    u[:, 0] += 1
    return u


def network(seeds=0, domain=None, **options):
    features = Features(fields=() if domain is None else (Geometry(domain),))
    net = ResNet(3, 1, cin=2 + (domain is not None), cout=2, ndim=2, **seed_options(seeds), padding="zeros").double()
    return net, {"features": features, **options}


def window(horizon=2, seeds=None):
    u = begin()
    frames = trajectory(flow().at({"viscosity": 0.1}, u), u, horizon + 1, include_start=True)
    if seeds is None:
        return Window(frames, PARAMS)
    factor = 1 + 0.01 * torch.arange(seeds, dtype=torch.float64).reshape(-1, 1, 1, 1, 1, 1)
    return Window(frames * factor, {"viscosity": PARAMS["viscosity"].expand(seeds, 2, 1, 1, 1)}, 2)


def inside_body(u, value):
    """Frames with other values in the body and on the sides that are fixed."""
    free = flow().free({}, u)
    return torch.where((free == 0).expand_as(u), value, u)


# The objective -------------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["correct", "predict"])
@pytest.mark.parametrize("policy", ["wig:2", "nog:2", "push:2/1"])
def test_the_loss_is_the_sum_over_free_values_by_their_number(kind, policy):
    solver, w = flow(), window()
    net, options = network(domain=solver)
    stepper = correct(solver, net, **options) if kind == "correct" else predict(net, DT, domain=solver, **options)
    u, free, errors = w.u[:, 0], solver.free({}, w.u) == 0, []
    with torch.no_grad():
        for k in range(2):
            u = stepper.at(PARAMS, u)(u, k)
            counted = [(u[b] - w.u[b, k + 1])[~free[0]].square() for b in range(2)]
            errors.append(sum(c.sum() for c in counted) / sum(c.numel() for c in counted))
    expected = errors[1] if policy.startswith("push") else sum(errors) / 2
    assert Unrolled(stepper, policy)(w)["data"].item() == pytest.approx(float(expected), rel=1e-13)
    assert float(expected) > 1e-6


def test_each_seed_of_a_stack_has_the_loss_and_the_gradient_of_its_network():
    solver, w = flow(), window(seeds=3)
    net, options = network(seeds=(4, 2, 7), domain=solver)
    stepper = correct(solver, net, **options)
    losses = Unrolled(stepper, "wig:2")(w)["data"]
    grads = torch.autograd.grad(losses.sum(), list(net.parameters()))
    assert losses.shape == (3,)
    for s in range(3):
        own = stepper.with_network(net.entry(s))
        loss = Unrolled(own, "wig:2")(Window(w.u[s], PARAMS))["data"]
        assert losses[s].item() == pytest.approx(loss.item(), rel=1e-12)
        for a, b in zip(grads, torch.autograd.grad(loss, list(own.network.parameters()))):
            torch.testing.assert_close(a[s : s + 1], b, rtol=1e-9, atol=1e-12)


def test_the_loss_does_not_see_what_the_data_hold_in_a_body():
    solver, w = flow(), window()
    net, options = network()
    after = torch.cat([w.u[:, :1], inside_body(w.u[:, 1:].flatten(0, 1), 7.0).unflatten(0, (2, -1))], 1)
    masked, blind = correct(solver, net, **options), correct(wrap(lambda u: solver.at(PARAMS, u)(u), DT, True), net, **options)
    one, other = (Unrolled(masked, "one")(Window(u[:, :2], PARAMS))["data"].item() for u in (w.u, after))
    assert one == other
    assert Unrolled(blind, "one")(Window(after[:, :2], PARAMS))["data"].item() > 2 * one


def test_without_a_mask_the_loss_is_the_mean_as_before():
    net, options = network()
    w, stepper = window(1), predict(net, DT, **options)
    assert torch.equal(Unrolled(stepper, "one")(w)["data"], (stepper.at(PARAMS, w.u[:, 0])(w.u[:, 0]) - w.u[:, 1]).square().mean())


# The metrics ---------------------------------------------------------------------------------------------------------------------------------------

ERRORS = ["error_over_time", "rellinf", "mse", "nrmse", "vrmse", "correlation"]


@pytest.mark.parametrize("shape", [(5, 4), (6,)])
def test_errors_over_free_values_equal_those_of_the_values_picked_out(shape):
    """As many free values in each channel, so that picking them out leaves an array."""
    ndim, keep = len(shape), torch.zeros(2, math.prod(shape))
    for c in range(2):
        keep[c, torch.randperm(math.prod(shape), generator=torch.Generator().manual_seed(c))[:3]] = 1
    free = keep.reshape(1, 2, *shape).double()
    u, reference = noise(3, 2, 4, 2, *shape), noise(2, 4, 2, *shape, seed=1)
    picked = [x.flatten(-ndim)[..., keep.bool()].unflatten(-1, (2, 3)) for x in (u, reference)]
    for name in ERRORS:
        metric = getattr(metrics, name)
        torch.testing.assert_close(metric(u, reference, ndim, free), metric(*picked, 1), rtol=1e-12, atol=1e-13)
        everything = torch.ones_like(free)
        torch.testing.assert_close(metric(u, reference, ndim, everything), metric(u, reference, ndim), rtol=1e-12, atol=1e-13)


# The evaluation ------------------------------------------------------------------------------------------------------------------------------------


def data(u=None, channels=2, scheme=Projection, frames=7):
    start = begin(2, channels) if u is None else u
    u = trajectory(flow(scheme).at(PARAMS, start), start, frames, include_start=True)
    return Dataset.from_tensor(u, PARAMS, BOX, DT)


def test_persistence_beside_a_cylinder_by_hand():
    test = data()
    truth, free = test.all(), (flow().free({}, test.all()) == 1)[0]
    score = evaluate(Persistence(DT), test, 4, domain=flow())
    for b in range(2):
        frames = torch.stack([frame[free] for frame in truth[b]])
        squared = (frames - frames[0]).square().mean(1)[:5]
        largest = frames[:5].square().max()
        assert float(score.metrics["rellinf"][0, b]) == pytest.approx(float(squared.mean() / largest), rel=1e-12)
        assert float(score.metrics["mse"][0, b]) == pytest.approx(float(squared[1:].mean()), rel=1e-12)
        nrmse = ((frames[4] - frames[0]).norm() / frames[4].norm()).item()
        assert float(score.metrics["nrmse_final"][0, b]) == pytest.approx(nrmse, rel=1e-12)
    assert not torch.allclose(evaluate(Persistence(DT), test, 4).metrics["mse"], score.metrics["mse"], rtol=1e-3)


def test_scores_do_not_see_what_bodies_hold():
    test = data()
    other = Dataset.from_tensor(inside_body(test.all().flatten(0, 1), 3.0).unflatten(0, (2, -1)), PARAMS, BOX, DT)
    one, two = (evaluate(Persistence(DT), own, 4, domain=flow()) for own in (test, other))
    assert one.metrics.keys() == two.metrics.keys()
    for name in one.metrics:
        assert torch.equal(one.metrics[name], two.metrics[name]), name
    assert torch.equal(one.spectrum["reference"], two.spectrum["reference"])
    assert not torch.equal(evaluate(Persistence(DT), other, 4).metrics["rellinf"], one.metrics["rellinf"])


@pytest.mark.parametrize("kind", ["solver", "piso", "correct", "predict", "stack"])
def test_a_box_that_is_neither_square_nor_periodic_is_scored(kind):
    scheme = PISO if kind == "piso" else Projection
    solver, test = flow(scheme, substeps=2), data(channels=3 if kind == "piso" else 2, scheme=scheme)
    net, options = network(seeds=(0, 1) if kind == "stack" else 0, domain=solver)
    stepper = (
        solver if kind in ("solver", "piso") else predict(net, DT, domain=solver, **options) if kind == "predict" else correct(solver, net, **options)
    )
    score = evaluate(stepper, test, 4)
    assert all(torch.isfinite(value).all() for value in score.metrics.values()) and score.diverged == [0] * (2 if kind == "stack" else 1)
    energy = score.spectrum["reference"]
    shells = math.floor(math.hypot(32, 2 * 16) + 0.5) + 1  # k_0 belongs to the longer side
    assert energy.shape == (shells,) and json.dumps(score.as_json())
    counted = (test.all() * solver.free({}, test.all())).square().sum(2).mean((-2, -1)).mean() / 2
    assert float(energy.sum()) == pytest.approx(float(counted), rel=1e-12)
    if kind in ("solver", "correct"):
        assert torch.equal(evaluate(stepper, test, 4, domain=solver).metrics["rellinf"], score.metrics["rellinf"])


def test_a_prediction_with_a_domain_fits_data_on_its_grid_only():
    net, options = network()
    small = Dataset.from_tensor(noise(2, 3, 2, 32, 16), PARAMS, Grid((32, 16), BOX.lengths), DT)
    check_fits(predict(net, DT, **options), small)
    with pytest.raises(ValueError, match=r"solver's grid \(64, 32\), got \(32, 16\)"):
        check_fits(predict(net, DT, domain=flow(), **options), small)
