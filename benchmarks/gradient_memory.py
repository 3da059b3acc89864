"""Measure the memory of a gradient against the horizon m, for WIG and NOG: bytes saved by autograd, and peak of the process. Prints a table.

Each point runs in a new process. The bytes are counted, so they are equal on all machines; the measured peak confirms them.

python benchmarks/gradient_memory.py [--seeds 8] [--horizons 1 2 4 8 16 32] [--json]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from training_update import corrected_solver, fixed_window
from workload import BATCH, DEPTH, WIDTH

from eddygrad.correctors import Corrected
from eddygrad.solver.step import Observer, Params, Step, Stepper
from eddygrad.training import Unrolled
from eddygrad.training.gradients import gradients


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--horizons", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32])
    parser.add_argument("--width", type=int, default=WIDTH)
    parser.add_argument("--depth", type=int, default=DEPTH)
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--json", action="store_true", help="print one JSON line instead of the table")
    parser.add_argument("--point", default=None, help=argparse.SUPPRESS)  # e.g. "wig:4": this process measures one point
    return parser.parse_args()


class Saved:
    """Counts the bytes that autograd saves. A storage that is saved twice counts once; parameters do not count."""

    def __init__(self, parameters: list[Tensor]) -> None:
        self.seen = {p.untyped_storage().data_ptr() for p in parameters}
        self.kept: list[Tensor] = []  # keeps the tensors alive, so that no address is reused
        self.bytes = 0

    def pack(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self.seen:
            self.seen.add(storage.data_ptr())
            self.kept.append(tensor)
            self.bytes += storage.nbytes()
        return tensor

    def hooks(self) -> saved_tensors_hooks:
        return saved_tensors_hooks(self.pack, lambda tensor: tensor)


class Watched:
    """A stepper that counts the bytes saved inside its steps and the number of steps that record a graph."""

    def __init__(self, stepper: Stepper) -> None:
        self.stepper, self.dt, self.differentiable = stepper, stepper.dt, stepper.differentiable
        self.saved, self.recorded = Saved([]), 0

    def at(self, params: Params, like: Tensor, observe: Observer | None = None) -> Step:
        bound = self.stepper.at(params, like, observe)

        def step(u: Tensor, k: int = 0) -> Tensor:
            with self.saved.hooks():
                out = bound(u, k)
            self.recorded += out.requires_grad
            return out

        return step


def count(grad: str, horizon: int, args: argparse.Namespace) -> dict[str, Any]:
    """Return the bytes saved by network and solver for the gradient of one loss, and the number of solver calls that recorded a graph."""
    model: Corrected = corrected_solver(args.seeds, args.width, args.depth)
    assert model.solver is not None
    watched = model.solver = Watched(model.solver)
    network = Saved(list(model.parameters()))
    with network.hooks():
        loss = Unrolled(model, f"{grad}:{horizon}")(fixed_window(args.seeds, args.batch, horizon))["data"]
    assert loss.requires_grad
    return {"network_mb": network.bytes / 1e6, "solver_mb": watched.saved.bytes / 1e6, "solver_calls_recorded": watched.recorded}


def point(args: argparse.Namespace) -> dict[str, Any]:
    """Measure one point in this process: the peak of two gradients, then the counts. The untrained solver may blow up, which does not matter here."""
    grad, horizon = args.point.split(":")
    torch.set_num_threads(1)
    model = corrected_solver(args.seeds, args.width, args.depth)
    objective, window = Unrolled(model, args.point), fixed_window(args.seeds, args.batch, int(horizon))
    for _ in range(2):
        gradients(objective(window), list(model.parameters()))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    return {"grad": grad, "horizon": int(horizon), **count(grad, int(horizon), args), "peak_mb": peak}


def slope(points: list[dict[str, Any]], *names: str) -> tuple[float, float]:
    """Return the slope of the least-squares line [MB per step] and its R^2."""
    m = np.array([p["horizon"] for p in points], dtype=float)
    y = np.array([sum(p[name] for name in names) for p in points])
    a, b = np.polyfit(m, y, 1)
    spread = float(np.sum((y - y.mean()) ** 2))
    return float(a), 1.0 - float(np.sum((a * m + b - y) ** 2)) / spread if spread else 1.0


def main() -> int:
    args = options()
    if args.point:
        print(json.dumps(point(args)))
        return 0
    same = [f"--{name}={getattr(args, name)}" for name in ("seeds", "width", "depth", "batch")]
    points = []
    for grad in ("wig", "nog"):
        for horizon in args.horizons:
            command = [sys.executable, __file__, *same, f"--point={grad}:{horizon}"]
            points.append(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
    slopes = {}
    for grad in ("wig", "nog"):
        chosen = [p for p in points if p["grad"] == grad]
        slopes[grad] = {"kept": slope(chosen, "network_mb", "solver_mb"), "solver": slope(chosen, "solver_mb"), "peak": slope(chosen, "peak_mb")}
    if args.json:
        print(json.dumps({"points": points, "slopes_mb_per_step": slopes}))
    else:
        show(points, slopes)
    carried = [p for p in points if p["grad"] == "nog" and (p["solver_mb"] or p["solver_calls_recorded"])]
    if carried:
        print(f"NOG carries the solver's graph at m = {[p['horizon'] for p in carried]}, expected nowhere", file=sys.stderr)
    return 1 if carried else 0


def show(points: list[dict[str, Any]], slopes: dict[str, Any]) -> None:
    print(f"{'':6s}{'m':>4s} {'kept by network':>16s} {'kept by solver':>15s} {'solver calls recorded':>22s} {'process peak':>13s}   [MB]")
    for p in points:
        mb = f"{p['network_mb']:16.3f} {p['solver_mb']:15.3f} {p['solver_calls_recorded']:22d} {p['peak_mb']:13.1f}"
        print(f"{p['grad'].upper():6s}{p['horizon']:4d} {mb}")
    for grad, of in slopes.items():
        text = ", ".join(f"{name} {a:.3f} MB per step (R^2 {r2:.4f})" for name, (a, r2) in of.items())
        print(f"{grad.upper()}: {text}")


if __name__ == "__main__":
    sys.exit(main())
