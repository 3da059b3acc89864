"""Conversions to PhiFlow and back, and what both make of one field: divergence, projection, diffusion, transport."""

from __future__ import annotations

import itertools
import math
import sys
from typing import Any

import numpy as np
import pytest
import torch
from cases.staggered_cases import SIDES, at_faces, noise, orders, rms
from torch import Tensor

from eddygrad.solver.equations.navier_stokes import NavierStokesVelocity
from eddygrad.solver.grid import Grid
from eddygrad.solver.phiflow import from_phiflow, from_phiflow_centred, to_phiflow, to_phiflow_centred
from eddygrad.solver.schemes.splitting import Splitting
from eddygrad.solver.staggered.advection import advection
from eddygrad.solver.staggered.boundary_conditions import FreeSlip, Inflow, Outflow, Periodic, Wall, sides_of
from eddygrad.solver.staggered.faces import Faces, known_values
from eddygrad.solver.staggered.fast_diagonalisation import Line, Separable, pressure_lines
from eddygrad.solver.staggered.laplacian import laplacian
from eddygrad.solver.staggered.momentum import projected

pm = pytest.importorskip("phi.math")
pf = pytest.importorskip("phi.field")
fluid = pytest.importorskip("phi.physics.fluid")
diffuse = pytest.importorskip("phi.physics.diffuse")
advect = pytest.importorskip("phi.physics.advect")
Box = pytest.importorskip("phi.geom").Box

pytestmark = pytest.mark.filterwarnings("ignore:Rank deficiency", "ignore:Sparse")
GRID = Grid((8, 6), (3.0, 1.7))
BOTH: dict[str, Any] = {
    **SIDES,
    "inflows": ((Inflow((1.0, 0.2)), Inflow((0.7, -0.3))), (Wall((0.5, 0.0)), Wall())),
    "plug": Inflow((1.0, 0.1)),
    "slip channel": (Periodic(), (FreeSlip(), Wall((0.4, 0.0)))),
    "open above": (Periodic(), (Inflow((0.1, 0.6)), Outflow())),
}
CLOSED = [name for name in BOTH if name not in ("convective", "do-nothing", "open above")]
every = pytest.mark.parametrize("name", BOTH)


def faces_of(grid: Grid, name: str, like: Tensor) -> Faces:
    sides = sides_of(BOTH[name], 2)
    return Faces(grid, sides, known_values(grid, sides, 0.0, {}, like))


def with_sides(u: Tensor, faces: Faces) -> Tensor:
    """u with what sides fix on their upper faces; unlike `Faces.imposed` a convective outflow is left as it is."""
    sides = tuple((low, Outflow("do-nothing") if isinstance(high, Outflow) else high) for low, high in faces.sides)
    return torch.stack(Faces(faces.grid, sides, faces.known).imposed(u.unbind(1)), 1)


def state(name: str, dtype: torch.dtype = torch.float64, batch: int = 2) -> Tensor:
    u = noise(GRID, batch).to(dtype)
    return with_sides(u, faces_of(GRID, name, u))


@every
@pytest.mark.parametrize("dtype, bits", [(torch.float64, 64), (torch.float32, 32)])
def test_there_and_back_is_exact(name: str, dtype: torch.dtype, bits: int) -> None:
    """Whatever stood on faces that a side fixes, the side's value is written there."""
    u = state(name, dtype, 3)
    for start in (u, noise(GRID, 3).to(dtype)):
        there = to_phiflow(start, GRID, BOTH[name])
        assert there.values.dtype.precision == bits and there.shape.get_size("sample") == 3
        back = from_phiflow(there, GRID, BOTH[name])
        assert back.dtype == dtype and torch.equal(back, u)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_centred_there_and_back_is_exact(channels: int, dtype: torch.dtype) -> None:
    c = torch.randn(3, channels, *GRID.shape, dtype=dtype, generator=torch.Generator().manual_seed(1))
    there = to_phiflow_centred(c, GRID, BOTH["convective"])
    assert set(there.shape.channel.names) == ({1: set(), 2: {"vector"}, 3: {"c"}}[channels])
    back = from_phiflow_centred(there, GRID)
    assert back.dtype == dtype and torch.equal(back, c)


