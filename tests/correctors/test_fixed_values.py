"""Networks beside solvers with walls and bodies: what is fixed, what is written, stacked seeds, gradients against differences."""

import math
from itertools import product

import pytest
import torch
from torch import nn

from eddygrad.correctors.compose import Corrected, correct, predict
from eddygrad.correctors.encoder_decoder import EncoderDecoder
from eddygrad.correctors.features import Features, Geometry
from eddygrad.correctors.resnet import ResNet
from eddygrad.solver.equations.navier_stokes import NavierStokesVelocity
from eddygrad.solver.grid import Grid
from eddygrad.solver.schemes.piso import PISO
from eddygrad.solver.schemes.projection import Projection
from eddygrad.solver.schemes.splitting import Splitting
from eddygrad.solver.staggered.bodies import Cylinder, rectangle
from eddygrad.solver.staggered.boundary_conditions import FreeSlip, Inflow, Outflow, Periodic, Wall
from eddygrad.solver.staggered.faces import Faces, known_values
from eddygrad.solver.step import FreeMask, free_values
from eddygrad.solver.unroll import Window, trajectory
from eddygrad.solver.wrap import wrap
from eddygrad.training.objectives.unrolled import Unrolled

GRID = Grid((24, 16), (3.0, 2.0))
STREAM = ((Inflow(("inflow", 0.0)), Outflow()), FreeSlip())
SIDES = {
    "periodic": Periodic(),
    "stream": STREAM,
    "do-nothing": ((Inflow((1.0, 0.2)), Outflow("do-nothing")), (Wall(), FreeSlip())),
    "cavity": (Wall(), (Wall(), Wall((1.0, 0.0)))),
    "channel": (Periodic(), Wall()),
    "between inflows": ((Inflow((1.0, 0.0)), Inflow((1.0, 0.0))), Wall()),
}
CYLINDER = Cylinder((1.0, 1.05), radius=0.3)
VALUES = {"viscosity": 0.02, "inflow": 1.0}
SCHEMES = {"projection": Projection, "piso": PISO, "splitting": Splitting}


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def flow(scheme=Projection, sides=STREAM, bodies=(CYLINDER,), dt=0.02, **options):
    return scheme(NavierStokesVelocity(), GRID, dt, sides, bodies=bodies, **options)


def states(batch=2, channels=2, seed=0):
    u = 0.1 * noise(batch, channels, *GRID.shape, seed=seed)
    u[:, 0] += 1
    return u


class Known(nn.Module):
    """f(x) = a sin(x) of the first channels: a network whose formula is known and which writes everywhere."""

    def __init__(self, outputs=2):
        super().__init__()
        self.a, self.outputs = nn.Parameter(torch.tensor(0.7, dtype=torch.float64)), outputs

    def forward(self, x):
        return self.a * x[..., : self.outputs, :, :].sin() + 0.3


def f(x):
    return 0.7 * x.sin() + 0.3


# What is free --------------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SIDES)
def test_what_sides_fix_is_what_the_solver_imposes(name):
    solver = flow(sides=SIDES[name], bodies=())
    params = VALUES if name == "stream" else {"viscosity": 0.02}
    u, v = noise(1, 2, *GRID.shape), noise(1, 2, *GRID.shape, seed=1)
    free = solver.free(params, u)
    faces = Faces(GRID, solver.sides, known_values(GRID, solver.sides, 0.0, params, u))
    a, b = (torch.stack(faces.imposed(w.unbind(1)), 1) for w in (u, v))
    moved = torch.zeros_like(free)  # a convective outflow is shifted, and stays free
    if name == "stream":
        moved[:, 0, -1] = 1
    assert free.shape == (1, 2, *GRID.shape) and set(free.unique().tolist()) <= {0.0, 1.0}
    assert torch.equal(a[free == 0], b[free == 0])
    assert torch.equal(a[(free == 1) & (moved == 0)], u[(free == 1) & (moved == 0)])
    count = {"periodic": 0, "stream": 24, "do-nothing": 24, "cavity": 16 + 24, "channel": 24, "between inflows": 16 + 24}[name]
    assert int((free == 0).sum()) == count


