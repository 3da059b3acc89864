"""Peer: time the wake of a cylinder with PhiFlow: semi-Lagrangian advection and conjugate gradients for the pressure. Prints one JSON line.

`divergence` is max |div u| h / max |u| outside the cylinder; `gave_up` says whether the first pressure solve did not converge.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import numpy as np
import phi
import phiml
import torch
from phi import math
from phi.flow import ZERO_GRADIENT, Box, Solve, Sphere, StaggeredGrid, advect, extrapolation, field, fluid, vec
from phi.torch import TORCH
from timing import arguments, emit, measure
from workload import WAKE_BOX, WAKE_CENTRE, WAKE_RADIUS, WAKE_SPEED, WAKE_SPIN_UP, wake_dt

parser = arguments(__doc__)
parser.add_argument("--n", type=int, default=128)
parser.add_argument("--jit", action="store_true")
parser.add_argument("--grad", type=int, default=0)
parser.add_argument("--tolerance", type=float, default=1e-5)
parser.add_argument("--steps", type=int, default=0)
args = parser.parse_args()
torch.set_num_threads(args.threads)
math.use("torch")
TORCH.set_default_device("CPU")

body = Sphere(x=WAKE_CENTRE[0], y=WAKE_CENTRE[1], radius=WAKE_RADIUS)
sides = {"x-": vec(x=WAKE_SPEED, y=0), "x+": ZERO_GRADIENT, "y": extrapolation.PERIODIC}
first = StaggeredGrid((WAKE_SPEED, 0.0), sides, x=args.n, y=args.n // 2, bounds=Box(x=WAKE_BOX[0], y=WAKE_BOX[1]))
quiet = [math.NotConverged, math.Diverged]


def step(v: Any, p: Any) -> Any:
    v = advect.semi_lagrangian(v, v, wake_dt(args.n))
    solve = Solve("auto", rel_tol=args.tolerance, abs_tol=args.tolerance, x0=p, max_iterations=1000, suppress=quiet)
    return fluid.make_incompressible(v, body, solve)


def starts() -> tuple[Any, Any, bool]:
    gave_up = False
    try:
        fluid.make_incompressible(first, body, Solve("auto", rel_tol=args.tolerance, abs_tol=args.tolerance, max_iterations=1000))
    except math.ConvergenceException:
        gave_up = True
    v, p = fluid.make_incompressible(first, body, Solve("auto", rel_tol=1e-4, abs_tol=1e-4, max_iterations=1000, suppress=quiet))
    return v, p, gave_up


def divergence(v: Any) -> float:
    div = field.divergence(v).values.numpy("x,y")
    x, y = (np.arange(n) + 0.5 for n in div.shape)
    x, y = x * WAKE_BOX[0] / div.shape[0] - WAKE_CENTRE[0], y * WAKE_BOX[1] / div.shape[1] - WAKE_CENTRE[1]
    h = WAKE_BOX[0] / div.shape[0]
    outside = x[:, None] ** 2 + y**2 > (WAKE_RADIUS + 1.5 * h) ** 2
    fastest = max(float(math.max(math.abs(c))) for c in v.at_centers().values.vector)
    return float(np.abs(div[outside]).max() * h / fastest)


def loss(v: Any, p: Any) -> Any:
    for _ in range(args.grad):
        v, p = step(v, p)
    return field.l2_loss(v)


one = math.jit_compile(step) if args.jit else step
v0, p0, gave_up = starts()
for _ in range(WAKE_SPIN_UP):
    v0, p0 = one(v0, p0)
steps = args.grad or args.steps or (20 if args.jit else 5)
if args.grad:
    gradient = math.gradient(loss, "v", get_output=False)
    gradient = math.jit_compile(gradient) if args.jit else gradient


def advance() -> Any:
    v, p = v0, p0
    with torch.no_grad():
        for _ in range(steps):
            v, p = one(v, p)
    return v


result = measure((lambda: gradient(v0, p0)) if args.grad else advance, steps, args.repetitions, args.max_seconds)
settings = {name: getattr(args, name) for name in ("n", "jit", "grad", "tolerance", "threads")}
versions = f"phiflow {phi.__version__}, phiml {phiml.__version__}, torch {torch.__version__}"
last = advance() if not args.grad else v0
emit(
    "staggered",
    "PhiFlow jitted" if args.jit else "PhiFlow",
    result,
    **settings,
    steps=steps,
    gave_up=gave_up,
    divergence=divergence(last),
    versions=versions,
)
