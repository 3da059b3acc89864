"""Transport along paths: against a walk point by point, what is exact, orders, bounds, sides, gradients."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import pytest
import torch
from cases.staggered_cases import SIDES, at_faces, noise, orders, rms
from torch import Tensor

from eddygrad.solver.grid import Grid
from eddygrad.solver.staggered.boundary_conditions import FreeSlip, Inflow, Outflow, Periodic, Wall, sides_of
from eddygrad.solver.staggered.faces import Faces, known_values
from eddygrad.solver.staggered.semi_lagrangian import mac_cormack, semi_lagrangian

GRID = Grid((12, 10), (2.0, 1.5))
SCHEMES: dict[str, Callable[..., list[Tensor]]] = {
    "euler": lambda u, faces, dt: semi_lagrangian(u, faces, dt, order=1),
    "midpoint": semi_lagrangian,
    "unlimited": lambda u, faces, dt: mac_cormack(u, faces, dt, limiter=False),
    "limited": mac_cormack,
}


def box(given: Any, grid: Grid = GRID, dtype: torch.dtype = torch.float64) -> Faces:
    sides = sides_of(SIDES[given] if isinstance(given, str) else given, grid.ndim)
    return Faces(grid, sides, known_values(grid, sides, 0.0, {}, torch.zeros((), dtype=dtype)))


def rough(faces: Faces, batch: int = 2, seed: int = 0) -> list[Tensor]:
    return faces.imposed(list(noise(faces.grid, batch, seed).unbind(1)))


def furthest(a: Sequence[Tensor], b: Sequence[Tensor]) -> float:
    return max(float((x - y).abs().max()) for x, y in zip(a, b))


# Point by point ------------------------------------------------------------------------------------------------------------------------------------


def at(u: list[Tensor], faces: Faces, c: int, point: list[float]) -> float:
    """Component c of one sample at a point [cells], between its values and those of the sides."""
    line: list[list[tuple[int, float]]] = []
    for a, (s, n) in enumerate(zip(point, faces.grid.shape)):
        first = 1.0 if a == c else 0.5
        if faces.periodic(a):
            i = math.floor(s - first)
            line.append([(i % n, 1 - (s - first - i)), ((i + 1) % n, s - first - i)])
            continue
        s = min(max(s, 0.0), float(n))
        places = [0.0, *(i + first for i in range(n)), *([] if a == c else [float(n)])]
        k = max(j for j in range(len(places) - 1) if places[j] <= s)
        part = (s - places[k]) / (places[k + 1] - places[k])
        line.append([(k - 1, 1 - part), (k, part)])
    total = 0.0
    for (i, p), (j, q) in product(*line):
        value = u[c][0, min(max(i, 0), faces.grid.shape[0] - 1), min(max(j, 0), faces.grid.shape[1] - 1)]
        for a, k in ((0, i), (1, j)):  # a side's own value: the second axis has the corner
            if k == -1 or k == faces.grid.shape[a]:
                side = faces.sides[a][0 if k == -1 else 1]
                if isinstance(side, Wall | Inflow):
                    value = torch.as_tensor(side.component(c, 2), dtype=torch.float64)
                elif c == a:
                    value = torch.zeros(())
        total += float(p * q * value)
    return total


def walked(u: list[Tensor], faces: Faces, dt: float, order: int) -> list[Tensor]:
    out = [torch.zeros_like(c) for c in u]
    for d, i, j in product(range(2), range(faces.grid.shape[0]), range(faces.grid.shape[1])):
        x = [i + (1.0 if d == 0 else 0.5), j + (1.0 if d == 1 else 0.5)]
        place = x
        for share in (0.5, 1.0) if order == 2 else (1.0,):
            place = [p - share * dt / h * at(u, faces, c, place) for c, (p, h) in enumerate(zip(x, faces.grid.spacing))]
        out[d][0, i, j] = at(u, faces, d, place)
    return out


@pytest.mark.parametrize("name", SIDES)
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("dt", [0.1, 1.3])
def test_a_walk_point_by_point_finds_the_same(name: str, order: Any, dt: float) -> None:
    """Courant numbers of about 1 and 20."""
    faces = box(name, Grid((6, 5), (1.2, 0.8)))
    u = rough(faces, 1)
    assert furthest(semi_lagrangian(u, faces, dt, order), walked(u, faces, dt, order)) < 1e-12


# What is exact -------------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("open_box", [False, True])
@pytest.mark.parametrize("dt", [0.01, 0.7, 300.0])
def test_a_uniform_stream_stays(scheme: str, dtype: torch.dtype, open_box: bool, dt: float) -> None:
    stream = (1.1, -0.3, 0.7)
    inflow = Inflow(stream)
    grid = Grid((6, 5, 4), (2.0, 1.5, 1.0))
    faces = box(((inflow, Outflow()), (inflow, inflow), Periodic()) if open_box else Periodic(), grid, dtype)
    u = [torch.full((2, *grid.shape), v, dtype=dtype) for v in stream]
    for before, after in zip(u, SCHEMES[scheme](u, faces, dt)):
        assert torch.equal(before, after)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("cells", [(3, -2), (43, 61)])
def test_whole_cells_are_a_roll(scheme: str, cells: tuple[int, int]) -> None:
    """The third component goes with a stream across it."""
    grid = Grid((8, 6, 4), (2.0, 1.5, 1.0))
    pattern = noise(Grid((8, 6)))[:, :1].movedim(1, 3).expand(2, *grid.shape)
    u = [torch.full((2, *grid.shape), 0.25 * c, dtype=torch.float64) for c in cells] + [pattern]
    moved = SCHEMES[scheme](u, box(Periodic(), grid), 1.0)
    assert furthest(moved, [*u[:2], pattern.roll(cells, (1, 2))]) < 1e-12


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("courant", [0.75, 2.75])
def test_a_slope_is_carried_through_an_open_box(scheme: str, courant: float) -> None:
    """v = a + b x is moved as it is, behind it comes the inflow's a: no correction from paths that end on a side."""
    grid = Grid((12, 4), (3.0, 1.0))
    a, b, n, h = 0.3, 0.8, 12, 0.25
    faces = box(((Inflow((1.0, a)), Outflow()), Periodic()), grid)
    place = torch.arange(n, dtype=torch.float64)[None, :, None].expand(1, n, 4) + 0.5
    u = [torch.ones(1, n, 4, dtype=torch.float64), a + b * h * place]
    expected = a + b * h * (place - courant).clamp(min=0)
    assert furthest(SCHEMES[scheme](u, faces, courant * h), [u[0], expected]) < 1e-12


