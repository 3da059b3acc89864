"""Operators between the sides of a box: adjoint pairs, conservation, direct solves, what bad sides are told."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from cases.staggered_cases import CLOSED, SIDES, noise

from eddygrad.solver.equations.navier_stokes import NavierStokesVelocity
from eddygrad.solver.grid import Grid
from eddygrad.solver.schemes.projection import Projection
from eddygrad.solver.schemes.spectral.etdrk import ETDRK
from eddygrad.solver.staggered.advection import WIDTH, advection
from eddygrad.solver.staggered.boundary_conditions import FreeSlip, Inflow, Outflow, Periodic, Side, Wall, sides_of
from eddygrad.solver.staggered.faces import Faces, known_values
from eddygrad.solver.staggered.fast_diagonalisation import Line, Separable, pressure_lines, velocity_lines
from eddygrad.solver.staggered.laplacian import laplacian

GRID = Grid((12, 10), (2.0, 1.5))
ROUND_OFF = 1e-12


def faces(name: str, grid: Grid = GRID) -> Faces:
    sides = sides_of(SIDES[name], grid.ndim)
    return Faces(grid, sides, known_values(grid, sides, 0.0, {}, noise(grid)))


def inner(a: Any, b: Any) -> float:
    return float(sum((x * y).sum() for x, y in zip(a, b)))


@pytest.mark.parametrize("name", CLOSED)
def test_central_advection_does_no_work(name: str) -> None:
    """<u, N(u)> = 0 to round-off for any u with the sides' values, free of divergence or not."""
    f = faces(name)
    u = f.imposed(list(noise(GRID).unbind(1)))
    n = advection(u, f, "central")
    size = sum((a * b).abs().sum() for a, b in zip(u, n))
    assert abs(inner(u, n)) < ROUND_OFF * size
    assert abs(inner(u, advection(u, f, "upwind3"))) > 1e-3 * size  # the others damp


@pytest.mark.parametrize("name", SIDES)
def test_gradient_is_minus_the_transpose_of_the_divergence(name: str) -> None:
    """<p, div u> = -<grad p, u> for velocities that vanish where sides fix them; a face on a do-nothing side has half a cell."""
    f = faces(name).homogeneous()
    u = f.with_fixed(list(noise(GRID).unbind(1)), [torch.zeros(2, *GRID.shape, dtype=torch.float64)] * 2)
    p = noise(GRID, seed=3)[:, 0]
    slope = f.gradient(p)
    if name == "do-nothing":
        slope[0][:, -1] *= 0.5
    assert inner([p], [f.divergence(u)]) == pytest.approx(-inner(slope, u), abs=1e-10)