def test_what_bodies_fix_by_a_loop_over_the_points():
    turned = rectangle((2.0, 0.9), 0.5, 0.3, angle=math.pi / 2)
    free = flow(PISO, bodies=(CYLINDER, turned)).free(VALUES, states(channels=3))
    h = GRID.spacing[0]
    for c, i, j in product(range(3), *map(range, GRID.shape)):
        x, y = (i + (1.0 if c == 0 else 0.5)) * h, (j + (1.0 if c == 1 else 0.5)) * h
        inside = math.hypot(x - 1.0, y - 1.05) < 0.3 or (abs(x - 2.0) < 0.15 and abs(y - 0.9) < 0.25)
        assert free[0, c, i, j] == (c < 2 and not (inside or (c == 1 and j == 15))), (c, i, j)  # a pressure follows from the velocity
    assert (free == 0).sum(dim=(2, 3)).min() > 10


def test_bodies_stand_where_parameters_and_the_first_time_place_them():
    named = flow(bodies=(Cylinder(("x", 1.05), radius=0.3),))
    moving = flow(bodies=(Cylinder((lambda t, p: 0.6 + 0.2 * t, 1.05), radius=0.3),))
    u = states().float()
    expected = flow().free(VALUES, u)
    assert expected.dtype == torch.float32 and torch.equal(named.free({**VALUES, "x": torch.tensor(1.0)}, u), expected)
    assert torch.equal(moving.free({**VALUES, "t0": 2.0}, u), expected) and not torch.equal(moving.free(VALUES, u), expected)
    with pytest.raises(ValueError, match="coordinate is named 'x'"):
        named.free(VALUES, u)
    kept = flow().free(VALUES, u).zero_()  # nobody else's
    assert not torch.equal(flow().free(VALUES, u), kept)


# What is written -----------------------------------------------------------------------------------------------------------------------------------

ROWS = {
    "sequential": (lambda d: correct(d, Known()), lambda u, s, m: s + m * f(s)),
    "parallel": (lambda d: correct(d, Known(), "parallel"), lambda u, s, m: s + m * 0.02 * f(u)),
    "no-bypass": (lambda d: correct(d, Known(), "no-bypass"), lambda u, s, m: m * f(s) + (1 - m) * s),
    "prediction": (lambda d: predict(Known(), 0.02, domain=d), lambda u, s, m: m * f(u) + (1 - m) * u),
    "residual prediction": (lambda d: predict(Known(), 0.02, residual=True, domain=d), lambda u, s, m: u + m * f(u)),
    "a solver that does not say": (
        lambda d: correct(wrap(lambda u: d.at(VALUES, u)(u), dt=0.02), Known(), domain=d),
        lambda u, s, m: s + m * f(s),
    ),
}


@pytest.mark.parametrize("row", ROWS)
def test_row_of_the_table_where_values_are_fixed(row):
    solver, u = flow(), states()
    make, formula = ROWS[row]
    stepper, s, m = make(solver), solver.at(VALUES, u)(u), solver.free(VALUES, u)
    got = stepper.at(VALUES, u)(u)
    torch.testing.assert_close(got, formula(u, s, m), rtol=1e-14, atol=1e-14)
    fixed = (m == 0).expand_as(u)
    assert torch.equal(got[fixed], (u if "prediction" in row else s)[fixed]) and (got - (u if "prediction" in row else s))[~fixed].abs().min() > 0
    assert torch.equal(stepper.free(VALUES, u), m) and stepper.with_network(Known()).domain is stepper.domain


