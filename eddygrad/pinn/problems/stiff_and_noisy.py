"""Small problems on a line on which plain sums of losses fail: a boundary layer, and data of two sensors of which one is bad."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from eddygrad.correctors.seeded_network import seed_options
from eddygrad.pinn.collocation import Collocation, PointBatches, Points, Term
from eddygrad.pinn.network.coordinate_network import CoordinateNetwork
from eddygrad.pinn.partials import Names, partials
from eddygrad.pinn.problems.benchmark_case import Case
from eddygrad.pinn.problems.relative_error import relative
from eddygrad.runtime.randomness import generator

LINE = Names(("x",), ("u",))


def layer(
    seeds: int | Sequence[int] = 0, dtype: torch.dtype = torch.float32, epsilon: float = 0.05, width: int = 30, depth: int = 3, steps: int = 5000
) -> Case:
    """Stiff: -epsilon u'' + u' = 1, u(0) = u(1) = 0: a layer of width epsilon at x = 1, u = x - (e^{(x-1)/eps} - e^{-1/eps}) / (1 - e^{-1/eps}).

    Without its boundary values the equation is also fulfilled by u = x + c, which a sum of losses finds first. Terms "pde" and "boundary".
    """
    if not 0 < epsilon <= 1:
        raise ValueError(f"layer: expected 0 < epsilon <= 1, got {epsilon}")
    x = torch.linspace(0, 1, 402, dtype=torch.float64)[1:-1].unsqueeze(1)
    ends = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    network = CoordinateNetwork(1, width, depth, 1, "tanh", **seed_options(seeds), mean=0.5, std=1 / math.sqrt(12), gain=5 / 3).to(dtype)
    terms = {
        "pde": Term("interior", lambda d, p: -epsilon * d.u_xx + d.u_x - 1, ("u_x", "u_xx")),
        "boundary": Term("ends", lambda d, p: d.u, ("u",)),
    }
    none = math.exp(-1 / epsilon)
    truth = x[:, 0] - (torch.exp((x[:, 0] - 1) / epsilon) - none) / (1 - none)
    at = x.to(dtype)

    @torch.no_grad()
    def errors(problem: Collocation) -> Mapping[str, Tensor]:
        return {"u": relative([partials(problem.network, at, LINE, ("u",)).u], [truth])}

    sets = {"interior": Points(at), "ends": Points(ends.to(dtype))}
    return Case(Collocation(network, LINE, terms), PointBatches(sets), errors, "pde", steps)


def two_sensors(
    seeds: int | Sequence[int] = 0,
    dtype: torch.dtype = torch.float32,
    noise: float = 1.0,
    width: int = 30,
    depth: int = 3,
    steps: int = 5000,
) -> Case:
    """Heteroscedastic noise: k u'' = -4 pi^2 sin(2 pi x), k = 1 unknown, from 25 values with noise of .01 and 100 with noise of `noise`.

    Terms "pde", "good" and "bad"; every seed has noise of its own. Errors: of u = sin(2 pi x) at 400 points, and |k - 1|.
    """
    if not noise > 0:
        raise ValueError(f"two_sensors: expected noise above 0, got {noise}")
    single = isinstance(seeds, int)
    each = (seeds,) if isinstance(seeds, int) else tuple(seeds)
    x = torch.linspace(0, 1, 400, dtype=torch.float64).unsqueeze(1)
    w = 2 * math.pi
    network = CoordinateNetwork(1, width, depth, 1, "tanh", **seed_options(seeds), mean=0.5, std=1 / math.sqrt(12), gain=5 / 3).to(dtype)

    def measured(count: int, spread: float, who: str) -> Points:
        rows = []
        for seed in each:
            source = generator(seed, f"{who} sensor")
            place = torch.rand(count, 1, generator=source, dtype=torch.float64)
            rows.append((place, torch.sin(w * place[:, 0]) + spread * torch.randn(count, generator=source, dtype=torch.float64)))
        places, values = (torch.stack(part).to(dtype) for part in zip(*rows))
        return Points(places[0], {"u": values[0]}) if single else Points(places, {"u": values})

    terms = {
        "pde": Term("interior", lambda d, p: p["k"] * d.u_xx + w**2 * torch.sin(w * d.x), ("u_xx",)),
        "good": Term("good", lambda d, p: d.u - d["known_u"], ("u",)),
        "bad": Term("bad", lambda d, p: d.u - d["known_u"], ("u",)),
    }
    truth, at = torch.sin(w * x[:, 0]), x.to(dtype)

    @torch.no_grad()
    def errors(problem: Collocation) -> Mapping[str, Tensor]:
        return {"u": relative([partials(problem.network, at, LINE, ("u",)).u], [truth]), "coefficient": (problem.values()["k"].double() - 1).abs()}

    sets = {"interior": Points(at), "good": measured(25, 0.01, "good"), "bad": measured(100, noise, "bad")}
    return Case(Collocation(network, LINE, terms, {"k": 0.5}, positive=["k"]), PointBatches(sets), errors, "pde", steps)
