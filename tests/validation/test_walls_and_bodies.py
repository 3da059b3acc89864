"""The self-checks of walls and bodies pass on this solver and fail on wrong operators."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from eddygrad.solver.grid import Grid
from eddygrad.solver.staggered import advection, momentum
from eddygrad.validation import run, walls_and_bodies
from eddygrad.validation.check import Row


def rows(name: str, seed: int = 0) -> list[Row]:
    return run.run([name], seed)


@pytest.mark.parametrize("name", ["divergence", "no-work", "two-solvers"])
def test_the_random_ones_pass_for_another_seed(name: str) -> None:
    """All pass for seed 0 in `test_run.py`."""
    assert [row for row in rows(name, 1) if not row.passed] == []


def upwind(u: Any, faces: Any, scheme: Any = "central", by: Any = None) -> list[Tensor]:
    return advection.advection(u, faces, "upwind1", by)


def leaking(u: Any, faces: Any, pressure: Any) -> Any:
    phi = 0.999 * pressure(faces.divergence(u))
    return [own - slope for own, slope in zip(u, faces.gradient(phi))], phi


def thicker(u: Any, faces: Any) -> list[Tensor]:
    return [1.01 * lap for lap in LAPLACIAN(u, faces)]


LAPLACIAN = momentum.laplacian


@pytest.mark.parametrize(
    "name, module, attribute, wrong",
    [
        ("faces", momentum, "advection", upwind),
        ("plane-flows", momentum, "laplacian", thicker),
        ("kovasznay", momentum, "advection", upwind),
        ("divergence", momentum, "projected", leaking),
        ("no-work", walls_and_bodies, "advection", upwind),
        ("two-solvers", momentum, "advection", upwind),
    ],
)
def test_a_wrong_operator_fails(monkeypatch: pytest.MonkeyPatch, name: str, module: Any, attribute: str, wrong: Any) -> None:
    monkeypatch.setattr(module, attribute, wrong)
    assert any(not row.passed for row in rows(name))


@pytest.mark.parametrize("d", [0, 1])
def test_velocities_are_read_where_they_stand(d: int) -> None:
    grid = Grid((12, 10), (2.0, 1.5))
    u = walls_and_bodies.at_faces(grid, lambda d, x, y: (2 * x - y + 0.5) if d == 0 else (x + 3 * y))
    points = torch.tensor([[1.03, 0.7], [0.4, 1.1], [1.7, 0.21]], dtype=torch.float64)
    expected = 2 * points[:, 0] - points[:, 1] + 0.5 if d == 0 else points[:, 0] + 3 * points[:, 1]
    torch.testing.assert_close(walls_and_bodies.velocity_at(u, grid, d, points)[0], expected, rtol=0, atol=1e-12)


def test_a_series_on_faces_is_the_field_there() -> None:
    fine, grid = Grid((16, 16)), Grid((10, 14))

    def field(d: int, x: Tensor, y: Tensor) -> Tensor:
        return torch.sin(2 * x + 0.3) * torch.cos(y) if d == 0 else torch.cos(x) * torch.sin(3 * y) + 0.5

    x, y = fine.points()
    points = torch.stack([field(0, x, y), field(1, x, y)])[None]
    torch.testing.assert_close(walls_and_bodies._on_faces(points, grid), walls_and_bodies.at_faces(grid, field), rtol=0, atol=1e-13)
