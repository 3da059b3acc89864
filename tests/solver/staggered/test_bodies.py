"""Bodies in the flow: no slip and no divergence to round-off, forces that balance, gradients by place, outlines."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from cases.staggered_cases import at_faces, noise, taylor_green
from torch import Tensor

from eddygrad.solver.equations.navier_stokes import NavierStokesVelocity
from eddygrad.solver.grid import Grid
from eddygrad.solver.schemes.projection import Projection, ProjectionStep
from eddygrad.solver.staggered.bodies import Body, Cylinder, Polygon, aerofoil, rectangle
from eddygrad.solver.staggered.boundary_conditions import FreeSlip, Inflow, Outflow, Periodic, Wall, points_of, sides_of
from eddygrad.solver.staggered.immersed import Immersed
from eddygrad.solver.staggered.probes import at_points, strouhal, surface_pressure
from eddygrad.solver.unroll import repeat

GRID = Grid((32, 24), (4.0, 3.0))
STREAM: Any = ((Inflow(("inflow", 0.0)), Outflow()), FreeSlip())
BODIES: dict[str, tuple[Body, ...]] = {
    "cylinder": (Cylinder((1.1, 1.52), radius=0.35),),
    "rectangle": (rectangle((1.2, 1.5), 0.6, 0.4, angle=0.3),),
    "aerofoil": (aerofoil("2412", (1.0, 1.5), chord=1.2, angle=-0.1),),
    "two": (Cylinder((1.0, 1.0), radius=0.3), rectangle((2.2, 2.0), 0.4, 0.5)),
    "moving": (Cylinder((lambda t, p: 1.1 + 0.2 * torch.sin(t), 1.5), lambda t, p: 2.0 * t, radius=0.35),),
}


def bound(bodies: tuple[Body, ...], dtype: torch.dtype = torch.float64, observe: Any = None, sides: Any = STREAM, **options: Any) -> ProjectionStep:
    scheme = Projection(NavierStokesVelocity(viscosity=0.05), GRID, 0.05, sides, bodies=bodies, **options)
    step = scheme.at({"inflow": 1.0} if sides is STREAM else {}, noise(GRID).to(dtype), observe)
    assert isinstance(step, ProjectionStep)
    return step


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("dtype, bound_", [(torch.float64, 1e-12), (torch.float32, 1e-6)])
def test_the_flow_has_no_divergence_and_the_bodies_velocity(name: str, dtype: torch.dtype, bound_: float) -> None:
    step = bound(BODIES[name], dtype)
    u = noise(GRID).to(dtype)
    for k in range(3):
        u = step(u, k)
    divergence = step.momentum.faces.divergence(list(u.unbind(1)))
    assert divergence.abs().max() * GRID.spacing[0] / u.abs().max() < bound_
    markers = [body.markers(1.5 * max(GRID.spacing), 3 * 0.05, {}) for body in BODIES[name]]
    points, velocities = (torch.cat(parts) for parts in zip(*markers))
    slip = Immersed(GRID, step.scheme.sides, points, velocities).interpolated(list(u.unbind(1))) - velocities.mT.flatten()
    assert slip.abs().max() < (1e-9 if dtype == torch.float64 else 1e-5) * u.abs().max()


def test_interpolation_is_exact_on_linear_fields_and_spreading_its_transpose() -> None:
    points = torch.rand(20, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * torch.tensor([2.0, 1.5]) + 0.7
    immersed = Immersed(GRID, sides_of(Periodic(), 2), points, torch.zeros_like(points))
    (hx, hy), (nx, ny) = GRID.spacing, GRID.shape
    x, y = (torch.arange(nx, dtype=torch.float64) + 1)[:, None] * hx, (torch.arange(ny, dtype=torch.float64) + 0.5) * hy
    linear = (1.5 * x - 0.7 * y + 0.2)[None]
    found = immersed.interpolated([linear, linear])[0, :20]
    torch.testing.assert_close(found, 1.5 * points[:, 0] - 0.7 * points[:, 1] + 0.2, rtol=0, atol=1e-12)
    u, f = list(noise(GRID).unbind(1)), torch.randn(2, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    work = sum((a * b).sum() for a, b in zip(u, immersed.spread(f, u[0])))
    torch.testing.assert_close((immersed.interpolated(u) * f).sum(), work, rtol=1e-12, atol=0)


def test_what_a_body_takes_is_what_the_stream_loses() -> None:
    """Periodic along x, slip above and below: d/dt of the momentum is minus the force, by Newton's third law."""
    told: list[Tensor] = []
    step = bound(BODIES["cylinder"], observe=lambda name, value: told.append(value) if name == "force" else None, sides=(Periodic(), FreeSlip()))
    u = torch.zeros(1, 2, *GRID.shape, dtype=torch.float64)
    u[:, 0] = 1.0
    cell = GRID.spacing[0] * GRID.spacing[1]
    for k in range(5):
        after = step(u, k)
        lost = -cell * (after - u)[:, 0].sum((-2, -1)) / 0.05
        torch.testing.assert_close(told[-1][:, 0, 0], lost, rtol=1e-9, atol=0)
        u = after
    assert told[-1][0, 0, 0] > 0.1 and abs(float(told[-1][0, 0, 1])) < 0.05 * float(told[-1][0, 0, 0])


