"""Active turbulence in a window of space and time: from initial and boundary values alone, or its coefficients and pressure from velocities.

Maddu, Sturm, Mueller, Sbalzarini 2021 (arXiv 2107.00940), sec. 3.3 and 3.4 and their code. Reference data are made by our solver on a grid of 256 or,
with stride 2, 128 points, which resolve the flow; so the nodes lie at their true places, where the original stretches its grid by 256/255.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

from eddygrad.correctors.seeded_network import seed_options
from eddygrad.datasets.recipes import active_turbulence as recipe
from eddygrad.pinn.collocation import Collocation, PointBatches, Points, Term, misfit
from eddygrad.pinn.domains import mean_and_std
from eddygrad.pinn.network.coordinate_network import CoordinateNetwork
from eddygrad.pinn.partials import VORTICITY, Names, partials
from eddygrad.pinn.problems.benchmark_case import Case
from eddygrad.pinn.problems.relative_error import relative
from eddygrad.runtime.randomness import generator
from eddygrad.solver.equations.active_turbulence import ActiveTurbulenceVelocity, ActiveTurbulenceVorticity
from eddygrad.solver.transforms import derivative

RegionName = Literal["square", "annulus"]
SQUARE = (64, 128)  # nodes of 256 per axis; the annulus lies in nodes 60 to 132 about the middle one
ANNULUS, RINGS = (60, 132), (11.0, 34.0)  # inner and outer radius of the inside, in nodes
PUBLISHED = {
    "square": {"uniform": 0.89, "inverse-dirichlet": 0.024, "max-average": 0.16, "mgda": 0.144},
    "annulus": {"uniform": 0.76, "inverse-dirichlet": 0.0097, "max-average": 0.122, "mgda": 0.024},
}
for _values in PUBLISHED.values():
    _values["mgda:floor=1e-5"] = _values["mgda"]  # the published code has this floor
PUBLISHED_SIZE, PUBLISHED_EPOCHS = (1, 50, recipe.WINDOW[0], 100, 7, 4000), 7000  # stride, snapshots, the first, width, depth, batch
COEFFICIENTS = ("lambda_0", "alpha", "beta", "Gamma_0", "Gamma_2")


@dataclass(frozen=True)
class TurbulenceWindow:
    """Nodes and what the solver has there: x (T, n, n, 3) of (x, y, t), fields (T, n, n, 7) of u, v, w, p, p_x, p_y and the node's radius."""

    x: Tensor
    fields: Tensor


