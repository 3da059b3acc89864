"""Time our Kuramoto-Sivashinsky step (ETDRK), through `repeat` or call by call, with one length for the batch or one per sample.

Prints one JSON line.

python benchmarks/kuramoto_sivashinsky_step.py [--batch 1] [--order 2] [--mode repeat] [--lengths shared]
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

import torch
from timing import arguments, emit, measure
from torch import Tensor
from workload import DOMAIN, POINTS, PROBE_STEPS, STEP_DT, first_state, probe

from eddygrad.solver.equations.kuramoto_sivashinsky import KuramotoSivashinsky
from eddygrad.solver.grid import Grid
from eddygrad.solver.schemes.spectral.etdrk import ETDRK
from eddygrad.solver.step import Step
from eddygrad.solver.unroll import repeat


def options() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--order", type=int, default=2, choices=[1, 2, 3, 4])
    parser.add_argument("--steps", type=int, default=1000, help="steps per timed block")
    parser.add_argument("--mode", default="repeat", choices=["repeat", "call"])
    parser.add_argument("--lengths", default="shared", choices=["shared", "per-sample"], help="per-sample: D = 8 * (0.9 ... 1.3)")
    parser.add_argument("--realisation", default="auto", choices=["auto", "dense", "spectral"])
    return parser.parse_args()


def bind(batch: int, order: int, lengths: str = "shared", realisation: str = "auto") -> tuple[Step, Tensor]:
    """Return the bound step and the initial state (batch, 1, N), float32.

    Args: batch: samples. order: of ETDRK. lengths: "shared" or "per-sample". realisation: see `ETDRK`.
    """
    u = torch.tensor(first_state(batch), dtype=torch.float32)[:, None]
    length: float | Tensor = 2 * math.pi * DOMAIN
    if lengths == "per-sample":
        length = length * torch.linspace(0.9, 1.3, batch, dtype=torch.float64)[:, None, None]
    stepper = ETDRK(KuramotoSivashinsky(), Grid((POINTS,), 2 * math.pi * DOMAIN), dt=STEP_DT, order=order, realisation=realisation)
    return stepper.at({"length": length}, u), u


def advance(step: Step, mode: str) -> Callable[[Tensor, int], Tensor]:
    def call(u: Tensor, n: int) -> Tensor:
        with torch.no_grad():
            for k in range(n):
                u = step(u, k)
        return u

    return call if mode == "call" else lambda u, n: repeat(step, u, n)


def main() -> None:
    args = options()
    torch.set_num_threads(args.threads)
    step, u = bind(args.batch, args.order, args.lengths, args.realisation)
    run = advance(step, args.mode)
    result = measure(lambda: run(u, args.steps), args.steps, args.repetitions, args.max_seconds)
    settings = {"batch": args.batch, "order": args.order, "lengths": args.lengths, "threads": args.threads, "versions": f"torch {torch.__version__}"}
    emit("ks-step", f"eddygrad {args.mode}", result, **settings, probe=probe(run(u, PROBE_STEPS)))


if __name__ == "__main__":
    main()