def slope(d: int, x: Any, y: Any, t: float = 0.0) -> Any:
    return (1.0 + 2.0 * x - 3.0 * y, -0.5 + 0.7 * x + 1.9 * y)[d]


@every
def test_a_linear_field_lands_at_phiflows_faces(name: str) -> None:
    """Their coordinates with our values, and their samples in our state; face L of a periodic axis is face 0."""
    faces = faces_of(GRID, name, noise(GRID))
    lengths = [l if faces.periodic(a) else math.inf for a, l in enumerate(GRID.lengths)]

    def wrapped(d: int, x: Tensor, y: Tensor, t: float) -> Tensor:
        # mod alone would leave a coordinate a rounding below L where it is
        x, y = (torch.where((q - l).abs() < 1e-9, 0.0, q) for q, l in zip((x, y), lengths))
        return slope(d, x, y)

    ours = at_faces(GRID, wrapped)
    there = to_phiflow(ours, GRID, BOTH[name])
    with pm.precision(64):
        for d, component in enumerate("xy"):
            points = there.points[{"~vector": component}]
            x, y = (points.vector[a].numpy("x,y") for a in "xy")
            np.testing.assert_allclose(there.values[{"~vector": component}].sample[0].numpy("x,y"), slope(d, x, y), rtol=0, atol=1e-12)
        bounds = Box(x=GRID.lengths[0], y=GRID.lengths[1])
        theirs = pf.StaggeredGrid(lambda x, y: pm.vec(x=slope(0, x, y), y=slope(1, x, y)), there.boundary, bounds, x=8, y=6)
    back = from_phiflow(theirs, GRID, BOTH[name])
    torch.testing.assert_close(back, with_sides(ours, faces), rtol=0, atol=1e-12)


def test_a_linear_field_lands_at_phiflows_centres() -> None:
    ours = slope(0, *GRID.points(centred=True))[None, None]
    there = to_phiflow_centred(ours, GRID)
    with pm.precision(64):
        x, y = (there.points.vector[a].numpy("x,y") for a in "xy")
        np.testing.assert_allclose(there.values.sample[0].numpy("x,y"), slope(0, x, y), rtol=0, atol=1e-12)


@every
@pytest.mark.parametrize("dtype, bits, bound", [(torch.float64, 64, 1e-13), (torch.float32, 32, 1e-5)])
def test_the_divergence_is_phiflows(name: str, dtype: torch.dtype, bits: int, bound: float) -> None:
    u = state(name, dtype)
    with pm.precision(bits):
        theirs = from_phiflow_centred(pf.divergence(to_phiflow(u, GRID, BOTH[name])), GRID)
    ours = faces_of(GRID, name, u).divergence(u.unbind(1))[:, None]
    assert theirs.dtype == dtype
    torch.testing.assert_close(theirs, ours, rtol=0, atol=bound)


def our_projection(u: Tensor, faces: Faces) -> Tensor:
    pressure = Separable(pressure_lines(faces.grid, faces.sides), (0.0, 1.0), u.dtype)
    return torch.stack(projected(u.unbind(1), faces, pressure)[0], 1)


def phiflows_projection(u: Tensor, grid: Grid, name: str) -> Tensor:
    """Its solve to 1e-13 from the pressure that `to_phiflow_centred` makes."""
    start = to_phiflow_centred(torch.zeros_like(u[:, :1]), grid, BOTH[name])
    field = to_phiflow(u, grid, BOTH[name])
    with pm.precision(64), field.values.default_backend:
        solved, pressure = fluid.make_incompressible(field, solve=pm.Solve("CG", 1e-13, 1e-13, x0=start))
    assert pressure.boundary == start.boundary
    return from_phiflow(solved, grid, BOTH[name])


