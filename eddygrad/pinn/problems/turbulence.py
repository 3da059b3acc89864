"""Active turbulence in a window of space and time: from initial and boundary values, or its coefficients and pressure from velocities.

Maddu, Sturm, Mueller, Sbalzarini 2021 (arXiv 2107.00940), sec. 3.3 and 3.4 and their code. The reference data are computed by eddygrad's solver on a
grid of 256 points per axis or, with stride 2, 128; both resolve the flow. Nodes lie at their true places; the original stretches its grid by 256/255.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

from eddygrad.correctors.seeded_network import seed_options
from eddygrad.datasets.recipes import active_turbulence as recipe
from eddygrad.pinn.collocation import Collocation, Term, misfit
from eddygrad.pinn.domains import mean_and_std
from eddygrad.pinn.network.coordinate_network import CoordinateNetwork
from eddygrad.pinn.partials import VORTICITY, Names, partials
from eddygrad.pinn.points import PointBatches, Points
from eddygrad.pinn.problems.benchmark_case import Case
from eddygrad.pinn.problems.relative_error import relative
from eddygrad.runtime.randomness import generator
from eddygrad.solver.equations.active_turbulence import ActiveTurbulenceVelocity, ActiveTurbulenceVorticity
from eddygrad.solver.transforms import derivative

RegionName = Literal["square", "annulus"]
SQUARE, ANNULUS = (64, 128), (60, 132)  # first and last node of 256 per axis; the annulus is centred on the middle node of its range
RINGS = (11.0, 34.0)  # inner and outer radius of the annulus, in nodes
PUBLISHED = {
    "square": {"uniform": 0.89, "inverse-dirichlet": 0.024, "max-average": 0.16, "mgda": 0.144},
    "annulus": {"uniform": 0.76, "inverse-dirichlet": 0.0097, "max-average": 0.122, "mgda": 0.024},
}
for _values in PUBLISHED.values():
    _values["mgda:floor=1e-5"] = _values["mgda"]  # the published code has this lower bound
PUBLISHED_SIZE, PUBLISHED_EPOCHS = (1, 50, recipe.WINDOW[0], 100, 7, 4000), 7000  # stride, snapshots, first, width, depth, batch
FORWARD = Names(("x", "y", "t"), ("u", "v"), VORTICITY)
INVERSE = Names(("x", "y", "t"), ("u", "v", "p"))
COEFFICIENTS = ("lambda_0", "alpha", "beta", "Gamma_0", "Gamma_2")


@dataclass(frozen=True)
class TurbulenceWindow:
    """Nodes of a region and the reference fields there.

    Args:
        x:      coordinates (T, n, n, 3) of (x, y, t).
        fields: (T, n, n, 7) of u, v, w, p, p_x, p_y and the distance from the middle node, in nodes.
    """

    x: Tensor
    fields: Tensor


@lru_cache(maxsize=2)
def window(region: RegionName, stride: int, snapshots: int, first: int) -> TurbulenceWindow:
    """Return a region's nodes and reference fields in float64; computes the flow, which takes seconds.

    Args:
        region:    "square" or "annulus".
        stride:    distance of the nodes, in nodes of a grid of 256.
        snapshots: number of snapshots, .01 apart.
        first:     number of the first snapshot.
    Raises: ValueError for another region, another stride than 1, 2 and 4, or fewer than two snapshots.
    """
    if region not in ("square", "annulus") or stride not in (1, 2, 4) or snapshots < 2:
        raise ValueError(
            f"turbulence: expected region square or annulus, stride 1, 2 or 4 and at least two snapshots, got {region}, {stride}, {snapshots}"
        )
    nodes = SQUARE if region == "square" else ANNULUS
    points = recipe.POINTS // stride
    flow = recipe.window(snapshots, first, points=points).generate(progress=False, store_dtype=torch.float64)
    fields = flow[0].double()
    place = torch.arange(nodes[0] // stride, nodes[1] // stride)
    gradients = [derivative(fields[:, 3], flow.grid, order) for order in ((1, 0), (0, 1))]
    at_nodes = torch.stack([*fields.unbind(1), *gradients], -1)[:, place][:, :, place]
    spacing = flow.grid.spacing[0]
    t = flow.dt * (first + torch.arange(snapshots, dtype=torch.float64))
    x = torch.stack(torch.broadcast_tensors((place * spacing)[None, :, None], (place * spacing)[None, None], t[:, None, None]), -1)
    from_middle = (place - place[len(place) // 2]).double() * stride
    radius = torch.sqrt(from_middle[:, None] ** 2 + from_middle[None] ** 2).expand(at_nodes.shape[:3])
    return TurbulenceWindow(x, torch.cat([at_nodes, radius.unsqueeze(-1)], -1))


def turbulence(
    seeds: int | Sequence[int] = 0,
    dtype: torch.dtype = torch.float32,
    region: RegionName = "square",
    stride: int = 2,
    snapshots: int = 10,
    width: int = 50,
    depth: int = 4,
    batch: int = 1000,
    steps: int = 10_000,
    first: int = recipe.WINDOW[0],
) -> Case:
    """Pose the flow inside a region from its velocity at the first time and on the rim: vorticity equation and div u = 0.

    Network [3, width x depth, 2] with sine; terms "initial", "boundary", "pde", "divergence"; errors: relative L2 of vorticity and velocity inside.
    The published size is stride=1, snapshots=50, width=100, depth=7, batch=4000, steps=336000 (7000 epochs; 280000 in the annulus).

    Args:
        seeds, dtype: seed of one network or seeds of a stack; precision.
        region, stride, snapshots, first: see `window`.
        width, depth: of the network.
        batch, steps: interior points per update; number of updates.
    Raises: ValueError for another region, stride or number of snapshots, or a batch larger than the number of interior points.
    """
    flow = window(region, stride, snapshots, first)
    inside, rim = _masks(flow, region, stride)
    sets = _forward_sets(flow, inside, rim, dtype)
    mean, std = mean_and_std(flow.x[inside | rim])
    network = CoordinateNetwork(3, width, depth, 2, "sine", **seed_options(seeds), mean=mean, std=std).to(dtype)
    problem, batches = Collocation(network, FORWARD, _forward_terms()), PointBatches(sets, {"interior": batch})
    per_epoch = max(1, len(sets["interior"]) // batch)
    as_published = ((stride, snapshots, first, width, depth, batch), steps) == (PUBLISHED_SIZE, PUBLISHED_EPOCHS * per_epoch)
    published = {(name, "adam"): value for name, value in PUBLISHED[region].items() if as_published}
    errors = _forward_errors(flow.x[inside].to(dtype), flow.fields[inside])
    return Case(problem, batches, errors, "pde", steps, (3 / 7, 6 / 7), 5 * per_epoch, published=published)


def _forward_terms() -> dict[str, Term]:
    equation = ActiveTurbulenceVorticity()
    return {
        "initial": Term("initial", misfit("u", "v"), ("u", "v")),
        "boundary": Term("boundary", misfit("u", "v"), ("u", "v")),
        "pde": Term("interior", lambda d, p: equation.residual(d), equation.needs),
        "divergence": Term("interior", lambda d, p: d.u_x + d.v_y, ("u_x", "v_y")),
    }


def _forward_sets(flow: TurbulenceWindow, inside: Tensor, rim: Tensor, dtype: torch.dtype) -> dict[str, Points]:
    start = (inside | rim).clone()
    start[1:] = False
    return {
        "initial": _velocity_points(flow, start, dtype),
        "boundary": _velocity_points(flow, rim, dtype),
        "interior": Points(flow.x[inside].to(dtype)),
    }


def _forward_errors(x: Tensor, truth: Tensor) -> Callable[[Collocation], Mapping[str, Tensor]]:
    @torch.no_grad()
    def errors(problem: Collocation) -> Mapping[str, Tensor]:
        d = partials(problem.network, x, FORWARD, ("u", "v", "w"))
        return {"vorticity": relative([d.w], [truth[:, 2]]), "velocity": relative([d.u, d.v], [truth[:, 0], truth[:, 1]])}

    return errors


def turbulence_inverse(
    seeds: int | Sequence[int] = 0,
    dtype: torch.dtype = torch.float32,
    stride: int = 2,
    snapshots: int = 10,
    width: int = 50,
    depth: int = 4,
    batch: int = 1000,
    steps: int = 36_000,
    first: int = recipe.WINDOW[0],
    share: float = 0.7,
    divergence_from: float = 2 / 9,
    momentum_from: float = 1 / 3,
) -> Case:
    """Find five coefficients and the pressure gradient from velocities; what is learned first must not be forgotten when equations join.

    Network [3, width x depth, 3] with sine. Terms "data", then "divergence" and "momentum". Errors: of the velocity and the pressure gradient at
    the nodes kept from training, and the mean relative error of the coefficients, which start at zero. The published size is stride=1, snapshots=50,
    width=100, depth=5, batch=4096, steps=245000 (7000 epochs), divergence_from=1/7, momentum_from=2/7; fewer updates need more of them for the data.

    Args:
        seeds, dtype, stride, snapshots, width, depth, batch, steps, first: see `turbulence`.
        share: share of the nodes used for training.
        divergence_from, momentum_from: shares of the updates after which the equation joins.
    Raises: ValueError for shares out of range.
    """
    _check_shares(share, divergence_from=divergence_from, momentum_from=momentum_from)
    flow = window("square", stride, snapshots, first)
    x, fields = flow.x.reshape(-1, 3), flow.fields.reshape(-1, flow.fields.shape[-1])
    trained, kept = _split_nodes(len(x), share)
    nodes = Points(x[trained].to(dtype), {"u": fields[trained, 0].to(dtype), "v": fields[trained, 1].to(dtype)})
    mean, std = mean_and_std(x)
    network = CoordinateNetwork(3, width, depth, 3, "sine", **seed_options(seeds), mean=mean, std=std).to(dtype)
    terms = _inverse_terms(round(divergence_from * steps), round(momentum_from * steps))
    problem, batches = Collocation(network, INVERSE, terms, dict.fromkeys(COEFFICIENTS, 0.0)), PointBatches({"nodes": nodes}, {"nodes": batch})
    errors = _inverse_errors(x[kept].to(dtype), fields[kept])
    return Case(problem, batches, errors, ("momentum", "divergence", "data"), steps, (0.8, 0.9), 5 * max(1, len(nodes) // batch))


def _check_shares(share: float, **begins: float) -> None:
    if not 0 < share < 1:
        raise ValueError(f"turbulence-inverse: share expects a number above 0 and below 1, because errors need the other nodes, got {share:g}")
    for name, begin in begins.items():
        if not 0 <= begin < 1:
            raise ValueError(f"turbulence-inverse: {name} expects a share of the updates, at least 0 and below 1, got {begin:g}")


def _split_nodes(count: int, share: float) -> tuple[Tensor, Tensor]:
    """Return the numbers of the nodes that are trained on and of those kept for the errors."""
    if not 0 < round(share * count) < count:
        raise ValueError(f"turbulence-inverse: a share of {share:g} leaves no node on one side of {count}")
    order = torch.randperm(count, generator=generator(0, "turbulence nodes"))
    return order[: round(share * count)], order[round(share * count) :]


def _inverse_terms(divergence_begins: int, momentum_begins: int) -> dict[str, Term]:
    equation = ActiveTurbulenceVelocity()
    return {
        "data": Term("nodes", misfit("u", "v"), ("u", "v")),
        "divergence": Term("nodes", lambda d, p: d.u_x + d.v_y, ("u_x", "v_y"), begins=divergence_begins),
        "momentum": Term("nodes", equation.residual, equation.needs, begins=momentum_begins),
    }


def _inverse_errors(x: Tensor, truth: Tensor) -> Callable[[Collocation], Mapping[str, Tensor]]:
    equation = ActiveTurbulenceVelocity()
    exact = {name: getattr(equation, name) for name in COEFFICIENTS}

    @torch.no_grad()
    def errors(problem: Collocation) -> Mapping[str, Tensor]:
        d = partials(problem.network, x, INVERSE, ("u", "v", "p_x", "p_y"))
        relative_errors = [(value.double() - exact[name]).abs() / abs(exact[name]) for name, value in problem.values().items()]
        return {
            "velocity": relative([d.u, d.v], [truth[:, 0], truth[:, 1]]),
            "pressure gradient": relative([d.p_x, d.p_y], [truth[:, 4], truth[:, 5]]),
            "coefficients": torch.stack(relative_errors).mean(0),
        }

    return errors


def _velocity_points(flow: TurbulenceWindow, mask: Tensor, dtype: torch.dtype) -> Points:
    return Points(flow.x[mask].to(dtype), {"u": flow.fields[mask][:, 0].to(dtype), "v": flow.fields[mask][:, 1].to(dtype)})


def _masks(flow: TurbulenceWindow, region: RegionName, stride: int) -> tuple[Tensor, Tensor]:
    """Return masks (T, n, n) of the nodes inside and on the rim, which is `stride` nodes of 256 wide."""
    if region == "square":
        inside = torch.zeros(flow.x.shape[:3], dtype=torch.bool)
        inside[:, 1:-1, 1:-1] = True
        return inside, ~inside
    radius, (inner, outer) = flow.fields[..., 6], RINGS
    rim = (radius > inner - stride) & (radius <= inner) | (radius > outer) & (radius <= outer + stride)
    return (radius > inner) & (radius <= outer), rim
