"""Small problems on a line where a plain sum of losses fails: a boundary layer, and data of two sensors, one of them noisy."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from eddygrad.correctors.seeded_network import seed_options
from eddygrad.pinn.collocation import Collocation, Term
from eddygrad.pinn.network.coordinate_network import CoordinateNetwork
from eddygrad.pinn.partials import Names, partials
from eddygrad.pinn.points import PointBatches, Points
from eddygrad.pinn.problems.benchmark_case import Case
from eddygrad.pinn.problems.relative_error import relative
from eddygrad.runtime.randomness import generator

LINE = Names(("x",), ("u",))


def layer(
    seeds: int | Sequence[int] = 0, dtype: torch.dtype = torch.float32, epsilon: float = 0.05, width: int = 30, depth: int = 3, steps: int = 5000
) -> Case:
    """Pose a boundary layer: -epsilon u'' + u' = 1, u(0) = u(1) = 0.

        u = x - (e^{(x-1)/epsilon} - e^{-1/epsilon}) / (1 - e^{-1/epsilon}),   a layer of width epsilon at x = 1
    The equation alone is also satisfied by u = x + c, which a plain sum of losses finds first. Terms "pde" and "boundary".

    Args:
        seeds, dtype: seed of one network or seeds of a stack; precision.
        epsilon: width of the layer.
        width, depth: of the tanh network.
        steps: number of updates.
    Raises: ValueError unless 0 < epsilon <= 1.
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
    at_zero = math.exp(-1 / epsilon)
    truth = x[:, 0] - (torch.exp((x[:, 0] - 1) / epsilon) - at_zero) / (1 - at_zero)
    sets = {"interior": Points(x.to(dtype)), "ends": Points(ends.to(dtype))}
    return Case(Collocation(network, LINE, terms), PointBatches(sets), _errors(x.to(dtype), truth), "pde", steps)


def two_sensors(
    seeds: int | Sequence[int] = 0,
    dtype: torch.dtype = torch.float32,
    noise: float = 1.0,
    width: int = 30,
    depth: int = 3,
    steps: int = 5000,
) -> Case:
    """Pose k u'' = -4 pi^2 sin(2 pi x), k = 1 unknown, with 25 values of noise .01 and 100 values of noise `noise`.

    Terms "pde", "good" and "bad"; every seed has its own noise. Errors: of u = sin(2 pi x) at 400 points, and |k - 1|.

    Args:
        seeds, dtype: seed of one network or seeds of a stack; precision.
        noise: standard deviation of the bad sensor.
        width, depth: of the tanh network.
        steps: number of updates.
    Raises: ValueError for noise that is not positive.
    """
    if not noise > 0:
        raise ValueError(f"two_sensors: expected noise above 0, got {noise}")
    w = 2 * math.pi
    network = CoordinateNetwork(1, width, depth, 1, "tanh", **seed_options(seeds), mean=0.5, std=1 / math.sqrt(12), gain=5 / 3).to(dtype)
    terms = {
        "pde": Term("interior", lambda d, p: p["k"] * d.u_xx + w**2 * torch.sin(w * d.x), ("u_xx",)),
        "good": Term("good", lambda d, p: d.u - d["known_u"], ("u",)),
        "bad": Term("bad", lambda d, p: d.u - d["known_u"], ("u",)),
    }
    x = torch.linspace(0, 1, 400, dtype=torch.float64).unsqueeze(1)
    sensors = {name: _measured(seeds, count, spread, name, dtype) for name, count, spread in (("good", 25, 0.01), ("bad", 100, noise))}
    problem = Collocation(network, LINE, terms, {"k": 0.5}, positive=["k"])
    errors = _errors(x.to(dtype), torch.sin(w * x[:, 0]))
    return Case(problem, PointBatches({"interior": Points(x.to(dtype)), **sensors}), errors, "pde", steps)


def _measured(seeds: int | Sequence[int], count: int, spread: float, sensor: str, dtype: torch.dtype) -> Points:
    """Draw places and noisy values of sin(2 pi x) for each seed."""
    rows = []
    for seed in (seeds,) if isinstance(seeds, int) else seeds:
        source = generator(seed, f"{sensor} sensor")
        place = torch.rand(count, 1, generator=source, dtype=torch.float64)
        rows.append((place, torch.sin(2 * math.pi * place[:, 0]) + spread * torch.randn(count, generator=source, dtype=torch.float64)))
    places, values = (torch.stack(part).to(dtype) for part in zip(*rows))
    return Points(places[0], {"u": values[0]}) if isinstance(seeds, int) else Points(places, {"u": values})


def _errors(x: Tensor, truth: Tensor) -> Callable[[Collocation], Mapping[str, Tensor]]:
    """Return the error of u and, where it is unknown, of the coefficient k = 1."""

    @torch.no_grad()
    def errors(problem: Collocation) -> Mapping[str, Tensor]:
        error = {"u": relative([partials(problem.network, x, LINE, ("u",)).u], [truth])}
        return {**error, "coefficient": (problem.values()["k"].double() - 1).abs()} if problem.unknown else error

    return errors