@pytest.mark.parametrize("name", CLOSED)
def test_the_projection_between_closed_sides_is_phiflows(name: str) -> None:
    """The same discrete problem, so they differ by the tolerance of its solve. Where more enters than leaves, both let the mean divergence be."""
    u = state(name)
    torch.testing.assert_close(phiflows_projection(u, GRID, name), our_projection(u, faces_of(GRID, name, u)), rtol=0, atol=1e-11)


def zero_beyond(u: Tensor, faces: Faces) -> Tensor:
    """The projection with zero pressure at the centre of the cell beyond an outflow at the upper end of x."""
    (n, m), (h, k) = faces.grid.shape, faces.grid.spacing
    pressure = Separable((Line(n, h, "even", "zero"), Line(m, k, "even", "even")), (0.0, 1.0), u.dtype)
    phi = pressure(faces.divergence(u.unbind(1)))
    steps = faces.gradient(phi)
    steps[0] = torch.cat([steps[0][:, :-1], -phi[:, -1:] / h], 1)
    return u - torch.stack(steps, 1)


@pytest.mark.parametrize("name", ["convective", "do-nothing"])
def test_phiflows_outflow_has_its_pressure_zero_half_a_cell_beyond_the_side(name: str) -> None:
    u = state(name)
    torch.testing.assert_close(phiflows_projection(u, GRID, name), zero_beyond(u, faces_of(GRID, name, u)), rtol=0, atol=1e-11)


def test_phiflows_outflow_becomes_do_nothing_with_the_spacing() -> None:
    """Half a cell of distance: the difference falls to a half per refinement; the convective outflow is another problem and stays apart."""

    def start(d: int, x: Tensor, y: Tensor, t: float) -> Tensor:
        return 1.0 + torch.sin(2 * x) * torch.cos(y) if d == 0 else 0.2 + x * torch.sin(math.pi * y / 1.7)

    gaps: dict[str, list[float]] = {"do-nothing": [], "convective": []}
    for (name, found), n in itertools.product(gaps.items(), (8, 16, 32)):
        grid = Grid((n, n), GRID.length)
        u = at_faces(grid, start)
        faces = faces_of(grid, name, u)
        u = torch.stack(faces.imposed(u.unbind(1)), 1)
        found.append(rms(phiflows_projection(u, grid, name) - our_projection(u, faces)))
    assert 0.9 < orders(gaps["do-nothing"])[-1] < 1.1
    assert gaps["convective"][-1] > gaps["convective"][0] > 3 * gaps["do-nothing"][0]


@every
def test_explicit_diffusion_is_phiflows_but_for_its_walls(name: str) -> None:
    """PhiFlow has a side's value one cell beyond the tangential velocities, we have it half a cell beyond: (v - u) / h^2 between the two. It does
    not diffuse the faces of an outflow: there its Laplacian has the boundary 0, which stores no face."""
    u, nu, dt = state(name), 0.01, 0.2
    faces = faces_of(GRID, name, u)
    lap = torch.stack(laplacian(u.unbind(1), faces), 1)
    wall = torch.zeros_like(lap)
    for (axis, end), values in faces.known.items():
        d, h = 1 - axis, GRID.spacing[axis]
        row = [slice(None)] * 4
        row[1], row[axis + 2] = slice(d, d + 1), slice(-1, None) if end else slice(0, 1)
        wall[tuple(row)] += (values[d][:, None] - u[tuple(row)]) / h**2
    for axis, (_, high) in enumerate(faces.sides):
        if isinstance(high, Outflow):
            row = [slice(None), slice(axis, axis + 1), slice(None), slice(None)]
            row[axis + 2] = slice(-1, None)
            wall[tuple(row)] = lap[tuple(row)]
    with pm.precision(64):
        theirs = from_phiflow(diffuse.explicit(to_phiflow(u, GRID, BOTH[name]), nu, dt), GRID, BOTH[name])
    torch.testing.assert_close(theirs, with_sides(u + nu * dt * (lap - wall), faces), rtol=0, atol=1e-14)
    assert (wall.abs().max() > 1) == bool(faces.known)


