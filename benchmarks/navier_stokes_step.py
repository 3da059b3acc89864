"""Time our step of two-dimensional Kolmogorov flow, through `repeat` or call by call. Prints one JSON line.

Dealiasing keeps |m| < N/3 on both axes, also of the state. The force is (A sin(4 y), 0), which is -4 A cos(4 y) for the vorticity w = v_x - u_y.

python benchmarks/navier_stokes_step.py [--n 64] [--batch 1] [--scheme rk4cn] [--mode repeat]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
from timing import arguments, emit, measure
from torch import Tensor
from workload import DRAG, FLOW_DT, FLOW_PROBE_STEPS, FORCING_AMPLITUDE, FORCING_MODE, STAGES, VISCOSITY, first_vorticity, flow_probe, flow_steps

from eddygrad.runtime.memory import keep_freed_memory
from eddygrad.solver.equations.navier_stokes import NavierStokesVorticity
from eddygrad.solver.grid import Grid
from eddygrad.solver.schemes.spectral.etdrk import ETDRK
from eddygrad.solver.schemes.spectral.imex import CrankNicolsonRK
from eddygrad.solver.step import Step, Stepper
from eddygrad.solver.unroll import repeat


def options() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--n", type=int, default=64, help="points per axis")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--scheme", default="rk4cn", choices=[*STAGES])
    parser.add_argument("--mode", default="repeat", choices=["repeat", "call"])
    parser.add_argument("--steps", type=int, default=0, help="steps per timed block [scaled with the size]")
    parser.add_argument("--freed-memory", default="keep", choices=["keep", "return"], help="keep: for the next tensor, as on the command line")
    return parser.parse_args()


def flow(n: int, scheme: str) -> Stepper:
    """Return the stepper of the flow that all libraries simulate."""
    equation = NavierStokesVorticity(viscosity=VISCOSITY, drag=DRAG, forcing_amplitude=FORCING_AMPLITUDE, forcing_mode=FORCING_MODE)
    grid = Grid((n, n))
    if scheme == "rk4cn":
        return CrankNicolsonRK(equation, grid, dt=FLOW_DT)
    return ETDRK(equation, grid, dt=FLOW_DT, order=int(scheme[-1]))


def bind_flow(n: int, batch: int, scheme: str) -> tuple[Step, Tensor]:
    """Return the bound step and the initial state (batch, 1, n, n), float32."""
    w = torch.tensor(first_vorticity(batch, n), dtype=torch.float32)[:, None]
    return flow(n, scheme).at({}, w), w


def advance(step: Step, mode: str) -> Callable[[Tensor, int], Tensor]:
    def call(w: Tensor, steps: int) -> Tensor:
        with torch.no_grad():
            for k in range(steps):
                w = step(w, k)
        return w

    return call if mode == "call" else lambda w, steps: repeat(step, w, steps)


def main() -> None:
    args = options()
    torch.set_num_threads(args.threads)
    if args.freed_memory == "keep":
        keep_freed_memory()
    step, w = bind_flow(args.n, args.batch, args.scheme)
    run, steps = advance(step, args.mode), args.steps or flow_steps(args.n, args.batch, args.scheme)
    result = measure(lambda: run(w, steps), steps, args.repetitions, args.max_seconds)
    settings = {name: getattr(args, name) for name in ("n", "batch", "scheme", "freed_memory", "threads")}
    probe = flow_probe(run(w, FLOW_PROBE_STEPS), args.n)
    emit("ns-step", f"eddygrad {args.mode}", result, **settings, steps=steps, probe=probe, versions=f"torch {torch.__version__}")


if __name__ == "__main__":
    main()