def test_a_turning_cylinder_drives_the_flow_around_it() -> None:
    """Between fixed sides at a distance, the fluid at the rim follows; a cylinder at rest leaves rest alone."""
    turning = (Cylinder((2.0, 1.5), lambda t, p: -3.0 * t, radius=0.5),)
    u = torch.zeros(1, 2, *GRID.shape, dtype=torch.float64)
    assert bound((Cylinder((2.0, 1.5), radius=0.5),), sides=Wall())(u).abs().max() < 1e-14
    end = repeat(bound(turning, sides=Wall()), u, 10)
    above, below = end[0, 0, 16, 17], end[0, 0, 16, 6]  # clockwise: to the right above it
    assert above > 0.3 and below < -0.3


@pytest.mark.parametrize("of", ["place", "angle", "stroke", "spin", "inflow", "viscosity", "state"])
def test_gradients_are_those_of_differences(of: str) -> None:
    """Of a sum over the flow and of the drag, over four steps; of a body that moves by its motion, which its velocity follows."""
    body: Body = Cylinder(("x", 1.5), radius=0.35)
    if of == "angle":
        body = rectangle((1.2, 1.5), 0.7, 0.4, "angle")
    elif of in ("stroke", "spin"):
        body = rectangle((lambda t, p: 1.2 + p["stroke"] * torch.sin(3.0 * t), 1.5), 0.7, 0.4, lambda t, p: p["spin"] * t)
    scheme = Projection(NavierStokesVelocity(), GRID, 0.05, STREAM, bodies=(body,), diffusion="implicit")
    start, weights = repeat(bound(BODIES["cylinder"]), noise(GRID), 3), noise(GRID, seed=4)

    values = {"place": 1.1, "angle": 0.2, "stroke": 0.3, "spin": 1.5, "inflow": 1.0, "viscosity": 0.05}

    def loss(value: Tensor) -> Tensor:
        drag: list[Tensor] = []
        names = {"inflow", "viscosity", *({"angle", "stroke", "spin"} & {of}), *({"stroke", "spin"} if of in ("stroke", "spin") else ())}
        params: dict[str, Any] = {name: values[name] for name in names} | ({"x": values["place"]} if isinstance(body, Cylinder) else {})
        u = value if of == "state" else start
        params |= {} if of == "state" else {"x" if of == "place" else of: value}
        end = repeat(scheme.at(params, u, lambda name, load: drag.append(load.sum())), u, 4, grad=True)
        return (end * weights).sum() + torch.stack(drag).sum()

    first = start.clone() if of == "state" else torch.tensor(values[of], dtype=torch.float64)
    assert torch.autograd.gradcheck(loss, (first.requires_grad_(),), eps=1e-6, atol=1e-5, rtol=1e-4, fast_mode=True)


