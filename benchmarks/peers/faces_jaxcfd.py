"""Peer: time periodic finite volumes with jax-cfd, jitted: forward Euler, van Leer or linear advection, fast diagonalisation.

Prints one JSON line. jax-cfd's van Leer flux has a term with the time step that ours does not have, so the two agree to a few digits.
"""

from __future__ import annotations

import math
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from timing import arguments, emit, measure, restrict_cores
from workload import FACES_DT, FLOW_PROBE_STEPS, VISCOSITY, faces_probe, first_faces

parser = arguments(__doc__)
parser.add_argument("--n", type=int, default=256)
parser.add_argument("--scheme", default="van-leer", choices=["van-leer", "central"])
parser.add_argument("--grad", type=int, default=0)
parser.add_argument("--steps", type=int, default=0)
args = parser.parse_args()
restrict_cores(args.threads)

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import jax_cfd.base as cfd  # noqa: E402

grid = cfd.grids.Grid((args.n, args.n), domain=((0, 2 * math.pi), (0, 2 * math.pi)))
faces = first_faces(1, args.n)[0]
bc = cfd.boundaries.periodic_boundary_conditions(2)
first = tuple(
    cfd.grids.GridVariable(cfd.grids.GridArray(jnp.asarray(own, jnp.float32), offset, grid), bc)
    for own, offset in zip(faces, ((1.0, 0.5), (0.5, 1.0)))
)


def linear(v: Any) -> Any:
    return tuple(cfd.advection.advect_linear(u, v, FACES_DT) for u in v)


convect = None if args.scheme == "van-leer" else linear
step = cfd.equations.semi_implicit_navier_stokes(density=1.0, viscosity=VISCOSITY, dt=FACES_DT, grid=grid, convect=convect)
steps = args.grad or args.steps or max(5, int(1e7 / (2 * args.n * args.n)))


def run(v: Any, steps: int) -> Any:
    return jax.lax.scan(lambda v, _: (step(v), None), v, None, length=steps)[0]


if args.grad:
    program = jax.jit(jax.grad(lambda v: sum(jnp.mean(u.data**2) for u in run(v, args.grad)) / 2))
else:
    program = jax.jit(lambda v: run(v, steps))
result = measure(lambda: jax.block_until_ready(program(first)), steps, args.repetitions, args.max_seconds)
last = jax.jit(lambda v: run(v, FLOW_PROBE_STEPS))(first)
probe = faces_probe(jnp.stack([u.data for u in last]), args.n)
settings = {name: getattr(args, name) for name in ("n", "scheme", "grad", "threads")}
emit("staggered", "jax-cfd", result, **settings, steps=steps, probe=probe, versions=f"jax-cfd {version('jax-cfd')}, jax {jax.__version__}")
