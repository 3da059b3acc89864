"""Vorticity, stream function and outlines of bodies from the geometry of a data set."""

from __future__ import annotations

import math

import pytest
import torch

import eddygrad as eg
from eddygrad.datasets.geometry import FlowGeometry, describe_geometry
from eddygrad.solver.equations.navier_stokes import NavierStokesVelocity
from eddygrad.solver.grid import Grid
from eddygrad.solver.schemes.projection import Projection
from eddygrad.solver.staggered.bodies import Cylinder
from eddygrad.solver.staggered.boundary_conditions import PERIODIC, FreeSlip, Inflow, Outflow, Wall, sides_of
from eddygrad.solver.stream_function import face_velocities, periodic_stream_function


def scene(grid: Grid, sides, **params) -> FlowGeometry:
    return FlowGeometry(grid, sides_of(sides, 2), (), True, params)


def test_the_vorticity_of_a_shear_flow_is_constant_up_to_its_walls() -> None:
    grid = Grid((6, 8), (3.0, 2.0))
    y = (torch.arange(8).double() + 0.5) / 4
    u = torch.zeros(2, 2, 6, 8, dtype=torch.float64)
    u[:, 0] = torch.tensor([1.0, 3.0]).double()[:, None, None] * y  # u = s y between a wall at rest and one with the speed 2 s
    for k, s in enumerate((1.0, 3.0)):
        sides = ((Inflow((lambda points, t, params, s=s: s * points[1], 0.0)), Outflow()), (Wall(), Wall((2 * s, 0.0))))
        torch.testing.assert_close(scene(grid, sides).vorticity(u[k : k + 1]), torch.full((1, 6, 8), -s, dtype=torch.float64))
    # Across the flow: v = x from a slip side, where the shear is not seen, to a wall that slides with it.
    v = torch.zeros(1, 2, 6, 8, dtype=torch.float64)
    v[:, 1] = ((torch.arange(6).double() + 0.5) / 2)[:, None]
    w = scene(grid, ((FreeSlip(), Wall((0.0, 3.0))), PERIODIC)).vorticity(v)
    torch.testing.assert_close(w, torch.tensor([0.5, 1, 1, 1, 1, 1]).double()[None, :, None].expand(1, 6, 8))


def test_the_vorticity_of_face_velocities_converges_in_a_periodic_box() -> None:
    errors = []
    for n in (16, 32):
        grid = Grid((n, 2 * n), (2 * math.pi, 4 * math.pi))
        x, y = grid.points()
        w = torch.sin(x) * torch.cos(0.5 * y) + 0.3 * torch.cos(2 * x)
        xc, yc = grid.points(centred=True)
        exact = torch.sin(xc) * torch.cos(0.5 * yc) + 0.3 * torch.cos(2 * xc)
        found = scene(grid, PERIODIC).vorticity(face_velocities(periodic_stream_function(w[None], grid), grid))
        errors.append(float((found - exact).abs().max()))
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)


def test_the_stream_function_of_a_shear_flow_is_a_parabola_up_to_its_walls() -> None:
    grid = Grid((6, 8), (3.0, 2.0))
    u = torch.zeros(1, 2, 6, 8, dtype=torch.float64)
    u[:, 0] = (torch.arange(8).double() + 0.5) / 4  # u = y, whose sums over cells are exact
    sides = ((Inflow((lambda points, t, params: points[1], 0.0)), Outflow()), (Wall(), Wall((2.0, 0.0))))
    expected = (torch.linspace(0, 2, 9).double() ** 2 / 2).expand(1, 7, 9)
    torch.testing.assert_close(scene(grid, sides).stream_function(u), expected, rtol=0, atol=1e-14)


def test_flows_without_boundary_conditions_have_no_geometry() -> None:
    assert describe_geometry(eg.presets.kolmogorov(points=16), Grid((16, 16), 4.0), True, {}) is None


def test_a_body_across_a_periodic_side_is_drawn_on_both() -> None:
    grid = Grid((32, 16), (4.0, 2.0))
    for x, places in ((2.0, [2.0]), (3.9, [-0.1, 3.9]), (8.1, [0.1, 4.1])):
        stepper = Projection(NavierStokesVelocity(), grid, 0.1, (PERIODIC, Wall()), bodies=(Cylinder((x, 1.0), radius=0.3),))
        scene = describe_geometry(stepper, grid, True, {})
        assert scene is not None
        assert sorted(body["centre"][0] for body in scene["bodies"]) == pytest.approx(places)