@lru_cache(maxsize=2)
def window(region: RegionName, stride: int, snapshots: int, first: int) -> TurbulenceWindow:
    """A region's nodes from snapshot `first` on, float64; the flow is computed where it is asked for, in seconds."""
    if region not in ("square", "annulus") or stride not in (1, 2, 4) or snapshots < 2:
        raise ValueError(
            f"turbulence: expected region square or annulus, stride 1, 2 or 4 and two snapshots at least, got {region}, {stride}, {snapshots}"
        )
    nodes = SQUARE if region == "square" else ANNULUS
    points = recipe.POINTS // stride
    flow = recipe.window(snapshots, first, points=points).generate(progress=False, store_dtype=torch.float64)
    fields = flow[0].double()
    place = torch.arange(nodes[0] // stride, nodes[1] // stride)
    gradients = [derivative(fields[:, 3], flow.grid, order) for order in ((1, 0), (0, 1))]
    every = torch.stack([*fields.unbind(1), *gradients], -1)[:, place][:, :, place]
    spacing = flow.grid.spacing[0]
    t = flow.dt * (first + torch.arange(snapshots, dtype=torch.float64))
    x = torch.stack(torch.broadcast_tensors((place * spacing)[None, :, None], (place * spacing)[None, None], t[:, None, None]), -1)
    from_middle = (place - place[len(place) // 2]).double() * stride
    radius = torch.sqrt(from_middle[:, None] ** 2 + from_middle[None] ** 2).expand(every.shape[:3])
    return TurbulenceWindow(x, torch.cat([every, radius.unsqueeze(-1)], -1))


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
    """The flow inside from its velocity at the beginning and on the rim, the vorticity equation and div u = 0.

    Network [3, width x depth, 2] sine; terms "initial", "boundary", "pde", "divergence"; the error is the relative L2 norm of the vorticity at all
    nodes inside. The published size is stride=1, snapshots=50, width=100, depth=7, batch=4000, steps=336000 (7000 epochs; in the
    annulus 280000).

    Args:   region: "square" or "annulus". stride: of the nodes of 256. first: snapshot, .01 apart. batch: of the interior points.
    Raises: ValueError for another region, a stride that does not divide the nodes, or a batch beyond the interior points.
    """
    flow = window(region, stride, snapshots, first)
    inside, rim = _masks(flow, region, stride)
    start = (inside | rim).clone()
    start[1:] = False
    names = Names(("x", "y", "t"), ("u", "v"), VORTICITY)
    equation = ActiveTurbulenceVorticity()
    terms = {
        "initial": Term("initial", misfit("u", "v"), ("u", "v")),
        "boundary": Term("boundary", misfit("u", "v"), ("u", "v")),
        "pde": Term("interior", lambda d, p: equation.residual(d), equation.needs),
        "divergence": Term("interior", lambda d, p: d.u_x + d.v_y, ("u_x", "v_y")),
    }
    sets = {
        "initial": _points(flow, start, dtype),
        "boundary": _points(flow, rim, dtype),
        "interior": Points(flow.x[inside].to(dtype)),
    }
    mean, std = mean_and_std(flow.x[inside | rim])
    network = CoordinateNetwork(3, width, depth, 2, "sine", **seed_options(seeds), mean=mean, std=std).to(dtype)
    x, truth = flow.x[inside].to(dtype), flow.fields[inside]

    @torch.no_grad()
    def errors(problem: Collocation) -> Mapping[str, Tensor]:
        d = partials(problem.network, x, names, ("u", "v", "w"))
        return {"vorticity": relative([d.w], [truth[:, 2]]), "velocity": relative([d.u, d.v], [truth[:, 0], truth[:, 1]])}

    per_epoch = max(1, len(sets["interior"]) // batch)
    full = ((stride, snapshots, first, width, depth, batch), steps) == (PUBLISHED_SIZE, PUBLISHED_EPOCHS * per_epoch)
    return Case(
        Collocation(network, names, terms),
        PointBatches(sets, {"interior": batch}),
        errors,
        reference="pde",
        steps=steps,
        drops=(3 / 7, 6 / 7),
        every=5 * per_epoch,
        published={(name, "adam"): value for name, value in PUBLISHED[region].items() if full},
    )


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
    """Five coefficients and the pressure's gradient from velocities: what is learned first must not be forgotten when equations join.

    Terms "data" from the beginning, "divergence" and "momentum" from their shares of the updates on. Network [3, width x depth, 3] sine of u, v and
    p; coefficients begin at zero. Errors: of the velocity at the nodes that are kept from training, the pressure's gradient there, and the mean
    relative error of the coefficients. The published size is stride=1, snapshots=50, width=100, depth=5, batch=4096, steps=245000 (7000 epochs),
    divergence_from=1/7, momentum_from=2/7; with fewer updates the data take a larger share of them to be learned first.

    Args: share: of the nodes that is trained on. Others: see `turbulence`.
    """
    if not 0 < share < 1:
        raise ValueError(f"turbulence-inverse: share of the nodes is above 0 and below 1, for the others are those of the errors, got {share:g}")
    for what, begins in (("divergence_from", divergence_from), ("momentum_from", momentum_from)):
        if not 0 <= begins < 1:
            raise ValueError(f"turbulence-inverse: {what} is a share of the updates, at least 0 and below 1, got {begins:g}")
    flow = window("square", stride, snapshots, first)
    x, fields = flow.x.reshape(-1, 3), flow.fields.reshape(-1, flow.fields.shape[-1])
    if not 0 < round(share * len(x)) < len(x):
        raise ValueError(f"turbulence-inverse: a share of {share:g} leaves no node on one side of {len(x)}")
    order = torch.randperm(len(x), generator=generator(0, "turbulence nodes"))
    chosen, kept = order[: round(share * len(x))], order[round(share * len(x)) :]
    names = Names(("x", "y", "t"), ("u", "v", "p"))
    equation = ActiveTurbulenceVelocity()
    terms = {
        "data": Term("nodes", misfit("u", "v"), ("u", "v")),
        "divergence": Term("nodes", lambda d, p: d.u_x + d.v_y, ("u_x", "v_y"), begins=round(divergence_from * steps)),
        "momentum": Term("nodes", equation.residual, equation.needs, begins=round(momentum_from * steps)),
    }
    nodes = Points(x[chosen].to(dtype), {"u": fields[chosen, 0].to(dtype), "v": fields[chosen, 1].to(dtype)})
    mean, std = mean_and_std(x)
    network = CoordinateNetwork(3, width, depth, 3, "sine", **seed_options(seeds), mean=mean, std=std).to(dtype)
    problem = Collocation(network, names, terms, dict.fromkeys(COEFFICIENTS, 0.0))
    at, truth = x[kept].to(dtype), fields[kept]

    @torch.no_grad()
    def errors(problem: Collocation) -> Mapping[str, Tensor]:
        d = partials(problem.network, at, names, ("u", "v", "p_x", "p_y"))
        off = [(value.double() - getattr(equation, name)).abs() / abs(getattr(equation, name)) for name, value in problem.values().items()]
        return {
            "velocity": relative([d.u, d.v], [truth[:, 0], truth[:, 1]]),
            "pressure gradient": relative([d.p_x, d.p_y], [truth[:, 4], truth[:, 5]]),
            "coefficients": torch.stack(off).mean(0),
        }

    per_epoch = max(1, len(nodes) // batch)
    return Case(
        problem, PointBatches({"nodes": nodes}, {"nodes": batch}), errors, ("momentum", "divergence", "data"), steps, (0.8, 0.9), 5 * per_epoch
    )


def _points(flow: TurbulenceWindow, mask: Tensor, dtype: torch.dtype) -> Points:
    return Points(flow.x[mask].to(dtype), {"u": flow.fields[mask][:, 0].to(dtype), "v": flow.fields[mask][:, 1].to(dtype)})


def _masks(flow: TurbulenceWindow, region: RegionName, stride: int) -> tuple[Tensor, Tensor]:
    """Nodes inside and on the rim, (T, n, n); a rim is `stride` nodes of 256 wide."""
    if region == "square":
        inside = torch.zeros(flow.x.shape[:3], dtype=torch.bool)
        inside[:, 1:-1, 1:-1] = True
        return inside, ~inside
    radius, (inner, outer) = flow.fields[..., 6], RINGS
    rim = (radius > inner - stride) & (radius <= inner) | (radius > outer) & (radius <= outer + stride)
    return (radius > inner) & (radius <= outer), rim
