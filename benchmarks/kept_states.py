"""Time a gradient through 512 steps that keeps sqrt(512) states against one that keeps all states, in turn in one process. Prints a table.

python benchmarks/kept_states.py [--threads 2] [--pairs 9] [--k 512]
"""

from __future__ import annotations

import argparse
import time
from statistics import median

import torch
from navier_stokes_gradient import gradient
from navier_stokes_step import bind_flow
from workload import GRADIENT_BATCH, GRADIENT_POINTS

from eddygrad.runtime.memory import keep_freed_memory
from eddygrad.solver.unroll import Keep

SCHEMES = ("rk4cn", "etdrk2", "etdrk4")
PAIR: tuple[Keep, Keep] = ("sqrt", "all")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--k", type=int, default=512, help="steps that the gradient goes through")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    keep_freed_memory()
    print(f"{'':8}{'sqrt, ms per step':>18}{'all, ms per step':>18}{'ratio, median of pairs':>26}{'lowest and highest':>24}")
    for scheme in SCHEMES:
        step, w = bind_flow(GRADIENT_POINTS, GRADIENT_BATCH, scheme)
        w.requires_grad_()
        seconds: dict[Keep, list[float]] = {keep: [] for keep in PAIR}
        for i in range(args.pairs + 1):  # the first pair warms up
            for keep in PAIR if i % 2 else reversed(PAIR):
                begin = time.perf_counter()
                gradient(step, w, args.k, keep)
                seconds[keep].append(1e3 * (time.perf_counter() - begin) / args.k)
        sqrt, whole = (seconds[keep][1:] for keep in PAIR)
        ratios = sorted(a / b for a, b in zip(sqrt, whole))
        print(f"{scheme:8}{median(sqrt):18.2f}{median(whole):18.2f}{median(ratios):26.2f}{f'{ratios[0]:.2f} to {ratios[-1]:.2f}':>24}", flush=True)


if __name__ == "__main__":
    main()
