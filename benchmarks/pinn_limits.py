"""The machine's limit for our physics-informed iterations: their matrix products alone, in their own shapes, or as many operations at the highest
rate this machine shows. One JSON line."""

from __future__ import annotations

import argparse

import pinn_workload as given
import poisson_update
import torch
import turbulence_residual
from limits import peak_rate
from products import Products, products_of, replay
from timing import arguments, emit, measure

from eddygrad.runtime.memory import keep_freed_memory


def options() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("kind", choices=["products", "peak"])
    parser.add_argument("work", choices=["poisson", "residual"])
    parser.add_argument("--seeds", type=int, default=1, help="of poisson")
    parser.add_argument("--batch", type=int, default=given.TURBULENCE_BATCHES[0], help="points of residual")
    return parser.parse_args()


def ours(work: str, seeds: int, batch: int) -> Products:
    """The products of one iteration of ours, as it makes them: all seeds, uniform weights."""
    return products_of(poisson_update.build("taylor", "uniform", seeds)[0] if work == "poisson" else turbulence_residual.build("taylor", batch))


def main() -> None:
    args = options()
    torch.set_num_threads(args.threads)
    keep_freed_memory()
    seeds = args.seeds if args.work == "poisson" else 1
    found = ours(args.work, seeds, args.batch)
    flops = found.flops / seeds
    if args.kind == "peak":
        rate = peak_rate()
        result = {key: flops / rate for key in ("seconds", "seconds_min", "seconds_max")}
    else:
        run, again = replay(found), max(1, int(3e9 / found.flops))

        def block() -> None:
            for _ in range(again):
                run()

        result = measure(block, again * seeds, args.repetitions, args.max_seconds)
    workload, scheme = ("pinn-poisson", "k=6") if args.work == "poisson" else ("pinn-residual", "vorticity")
    size = {"seeds": seeds} if args.work == "poisson" else {"batch": args.batch}
    rates = {"flops": flops, "iterations_per_second": 1 / result["seconds"]}
    emit(workload, f"limit: {args.kind}", result, scheme=scheme, **size, **rates, products=len(found.made), threads=args.threads)


if __name__ == "__main__":
    main()