# Orders --------------------------------------------------------------------------------------------------------------------------------------------


def vortices(d: int, x: Tensor, y: Tensor, t: float) -> Tensor:
    return 0.3 + 0.5 * torch.sin(x) * torch.cos(y) if d == 0 else -0.2 - 0.5 * torch.cos(x) * torch.sin(y)


def transported(d: int, x: Tensor, y: Tensor, t: float) -> Tensor:
    """u_t + (u . grad) u = 0 from Taylor-Green vortices in a stream: u(x, t) = u(x - t u(x, t), 0), before characteristics cross."""
    x, y = torch.broadcast_tensors(x, y)
    foot_x, foot_y = x, y
    for _ in range(80):  # contracts by t / 2
        foot_x, foot_y = x - t * vortices(0, foot_x, foot_y, 0.0), y - t * vortices(1, foot_x, foot_y, 0.0)
    return vortices(d, foot_x, foot_y, 0.0)


@pytest.mark.parametrize("scheme, low, high", [("euler", 0.9, 1.1), ("midpoint", 0.9, 1.1), ("unlimited", 1.9, 2.2), ("limited", 1.9, 2.2)])
def test_order_in_space_and_time(scheme: str, low: float, high: float) -> None:
    """Taylor-Green vortices that carry themselves, dt in proportion to h."""
    errors = []
    for n in (16, 32, 64):
        grid = Grid((n, n))
        faces, u, steps = box(Periodic(), grid), list(at_faces(grid, vortices).unbind(1)), n // 8
        for _ in range(steps):
            u = SCHEMES[scheme](u, faces, 0.8 / steps)
        errors.append(rms(torch.stack(u, 1) - at_faces(grid, transported, 0.8)))
    assert low < orders(errors)[-1] < high


@pytest.mark.parametrize("order", [1, 2])
def test_order_of_the_path(order: Any) -> None:
    """u = (-y, x) about the middle: multilinear is exact, what is left after one step is the foot's distance from u turned by -dt."""

    def turning(d: int, x: Tensor, y: Tensor, t: float) -> Tensor:
        angle = (x - 1, y - 1)
        back = (math.cos(t) * angle[0] + math.sin(t) * angle[1], math.cos(t) * angle[1] - math.sin(t) * angle[0])
        return -back[1] if d == 0 else back[0]

    profile = tuple(lambda points, t, params, d=d: turning(d, *points, 0.0) for d in (0, 1))
    grid = Grid((16, 16), 2.0)
    faces, u = box(Inflow(profile), grid), at_faces(grid, turning)
    errors = []
    for dt in (0.2, 0.1, 0.05):
        after = torch.stack(semi_lagrangian(list(u.unbind(1)), faces, dt, order), 1)
        errors.append(rms((after - at_faces(grid, turning, dt))[..., 5:11, 5:11]))
    assert orders(errors)[-1] == pytest.approx(order + 1, abs=0.05)


# Bounds and sides ----------------------------------------------------------------------------------------------------------------------------------


def overshoot(scheme: str, name: str, dt: float) -> float:
    faces = box(name)
    u = faces.imposed([c.abs() for c in rough(faces, 16)])  # a wall's zero is then a bound
    worst = -math.inf
    for d, (before, after) in enumerate(zip(u, SCHEMES[scheme](u, faces, dt))):
        known = [v[d] for v in faces.known.values()] + [torch.zeros(1) for side in faces.sides[d] if isinstance(side, FreeSlip)]
        least, greatest = (
            f([f([float(g(v)) for v in known], default=float(g(before))), float(g(before))]) for f, g in ((min, torch.min), (max, torch.max))
        )
        worst = max(worst, float(after.max()) - greatest, least - float(after.min()))
    return worst