@pytest.mark.parametrize("base", ["none", "state", "solver"])
def test_only_the_named_channels_are_written_and_only_where_they_are_free(base):
    solver, u = flow(PISO), states(channels=3)
    stepper = Corrected(Known(1), solver, base=base, sees="state", scale=0.5, dt=0.02, channels=(1,))
    s, m = solver.at(VALUES, u)(u), solver.free(VALUES, u)
    expected = {"none": (1 - m) * s, "state": u, "solver": s}[base].clone()
    expected[:, 1:2] += m[:, 1:2] * 0.5 * f(u[:, :1])
    torch.testing.assert_close(stepper.at(VALUES, u)(u), expected, rtol=1e-14, atol=1e-14)


def test_where_nothing_is_fixed_nothing_changes_by_a_bit():
    solver, u, params = flow(sides=Periodic(), bodies=()), states(), {"viscosity": 0.02}
    stepper = correct(solver, Known())
    s = solver.at(params, u)(u)
    assert stepper.free(params, u) is None and free_values(solver, params, u) is None and free_values(wrap(f, 1.0), params, u) is None
    assert torch.equal(stepper.at(params, u)(u), s + 1.0 * (Known()(s)))
    assert torch.equal(predict(Known(), 0.02, domain=solver).at(params, u)(u), Known()(u))


def test_a_domain_lends_no_weights_is_named_and_must_know_the_state():
    solver, u = flow(), states()
    other = correct(solver, Known())  # a stepper around a solver is a domain too
    stepper = predict(Known(), 0.02, domain=other)
    assert isinstance(other, FreeMask) and list(stepper.state_dict()) == ["network.a"] and "domain=Corrected" in repr(stepper)
    assert torch.equal(stepper.at(VALUES, u)(u), predict(Known(), 0.02, domain=solver).at(VALUES, u)(u))
    assert "domain" not in repr(other)
    with pytest.raises(ValueError, match=r"expected a domain with \.free"):
        predict(Known(), 0.02, domain=f)
    with pytest.raises(ValueError, match=r"expected a mask .*\(1, 3, 24, 16\), got \(1, 2, 24, 16\)"):
        predict(Known(3), 0.02, domain=solver).at(VALUES, states(channels=3))


def test_geometry_shows_the_body_at_the_centres():
    solver = flow(bodies=(Cylinder(("x", 1.05), radius=0.3),))
    features, params = Features(fields=(Geometry(solver),), reciprocals={"viscosity": 0.01}), {**VALUES, "x": 1.0}
    for u in (states(3), states(6).unflatten(0, (2, 3))):
        shown = features(u, params, 2)
        assert features.extra_channels == 2 and shown.shape == (*u.shape[:-3], 4, *GRID.shape) and torch.equal(shown[..., :2, :, :], u)
        for i, j in product(*map(range, GRID.shape)):
            inside = math.hypot((i + 0.5) / 8 - 1.0, (j + 0.5) / 8 - 1.05) < 0.3
            assert (shown[..., 2, i, j] == (not inside)).all()
    assert (shown[..., 2, :, :] == 0).sum() > 60 and Geometry(solver)(states().float(), params).dtype == torch.float32
    with pytest.raises(ValueError, match="expected an object with"):
        Geometry(GRID)


# Stacked seeds -------------------------------------------------------------------------------------------------------------------------------------

PER_SAMPLE = {"viscosity": torch.tensor([0.01, 0.05], dtype=torch.float64), "inflow": torch.tensor([1.0, 1.3], dtype=torch.float64)}


def columns(values):
    return {name: v.reshape(*v.shape, 1, 1, 1) for name, v in values.items()}