@pytest.mark.parametrize("name", ["cylinder", "rectangle", "aerofoil"])
def test_outlines_go_once_around_what_they_cover(name: str) -> None:
    (body,) = BODIES[name]
    outline = body.outline(0.01)
    ahead = outline.roll(-1, 0)
    area = 0.5 * float((outline[:, 0] * ahead[:, 1] - ahead[:, 0] * outline[:, 1]).sum())
    n = 600
    x, y = (torch.arange(n, dtype=torch.float64) + 0.5)[:, None] / n * 4, (torch.arange(n, dtype=torch.float64) + 0.5) / n * 3
    covered = float(body.inside((x, y), 0.0, {}).double().sum()) * 12 / n**2
    assert area == pytest.approx(covered, rel=0.01)
    exact = {"cylinder": math.pi * 0.35**2, "rectangle": 0.24, "aerofoil": 0.6851 * 0.12 * 1.2**2}[name]
    assert covered == pytest.approx(exact, rel=0.01)
    gaps = (ahead - outline).norm(dim=1)
    assert gaps.max() < 0.011


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Cylinder((0.0, 0.0), radius=-1.0), "radius must be a positive number"),
        (lambda: Cylinder((0.0, 0.0), radius=torch.tensor(0.3)), "only position and angle may be parameters"),  # type: ignore[arg-type]
        (
            lambda: bound((Cylinder((lambda t, p: p["swing"] * t, 1.5), radius=0.35),))(noise(GRID)),
            "a body's coordinate is a function that reads 'swing', got",
        ),
        (lambda: Polygon((0.0, 0.0), 0.0, ((0, 0), (0, 1), (1, 0))), "must be anticlockwise"),
        (lambda: Polygon((0.0, 0.0), 0.0, ((0, 0), (0, 1))), "at least three corners"),
        (lambda: aerofoil("12", (0.0, 0.0), 1.0), "four digits"),
        (lambda: bound((Cylinder((0.3, 1.5), radius=0.35),)), "at least two cells of 0.125 m inside the sides"),
        (lambda: bound((Cylinder(("place", 1.5), radius=0.35),)), "a body's coordinate is named 'place'"),
        (
            lambda: Projection(NavierStokesVelocity(dimension=3), Grid((8, 8, 8)), 0.1, bodies=BODIES["cylinder"]),
            "bodies need a two-dimensional grid",
        ),
    ],
)
def test_bad_bodies_are_named(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_loads_are_what_short_steps_tell() -> None:
    """The force by accelerations is the limit of the impulse per step, at first order; a pressure tap reads an exact field."""
    u = repeat(bound(BODIES["two"]), noise(GRID), 5)
    momentum = bound(BODIES["two"]).momentum
    force = momentum.loads(u).force
    assert force is not None
    errors = []
    for dt in (1e-3, 5e-4):
        told: list[Tensor] = []
        scheme = Projection(NavierStokesVelocity(viscosity=0.05), GRID, dt, STREAM, bodies=BODIES["two"])
        scheme.at({"inflow": 1.0}, u, lambda name, value, told=told: told.append(value) if name == "force" else None)(u)  # type: ignore[misc]
        errors.append(float((told[0] - force).abs().max() / force.abs().max()))
    assert errors[1] < 0.02 and errors[0] / errors[1] == pytest.approx(2, rel=0.1)


def test_pressure_of_taylor_green_vortices() -> None:
    """p = (cos 2x + cos 2y) / 4, at second order."""
    errors = []
    for n in (32, 64):
        grid = Grid((n, n))
        u = at_faces(grid, taylor_green(0.01))
        p = Projection(NavierStokesVelocity(viscosity=0.01), grid, 0.01).momentum({}, u).loads(u).pressure
        x, y = grid.points(centred=True)
        errors.append(float((p[0] - (torch.cos(2 * x) + torch.cos(2 * y)) / 4).abs().max()))
    assert errors[0] / errors[1] > 3.8


def test_probes_are_exact_on_what_is_linear() -> None:
    x, y = GRID.points(centred=True)
    p = (2 * x - y + 0.5)[None]
    points, normals = torch.tensor([[1.3, 0.9], [0.01, 2.99]]).double(), torch.tensor([[0.6, 0.8], [0.6, -0.8]]).double()
    expected = (2 * points[:, 0] - points[:, 1] + 0.5)[None]
    torch.testing.assert_close(at_points(p, GRID, points), expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(surface_pressure(p, GRID, points, normals), expected, rtol=0, atol=1e-11)
    with pytest.raises(ValueError, match="inside the box"):
        at_points(p, GRID, points + 5)


def test_the_strouhal_number_of_a_sine() -> None:
    t = torch.arange(1000, dtype=torch.float64) * 0.05
    assert strouhal(torch.sin(2 * math.pi * 0.33 * t + 0.2) + 0.4, 0.05, 2.0, 0.5) == pytest.approx(0.33 * 0.5 / 2.0, rel=1e-3)
    with pytest.raises(ValueError, match="two periods"):
        strouhal(t[:30], 0.05, 1.0, 1.0)


@pytest.mark.parametrize(
    "body, said",
    [
        (Cylinder((2.0, 1.0), radius=0.05), r"Cylinder is 0.1 m thick, a cell 0.125 m"),
        (rectangle((2.0, 1.0), 1.0, 0.1, angle=0.4), r"Polygon is 0.1 m thick, a cell 0.125 m"),
        (Cylinder((7.0, 1.0), radius=0.3), r"expected Cylinder inside the box \(4.0, 2.0\) m, got it near \(7, 1\) m"),
        (
            Cylinder((0.4, 1.0), radius=0.3),
            r"at least two cells of 0.125 m inside the sides at 0 and 4 m, got 0.1 to 0.7 m along x",
        ),
    ],
)
def test_a_body_that_the_grid_cannot_hold_is_refused(body: Body, said: str) -> None:
    grid = Grid((32, 16), (4.0, 2.0))
    sides = ((Inflow((1.0, 0.0)), Outflow()), Periodic())
    with pytest.raises(ValueError, match=said):
        Projection(NavierStokesVelocity(), grid, 0.01, sides, bodies=(body,)).at({}, noise(grid))


def test_what_enters_must_leave() -> None:
    grid = Grid((16, 8), (2.0, 1.0))
    with pytest.raises(ValueError, match=r"expected balanced inflows without an Outflow, got a net inflow of 33.3 % of the flux"):
        Projection(NavierStokesVelocity(), grid, 0.01, ((Inflow((1.0, 0.0)), Inflow((0.5, 0.0))), Wall())).at({}, noise(grid))
    Projection(NavierStokesVelocity(), grid, 0.01, ((Inflow((1.0, 0.0)), Inflow((1.0, 0.0))), Wall())).at({}, noise(grid))


def test_a_motion_that_torch_cannot_differentiate_is_an_error() -> None:
    """Its velocity would be zero, or too small, without a word. One that stands still, begins later or bends is right."""

    def velocity(y: Any, t: float) -> float:
        return float(Cylinder((1.1, y), radius=0.35).markers(0.1, t, {})[1][0, 1])

    for y in (lambda t, p: 1.5 + 0.2 * math.sin(t), lambda t, p: 1.5 + 0.01 * t + 0.1 * math.sin(float(t))):
        with pytest.raises(ValueError, match=r"write it with torch\.sin, not math\.sin"):
            velocity(y, 0.3)
    assert velocity(lambda t, p: torch.tensor(1.5), 0.3) == 0
    for t in (0.0, 0.5, 0.9, 1.0, 1.4):
        later = velocity(lambda t, p: 0.8 if t < 1.0 else 0.8 + 0.1 * (t - 1.0), t)
        assert later == (0.0 if t < 1.0 else 0.1)
    assert velocity(lambda t, p: 1 + (t - 1).abs(), 0.4) == -1 and velocity(lambda t, p: 1 + (t - 1).abs(), 1.4) == 1


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_a_body_that_stands_nowhere_is_an_error(wrong: float) -> None:
    with pytest.raises(ValueError, match="a body's coordinate 'x' must be finite, got"):
        around((Cylinder(("x", 1.5), radius=0.35),)).at({"x": wrong, "viscosity": 0.05}, noise(GRID))


def test_a_pose_that_all_samples_share_may_stand_in_a_column() -> None:
    """As a data set's parameters do; the time of the first frame too."""
    circle = Cylinder((lambda t, p: p["x"] + 0.2 * t, "y"), radius=0.35)
    column = {name: torch.full((2, 1, 1, 1), value, dtype=torch.float64) for name, value in (("x", 1.2), ("y", 1.5), ("t0", 0.5))}
    u = noise(GRID)
    expected = around((circle,)).at({"x": 1.2, "y": 1.5, "t0": 0.5, "viscosity": 0.05}, u)(u)
    torch.testing.assert_close(around((circle,)).at({**column, "viscosity": 0.05}, u)(u), expected, rtol=0, atol=1e-13)
    column["y"][1] += 0.1
    with pytest.raises(ValueError, match=r"one pose for the whole batch, got \(2, 1, 1, 1\) values for 'y' that differ"):
        around((circle,)).at({**column, "viscosity": 0.05}, u)(u)


def test_bodies_that_overlap_act_as_their_union() -> None:
    grid, forces = Grid((64, 48), (4.0, 3.0)), []
    whole, parts = rectangle((1.5, 1.5), 1.0, 0.5), (rectangle((1.3, 1.5), 0.6, 0.5), rectangle((1.7, 1.5), 0.6, 0.5))
    for bodies, dtype in (((whole,), torch.float64), (parts, torch.float64), (parts, torch.float32)):
        told: list[Tensor] = []
        scheme = Projection(NavierStokesVelocity(viscosity=0.02), grid, 0.05, STREAM, substeps=2, bodies=bodies)
        u = torch.zeros(1, 2, *grid.shape, dtype=dtype)
        u[:, 0] = 1.0
        repeat(scheme.at({"inflow": 1.0}, u, lambda name, value: told.append(value) if name == "force" else None), u, 40)  # noqa: B023
        forces.append(float(told[-1].sum(1)[0, 0]))
    assert forces[1] == pytest.approx(forces[0], rel=0.03)  # markers stand elsewhere: the finer, the nearer
    assert forces[2] == pytest.approx(forces[1], rel=1e-4)


def test_a_body_across_a_periodic_side_is_the_one_in_the_middle_shifted() -> None:
    """Flow, force and masks, for a body at rest and one that leaves the box and comes in again on the other side."""
    cells, width = 16, GRID.lengths[0] / 2
    u = noise(GRID)
    motions: dict[str, Any] = {"rest": lambda x: x, "moving": lambda x: lambda t, p: x + 2.0 * t}
    for motion in motions.values():
        ends, forces = [], []
        for x, first in ((2.1, u), (2.1 + width, u.roll(cells, -2))):  # the second one is cut by the side, or crosses it
            bodies = (Cylinder((motion(x), 1.5), radius=0.35),)
            told: list[Tensor] = []
            step = bound(bodies, observe=lambda name, value: told.append(value) if name == "force" else None, sides=(Periodic(), FreeSlip()))  # noqa: B023
            ends.append(repeat(step, first, 4))
            forces.append(torch.stack(told))
        torch.testing.assert_close(ends[1], ends[0].roll(cells, -2), rtol=0, atol=1e-12)
        torch.testing.assert_close(forces[1], forces[0], rtol=0, atol=1e-12)
    schemes = [
        Projection(NavierStokesVelocity(), GRID, 0.05, (Periodic(), FreeSlip()), bodies=(Cylinder((x, 1.5), radius=0.35),)) for x in (2.1, 4.1)
    ]
    for mask in ("free", "fluid"):
        middle, cut = (getattr(scheme, mask)({}, u) for scheme in schemes)
        assert bool((middle == 0).any()) and torch.equal(cut, middle.roll(cells, -2))


def test_a_long_body_is_masked_whatever_its_own_origin() -> None:
    """A plate of three quarters of the period, about its middle and about its corner."""
    about_middle = Polygon((2.0, 1.5), corners=((-1.5, -0.2), (1.5, -0.2), (1.5, 0.2), (-1.5, 0.2)))
    about_corner = Polygon((0.5, 1.3), corners=((0, 0), (3, 0), (3, 0.4), (0, 0.4)))
    masks = [around((plate,)).fluid({}, noise(GRID)) for plate in (about_middle, about_corner)]
    assert bool((masks[0] == 0).any()) and torch.equal(*masks)


def around(bodies: tuple[Body, ...]) -> Projection:
    return Projection(NavierStokesVelocity(viscosity=0.05), GRID, 0.02, (Periodic(), FreeSlip()), bodies=bodies)


def test_a_function_may_be_the_only_reader_of_a_parameter() -> None:
    shaken = (Cylinder((lambda t, p: 1.1 + p["stroke"] * torch.sin(t), 1.5), radius=0.35),)
    rest, u = (Cylinder((1.1, 1.5), radius=0.35),), noise(GRID)
    ends = [repeat(scheme.at(params, u), u, 2) for scheme, params in ((around(shaken), {"stroke": 0.0}), (around(rest), {}))]
    torch.testing.assert_close(ends[0], ends[1], rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match=r"got \['stroke'\]; rename it"):
        around(rest).at({"stroke": 0.0}, u)


def test_the_torque_on_a_turning_cylinder_is_that_of_two_concentric_ones() -> None:
    """4 pi nu Omega R^2 / (1 - R^2 / S^2) between circles R and S, S between the one inside the box and the one around it; Stokes flow at rest."""
    nu, radius, half = 1.0, 0.35, 1.5
    body = (Cylinder((half, half), lambda t, p: 2.0 * t, radius=radius),)
    torques: list[Tensor] = []
    scheme = Projection(NavierStokesVelocity(nu), Grid((40, 40), 2 * half), 0.01, Wall(), bodies=body, diffusion="implicit")
    u = torch.zeros(1, 2, 40, 40, dtype=torch.float64)
    repeat(scheme.at({}, u, lambda name, value: torques.append(value) if name == "torque" else None), u, 80)
    torch.testing.assert_close(torques[-1], torques[-2], rtol=1e-2, atol=0)  # steady; the markers pass over the cells
    alone = 4 * math.pi * nu * 2.0 * radius**2
    low, high = (alone / (1 - radius**2 / s**2) for s in (math.sqrt(2) * half, half))
    assert low < -float(torques[-1]) < 1.15 * high  # the markers' layer makes the body about .3 of a cell thicker, R^2 by 13 %


def test_the_fluid_is_within_a_hollow_body_which_holds_it_as_a_wall_does() -> None:
    """Stokes flow between a cylinder that turns and a vessel at rest: u_theta = Omega R^2 (S^2 / r - r) / (S^2 - R^2), to the markers' layer of
    about .3 of a cell: 4.8 % of the rim's speed here, 2.2 % at half the spacing and a quarter of the time step."""
    grid, (R, S), omega = Grid((24, 24), 4.0), (0.6, 1.6), 1.5
    wheel, vessel = Cylinder((2.0, 2.0), lambda t, p: omega * t, radius=R), Cylinder((2.0, 2.0), radius=S, hollow=True)
    x, y = points_of(grid, 0)
    r = ((x - 2) ** 2 + (y - 2) ** 2).sqrt()
    exact = -omega * R**2 * (S**2 / r - r) / (S**2 - R**2) * (y - 2) / r
    held = Projection(NavierStokesVelocity(1.0), grid, 0.01, Wall(), bodies=(wheel, vessel), diffusion="implicit")
    start = torch.zeros(1, 2, 24, 24, dtype=torch.float64)
    assert float(held.fluid({}, start).sum()) / 36 == pytest.approx(math.pi * (S**2 - R**2), rel=0.05)
    within, errors = held.free({}, start)[0, 0], []
    for scheme in (held, replace(held, bodies=(wheel,))):
        off = within * (repeat(scheme.at({}, start), start, 60)[0, 0] - exact)
        errors.append(float((off.square().sum() / within.sum()).sqrt()) / (omega * R))
    assert errors[0] < 0.06 and errors[1] > 2 * errors[0]


def test_a_mirrored_stream_twists_a_body_the_other_way() -> None:
    u = noise(GRID)
    u[:, 1, :, -1] = 0  # nothing goes through the upper side
    mirrored = torch.stack([u[:, 0].flip(-1), -torch.cat([u[:, 1, :, :-1].flip(-1), u[:, 1, :, -1:]], -1)], 1)
    told: list[Tensor] = []
    for sign, first in ((1, u), (-1, mirrored)):
        body = (Cylinder((1.2, 1.5 + 0.4 * sign), radius=0.35),)
        scheme = Projection(NavierStokesVelocity(0.05), GRID, 0.05, ((Inflow((1.0, 0.0)), Outflow()), FreeSlip()), bodies=body)
        repeat(scheme.at({}, first, lambda name, value: told.append(value) if name == "torque" else None), first, 3)
    assert len(told) == 6 and float(told[0].abs().min()) > 1e-3
    torch.testing.assert_close(torch.stack(told[3:]), -torch.stack(told[:3]), rtol=1e-9, atol=1e-12)


def test_loads_tell_the_torque_of_a_body_frozen() -> None:
    body = (rectangle((1.2, 1.5), 0.9, 0.4, angle=0.3), Cylinder((2.6, 1.4), radius=0.3))
    told: dict[str, Tensor] = {}
    scheme = Projection(NavierStokesVelocity(0.05), GRID, 1e-4, ((Inflow((1.0, 0.0)), Outflow()), FreeSlip()), bodies=body)
    u = repeat(replace(scheme, dt=0.05).at({}, noise(GRID)), noise(GRID), 5)
    scheme.at({}, u, told.__setitem__)(u)
    loads = scheme.momentum({}, u).loads(u)
    assert loads.force is not None and loads.torque is not None and loads.torque.shape == (2, 2)
    torch.testing.assert_close(told["force"], loads.force, rtol=2e-3, atol=2e-3)
    torch.testing.assert_close(told["torque"], loads.torque, rtol=2e-3, atol=2e-3)


def test_a_moving_body_asks_for_a_gradient_only_where_somebody_else_does() -> None:
    body = Cylinder((lambda t, p: 1.2 + p["stroke"] * torch.sin(t), 1.5), radius=0.35)
    u = noise(GRID)
    for stroke, wanted in ((0.2, False), (torch.tensor(0.2, dtype=torch.float64, requires_grad=True), True)):
        assert around((body,)).at({"stroke": stroke, "viscosity": 0.05}, u)(u).requires_grad is wanted


@pytest.mark.parametrize("moving", [False, True])
def test_a_moving_body_is_recomputed_no_more_often_than_one_frozen(moving: bool) -> None:
    """Its velocity is a derivative taken during the step, within a checkpoint too; the gradient is that of the whole graph."""
    stroke = torch.tensor(0.2, dtype=torch.float64, requires_grad=True)
    x: Any = (lambda t, p: 1.5 + p["stroke"] * torch.sin(t)) if moving else "stroke"
    scheme, u = around((Cylinder((x, 1.5), radius=0.35),)), noise(GRID)
    params = {"stroke": stroke if moving else stroke + 1.3}
    found = []
    for keep in ("all", "sqrt"):
        told: list[Tensor] = []
        step = scheme.at(params, u, lambda name, value, told=told: told.append(value) if name == "force" else None)  # type: ignore[misc]
        end = repeat(step, u, 9, grad=True, keep=keep)  # type: ignore[arg-type]
        assert len(told) == 9
        found.append(torch.autograd.grad(end.square().sum(), stroke, retain_graph=True)[0])
    torch.testing.assert_close(*found, rtol=1e-9, atol=0)