@pytest.mark.parametrize("name", SIDES)
def test_no_new_extremum(name: str) -> None:
    """Courant numbers of about 0.5, 5 and 500; without the limiter there are some."""
    for scheme in ("euler", "midpoint", "limited"):
        assert max(overshoot(scheme, name, dt) for dt in (0.03, 0.3, 30.0)) < 1e-12
    assert overshoot("unlimited", name, 0.03) > 1e-2


def test_the_limiter_knows_the_values_around_the_foot() -> None:
    """A step in a stream stays monotone though the field has greater values elsewhere."""
    grid = Grid((32, 4), (32.0, 4.0))
    place = torch.arange(32)[None, :, None].expand(1, 32, 4)
    v = torch.where(place < 12, 1.0, 0.0).double() + torch.where(place == 22, -9.0, 0.0) + torch.where(place == 26, 9.0, 0.0)
    u = [torch.full_like(v, 0.4), v]
    step = slice(4, 16)
    limited, free = (SCHEMES[name](u, box(Periodic(), grid), 1.0)[1][0, step, 0] for name in ("limited", "unlimited"))
    assert limited.min() >= 0 and limited.max() <= 1 and torch.all(limited.diff() <= 1e-12)
    assert free.max() > 1.05


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_period_may_begin_anywhere(scheme: str) -> None:
    """Flow and lid turned by some cells together give the same flow, turned."""
    lid = noise(GRID)[0, 0, :, :1]

    def after(cells: int) -> list[Tensor]:
        faces = box((Periodic(), (Wall(), Wall((lambda points, t, params: lid.roll(cells, 0), 0.0)))))
        return SCHEMES[scheme](faces.imposed([c.roll(cells, 1) for c in noise(GRID).unbind(1)]), faces, 0.2)

    assert furthest(after(5), [c.roll(5, 1) for c in after(0)]) < 1e-12


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", ["walls", "slip", "cavity", "channel"])
def test_nothing_goes_through_closed_sides(scheme: str, name: str) -> None:
    faces = box(name)
    u = rough(faces)
    for _ in range(3):
        u = SCHEMES[scheme](u, faces, 0.2)
        assert furthest(u, faces.imposed(u)) == 0
    assert furthest(u, rough(faces)) > 0.1


# Gradients, batches, bad values --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", ["periodic", "cavity", "convective", "do-nothing"])
def test_gradients_are_those_of_differences(scheme: str, name: str) -> None:
    """Sides imposed inside: a face on a wall has its path's end on the kink between cells."""
    faces = box(name, Grid((6, 5), (1.2, 0.8)))

    def loss(u: Tensor) -> Tensor:
        after = SCHEMES[scheme](faces.imposed(list(u.unbind(1))), faces, 0.17)
        return torch.stack(after, 1).square()

    assert torch.autograd.gradcheck(loss, (noise(faces.grid).requires_grad_(),), fast_mode=True)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", ["periodic", "convective"])
def test_a_batch_is_its_samples_in_both_precisions(scheme: str, name: str) -> None:
    faces = box(name)
    u = rough(faces, 3)
    together = SCHEMES[scheme](u, faces, 0.3)
    for b in range(3):
        alone = SCHEMES[scheme]([c[b : b + 1] for c in u], faces, 0.3)
        assert furthest([c[b : b + 1] for c in together], alone) == 0
    single = SCHEMES[scheme]([c.float() for c in u], box(name, dtype=torch.float32), 0.3)
    assert {c.dtype for c in single} == {torch.float32}
    # |du/dx| dx of some units over a cell, lengths of some 20 cells, 6e-8 each; a branch of the limiter may be another.
    assert furthest(single, together) < 1e-3


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", ["periodic", "walls"])
def test_a_sample_that_has_diverged_stays_by_itself(scheme: str, name: str) -> None:
    faces = box(name)
    u = rough(faces)
    well = SCHEMES[scheme](u, faces, 0.3)
    for bad in (math.nan, math.inf, 1e300):
        ill = [c.clone() for c in u]
        ill[0][0, 3, 3] = bad
        after = SCHEMES[scheme](ill, faces, 0.3)
        assert furthest([c[1:] for c in after], [c[1:] for c in well]) == 0
        assert not math.isnan(bad) or after[0][0].isnan().any()


@pytest.mark.parametrize("dt", [0.0, -0.1, math.inf, math.nan])
def test_bad_input_is_named(dt: float) -> None:
    faces = box("periodic")
    for scheme in (semi_lagrangian, mac_cormack):
        with pytest.raises(ValueError, match=f"{scheme.__name__}: dt must be positive and finite, got {dt}"):
            scheme(rough(faces), faces, dt)
    with pytest.raises(ValueError, match="order of the path must be 1 or 2, got 3"):
        semi_lagrangian(rough(faces), faces, 0.1, order=3)  # type: ignore[arg-type]