def test_central_transport_agrees_with_phiflows_to_second_order() -> None:
    """u . grad u by differences of two cells against the skew-symmetric fluxes, one Euler step on a flow without divergence."""

    def start(d: int, x: Tensor, y: Tensor, t: float) -> Tensor:
        if d == 0:
            return 0.3 + torch.sin(x) * torch.cos(y) + 0.5 * torch.cos(2 * y + 0.3)
        return -torch.cos(x) * torch.sin(y) + 0.4 * torch.sin(x + 0.2)

    gaps, dt = [], 0.1
    for n in (16, 32, 64):
        grid = Grid((n, 3 * n // 2))
        u = at_faces(grid, start)
        field = to_phiflow(u, grid)
        with pm.precision(64):
            theirs = from_phiflow(field + dt * advect.differential(field, field, order=2), grid)
        sides = sides_of(Periodic(), 2)
        ours = u + dt * torch.stack(advection(u.unbind(1), Faces(grid, sides, {}), "central"), 1)
        gaps.append(rms(theirs - ours))
    assert gaps[0] < 0.03 * dt and all(1.9 < order < 2.1 for order in orders(gaps))


def test_a_step_of_semi_lagrangian_transport_and_projection_is_phiflows_under_refinement() -> None:
    """The scheme of the wake that is timed beside PhiFlow's. Paths and interpolation differ: a step's gap goes with h^2, dt = h / 4."""

    def start(d: int, x: Tensor, y: Tensor, t: float) -> Tensor:
        return 0.5 + torch.sin(x) * torch.cos(y) if d == 0 else -torch.cos(x) * torch.sin(y) + 0.4 * torch.sin(x + 0.2)

    gaps, moved = [], []
    for n in (16, 32, 64):
        grid = Grid((n, n))
        u, dt = at_faces(grid, start), 2 * math.pi / n / 4
        scheme = Splitting(NavierStokesVelocity(viscosity=0.0), grid, dt, transport="semi-lagrangian")
        field = to_phiflow(u, grid)
        with pm.precision(64):
            carried = advect.semi_lagrangian(field, field, dt)
            theirs = from_phiflow(fluid.make_incompressible(carried, solve=pm.Solve("CG", 1e-12, 1e-12))[0], grid)
        ours = scheme.at({}, u)(u)
        gaps.append(rms(theirs - ours))
        moved.append(rms(ours - u))
    assert gaps[-1] < 0.05 * moved[-1] and all(order > 1.8 for order in orders(gaps))


@pytest.mark.parametrize("name", ["periodic", "cavity", "do-nothing"])
def test_gradients_go_through_phiflow(name: str) -> None:
    """Of its divergence to round-off; of there and back all but the faces that sides fix."""
    u = state(name).requires_grad_()
    weights = noise(GRID, seed=5)
    faces = faces_of(GRID, name, u)
    with pm.precision(64):
        theirs = from_phiflow_centred(pf.divergence(to_phiflow(u, GRID, BOTH[name])), GRID)
    (got,) = torch.autograd.grad((theirs * weights[:, :1]).sum(), u)
    (expected,) = torch.autograd.grad((faces.divergence(with_sides(u, faces).unbind(1)) * weights[:, 0]).sum(), u)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-13)
    (back,) = torch.autograd.grad((from_phiflow(to_phiflow(u, GRID, BOTH[name]), GRID, BOTH[name]) * weights).sum(), u)
    assert torch.equal(back, with_sides(weights, faces.homogeneous()))
    c = weights[:, :1].clone().requires_grad_()
    (centred,) = torch.autograd.grad((from_phiflow_centred(to_phiflow_centred(c, GRID), GRID) * weights[:, :1]).sum(), c)
    assert torch.equal(centred, weights[:, :1])


@pytest.mark.parametrize("name", ["periodic", "cavity"])
def test_gradients_go_through_phiflows_solve(name: str) -> None:
    u = state(name, batch=1).requires_grad_()
    weights = noise(GRID, 1, seed=5)
    faces = faces_of(GRID, name, u)
    (expected,) = torch.autograd.grad((our_projection(with_sides(u, faces), faces) * weights).sum(), u)
    loss = (phiflows_projection(u, GRID, name) * weights).sum()
    with pm.precision(64), to_phiflow(u, GRID, BOTH[name]).values.default_backend:  # PhiFlow solves again on the way back
        (got,) = torch.autograd.grad(loss, u)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-10)


