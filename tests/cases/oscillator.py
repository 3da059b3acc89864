"""A harmonic oscillator on a line, the smallest problem with an equation, data and an unknown coefficient."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from eddygrad.correctors.seeded_network import seed_options
from eddygrad.pinn.collocation import Collocation, Term
from eddygrad.pinn.network.coordinate_network import CoordinateNetwork
from eddygrad.pinn.partials import Names
from eddygrad.pinn.points import Points

LINE = Names(("x",), ("u",))


def grid(count: int, length: float = 1.0) -> Tensor:
    return torch.linspace(0, length, count, dtype=torch.float64).unsqueeze(1)


def oscillator(seeds: Any = 0, **options: Any) -> Collocation:
    """u'' + k u = 0 with values of sin(2 x) known: k = 4."""
    network = CoordinateNetwork(1, 12, 2, 1, "sine", **seed_options(seeds), mean=1.5, std=0.9).double()
    terms = {
        "data": Term("all", lambda d, p: d.u - d["known_u"], ("u",)),
        "pde": Term("all", lambda d, p: d.u_xx + p["k"] * d.u, ("u_xx", "u"), **options),
    }
    return Collocation(network, LINE, terms, {"k": 0.5}, positive=["k"])


def known(count: int = 21) -> dict[str, Points]:
    x = grid(count, 3.0)
    return {"all": Points(x, {"u": torch.sin(2 * x[:, 0])})}
