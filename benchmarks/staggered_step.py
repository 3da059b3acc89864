"""Time our steps on the staggered grid: the wake of a cylinder or a periodic flow; with --grad K a gradient through K steps. Prints one JSON line.

python benchmarks/staggered_step.py [--case wake] [--n 128] [--scheme upwind3] [--order 1] [--grad 0]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
from timing import arguments, emit, measure
from torch import Tensor
from workload import (
    FACES_DT,
    FLOW_PROBE_STEPS,
    VISCOSITY,
    WAKE_BOX,
    WAKE_CENTRE,
    WAKE_RADIUS,
    WAKE_SPEED,
    WAKE_SPIN_UP,
    faces_probe,
    first_faces,
    wake_dt,
)

from eddygrad.runtime.memory import keep_freed_memory
from eddygrad.solver.equations.navier_stokes import NavierStokesVelocity
from eddygrad.solver.grid import Grid
from eddygrad.solver.schemes.projection import Projection
from eddygrad.solver.schemes.splitting import Splitting
from eddygrad.solver.schemes.staggered_scheme import StaggeredScheme
from eddygrad.solver.staggered.bodies import Cylinder
from eddygrad.solver.staggered.boundary_conditions import PERIODIC, Inflow, Outflow
from eddygrad.solver.staggered.faces import Faces
from eddygrad.solver.step import Step
from eddygrad.solver.unroll import repeat

SCHEMES = ("semi-lagrangian", "mac-cormack", "central", "upwind3", "van-leer")


def options() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--case", default="wake", choices=["wake", "periodic"])
    parser.add_argument("--n", type=int, default=128, help="points along x; half as many across a wake")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--scheme", default="upwind3", choices=SCHEMES)
    parser.add_argument(
        "--order",
        type=int,
        default=1,
        choices=[1, 2, 3, 4],
        help="order in time of the projection schemes; the first two schemes have 1",
    )
    parser.add_argument("--grad", type=int, default=0, help="steps of the gradient of the mean square; 0: time plain steps")
    parser.add_argument("--compiled", action="store_true")
    parser.add_argument("--steps", type=int, default=0, help="steps per timed block [scaled with the size]")
    return parser.parse_args()


def scheme(args: argparse.Namespace) -> StaggeredScheme:
    """Return the stepper of the case."""
    options = {"compiled": args.compiled}
    if args.case == "wake":
        grid, equation = Grid((args.n, args.n // 2), WAKE_BOX), NavierStokesVelocity(viscosity=0.0)
        options |= {"boundaries": ((Inflow((WAKE_SPEED, 0.0)), Outflow()), PERIODIC), "bodies": (Cylinder(WAKE_CENTRE, radius=WAKE_RADIUS),)}
    else:
        grid, equation = Grid((args.n, args.n)), NavierStokesVelocity(viscosity=VISCOSITY)
    dt = wake_dt(args.n) if args.case == "wake" else FACES_DT
    if args.scheme in ("semi-lagrangian", "mac-cormack"):
        return Splitting(equation, grid, dt=dt, transport=args.scheme, diffusion="explicit", **options)
    return Projection(equation, grid, dt=dt, advection=args.scheme, order=args.order, **options)


def initial_state(args: argparse.Namespace) -> Tensor:
    if args.case == "periodic":
        return torch.tensor(first_faces(args.batch, args.n), dtype=torch.float32)
    u = torch.zeros(args.batch, 2, args.n, args.n // 2)
    u[:, 0] = WAKE_SPEED
    return u


def divergence(stepper: StaggeredScheme, u: Tensor) -> float:
    """Return max |div u| h / max |u|."""
    faces: Faces = stepper.momentum({}, u).faces
    return float(faces.divergence(u.unbind(1)).abs().amax() * min(stepper.grid.spacing) / u.abs().amax())


def block(step: Step, u: Tensor, args: argparse.Namespace, steps: int) -> Callable[[], object]:
    if args.grad:
        u.requires_grad_()
        return lambda: torch.autograd.grad(repeat(step, u, args.grad, grad=True).square().mean(), u)
    return lambda: repeat(step, u, steps)


def main() -> None:
    args = options()
    torch.set_num_threads(args.threads)
    keep_freed_memory()  # as the command line does
    stepper, u = scheme(args), initial_state(args)
    step = stepper.at({}, u)
    if args.case == "wake":
        u = repeat(step, u, WAKE_SPIN_UP)
    steps = args.grad or args.steps or max(5, int(1e7 / (u.numel() * args.order)))
    result = measure(block(step, u, args, steps), steps, args.repetitions, args.max_seconds)
    last = repeat(step, u.detach(), FLOW_PROBE_STEPS)
    names = ("n", "batch", "scheme", "order", "grad", "compiled", "threads")
    settings = {"flow": args.case} | {name: getattr(args, name) for name in names} | {"steps": steps, "divergence": divergence(stepper, last)}
    settings |= {"probe": faces_probe(last, args.n)} if args.case == "periodic" else {}
    emit("staggered", "eddygrad compiled" if args.compiled else "eddygrad", result, **settings, versions=f"torch {torch.__version__}")


if __name__ == "__main__":
    main()
