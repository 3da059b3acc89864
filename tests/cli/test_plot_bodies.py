"""Pictures of flows with sides and bodies: vorticity from face velocities, bodies in their shape, all of it from the file alone."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.contour import ContourSet
from matplotlib.patches import Circle, Polygon
from PIL import Image

import eddygrad as eg
from eddygrad.cli.main import main
from eddygrad.datasets import open as open_data
from eddygrad.datasets.generate import generate
from eddygrad.datasets.geometry import FlowGeometry
from eddygrad.datasets.recipes.classic_flows import Parabola
from eddygrad.plotting.fields import Fields
from eddygrad.plotting.planes import planes
from eddygrad.solver.equations.navier_stokes import NavierStokesVelocity
from eddygrad.solver.grid import Grid
from eddygrad.solver.initial import random_fourier
from eddygrad.solver.schemes.projection import Projection
from eddygrad.solver.staggered.bodies import Cylinder, rectangle
from eddygrad.solver.staggered.boundary_conditions import PERIODIC, Inflow, Outflow, Wall
from eddygrad.solver.vector_calculus import velocity


@pytest.fixture(scope="module")
def channel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    grid = Grid((36, 12), (6.0, 2.0))
    solver = Projection(
        NavierStokesVelocity(viscosity=0.05),
        grid,
        dt=0.05,
        boundaries=((Inflow((Parabola(0.0, 2.0), 0.0)), Outflow("do-nothing")), (Wall(), Wall(("lid", 0.0)))),
        bodies=(Cylinder((1.0, 0.9), radius=0.3), rectangle((3.0, "height"), 0.8, 0.4, angle=math.pi / 6)),
    )
    u = torch.zeros(1, 2, 36, 12)
    u[:, 0] = 1.0
    path = tmp_path_factory.mktemp("channel") / "channel.nc"
    generate(solver, u, {"height": 1.1, "lid": 0.25}, path, frames=3, progress=False)
    return path


def test_sides_and_bodies_are_read_back_from_the_file(channel: Path) -> None:
    data = open_data(channel)
    found = FlowGeometry.of(data)
    assert found is not None and found.faces and found.periodic == (False, False)
    cylinder, box = found.bodies
    assert cylinder == {"centre": [1.0, 0.9], "radius": 0.3}
    c, s = math.cos(math.pi / 6), math.sin(math.pi / 6)
    np.testing.assert_allclose(box["corners"][2], [3.0 + 0.4 * c - 0.2 * s, 1.1 + 0.4 * s + 0.2 * c], atol=1e-12)
    (inlet, outlet), (floor, lid) = found.sides
    assert isinstance(inlet, Inflow) and outlet == Outflow("do-nothing") and floor == Wall((0.0, 0.0))
    assert isinstance(lid, Wall) and lid.component(0, 2) == "lid"
    w = found.vorticity(data[0])
    assert w.shape == (3, 36, 12) and bool(torch.isfinite(w).all())
    # Half of the corners of a cell at the lid lie on it, where u_y = (U - u) / (h / 2) and v_x = 0.
    u, v = data[0][-1].double()
    h, last = 2 / 12, u[20:22, -1].mean()
    u_y = 0.5 * ((0.25 - last) / (h / 2) + (last - u[20:22, -2].mean()) / h)
    v_x = 0.5 * (v[22, -2] - v[20, -2]) / (2 * h)
    torch.testing.assert_close(w[-1, 21, -1], v_x - u_y, rtol=1e-9, atol=1e-12)


def test_bodies_that_move_are_drawn_where_they_are_in_each_frame(tmp_path: Path) -> None:
    grid = Grid((32, 16), (4.0, 2.0))
    bodies = (
        Cylinder((lambda t, params: 3.0 + params["speed"] * t, 1.0), radius=0.3),
        rectangle((1.0, 1.0), 0.6, 0.4, lambda t, params: 0.5 * math.pi * t),
        Cylinder((1.9, 0.5), radius=0.2),
    )
    solver = Projection(NavierStokesVelocity(viscosity=0.05), grid, 0.1, (PERIODIC, Wall()), substeps=2, bodies=bodies)
    params = {"speed": 0.3, "t0": 1.0}
    data = generate(solver, torch.zeros(3, 2, 32, 16), params, tmp_path / "moving.nc", frames=3, stride=5, warmup=5, progress=False)
    found = FlowGeometry.of(data)
    assert found is not None and len(found.bodies) == 1 and len(found.moving) == 2
    for k, t in enumerate((1.5, 2.0, 2.5)):
        standing, *moving = found.bodies_at(k)
        assert standing["centre"] == pytest.approx((1.9, 0.5))
        circles = sorted(body["centre"][0] for body in moving if "radius" in body)
        assert circles == pytest.approx([3 + 0.3 * t - shift for shift in (4.0, 0.0) if -0.3 < 3 + 0.3 * t - shift < 4.3])
        box = next(body["corners"] for body in moving if "corners" in body)
        turned = complex(-0.3, -0.2) * complex(math.cos(0.5 * math.pi * t), math.sin(0.5 * math.pi * t))
        assert box[0] == pytest.approx((1 + turned.real, 1 + turned.imag))
    fields = Fields.of(data, 0)
    figure = planes(fields.frames(["speed"]).numpy(), ["speed"], [0, 1, 2], data.grid.lengths, bodies=fields.bodies_at(range(3)))
    panels = [axes for axes in figure.axes if axes.images and axes.patches]
    assert [len(axes.patches) for axes in panels] == [3, 3, 4]  # at last the cylinder lies across the periodic side
    assert main(["plot", str(tmp_path / "moving.nc"), "--out", str(tmp_path / "moving.gif")]) == 0
    with Image.open(tmp_path / "moving.gif") as film:
        assert film.n_frames == 3


def test_a_picture_shows_the_bodies_in_their_shape_and_the_box_in_its_own(channel: Path, tmp_path: Path) -> None:
    data = open_data(channel)
    fields = Fields.of(data, 0)
    assert fields.usual == ["vorticity"] and fields.names == ["velocity_x", "velocity_y", "vorticity", "speed"]
    names = ["speed", "vorticity"]
    figure = planes(fields.frames(names).numpy(), names, [0, 1, 2], data.grid.lengths, bodies=fields.bodies_at(range(3)))
    panels = [axes for axes in figure.axes if axes.images and axes.patches]
    assert len(panels) == 6
    for axes in panels:
        circle, box = axes.patches
        assert isinstance(circle, Circle) and circle.get_radius() == 0.3 and isinstance(box, Polygon) and axes.get_aspect() == 1
    rows = {round(axes.get_subplotspec().get_position(figure).y0, 6) for axes in panels}  # type: ignore[union-attr]
    assert len(rows) == 3  # a long box: a row per time
    assert main(["plot", str(channel), "--out", str(tmp_path / "c.png")]) == 0 and Image.open(tmp_path / "c.png").size[0] > 500
    assert main(["plot", str(channel), "--out", str(tmp_path / "c.gif"), "--channels", "speed", "vorticity"]) == 0
    assert Image.open(tmp_path / "c.gif").n_frames == 3  # type: ignore[attr-defined]


def test_streamlines_are_drawn_where_faces_are_known(channel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = open_data(channel)
    fields = Fields.of(data, 0)
    psi = fields.streams()
    torch.testing.assert_close(psi[:, 1:].diff(dim=-1) * 6, data[0][:, 0].double())  # u = d psi / d y on the faces
    figure = planes(fields.frames(["speed"]).numpy(), ["speed"], [0, 1, 2], data.grid.lengths, stream=psi.numpy())
    lines = [[c for c in axes.collections if isinstance(c, ContourSet)] for axes in figure.axes if axes.images and axes.get_visible()]
    assert [len(found) for found in lines[:3]] == [1, 1, 1]
    levels = lines[0][0].levels
    assert 0 in levels and all((found.levels == levels).all() for (found,) in lines[1:3]) and min(levels) >= psi.min() and max(levels) <= psi.max()
    assert main(["plot", str(channel), "--out", str(tmp_path / "s.gif"), "--streamlines"]) == 0
    assert main(["plot", str(channel), "--out", str(tmp_path / "s.png"), "--streamlines", "--columns", "1"]) == 0
    grid = Grid((16, 16))
    w = random_fourier(grid, 2, bandlimit=3, seed=0)
    eg.Dataset.from_tensor(velocity(w, grid)[None], {}, grid, 1.0, ("velocity_x", "velocity_y")).save(tmp_path / "spectral.nc")
    assert main(["plot", str(tmp_path / "spectral.nc"), "--out", str(tmp_path / "w.png"), "--streamlines"]) == 2
    assert "faces of cells" in capsys.readouterr().err


def levels(psi: np.ndarray) -> np.ndarray:
    figure = planes(np.zeros((1, 1, 20, 10)), ["w"], [0.0], (2.0, 1.0), stream=psi[None])
    (lines,) = [found for axes in figure.axes for found in axes.collections if isinstance(found, ContourSet)]
    return np.asarray(lines.levels)


def test_streamlines_are_even_across_a_box_without_walls_and_more_show_a_vortex_behind_one() -> None:
    x, y = np.meshgrid(np.linspace(0, 2, 21), np.linspace(0, 1, 11), indexing="ij")
    even = levels(y + 0.01 * np.sin(np.pi * x))
    assert len(even) == 12 and np.ptp(np.diff(even)) < 1e-12
    behind = levels(y - 2 * np.exp(-20 * (x - 1) ** 2) * y * (y < 0.3))  # y = 0 is a streamline, and flow turns round above it
    assert len(behind) == 4 + 1 + 12 and (behind < 0).sum() == 4 and 0 in behind


def test_face_velocities_are_drawn_at_the_centres(channel: Path) -> None:
    data = open_data(channel)
    fields, u = Fields.of(data, 0), data[0].double()
    shown = fields.frames(["velocity_x", "speed"])
    torch.testing.assert_close(shown[:, 0, 1:], 0.5 * (u[:, 0, 1:] + u[:, 0, :-1]))
    v = 0.5 * (u[:, 1, :, 1:] + u[:, 1, :, :-1])
    torch.testing.assert_close(shown[:, 1, 1:, 1:], (shown[:, 0, 1:, 1:] ** 2 + v[:, 1:] ** 2).sqrt())


def test_a_spectral_velocity_is_drawn_by_its_spectral_vorticity() -> None:
    grid = Grid((16, 16))
    w = random_fourier(grid, 2, bandlimit=3, seed=0)
    data = eg.Dataset.from_tensor(velocity(w, grid)[None], {}, grid, 1.0, ("velocity_x", "velocity_y"))
    fields = Fields.of(data, 0)
    assert fields.usual == ["velocity_x", "velocity_y"] and not any(fields.bodies_at(range(2)))
    torch.testing.assert_close(fields.frames(["vorticity"])[:, 0], w[:, 0], rtol=0, atol=1e-12)


def test_the_command_makes_and_draws_a_small_flow(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "cavity.nc"
    assert main(["generate", "cavity", "--frames", "2", "--reynolds", "400", "--out", str(out), "--json"]) == 0
    assert '"kinetic_energy"' in capsys.readouterr().out
    assert main(["plot", str(out), "--out", str(tmp_path / "cavity.png"), "--channels", "vorticity", "speed"]) == 0
    assert main(["generate", "cavity", "--starts", "2", "--out", str(out)]) == 2 and "has no --starts" in capsys.readouterr().err
