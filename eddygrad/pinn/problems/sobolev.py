"""A function and its derivatives learned together (Sobolev training): losses of very different size.

Maddu, Sturm, Mueller, Sbalzarini 2021 (arXiv 2107.00940), sec. 3.2 and their code.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from eddygrad.correctors.seeded_network import seed_options
from eddygrad.pinn.collocation import Collocation, Term
from eddygrad.pinn.domains import mean_and_std
from eddygrad.pinn.network.coordinate_network import CoordinateNetwork
from eddygrad.pinn.partials import Names, Partials, partials
from eddygrad.pinn.points import PointBatches, Points
from eddygrad.pinn.problems.benchmark_case import Case
from eddygrad.pinn.problems.relative_error import relative
from eddygrad.runtime.randomness import generator

POINTS, SUMMANDS = 128, 20
DERIVED = {
    "slope": ((1.0, "u_x"), (1.0, "u_y")),
    "laplacian": ((1.0, "u_xx"), (1.0, "u_yy")),
    "third": ((1.0, "u_xxx"), (1.0, "u_yyy")),
    "fourth": ((1.0, "u_xxxx"), (1.0, "u_yyyy")),
}
NAMES = Names(("x", "y"), ("u",), DERIVED)


def series(x: Tensor, order: int = 0, seed: int = 0) -> Tensor:
    """Return D^n f, where f is a sum of 20 terms A cos(l x + p) B sin(m y + q), D^n = d^n/dx^n + d^n/dy^n and D^0 = 1.

    A, B are uniform in (-5, 5), l, m = 1 .. 4, phases uniform.

    Args:
        x:     points (N, 2).
        order: n.
        seed:  seed of the coefficients.
    """
    source = generator(seed, "sobolev function")
    a, b = torch.rand(2, SUMMANDS, generator=source, dtype=torch.float64) * 10 - 5
    l, m = torch.randint(1, 5, (2, SUMMANDS), generator=source).double()
    p, q = torch.rand(2, SUMMANDS, generator=source, dtype=torch.float64) * 2 * math.pi
    u, v = x[:, :1].double() * l + p, x[:, 1:].double() * m + q
    turn = math.pi / 2 * order
    both = a * b * (l**order * torch.cos(u + turn) * torch.sin(v) + m**order * torch.cos(u) * torch.sin(v + turn))
    return both.sum(1) / (1 if order else 2)


def sobolev(
    seeds: int | Sequence[int] = 0,
    dtype: torch.dtype = torch.float32,
    points: int = 8192,
    batch: int = 4096,
    width: int = 64,
    depth: int = 5,
    steps: int = 40_000,
    function: int = 0,
    unknown: bool = True,
) -> Case:
    """Pose f = N and D^n f = c_n D^n N for n = 1 .. 4 on (0, 2 pi]^2; the c_n are unknown and start at zero (truth: 1).

    Network [2, width x depth, 1] with sine. Terms "value", "slope", "laplacian", "third", "fourth". Optimal weights are proportional to 1 / I_n, I_n
    the mean of (D^n f)^2. Errors: of f on all nodes of 128 x 128, and the mean of |c_n - 1| if they are unknown.

    Args:
        seeds, dtype: seed of one network or seeds of a stack; precision.
        points, batch: number of nodes drawn and kept; how many of them per update.
        width, depth: of the network.
        steps: number of updates; 40,000 are 20,000 epochs of two batches.
        function: seed of f.
        unknown: learn the coefficients c_n; if false, all are 1.
    """
    line = 2 * math.pi * torch.arange(1, POINTS + 1, dtype=torch.float64) / POINTS
    nodes = torch.cartesian_prod(line, line)
    chosen = torch.randperm(len(nodes), generator=generator(0, "sobolev points"))[:points]
    truth = {"value": series(nodes, 0, function), **{name: series(nodes, n, function) for n, name in enumerate(DERIVED, 1)}}
    terms = {"value": Term("nodes", lambda d, p: d.u - d["known_value"], ("u",))}
    terms |= {name: Term("nodes", partial(_scaled if unknown else _plain, name), (name,)) for name in DERIVED}
    mean, std = mean_and_std(nodes[chosen])
    network = CoordinateNetwork(2, width, depth, 1, "sine", **seed_options(seeds), mean=mean, std=std).to(dtype)
    problem = Collocation(network, NAMES, terms, dict.fromkeys(DERIVED, 0.0) if unknown else None)
    drawn = Points(nodes[chosen].to(dtype), {name: value[chosen].to(dtype) for name, value in truth.items()})
    batches, errors = PointBatches({"nodes": drawn}, {"nodes": batch}), _errors(nodes.to(dtype), truth["value"])
    return Case(problem, batches, errors, "value", steps, (0.5, 0.75), 5, _optimal(truth))


def _errors(x: Tensor, truth: Tensor) -> Callable[[Collocation], Mapping[str, Tensor]]:
    @torch.no_grad()
    def errors(problem: Collocation) -> Mapping[str, Tensor]:
        error = {"function": relative([partials(problem.network, x, NAMES, ("u",)).u], [truth])}
        off = [(value.double() - 1).abs() for value in problem.values().values()]
        return {**error, "coefficients": torch.stack(off).mean(0)} if off else error

    return errors


def _optimal(truth: Mapping[str, Tensor]) -> dict[str, float]:
    inverse = {name: 1 / float(value.square().mean()) for name, value in truth.items()}
    return {name: value / sum(inverse.values()) for name, value in inverse.items()}


def _plain(name: str, d: Partials, p: Mapping[str, Tensor]) -> Tensor:
    return d[name] - d[f"known_{name}"]


def _scaled(name: str, d: Partials, p: Mapping[str, Tensor]) -> Tensor:
    return p[name] * d[name] - d[f"known_{name}"]
