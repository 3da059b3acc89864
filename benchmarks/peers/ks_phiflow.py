"""Peer: time the Kuramoto-Sivashinsky step on PhiFlow's tensors, eager as in the unrolling paper's code, or jitted. Prints one JSON line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import phi
import phiml
import torch
from phi.torch.flow import TORCH, batch, math, spatial, tensor
from phiflow_etd import etd_step
from timing import arguments, emit, measure
from workload import DOMAIN, POINTS, PROBE_STEPS, STEP_DT, first_state, probe

parser = arguments(__doc__)
parser.add_argument("--batch", type=int, default=1)
parser.add_argument("--order", type=int, default=2, choices=[1, 2])
parser.add_argument("--steps", type=int, default=200, help="steps per timed block")
parser.add_argument("--jit", action="store_true")
args = parser.parse_args()
torch.set_num_threads(args.threads)
TORCH.set_default_device("CPU")

eager = etd_step(POINTS, STEP_DT, args.order)
step = math.jit_compile(lambda u: eager(u, DOMAIN)) if args.jit else lambda u: eager(u, DOMAIN)
u0 = tensor(torch.tensor(first_state(args.batch), dtype=torch.float32), batch("b"), spatial("x"))


def run(steps: int) -> Any:
    u = u0
    with torch.no_grad():
        for _ in range(steps):
            u = step(u)
    return u


result = measure(lambda: run(args.steps), args.steps, args.repetitions, args.max_seconds)
emit(
    "ks-step",
    "PhiFlow jitted" if args.jit else "PhiFlow eager",
    result,
    batch=args.batch,
    order=args.order,
    threads=args.threads,
    versions=f"phiflow {phi.__version__}, phiml {phiml.__version__}, torch {torch.__version__}",
    probe=probe(run(PROBE_STEPS).native(["b", "x"])),
)
