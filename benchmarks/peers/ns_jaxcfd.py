"""Peer: time the step of Kolmogorov flow with jax-cfd, jitted; the state stays in Fourier space. Prints one JSON line."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from timing import arguments, emit, measure, restrict_cores
from workload import FLOW_PROBE_STEPS, first_vorticity, flow_probe, flow_steps

parser = arguments(__doc__)
parser.add_argument("--n", type=int, default=64)
parser.add_argument("--batch", type=int, default=1)
parser.add_argument("--scheme", default="rk4cn", choices=["rk4cn"])
parser.add_argument("--steps", type=int, default=0, help="steps per timed block [scaled with the size]")
args = parser.parse_args()
restrict_cores(args.threads)

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
from jaxcfd_flow import VERSIONS, flow_step  # noqa: E402

step = jax.vmap(flow_step(args.n))
steps = args.steps or flow_steps(args.n, args.batch, args.scheme)
first = jnp.fft.rfftn(jnp.asarray(first_vorticity(args.batch, args.n), jnp.float32), axes=(1, 2))


@partial(jax.jit, static_argnums=1)
def advance(h: Any, steps: int) -> Any:
    return jax.lax.scan(lambda h, _: (step(h), None), h, None, length=steps)[0]


result = measure(lambda: advance(first, steps).block_until_ready(), steps, args.repetitions, args.max_seconds)
last = advance(first, FLOW_PROBE_STEPS)
assert last.dtype == jnp.complex64
emit(
    "ns-step",
    "jax-cfd",
    result,
    n=args.n,
    batch=args.batch,
    scheme=args.scheme,
    threads=args.threads,
    steps=steps,
    probe=flow_probe(jnp.fft.irfftn(last, axes=(1, 2)), args.n),
    versions=VERSIONS,
)
