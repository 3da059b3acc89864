"""Train through a pressure solver that starts with few iterations and adds more when the validation error stalls (PRDP).

The flow is decaying two-dimensional turbulence in a periodic box: nu = 1e-4, frames of .1, 96^2 -> 48^2, two unrolled steps (Bhatia, Koehler and
Thuerey 2025). The pressure of the 48^2 solver comes from conjugate gradients to convergence, from conjugate gradients with PRDP's iterations, or from
the direct solver. The validation error stalls if it falls by less than a fifth over six validations (240 updates). The example prints training time,
validation error, and the time until each run reached the worst of the three errors. The last line is the fraction of time that PRDP saves.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import eddygrad as eg
from eddygrad.datasets.kept_fields import Downsampled
from eddygrad.solver.initial import random_fourier
from eddygrad.solver.linear_solvers import Krylov
from eddygrad.training.refinement import Refinement

BOX, VISCOSITY, FRAME = 1.0, 1e-4, 0.1
FINE, COARSE = 96, 48
TRAJECTORIES, FRAMES, WARMUP = 10, 100, 20
UPDATES, VALIDATE_EVERY, BATCH, LEARNING_RATE = 2000, 40, 4, 1e-3
TOLERANCE = 1e-6
FOLDER = Path("runs/progressive-refinement")


def solver(points: int, substeps: int) -> eg.Projection:
    grid = eg.Grid((points, points), BOX)
    return eg.Projection(eg.NavierStokesVelocity(), grid, FRAME, substeps=substeps, advection="upwind3", order=3)


def main() -> float:
    fine, coarse = solver(FINE, 4), solver(COARSE, 1)
    kept = Downsampled(fine.grid, coarse.grid.shape, ("velocity_x", "velocity_y"), "staggered")
    first = random_fourier(fine.grid, TRAJECTORIES, channels=2, bandlimit=6, rms=0.04, seed=0)  # the warm-up projects its divergence away
    data = eg.generate(fine, first, {"viscosity": VISCOSITY}, None, frames=FRAMES, warmup=WARMUP, stored=kept).split(val=0.2, test=0.0)
    iterated = replace(coarse, pressure=Krylov("cg", tolerance=TOLERANCE, iterations=1000))
    runs: dict[str, tuple[eg.Projection, Refinement | None]] = {
        "to convergence": (iterated, None),
        "progressive": (iterated, Refinement(iterations=8, step=8, threshold=0.8)),
        "direct": (coarse, None),
    }
    results: dict[str, dict[str, Any]] = {}
    for name, (pressure, refinement) in runs.items():
        corrected, folder = eg.correct(pressure, eg.nets.EncoderDecoder("32k", cin=2)), FOLDER / name.replace(" ", "-")
        plan = {"steps": UPDATES, "validate_every": VALIDATE_EVERY, "batch": BATCH, "lr": LEARNING_RATE, "refinement": refinement}
        busy = time.process_time()
        run = eg.fit(corrected, data, unroll="wig:2", schedule="constant", folder=folder, **plan)
        records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        curve = [record for record in records if "validation" in record]
        results[name] = {
            "seconds": run.fit.seconds,
            "processor_seconds": time.process_time() - busy,
            "error": [record["validation"][0] for record in curve],
            "at": [record["seconds"] for record in curve],
            "iterations": [record.get("iterations") for record in curve],
        }
    worst = max(min(row["error"]) for row in results.values())
    for name, row in results.items():
        row["reached"] = next(t for t, e in zip(row["at"], row["error"]) if e <= worst)
        iterations = f", iterations {row['iterations'][0]} to {row['iterations'][-1]}" if row["iterations"][0] else ""
        print(
            f"{name:15} {row['seconds']:7.1f} s, {row['processor_seconds']:7.1f} s of CPU time; validation error {min(row['error']):.2e}{iterations}"
        )
        print(f"{'':15} {row['reached']:7.1f} s to {worst:.2e}")
    (FOLDER / "progressive-refinement.json").write_text(json.dumps(results, indent=1))
    saved = 1 - results["progressive"]["seconds"] / results["to convergence"]["seconds"]
    print(f"progressive refinement saves {100 * saved:.0f} % of the training time")
    return saved


if __name__ == "__main__":
    main()
