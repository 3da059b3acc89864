"""Peer: time d mean(w_K^2) / d w_0 through K steps of torch-cfd by autograd, with or without a checkpoint per step. Prints one JSON line."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import torch
from timing import arguments, emit, measure_memory
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from torchcfd_flow import VERSIONS, flow_step
from workload import GRADIENT_BATCH, GRADIENT_POINTS, first_vorticity, flow_probe

parser = arguments(__doc__)
parser.add_argument("--n", type=int, default=GRADIENT_POINTS)
parser.add_argument("--batch", type=int, default=GRADIENT_BATCH)
parser.add_argument("--scheme", default="rk4cn", choices=["rk4cn"])
parser.add_argument("--k", type=int, default=8, help="steps K")
parser.add_argument("--checkpoint", action="store_true")
args = parser.parse_args()
torch.set_num_threads(args.threads)


def gradient(step: Callable[[Tensor], Tensor], w: Tensor, k: int) -> Tensor:
    h = torch.fft.rfft2(w)
    for _ in range(k):
        h = checkpoint(step, h, use_reentrant=False) if args.checkpoint else step(h)
    (out,) = torch.autograd.grad(torch.fft.irfft2(h).square().mean(), w)
    return out


def first_state(n: int, batch: int) -> Tensor:
    return torch.tensor(first_vorticity(batch, n), dtype=torch.float32).requires_grad_()


gradient(flow_step(16), first_state(16, 1), 2)  # imports that torch makes at first use must not count as memory
step, w = flow_step(args.n), first_state(args.n, args.batch)
result = measure_memory(lambda: gradient(step, w, args.k), args.k, args.repetitions, args.max_seconds)
emit(
    "ns-gradient",
    "torch-cfd checkpointed" if args.checkpoint else "torch-cfd",
    result,
    n=args.n,
    batch=args.batch,
    scheme=args.scheme,
    k=args.k,
    threads=args.threads,
    probe=flow_probe(gradient(step, w, args.k) * w.numel(), args.n),
    versions=VERSIONS,
)
