"""One training update of the Poisson problem, k = 6: ours by Taylor polynomials, or the same by nested autograd. Prints one JSON line.

`seconds` is per update of one model: a stack's time divided by its seeds. Every update has all 2900 points, both losses, gradient and Adam.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace

import pinn_workload as given
import torch
from nested_autograd import PlainNetwork, poisson_losses
from products import products_of
from timing import arguments, emit, measure
from torch import Tensor

from eddygrad.pinn.collocation import PointBatches, Points
from eddygrad.pinn.problems.benchmark_case import Case
from eddygrad.pinn.problems.poisson import poisson
from eddygrad.runtime.memory import keep_freed_memory
from eddygrad.training import Loop, Training
from eddygrad.training.weighting import InverseDirichlet, Uniform

Update = Callable[[], object]
Losses = Callable[[], dict[str, Tensor]]


def options() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--way", default="taylor", choices=["taylor", "nested"])
    parser.add_argument("--weighting", default="uniform", choices=["uniform", "inverse-dirichlet"], help="nested: uniform alone")
    parser.add_argument("--seeds", type=int, default=1, help="1: a single network; more: a stack; nested: 1 alone")
    parser.add_argument("--updates", type=int, default=20, help="updates per timed block, a multiple of the 5 between looks at gradients")
    parser.add_argument("--compiled", action="store_true", help="taylor: fused loops, as `eddygrad pinn --compiled` has them")
    parser.add_argument("--freed-memory", default="keep", choices=["keep", "return"], help="keep: as the command line does")
    return parser.parse_args()


def shared_case(dtype: torch.dtype = torch.float32) -> Case:
    """The package's problem, with the points and the first weights that the peers have too."""
    inside, outside = given.interior_points(), given.boundary_points()
    case = poisson(given.WAVENUMBER, 0, dtype)
    network, (mean, std) = case.problem.network, given.standard()
    with torch.no_grad():
        network.mean.copy_(torch.as_tensor(mean))
        network.std.copy_(torch.as_tensor(std))
        for weight, value in zip(network.weights, given.first_weights(given.POISSON_LAYERS, 5 / 3)):
            weight[0] = torch.as_tensor(value)
    parts = case.batches.sets["boundary"].parts
    sets = {
        "interior": Points(torch.as_tensor(inside).to(dtype), {"f": torch.as_tensor(given.source(inside)).to(dtype)}),
        "boundary": Points(torch.as_tensor(outside).to(dtype), {"u": torch.as_tensor(given.exact(outside)).to(dtype)}, parts),
    }
    return replace(case, batches=PointBatches(sets))


def by_taylor(weighting: str, seeds: int, compiled: bool = False) -> tuple[Update, Losses]:
    """The package's own update; a stack has points and weights of its own for every seed."""
    case = shared_case() if seeds == 1 else poisson(given.WAVENUMBER, range(seeds))
    case.problem.compiled = compiled
    chosen = InverseDirichlet("pde", every=given.EVERY) if weighting == "inverse-dirichlet" else Uniform()
    training = Training(steps=10**9, lr=given.LEARNING_RATE, weighting=chosen)
    update = Loop(case.problem, case.problem.losses, case.batches, training).update
    return update, lambda: case.problem.losses(case.batches(0))


def by_nested_autograd() -> tuple[Update, Losses]:
    """The same in plain torch, with the same fused Adam."""
    case = shared_case()
    network, sets = PlainNetwork.like(case.problem.network), case.batches.sets
    inside, outside = sets["interior"], sets["boundary"]
    optimiser = torch.optim.Adam(network.parameters(), lr=given.LEARNING_RATE, fused=True)

    def losses() -> dict[str, Tensor]:
        return poisson_losses(network, inside.x, inside.known["f"], outside.x, outside.known["u"])

    def update() -> None:
        optimiser.zero_grad()
        sum(losses().values()).backward()
        optimiser.step()

    return update, losses


def build(way: str, weighting: str, seeds: int, compiled: bool = False) -> tuple[Update, Losses]:
    """(an update, the losses now). Raises ValueError for what nested autograd is not written for."""
    if way == "nested" and (weighting != "uniform" or seeds > 1 or compiled):
        raise ValueError(f"poisson_update: nested autograd is there for uniform weights of one seed, not compiled, got {weighting} and {seeds}")
    return by_nested_autograd() if way == "nested" else by_taylor(weighting, seeds, compiled)


def probe(way: str, compiled: bool = False) -> list[float]:
    """Both losses after some updates with uniform weights."""
    update, losses = build(way, "uniform", 1, compiled)
    for _ in range(given.PROBE_UPDATES):
        update()
    return given.poisson_probe(**{name: float(loss.detach()) for name, loss in losses().items()})


def update_flops(update: Update, seeds: int) -> float:
    """Of the products in an update of one model, as a mean over those from one look at the gradients to the next."""
    every = given.EVERY
    return products_of(lambda: [update() for _ in range(every)]).flops / (every * seeds)


def main() -> None:
    args = options()
    torch.set_num_threads(args.threads)
    if args.freed_memory == "keep":
        keep_freed_memory()
    update, losses = build(args.way, args.weighting, args.seeds, args.compiled)

    def block() -> None:
        for _ in range(args.updates):
            update()

    result = measure(block, args.updates * args.seeds, args.repetitions, args.max_seconds)
    assert all(bool(torch.isfinite(loss).all()) for loss in losses().values())
    settings = {name: getattr(args, name) for name in ("way", "weighting", "seeds", "threads", "compiled", "freed_memory")}
    # A stack has points of its own, and a weighting that is not uniform goes its own way: the probe is that of the plain case.
    counted = {"flops": update_flops(update, args.seeds), "iterations_per_second": 1 / result["seconds"], "probe": probe(args.way, args.compiled)}
    versions = f"torch {torch.__version__}"
    emit("pinn-poisson", args.way, result, scheme="k=6", **settings, **counted, parameters=given.parameters(given.POISSON_LAYERS), versions=versions)


if __name__ == "__main__":
    main()
