"""Compare the residual of trained Poisson networks at their training points with that at other points, to detect overfitting.

Prints one JSON line per finished run of a study whose work folder still has its weights: mean r^2 at both sets of points and the error, per seed.

python benchmarks/poisson_overfitting.py FOLDER
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from eddygrad.pinn.domains import Box
from eddygrad.pinn.points import Points
from eddygrad.pinn.problems import PROBLEMS
from eddygrad.runtime.specs import Spec

COUNT, OTHERS = 4000, 1_000_000  # other points, and their seed, which no run uses


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of a study, e.g. docs/results/poisson-soap")
    return parser.parse_args()


def compare_residuals(run: Path) -> dict[str, object] | None:
    """Return the residuals and errors of a run; None if its weights are missing."""
    known = json.loads(run.read_text())
    weights = run.parents[1] / "work" / run.stem / "weights.safetensors"
    if not weights.exists():
        return None
    spec = Spec.parse(known["problem"], "problem")
    case = PROBLEMS[spec.name](seeds=known["seeds"], dtype=getattr(torch, known["training"].get("dtype", "float32")), **spec.options)
    case.problem.load_state_dict(load_file(weights))
    own = case.batches.sets["interior"].x

    @torch.no_grad()
    def mean_square(x: Tensor) -> list[float]:
        w = spec.options.get("k", 6) * torch.pi
        source = -2 * w**2 * torch.cos(w * x[..., 0].double()) * torch.sin(w * x[..., 1].double())
        return [float(f"{value:.3g}") for value in case.problem.mean_square("pde", Points(x, {"f": source.to(x)}))]

    others = Box(0, 1).interior(COUNT, OTHERS).to(own).expand(len(own), -1, -1)
    error = [float(f"{value:.3g}") for value in case.errors(case.problem)["error"]]
    return {"run": run.stem, "kept": mean_square(own), "others": mean_square(others), "error": error}


if __name__ == "__main__":
    torch.set_num_threads(1)
    for path in sorted((options().folder / "runs").glob("*.json")):
        row = compare_residuals(path)
        print(json.dumps(row) if row else f"# {path.stem}: its weights are missing")
