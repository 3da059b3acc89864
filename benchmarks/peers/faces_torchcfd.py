"""Peer: time periodic finite volumes with torch-cfd: forward Euler, van Leer or linear advection, pressure by FFT. Prints one JSON line."""

from __future__ import annotations

import math
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import torch
from timing import arguments, emit, measure
from torch_cfd.advection import AdvectionLinear, AdvectionVanLeer, ConvectionVector
from torch_cfd.boundaries import periodic_boundary_conditions
from torch_cfd.fvm import NavierStokes2DFVMProjection, PressureProjection, RKStepper
from torch_cfd.grids import Grid, GridVariable, GridVariableVector
from workload import FACES_DT, FLOW_PROBE_STEPS, VISCOSITY, faces_probe, first_faces

parser = arguments(__doc__)
parser.add_argument("--n", type=int, default=256)
parser.add_argument("--scheme", default="van-leer", choices=["van-leer", "central"])
parser.add_argument("--solver", default="rfft", choices=["rfft", "fft", "matmul"])
parser.add_argument("--grad", type=int, default=0)
parser.add_argument("--steps", type=int, default=0)
args = parser.parse_args()
torch.set_num_threads(args.threads)

grid = Grid((args.n, args.n), domain=((0.0, 2 * math.pi), (0.0, 2 * math.pi)))
bc = periodic_boundary_conditions(ndim=2)
advect = AdvectionVanLeer if args.scheme == "van-leer" else AdvectionLinear
equation = NavierStokes2DFVMProjection(
    viscosity=VISCOSITY,
    grid=grid,
    bcs=(bc, bc),
    convection=ConvectionVector(grid=grid, bcs=(bc, bc), advect=advect),
    pressure_proj=PressureProjection(grid=grid, bc=bc, implementation=args.solver),
    step_fn=RKStepper.from_method("forward_euler"),
)
faces = torch.tensor(first_faces(1, args.n), dtype=torch.float32)
offsets = ((1.0, 0.5), (0.5, 1.0))


def vector(faces: torch.Tensor) -> Any:
    return GridVariableVector(tuple(GridVariable(faces[:, d], offset, grid, bc) for d, offset in enumerate(offsets)))


def run(faces: torch.Tensor, steps: int) -> torch.Tensor:
    v = vector(faces)
    for _ in range(steps):
        v, _pressure = equation(v, FACES_DT)
    return torch.stack([u.data for u in v], 1)


def gradient() -> object:
    equation._projection.__dict__.pop("q0", None)  # the last pressure belongs to a graph that is already freed
    return torch.autograd.grad(run(faces, args.grad).square().mean(), faces)


def advance(steps: int) -> torch.Tensor:
    with torch.no_grad():
        return run(faces, steps)


steps = args.grad or args.steps or max(5, int(1e7 / faces.numel()))
if args.grad:
    faces.requires_grad_()
result = measure(gradient if args.grad else lambda: advance(steps), steps, args.repetitions, args.max_seconds)
settings = {name: getattr(args, name) for name in ("n", "scheme", "solver", "grad", "threads")}
versions = f"torch-cfd {version('torch-cfd')}, torch {torch.__version__}"
emit("staggered", "torch-cfd", result, **settings, steps=steps, probe=faces_probe(advance(FLOW_PROBE_STEPS), args.n), versions=versions)