def test_fields_of_others_are_read() -> None:
    """Without a batch, with another's name for it, in numpy, of one constant, and elsewhere than at 0."""
    bounds = Box(x=(1.0, 4.0), y=(-1.0, 0.7))
    still = from_phiflow(pf.StaggeredGrid(0.0, 0, bounds, x=8, y=6), GRID, Wall())
    assert torch.equal(still, torch.zeros(1, 2, 8, 6))
    values = np.arange(2.0 * 8 * 6).reshape(2, 8, 6)
    with pm.precision(64):
        grid = pf.CenteredGrid(pm.wrap(values, pm.batch("run"), pm.spatial("x,y")), 0, bounds)
        turned = pf.CenteredGrid(pm.wrap(values, pm.channel("pair"), pm.spatial("x,y")), 0, bounds)
    assert torch.equal(from_phiflow_centred(grid, GRID), torch.from_numpy(values)[:, None])
    assert torch.equal(from_phiflow_centred(turned, GRID), torch.from_numpy(values)[None])


def test_bad_input_is_named() -> None:
    u, wide = noise(GRID), Grid((8, 6), (3.0, 1.8))
    velocity, centred = to_phiflow(u, GRID, Wall()), to_phiflow_centred(u, GRID)
    profile = ((Inflow((lambda points, t, params: points[1], 0.0)), Outflow()), Wall())
    lid = (Periodic(), (Wall(), Wall(("lid", 0.0))))
    for call, message in [
        (lambda: to_phiflow(u, GRID, profile), "Inflow at the lower side of axis x has a profile function"),
        (lambda: from_phiflow(velocity, GRID, lid), "Wall at the upper side of axis y has the parameter 'lid'"),
        (lambda: to_phiflow(u[:, :1], GRID), "one face velocity per axis"),
        (lambda: to_phiflow(u.long(), GRID), "expected float32 or float64, got int64"),
        (lambda: to_phiflow(u, Grid((6, 8))), "build the stepper on another Grid"),
        (lambda: to_phiflow_centred(u[None], GRID), "one batch axis"),
        (lambda: from_phiflow(velocity, GRID), "the boundaries are periodic in PhiFlow"),
        (lambda: from_phiflow(velocity, GRID, (Wall(), (Wall(), Wall((1.0, 0.0))))), "the field has 0"),
        (lambda: from_phiflow(velocity, Grid((6, 8)), Wall()), "field: expected {'x': 6, 'y': 8} cells"),
        (lambda: from_phiflow(velocity, wide, Wall()), "field: expected the spacing"),
        (lambda: from_phiflow(centred, GRID), "expected a StaggeredGrid"),
        (lambda: from_phiflow_centred(velocity, GRID), "expected a CenteredGrid"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()


def test_without_phiflow_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "phi", None)
    with pytest.raises(ImportError, match=r"pip install eddygrad\[phiflow\]"):
        to_phiflow(noise(GRID), GRID)
