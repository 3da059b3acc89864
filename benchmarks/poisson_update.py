"""Time one training update of the Poisson problem (k = 6), by our Taylor polynomials or by nested autograd. Prints one JSON line.

`seconds` is per update and model: the time of a stack divided by its seeds. An update has all 2900 points, both losses, the gradient and Adam.

python benchmarks/poisson_update.py [--way taylor] [--weighting uniform] [--seeds 1] [--compiled]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace

import pinn_workload as given
import torch
from matrix_products import products_of
from nested_autograd import PlainNetwork, poisson_losses
from timing import arguments, emit, measure
from torch import Tensor

from eddygrad.pinn.points import PointBatches, Points
from eddygrad.pinn.problems.benchmark_case import Case
from eddygrad.pinn.problems.poisson import poisson
from eddygrad.runtime.memory import keep_freed_memory
from eddygrad.training import Loop, TrainingConfig
from eddygrad.training.weighting import InverseDirichlet, Uniform

Update = Callable[[], object]
Losses = Callable[[], dict[str, Tensor]]


def options() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--way", default="taylor", choices=["taylor", "nested"])
    parser.add_argument("--weighting", default="uniform", choices=["uniform", "inverse-dirichlet"], help="nested: only uniform")
    parser.add_argument("--seeds", type=int, default=1, help="1: a single network; more: a stack; nested: only 1")
    parser.add_argument("--updates", type=int, default=20, help="updates per timed block, a multiple of 5, the interval of the weights")
    parser.add_argument("--compiled", action="store_true", help="taylor: fused loops, as in `eddygrad pinn --compiled`")
    parser.add_argument("--freed-memory", default="keep", choices=["keep", "return"], help="keep: as on the command line")
    return parser.parse_args()


def shared_case(dtype: torch.dtype = torch.float32) -> Case:
    """Return the package's problem with the points and initial weights of the peers."""
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
    """Return the package's update and losses; in a stack each seed has its own points and initial weights."""
    case = shared_case() if seeds == 1 else poisson(given.WAVENUMBER, range(seeds))
    case.problem.compiled = compiled
    chosen = InverseDirichlet("pde", every=given.EVERY) if weighting == "inverse-dirichlet" else Uniform()
    training = TrainingConfig(steps=10**9, lr=given.LEARNING_RATE, weighting=chosen)
    update = Loop(case.problem, case.problem.losses, case.batches, training).update
    return update, lambda: case.problem.losses(case.batches(0))


def by_nested_autograd() -> tuple[Update, Losses]:
    """Return the same update and losses in plain torch, with the same fused Adam."""
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
    """Return a function that makes an update and one that returns the current losses.

    Args: way: "taylor" or "nested". weighting: of the losses. seeds: stacked networks. compiled: whether to fuse loops.
    Raises: ValueError for settings that the nested way does not support.
    """
    if way == "nested" and (weighting != "uniform" or seeds > 1 or compiled):
        raise ValueError(f"poisson_update: expected uniform weights, one seed and no compilation for nested autograd, got {weighting}, {seeds} seeds")
    return by_nested_autograd() if way == "nested" else by_taylor(weighting, seeds, compiled)


def probe(way: str, compiled: bool = False) -> list[float]:
    """Return the probe: both losses after some updates with uniform weights."""
    update, losses = build(way, "uniform", 1, compiled)
    for _ in range(given.PROBE_UPDATES):
        update()
    return given.poisson_probe(**{name: float(loss.detach()) for name, loss in losses().items()})


def update_flops(update: Update, seeds: int) -> float:
    """Return the operations of the matrix products per update and model, averaged over one interval of the inverse-Dirichlet weights."""
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
    # A stack has other points, and another weighting gives other losses, so the probe is that of a single network with uniform weights.
    counted = {"flops": update_flops(update, args.seeds), "iterations_per_second": 1 / result["seconds"], "probe": probe(args.way, args.compiled)}
    versions = f"torch {torch.__version__}"
    emit("pinn-poisson", args.way, result, scheme="k=6", **settings, **counted, parameters=given.parameters(given.POISSON_LAYERS), versions=versions)


if __name__ == "__main__":
    main()
