"""Time our gradient d mean(w_K^2) / d w_0 through K steps of Kolmogorov flow. Prints one JSON line.

It has the time per step and the peak memory beyond the memory that was resident before.

python benchmarks/navier_stokes_gradient.py [--scheme rk4cn] [--k 8] [--keep all]
"""

from __future__ import annotations

import argparse

import torch
from navier_stokes_step import bind_flow
from timing import arguments, emit, measure_memory
from torch import Tensor
from workload import GRADIENT_BATCH, GRADIENT_POINTS, STAGES, flow_probe

from eddygrad.runtime.memory import keep_freed_memory
from eddygrad.solver.step import Step
from eddygrad.solver.unroll import Keep, repeat


def options() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--n", type=int, default=GRADIENT_POINTS, help="points per axis")
    parser.add_argument("--batch", type=int, default=GRADIENT_BATCH)
    parser.add_argument("--scheme", default="rk4cn", choices=[*STAGES])
    parser.add_argument("--k", type=int, default=8, help="steps K")
    parser.add_argument("--keep", default="all", choices=["all", "sqrt"], help="states kept for the backward pass; see `repeat`")
    return parser.parse_args()


def gradient(step: Step, w: Tensor, k: int, keep: Keep) -> Tensor:
    """Return the gradient, (batch, 1, n, n) as w."""
    (out,) = torch.autograd.grad(repeat(step, w, k, grad=True, keep=keep).square().mean(), w)
    return out


def main() -> None:
    args = options()
    torch.set_num_threads(args.threads)
    keep_freed_memory()  # as on the command line
    small, v = bind_flow(16, 1, args.scheme)
    gradient(small, v.requires_grad_(), 2, args.keep)  # imports that torch makes at first use (checkpointing: some 70 MB) must not count
    step, w = bind_flow(args.n, args.batch, args.scheme)
    w.requires_grad_()
    result = measure_memory(lambda: gradient(step, w, args.k, args.keep), args.k, args.repetitions, args.max_seconds)
    settings = {name: getattr(args, name) for name in ("n", "batch", "scheme", "k", "keep", "threads")}
    probe = flow_probe(gradient(step, w, args.k, args.keep) * w.numel(), args.n)  # times the denominator of the mean, to be of order one
    emit("ns-gradient", f"eddygrad keep={args.keep}", result, **settings, probe=probe, versions=f"torch {torch.__version__}")


if __name__ == "__main__":
    main()