@pytest.mark.parametrize("name", SIDES)
@pytest.mark.parametrize("shape", [(12, 10), (256, 6), (200, 200)])
def test_pressure_is_solved_to_round_off(name: str, shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Periodic axes by FFT and by matrix products; the residual is div grad as the operators have it."""
    grid = Grid(shape, (2.0, 1.5))
    f = faces(name, grid)
    y = noise(grid, 1)[:, 0]
    y = y - y.mean() if f.closed else y
    solver = Separable(pressure_lines(grid, f.sides), (0.0, 1.0), torch.float64)
    p = solver(y)
    residual = f.homogeneous().divergence(f.gradient(p)) - y
    assert residual.abs().max() < 1e-9 * y.abs().max()
    assert torch.autograd.gradcheck(solver, (noise(grid, 1)[:, 0].requires_grad_(),)) if shape == (12, 10) else True


@pytest.mark.parametrize("name", SIDES)
@pytest.mark.parametrize("d", [0, 1])
def test_velocity_lines_are_the_laplacian(name: str, d: int) -> None:
    """(1 - c lap) inverted against the difference operator itself, on changes that vanish where the sides prescribe."""
    f = faces(name).homogeneous()
    u = f.with_fixed(list(noise(GRID).unbind(1)), [torch.zeros(2, *GRID.shape, dtype=torch.float64)] * 2)
    c = 0.3
    right = [a - c * l for a, l in zip(u, laplacian(u, f))]
    right = f.with_fixed(right, u)
    solved = Separable(velocity_lines(GRID, f.sides, d), (1.0, -c), torch.float64)(right[d])
    torch.testing.assert_close(solved, u[d], rtol=0, atol=1e-11)


def test_a_line_is_diagonal_in_its_transform() -> None:
    long, short = Line(256, 0.1, None, None), Line(8, 0.1, "even", "odd")
    for line in (long, short):
        y = torch.randn(3, line.points, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        x = Separable([line], (2.0, -1.0), torch.float64)(y)
        torch.testing.assert_close(2 * x - x @ line.matrix(), y, rtol=0, atol=1e-9)


@pytest.mark.parametrize("scheme", WIDTH)
def test_a_uniform_stream_stays(scheme: Any) -> None:
    f = faces("periodic")
    u = [torch.full((1, *GRID.shape), v, dtype=torch.float64) for v in (1.0, -0.5)]
    assert max(float(a.abs().max()) for a in advection(u, f, scheme)) == 0


def test_van_leer_makes_no_new_extremum() -> None:
    """A step carried by a uniform stream with Euler and a Courant number of a half stays between its values; the central scheme does not."""
    grid = Grid((32, 4), (1.0, 1.0))
    sides = sides_of(Periodic(), 2)
    f = Faces(grid, sides, {})
    first = torch.where(torch.arange(32) < 16, 1.0, 2.0).double()[None, :, None].expand(1, 32, 4)
    for scheme, bounded in (("van-leer", True), ("upwind1", True), ("central", False)):
        carrier, v = torch.ones(1, 32, 4, dtype=torch.float64), first
        for _ in range(20):
            v = v + 0.5 / 32 * advection([carrier, v], f, scheme)[1]  # type: ignore[arg-type]
        assert bool(v.max() <= 2 + 1e-12 and v.min() >= 1 - 1e-12) == bounded


@pytest.mark.parametrize(
    "given, message",
    [
        (((Periodic(), Wall()), Wall()), "axis x is periodic at one side only"),
        (((Outflow(), Wall()), Wall()), "mirror the set-up"),
        (((Outflow(), Outflow()), Wall()), "both sides are open"),
        ((Wall((1.0, 0.0)), Wall()), "0 along its normal x"),
        ((Wall(),), "for each of the 2 axes, got 1"),
        (((Wall(), Outflow()), (Wall(), Outflow())), "Outflow on more than one axis"),
        (((Inflow((1.0,)), Outflow()), Wall()), "one value per axis"),
        (((Inflow(1.0), Outflow()), Wall()), r"Inflow: velocity needs one value per axis \(2\), got 1.0"),
        (((Inflow((float("nan"), 0.0)), Outflow()), Wall()), "a side's velocity nan must be finite"),
        (((Inflow((lambda x, t, p: torch.sin(t) / 0, 0.0)), Outflow(), Wall()), Wall()), "for axis x"),
    ],
)
def test_bad_sides_are_named(given: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sides = sides_of(given, 2)
        known_values(GRID, sides, 0.0, {}, noise(GRID))


def test_a_side_for_all_one_per_axis_and_pairs_are_the_same() -> None:
    slip: Side = FreeSlip()
    assert sides_of(slip, 2) == sides_of((slip, slip), 2) == sides_of(((slip, slip), (slip, slip)), 2)


@pytest.mark.parametrize("viscosity", [float("nan"), float("inf"), -1e-3, torch.tensor([1e-3, float("nan")]).reshape(2, 1, 1, 1)])
def test_a_viscosity_that_no_fluid_has_is_an_error(viscosity: Any) -> None:
    schemes = (Projection(NavierStokesVelocity(), GRID, dt=0.01), ETDRK(NavierStokesVelocity(), GRID, dt=0.01))
    for scheme in schemes:
        with pytest.raises(ValueError, match=r"'viscosity' must be finite and not negative, got \["):
            scheme.at({"viscosity": viscosity}, torch.zeros(2, 2, *GRID.shape, dtype=torch.float64))
