"""Measure a lower bound on the time of our physics-informed iterations on this machine. Prints one JSON line.

The bound is the time of their matrix products alone, in the same shapes, or of the same operations at the peak rate of this machine.

python benchmarks/pinn_limits.py {products,peak} {poisson,residual}
"""

from __future__ import annotations

import argparse

import pinn_workload as given
import poisson_update
import torch
import turbulence_residual
from limits import peak_rate
from matrix_products import Products, products_of, replay
from timing import arguments, emit, measure

from eddygrad.runtime.memory import keep_freed_memory


def options() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("kind", choices=["products", "peak"])
    parser.add_argument("work", choices=["poisson", "residual"])
    parser.add_argument("--seeds", type=int, default=1, help="stacked seeds of poisson")
    parser.add_argument("--batch", type=int, default=given.TURBULENCE_BATCHES[0], help="points of residual")
    return parser.parse_args()


def recorded_products(work: str, seeds: int, batch: int) -> Products:
    """Return the products of one iteration of all seeds with uniform weights."""
    return products_of(poisson_update.build("taylor", "uniform", seeds)[0] if work == "poisson" else turbulence_residual.build("taylor", batch))


def main() -> None:
    args = options()
    torch.set_num_threads(args.threads)
    keep_freed_memory()
    seeds = args.seeds if args.work == "poisson" else 1
    products = recorded_products(args.work, seeds, args.batch)
    flops = products.flops / seeds
    if args.kind == "peak":
        rate = peak_rate()
        result = {key: flops / rate for key in ("seconds", "seconds_min", "seconds_max")}
    else:
        run, repeats = replay(products), max(1, int(3e9 / products.flops))

        def block() -> None:
            for _ in range(repeats):
                run()

        result = measure(block, repeats * seeds, args.repetitions, args.max_seconds)
    workload, scheme = ("pinn-poisson", "k=6") if args.work == "poisson" else ("pinn-residual", "vorticity")
    size = {"seeds": seeds} if args.work == "poisson" else {"batch": args.batch}
    rates = {"flops": flops, "iterations_per_second": 1 / result["seconds"]}
    emit(workload, f"limit: {args.kind}", result, scheme=scheme, **size, **rates, products=len(products.made), threads=args.threads)


if __name__ == "__main__":
    main()
