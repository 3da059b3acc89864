"""Peer: time the step of Kolmogorov flow with torch-cfd; the state stays in Fourier space. Prints one JSON line."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import torch
from timing import arguments, emit, measure
from torch import Tensor
from torchcfd_flow import VERSIONS, flow_step
from workload import FLOW_PROBE_STEPS, first_vorticity, flow_probe, flow_steps

parser = arguments(__doc__)
parser.add_argument("--n", type=int, default=64)
parser.add_argument("--batch", type=int, default=1)
parser.add_argument("--scheme", default="rk4cn", choices=["rk4cn"])
parser.add_argument("--steps", type=int, default=0, help="steps per timed block [scaled with the size]")
args = parser.parse_args()
torch.set_num_threads(args.threads)

step = flow_step(args.n)
steps = args.steps or flow_steps(args.n, args.batch, args.scheme)
first = torch.fft.rfft2(torch.tensor(first_vorticity(args.batch, args.n), dtype=torch.float32))


def run(steps: int) -> Tensor:
    h = first
    with torch.no_grad():
        for _ in range(steps):
            h = step(h)
    return h


result = measure(lambda: run(steps), steps, args.repetitions, args.max_seconds)
last = run(FLOW_PROBE_STEPS)
assert last.dtype == torch.complex64
emit(
    "ns-step",
    "torch-cfd",
    result,
    n=args.n,
    batch=args.batch,
    scheme=args.scheme,
    threads=args.threads,
    steps=steps,
    probe=flow_probe(torch.fft.irfft2(last), args.n),
    versions=VERSIONS,
)
