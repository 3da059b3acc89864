"""Peer: time d mean(w_K^2) / d w_0 through K steps of jax-cfd or exponax, jitted, with or without a checkpoint per step. Prints one JSON line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from timing import arguments, emit, measure_memory, restrict_cores
from workload import GRADIENT_BATCH, GRADIENT_POINTS, STAGES, first_vorticity, flow_probe

parser = arguments(__doc__)
parser.add_argument("--n", type=int, default=GRADIENT_POINTS)
parser.add_argument("--batch", type=int, default=GRADIENT_BATCH)
parser.add_argument("--scheme", default="rk4cn", choices=[*STAGES], help="rk4cn: jax-cfd; others: exponax")
parser.add_argument("--k", type=int, default=8, help="steps K")
parser.add_argument("--checkpoint", action="store_true")
args = parser.parse_args()
restrict_cores(args.threads)

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402

if args.scheme == "rk4cn":
    from jaxcfd_flow import VERSIONS, flow_step

    library, sign, step = "jax-cfd", 1.0, flow_step(args.n)
else:
    from exponax_flow import SIGN, VERSIONS, flow_stepper

    library, sign, step = "exponax", SIGN, flow_stepper(args.n, args.scheme).step_fourier

many = jax.vmap(step)
w = jnp.asarray(sign * first_vorticity(args.batch, args.n), jnp.float32)
w = w if library == "jax-cfd" else w[:, None]


def one(h: Any, _: None) -> tuple[Any, None]:
    return many(h), None


def loss(w: Any) -> Any:
    h = jnp.fft.rfftn(w, axes=(-2, -1))
    h, _ = jax.lax.scan(jax.checkpoint(one) if args.checkpoint else one, h, None, length=args.k)
    return jnp.mean(jnp.fft.irfftn(h, axes=(-2, -1)) ** 2)


gradient = jax.jit(jax.grad(loss)).lower(w).compile()
result = measure_memory(lambda: gradient(w).block_until_ready(), args.k, args.repetitions, args.max_seconds)
emit(
    "ns-gradient",
    f"{library} checkpointed" if args.checkpoint else library,
    result,
    n=args.n,
    batch=args.batch,
    scheme=args.scheme,
    k=args.k,
    threads=args.threads,
    probe=flow_probe(sign * gradient(w) * w.size, args.n),
    versions=VERSIONS,
)
