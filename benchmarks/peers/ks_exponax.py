"""Peer: time the Kuramoto-Sivashinsky step with exponax, jitted. Prints one JSON line."""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from timing import arguments, emit, measure, restrict_cores
from workload import DOMAIN, POINTS, PROBE_STEPS, STEP_DT, first_state, probe

parser = arguments(__doc__)
parser.add_argument("--batch", type=int, default=1)
parser.add_argument("--order", type=int, default=2, choices=[1, 2, 3, 4])
parser.add_argument("--steps", type=int, default=1000, help="steps per timed block")
parser.add_argument("--mode", default="repeat", choices=["repeat", "fourier", "call"], help="fourier: the state stays in Fourier space")
args = parser.parse_args()
restrict_cores(args.threads)

import exponax as ex  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402

# No dealiasing, as in ours and the paper's code: the fraction 1 keeps all modes.
stepper = ex.stepper.KuramotoSivashinskyConservative(1, 2 * jnp.pi * DOMAIN, POINTS, STEP_DT, order=args.order, dealiasing_fraction=1.0)
u0 = jnp.asarray(first_state(args.batch)[:, None], jnp.float32)
single = jax.jit(jax.vmap(stepper))


def advance(steps: int) -> Any:
    """Return a function that makes `steps` steps and returns when they are finished."""
    if args.mode == "call":

        def run(u: Any) -> Any:
            for _ in range(steps):
                u = single(u)
            return u.block_until_ready()

        return run
    many = ex.RepeatedStepper(stepper, steps) if args.mode == "fourier" else ex.repeat(stepper, steps)
    compiled = jax.jit(jax.vmap(many))
    return lambda u: compiled(u).block_until_ready()


run = advance(args.steps)
result = measure(lambda: run(u0), args.steps, args.repetitions, args.max_seconds)
emit(
    "ks-step",
    f"exponax {args.mode}",
    result,
    batch=args.batch,
    order=args.order,
    threads=args.threads,
    versions=f"exponax {version('exponax')}, jax {jax.__version__}",
    probe=probe(advance(PROBE_STEPS)(u0)),
)
