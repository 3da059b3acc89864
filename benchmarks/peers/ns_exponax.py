"""Peer: time the step of Kolmogorov flow with exponax, jitted; the state in physical or Fourier space. Prints one JSON line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from timing import arguments, emit, measure, restrict_cores
from workload import FLOW_PROBE_STEPS, first_vorticity, flow_probe, flow_steps

parser = arguments(__doc__)
parser.add_argument("--n", type=int, default=64)
parser.add_argument("--batch", type=int, default=1)
parser.add_argument("--scheme", default="etdrk2", choices=["etdrk2", "etdrk4"])
parser.add_argument("--steps", type=int, default=0, help="steps per timed block [scaled with the size]")
parser.add_argument("--mode", default="repeat", choices=["repeat", "fourier"], help="fourier: the state stays in Fourier space")
args = parser.parse_args()
restrict_cores(args.threads)

import exponax as ex  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
from exponax_flow import SIGN, VERSIONS, flow_stepper  # noqa: E402

stepper = flow_stepper(args.n, args.scheme)
steps = args.steps or flow_steps(args.n, args.batch, args.scheme)
first = jnp.asarray(SIGN * first_vorticity(args.batch, args.n)[:, None], jnp.float32)


def advance(steps: int) -> Any:
    many = ex.RepeatedStepper(stepper, steps) if args.mode == "fourier" else ex.repeat(stepper, steps)
    compiled = jax.jit(jax.vmap(many))
    return lambda: compiled(first).block_until_ready()


result = measure(advance(steps), steps, args.repetitions, args.max_seconds)
last = advance(FLOW_PROBE_STEPS)()
assert last.dtype == jnp.float32
emit(
    "ns-step",
    f"exponax {args.mode}",
    result,
    n=args.n,
    batch=args.batch,
    scheme=args.scheme,
    threads=args.threads,
    steps=steps,
    probe=flow_probe(SIGN * last, args.n),
    versions=VERSIONS,
)
