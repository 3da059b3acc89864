"""A Poisson equation whose solution oscillates: the standard trial of loss weights, the stiffer the higher its wavenumber.

Maddu, Sturm, Mueller, Sbalzarini 2021 (arXiv 2107.00940), sec. 3.1 and their code: network, points and sums of means as there, but that each layer
has a draw of its own, where the original gives all layers of one shape the same weights.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from eddygrad.correctors.seeded_network import seed_options
from eddygrad.pinn.collocation import Collocation, PointBatches, Points, Term
from eddygrad.pinn.domains import Box, mean_and_std
from eddygrad.pinn.network.coordinate_network import CoordinateNetwork
from eddygrad.pinn.network.hard_constraints import Constrained, Network, box_distance, box_extension
from eddygrad.pinn.partials import Names, partials
from eddygrad.pinn.problems.benchmark_case import Case
from eddygrad.pinn.problems.relative_error import relative
from eddygrad.runtime.randomness import generator

NODES, INTERIOR = 100, 2500
NAMES = Names(("x", "y"), ("u",))
PUBLISHED: dict[str, tuple[float, ...]] = {  # the error at k = 1 .. 6 with Adam
    "uniform": (1.6e-3, 1.2e-2, 4.1e-2, 9.6e-2, 0.19, 0.25),
    "inverse-dirichlet": (2.9e-4, 4.2e-4, 6.0e-4, 1.8e-3, 3.9e-3, 7.4e-3),
    "max-average": (1.1e-3, 1.9e-3, 3.7e-3, 5.6e-3, 6.2e-3, 7.6e-3),
    "mgda": (8.9e-4, 8.1e-4, 2.1e-3, 2.9e-3, 5.8e-3, 1.2e-2),
    "epsilon-optimal": (2.0e-4, 4.0e-4, 8.4e-4, 2.6e-3, 5.2e-3, 7.2e-3),
}
PUBLISHED_ADAGRAD: dict[str, tuple[float, ...]] = {  # at k = 4, 5, 6 with a rate of .01
    "uniform": (0.73, 1.0, 1.3),
    "inverse-dirichlet": (0.012, 0.021, 0.076),
    "max-average": (0.48, 0.42, 0.39),
    "mgda": (0.48, 0.73, 0.73),
    "epsilon-optimal": (0.082, 0.38, 0.99),
}
for _table in (PUBLISHED, PUBLISHED_ADAGRAD):
    _table["mgda:floor=1e-5"] = _table["mgda"]  # the published code has this floor


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
    """u_xx + u_yy = -2 w^2 cos(w x) sin(w y) on the unit square with u given on its sides, w = k pi; u = cos(w x) sin(w y).

    Interior points are drawn without replacement from the inner nodes of 100 x 100, other ones for each seed, and kept; the boundary has all 100
    nodes of each side, its loss is the sum of four means. Terms "pde" and "boundary"; the error is |u - exact| / |exact| on all nodes.

    Args:   k: half waves along a side. seeds: see `CoordinateNetwork`. interior: points. width, depth: of the tanh network.
            hard: boundary values are built into the network, so that "pde" is the only term. sobol: interior points are Sobol points instead, as
            many as one likes. batch: of the interior points at an update, every one once in an epoch; None: all.
    Raises: ValueError for k below one, more points than there are nodes, or a batch of more points than there are.
    """
    most = (NODES - 2) ** 2
    if k < 1 or interior < 1 or (interior > most and not sobol):
        raise ValueError(f"poisson: expected k of at least 1 and 1 to {most} interior points, more of them with sobol=true, got {k} and {interior}")
    w = k * math.pi
    line = torch.linspace(0, 1, NODES, dtype=torch.float64)
    nodes = torch.cartesian_prod(line, line)
    drawn = _interior(seeds, interior, sobol) if isinstance(seeds, int) else torch.stack([_interior(seed, interior, sobol) for seed in seeds])
    sides = Box(0, 1).sides(NODES)
    rim = torch.cat(sides)

    def exact(x: Tensor) -> Tensor:
        return torch.cos(w * x[..., 0]) * torch.sin(w * x[..., 1])

    everywhere = torch.cat([drawn.reshape(-1, 2), rim])
    mean, std = mean_and_std(everywhere)
    network = CoordinateNetwork(2, width, depth, 1, "tanh", **seed_options(seeds), mean=mean, std=std, gain=5 / 3).to(dtype)
    terms = {
        "pde": Term("interior", lambda d, p: d.u_lap - d["known_f"], ("u_lap",)),
        "boundary": Term("boundary", lambda d, p: d.u - d["known_u"], ("u",)),
    }
    sets = {
        "interior": Points(drawn.to(dtype), {"f": (-2 * w**2 * exact(drawn)).to(dtype)}),
        "boundary": Points(rim.to(dtype), {"u": exact(rim).to(dtype)}, (NODES,) * 4),
    }
    truth = exact(nodes)
    whole: Network = network
    if hard:
        del terms["boundary"], sets["boundary"]
        whole = Constrained(network, box_distance((0, 0), (1, 1)), box_extension(exact, (0, 0), (1, 1)))
    usual = not (hard or sobol or batch) and (interior, width, depth) == (INTERIOR, 50, 5)

    @torch.no_grad()
    def errors(problem: Collocation) -> Mapping[str, Tensor]:
        return {"error": relative([partials(problem.network, nodes.to(dtype), NAMES, ("u",)).u], [truth])}

    return Case(
        Collocation(whole, NAMES, terms),
        PointBatches(sets, {} if batch is None else {"interior": batch}),
        errors,
        "pde",
        steps=30_000,
        optimal={"pde": 1 / (1 + w**4), "boundary": w**4 / (1 + w**4)},
        published={(name, "adam"): values[k - 1] for name, values in PUBLISHED.items() if k <= len(values) and usual}
        | {(name, "adagrad"): values[k - 4] for name, values in PUBLISHED_ADAGRAD.items() if 4 <= k <= 6 and usual},
    )


def _interior(seed: int, count: int, sobol: bool) -> Tensor:
    """Points inside (count, 2), a seed's own."""
    if sobol:
        return Box(0, 1).interior(count, seed)
    line = torch.linspace(0, 1, NODES, dtype=torch.float64)[1:-1]
    return torch.cartesian_prod(line, line)[torch.randperm(len(line) ** 2, generator=generator(seed, "poisson points"))[:count]]
