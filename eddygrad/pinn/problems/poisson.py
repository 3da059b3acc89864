"""A Poisson equation with an oscillating solution: the standard test of loss weights, stiffer with a higher wavenumber.

Maddu, Sturm, Mueller, Sbalzarini 2021 (arXiv 2107.00940), sec. 3.1 and their code. One difference: here each layer has its own draw of weights, the
original gives all layers of one shape the same weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from eddygrad.correctors.seeded_network import seed_options
from eddygrad.pinn.collocation import Collocation, Term
from eddygrad.pinn.domains import Box, mean_and_std
from eddygrad.pinn.network.coordinate_network import CoordinateNetwork
from eddygrad.pinn.network.hard_constraints import Constrained, FieldNetwork, box_distance, box_extension
from eddygrad.pinn.partials import Names, partials
from eddygrad.pinn.points import PointBatches, Points
from eddygrad.pinn.problems.benchmark_case import Case
from eddygrad.pinn.problems.relative_error import relative
from eddygrad.runtime.randomness import generator

NODES, INTERIOR = 100, 2500
NAMES = Names(("x", "y"), ("u",))
TERMS = {
    "pde": Term("interior", lambda d, p: d.u_lap - d["known_f"], ("u_lap",)),
    "boundary": Term("boundary", lambda d, p: d.u - d["known_u"], ("u",)),
}
PUBLISHED: dict[str, tuple[float, ...]] = {  # errors at k = 1 .. 6 with Adam
    "uniform": (1.6e-3, 1.2e-2, 4.1e-2, 9.6e-2, 0.19, 0.25),
    "inverse-dirichlet": (2.9e-4, 4.2e-4, 6.0e-4, 1.8e-3, 3.9e-3, 7.4e-3),
    "max-average": (1.1e-3, 1.9e-3, 3.7e-3, 5.6e-3, 6.2e-3, 7.6e-3),
    "mgda": (8.9e-4, 8.1e-4, 2.1e-3, 2.9e-3, 5.8e-3, 1.2e-2),
    "epsilon-optimal": (2.0e-4, 4.0e-4, 8.4e-4, 2.6e-3, 5.2e-3, 7.2e-3),
}
PUBLISHED_ADAGRAD: dict[str, tuple[float, ...]] = {  # errors at k = 4, 5, 6 with Adagrad and a learning rate of .01
    "uniform": (0.73, 1.0, 1.3),
    "inverse-dirichlet": (0.012, 0.021, 0.076),
    "max-average": (0.48, 0.42, 0.39),
    "mgda": (0.48, 0.73, 0.73),
    "epsilon-optimal": (0.082, 0.38, 0.99),
}
for _table in (PUBLISHED, PUBLISHED_ADAGRAD):
    _table["mgda:floor=1e-5"] = _table["mgda"]  # the published code has this lower bound


def poisson(
    k: int = 6,
    seeds: int | Sequence[int] = 0,
    dtype: torch.dtype = torch.float32,
    interior: int = INTERIOR,
    width: int = 50,
    depth: int = 5,
    hard: bool = False,
    sobol: bool = False,
    batch: int | None = None,
) -> Case:
    """Pose u_xx + u_yy = -2 w^2 cos(w x) sin(w y), w = k pi, on the unit square with u known on its sides; u = cos(w x) sin(w y).

    Each seed draws its interior points without replacement from the inner nodes of 100 x 100 and keeps them. All 100 nodes of each side are boundary
    points; their loss is the sum of four means. Terms "pde" and "boundary"; the error is |u - exact| / |exact| on all nodes.

    Args:
        k: half waves per side.
        seeds, dtype: seed of one network or seeds of a stack; precision.
        interior, batch: number of interior points; how many of them per update, None for all.
        width, depth: of the tanh network.
        hard, sobol: build boundary values into the network, which leaves the term "pde"; interior points are any number of Sobol points.
    Raises: ValueError for k below one, more points than nodes, or a batch of more points than there are.
    """
    _check_size(k, interior, sobol)
    w, exact, box = k * math.pi, partial(_exact, k * math.pi), ((0, 0), (1, 1))
    drawn, rim = _interior(seeds, interior, sobol), torch.cat(Box(0, 1).sides(NODES))
    mean, std = mean_and_std(torch.cat([drawn.reshape(-1, 2), rim]))
    plain = CoordinateNetwork(2, width, depth, 1, "tanh", **seed_options(seeds), mean=mean, std=std, gain=5 / 3).to(dtype)
    terms, sets = dict(TERMS), {"interior": Points(drawn.to(dtype), {"f": (-2 * w**2 * exact(drawn)).to(dtype)})}
    network: FieldNetwork = Constrained(plain, box_distance(*box), box_extension(exact, *box)) if hard else plain
    if hard:
        del terms["boundary"]
    else:
        sets["boundary"] = Points(rim.to(dtype), {"u": exact(rim).to(dtype)}, (NODES,) * 4)
    batches = PointBatches(sets, {} if batch is None else {"interior": batch})
    optimal = {"pde": 1 / (1 + w**4), "boundary": w**4 / (1 + w**4)}
    published = {} if hard or sobol or batch or (interior, width, depth) != (INTERIOR, 50, 5) else _published(k)
    return Case(Collocation(network, NAMES, terms), batches, _errors(exact, dtype), "pde", 30_000, optimal=optimal, published=published)


def _check_size(k: int, interior: int, sobol: bool) -> None:
    most = (NODES - 2) ** 2
    if k < 1 or interior < 1 or (interior > most and not sobol):
        raise ValueError(f"poisson: expected k of at least 1 and 1 to {most} interior points, or more with sobol=true, got {k} and {interior}")


def _exact(w: float, x: Tensor) -> Tensor:
    return torch.cos(w * x[..., 0]) * torch.sin(w * x[..., 1])


def _errors(exact: Callable[[Tensor], Tensor], dtype: torch.dtype) -> Callable[[Collocation], Mapping[str, Tensor]]:
    line = torch.linspace(0, 1, NODES, dtype=torch.float64)
    nodes = torch.cartesian_prod(line, line)
    truth = exact(nodes)

    @torch.no_grad()
    def errors(problem: Collocation) -> Mapping[str, Tensor]:
        return {"error": relative([partials(problem.network, nodes.to(dtype), NAMES, ("u",)).u], [truth])}

    return errors


def _published(k: int) -> dict[tuple[str, str], float]:
    """Return the published errors at this wavenumber by weighting and optimiser."""
    adam = {(name, "adam"): values[k - 1] for name, values in PUBLISHED.items() if k <= len(values)}
    return adam | {(name, "adagrad"): values[k - 4] for name, values in PUBLISHED_ADAGRAD.items() if 4 <= k <= 6}


def _interior(seeds: int | Sequence[int], count: int, sobol: bool) -> Tensor:
    """Draw interior points of each seed, (count, 2), or (S, count, 2) for a stack."""
    if not isinstance(seeds, int):
        return torch.stack([_interior(seed, count, sobol) for seed in seeds])
    if sobol:
        return Box(0, 1).interior(count, seeds)
    line = torch.linspace(0, 1, NODES, dtype=torch.float64)[1:-1]
    return torch.cartesian_prod(line, line)[torch.randperm(len(line) ** 2, generator=generator(seeds, "poisson points"))[:count]]
