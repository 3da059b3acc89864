"""The residual of trained Poisson networks at the points that they were trained on and at others: a network may fit the first alone.

Of every finished run of a study whose work folder still has its weights: mean r^2 at both and the error, per seed. One JSON line a run.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from eddygrad.pinn.collocation import Points
from eddygrad.pinn.domains import Box
from eddygrad.pinn.problems import PROBLEMS
from eddygrad.runtime.specs import Spelled

COUNT, OTHERS = 4000, 1_000_000  # points, and their seed: none that a run has


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="of a study, such as docs/results/poisson-soap")
    return parser.parse_args()


def between(run: Path) -> dict[str, object] | None:
    """None where the weights are gone."""
    known = json.loads(run.read_text())
    weights = run.parents[1] / "work" / run.stem / "weights.safetensors"
    if not weights.exists():
        return None
    asked = Spelled.parse(known["problem"], "problem")
    case = PROBLEMS[asked.name](seeds=known["seeds"], dtype=getattr(torch, known["training"].get("dtype", "float32")), **asked.options)
    case.problem.load_state_dict(load_file(weights))
    own = case.batches.sets["interior"].x

    @torch.no_grad()
    def size(x: Tensor) -> list[float]:
        w = asked.options.get("k", 6) * torch.pi
        source = -2 * w**2 * torch.cos(w * x[..., 0].double()) * torch.sin(w * x[..., 1].double())
        return [float(f"{value:.3g}") for value in case.problem.mean_square("pde", Points(x, {"f": source.to(x)}))]

    others = Box(0, 1).interior(COUNT, OTHERS).to(own).expand(len(own), -1, -1)
    error = [float(f"{value:.3g}") for value in case.errors(case.problem)["error"]]
    return {"run": run.stem, "kept": size(own), "others": size(others), "error": error}


if __name__ == "__main__":
    torch.set_num_threads(1)
    for path in sorted((options().folder / "runs").glob("*.json")):
        found = between(path)
        print(json.dumps(found) if found else f"# {path.stem}: its weights are not there")