@pytest.mark.parametrize("per", ["sample", "seed", "seed and sample"])
@pytest.mark.parametrize("name", SCHEMES)
def test_stacked_seeds_step_as_single_runs(name, per):
    """Viscosity, the speed of an inflow and a force: per sample for every seed, per seed for every sample, or both."""
    scheme = flow(SCHEMES[name], substeps=2)
    u = states(6, scheme.channels).unflatten(0, (3, 2))
    factor = torch.tensor([1.0, 1.5, 2.0], dtype=torch.float64)[:, None]
    values = {"sample": PER_SAMPLE, "seed": {n: v[:1] * factor for n, v in PER_SAMPLE.items()}}.get(
        per, {n: v * factor for n, v in PER_SAMPLE.items()}
    )
    force = noise(2, 2, *GRID.shape, seed=3)
    told = []
    step = scheme.at({**columns(values), "forcing": force}, u[0], lambda what, value: told.append(value) if what == "force" else None)
    got = step(step(u), 1)
    assert got.shape == u.shape and told[-1].shape == (3, 2, 1, 2)
    for s, b in product(range(3), range(2)):
        own = {n: float(v.expand(3, 2)[s, b]) for n, v in values.items()}
        alone = []
        single = scheme.at(
            {**own, "forcing": force[b : b + 1]}, u[s, b : b + 1], lambda what, value, alone=alone: alone.append(value) if what == "force" else None
        )
        expected = single(single(u[s, b : b + 1]), 1)
        # The predictor of PISO stops at a residual of 1e-6, each system by itself.
        torch.testing.assert_close(got[s, b : b + 1], expected, rtol=0, atol=1e-12 if name != "piso" else 1e-9)
        torch.testing.assert_close(told[-1][s, b], alone[-1][0], rtol=0, atol=1e-9 if name != "piso" else 1e-6)


def test_the_viscosity_of_a_sample_has_the_gradient_of_all_its_seeds():
    scheme, u = flow(diffusion="implicit"), states(6).unflatten(0, (3, 2))
    nu = columns(PER_SAMPLE)["viscosity"].requires_grad_()
    weights = noise(*u.shape, seed=5)
    params = {**VALUES, "viscosity": nu}
    step = scheme.at(params, u[0])
    with torch.no_grad():
        step(u)  # what is kept from here must not stand in for a graph
    (got,) = torch.autograd.grad((step(u) * weights).sum(), nu)
    alone = [torch.autograd.grad((scheme.at(params, u[s])(u[s]) * weights[s]).sum(), nu)[0] for s in range(3)]
    torch.testing.assert_close(got, sum(alone), rtol=1e-10, atol=0)


def test_what_inference_kept_serves_training():
    scheme, u = flow(), states(4).unflatten(0, (2, 2))
    step = scheme.at(columns(PER_SAMPLE), u[0])
    with torch.inference_mode():
        expected = step(u)
    leaf = u.clone().requires_grad_()
    again = step(leaf)
    again.sum().backward()
    torch.testing.assert_close(again.detach(), expected, rtol=0, atol=1e-13)
    assert leaf.grad.abs().max() > 0


def test_parameters_of_another_batch_are_refused():
    step = flow().at(columns(PER_SAMPLE), states())
    for wrong in (states(3), states(6).unflatten(0, (2, 3))):
        with pytest.raises(ValueError, match="bound to parameters of 2 samples, the state has"):
            step(wrong)


def test_entries_of_a_stack_beside_a_cylinder_are_single_networks():
    solver, params = flow(), columns(PER_SAMPLE)
    features = Features(fields=(Geometry(solver),), reciprocals={"viscosity": 0.001})
    network = EncoderDecoder((4, 3), cin=4, cout=2, seeds=(5, 9, 2), padding=("zeros", "circular")).double()
    for stepper in (correct(solver, network, features=features), predict(network, 0.02, features=features, domain=solver)):
        u = states()
        stacked = trajectory(stepper.at(params, u), u.expand(3, *u.shape), 3, time_axis=2)
        for s in range(3):
            alone = trajectory(stepper.with_network(network.entry(s)).at(params, u), u, 3)
            torch.testing.assert_close(stacked[s], alone, rtol=0, atol=1e-12)
        if stepper.solver is None:
            fixed = (solver.free(params, u) == 0)[:, None].expand(2, 3, -1, -1, -1)
            assert torch.equal(alone[fixed], u[:, None].expand_as(alone)[fixed])


