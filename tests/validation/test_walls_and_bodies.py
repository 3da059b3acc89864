"""The self-checks of walls and bodies pass on this solver and fail on wrong ones; the benchmarks at sizes of seconds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from eddygrad.solver.grid import Grid
from eddygrad.solver.staggered import advection, momentum
from eddygrad.validation import run, walls_and_bodies
from eddygrad.validation.check import Check, Finding, Row

QUICK = ["faces", "plane-flows", "kovasznay", "divergence", "no-work", "two-solvers"]


def rows(name: str, seed: int = 0) -> list[Row]:
    return run.run([name], seed)


@pytest.mark.parametrize("name", ["divergence", "no-work", "two-solvers"])
def test_the_random_ones_pass_for_another_seed(name: str) -> None:
    """All pass for seed 0 in `test_selfchecks.py`."""
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


def test_benchmarks_run_only_where_they_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    def check(name: str) -> Check:
        def measure(seed: int) -> Iterator[Finding]:
            ran.append(name)
            yield Finding(name, 0.0, 0.0, 0.0)

        return Check(name, measure)

    monkeypatch.setattr(run, "checks", lambda: [check("mean")])
    monkeypatch.setattr(run, "benchmarks", lambda: [check("cavity")])
    run.run()
    assert ran == ["mean"]
    run.run(["cavity"])
    assert ran == ["mean", "cavity"]


def test_every_check_is_registered() -> None:
    assert set(QUICK) < {check.name for check in run.checks()}
    assert {check.name for check in run.benchmarks()}.isdisjoint(check.name for check in run.checks())
    assert all(check.summary.endswith(".") for check in run.benchmarks())


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


def test_the_cavity_on_a_coarse_grid() -> None:
    """32 cells, a fourth of the benchmark's: within 2 % of the lid's speed."""
    rate, u, v = (finding.got for finding in walls_and_bodies.cavity(0, cells=32, end=20.0))
    assert rate < 1e-3 and 0 < u < 0.02 and 0 < v < 0.02


def test_the_channel_at_ten_cells_and_from_a_state_before() -> None:
    """Cd at most 8 % high, dp within 2 %; the lift of the true state is .0106, small beside the drag."""
    begun = walls_and_bodies.channel_with_cylinder(10, 3.0)
    found = walls_and_bodies.channel_with_cylinder(10, 1.0, begun.state)
    assert found.drag == pytest.approx(5.5795, rel=0.08) and found.pressure == pytest.approx(0.11752, rel=0.02)
    assert abs(found.drag - begun.drag) < 0.01 * found.drag and 0 < found.lift < 0.03


def test_a_narrow_wake_sheds() -> None:
    """Six cells per diameter in a box of 16 x 8: a blockage of 1/8 raises St and Cd above the unconfined .165 and 1.34."""
    found = walls_and_bodies.wake_of_cylinder(6, 40.0, 20.0, box=(16.0, 8.0), at=4.0)
    assert found.periods >= 2 and 0.165 < found.strouhal < 0.21
    assert 1.34 < found.drag < 2.0 and 0.15 < found.lift < 0.7