# Gradients by the weights --------------------------------------------------------------------------------------------------------------------------


def small(**options):
    """A corrected flow around a cylinder, its reference frames, and weights that matter."""
    solver = flow(dt=0.05)
    network = ResNet(4, 1, padding=("zeros", "circular"), cin=3, cout=2, seed=3).double()
    stepper = correct(solver, network, features=Features(fields=(Geometry(solver),)), scale=0.2, **options)
    u = trajectory(flow(dt=0.05).at(VALUES, states()), states(), 2)[:, -1]
    frames = trajectory(flow(dt=0.05, order=1, substeps=2).at({**VALUES, "viscosity": 0.01}, u), u, 3, include_start=False)
    return stepper, Window(torch.cat([u.unsqueeze(1), frames], 1), dict(VALUES))


def moved(stepper, direction, amount):
    network = stepper.network.entry(0)
    with torch.no_grad():
        for p, d in zip(network.parameters(), direction):
            p.add_(amount * d)
    return stepper.with_network(network)


def by_differences(loss, stepper, direction):
    """Central ones, so near that no activation changes its sign; round-off is 1e-16 / 1e-7 of the loss."""
    return (loss(moved(stepper, direction, 1e-7)) - loss(moved(stepper, direction, -1e-7))) / 2e-7


def test_wig_through_a_flow_around_a_cylinder_is_the_derivative_of_its_loss():
    stepper, window = small()
    params = list(stepper.network.parameters())
    grads = torch.autograd.grad(Unrolled(stepper, "wig:3")(window)["data"], params)
    cut = torch.autograd.grad(Unrolled(stepper, "nog:3")(window)["data"], params)

    @torch.no_grad()
    def loss(other):
        return Unrolled(other, "wig:3")(window)["data"].item()

    for seed in range(3):
        direction = [noise(*p.shape, seed=10 * seed + i) for i, p in enumerate(params)]
        got, without = (sum((g * d).sum() for g, d in zip(own, direction)).item() for own in (grads, cut))
        expected = by_differences(loss, stepper, direction)
        assert abs(got - expected) < 1e-6 * abs(expected) and abs(without - expected) > 1e-3 * abs(expected)


def test_nog_is_the_derivative_at_the_visited_states_and_carries_nothing_of_the_solver():
    stepper, window = small()
    params = list(stepper.network.parameters())
    grads = torch.autograd.grad(Unrolled(stepper, "nog:3")(window)["data"], params)
    u, free = window.u[:, 0], stepper.free(VALUES, window.u[:, 0])
    with torch.no_grad():
        visited = torch.cat([u.unsqueeze(1), trajectory(stepper.at(VALUES, u), u, 2)], 1)

    @torch.no_grad()
    def loss(other):
        step = other.at(VALUES, u)
        errors = [((step(visited[:, k]) - window.u[:, k + 1]).square() * free).sum() / (len(u) * free.sum()) for k in range(3)]
        return (sum(errors) / 3).item()

    direction = [noise(*p.shape, seed=i) for i, p in enumerate(params)]
    expected = by_differences(loss, stepper, direction)
    assert abs(sum((g * d).sum() for g, d in zip(grads, direction)).item() - expected) < 1e-6 * abs(expected)
    solver = stepper.solver
    opaque = Corrected(
        stepper.network,
        wrap(lambda u: solver.at(VALUES, u)(u), dt=solver.dt),  # without gradients
        base="solver",
        sees="solver",
        scale=stepper.scale,
        dt=stepper.dt,
        features=stepper.features,
        domain=solver,
    )
    for a, b in zip(grads, torch.autograd.grad(Unrolled(opaque, "nog:3")(window)["data"], params)):
        assert torch.equal(a, b)
    with pytest.raises(ValueError, match="not differentiable"):
        Unrolled(opaque, "wig:3")
