"""Compare three ways to train on trajectories: one step (ONE), unrolled without (NOG) and with gradients through the solver (WIG).

Each is trained as a correction of the solver and as a prediction without it. All seeds of a setting train in one program. A killed run continues when
it is repeated. The example prints the error of prediction with WIG over that of correction with NOG: 4.5 in the paper (List et al. 2024), whose
networks are larger and train longer.
"""

from __future__ import annotations

import json

import eddygrad as eg

# Data, solvers and horizon as in List et al. 2024; smaller networks, fewer seeds and updates than in docs/results, to run in minutes.
TASKS = ("correct", "predict")
UNROLL = ("one", "nog:3", "wig:3")
WIDTH, DEPTH, SEEDS = 10, 2, 4
STEPS, LEARNING_RATE = 1000, 3e-3
FRAMES = 500  # training frames per trajectory
STARTS = 10  # test states on each of the paper's four test domains
FOLDER = "runs/compare_modalities"


def main() -> float:
    study = eg.compare(
        FOLDER,
        recipe="kuramoto-sivashinsky",
        tasks=TASKS,
        unroll=UNROLL,
        width=WIDTH,
        depth=DEPTH,
        seeds=SEEDS,
        steps=STEPS,
        lr=LEARNING_RATE,
        frames=FRAMES,
        starts=STARTS,
    )
    print(study.estimate())  # hours and memory before anything runs
    study.run(threads=1)
    print(study.table())  # ratios paired by seed, with 95 % intervals
    print(study.report())

    ratios = json.loads((study.folder / "results.json").read_text())["ratios"]
    ratio = next(r for r in ratios if r["kind"] == "task" and r["paper"])
    print(f"{ratio['label']}: {ratio['ratio']:.2f}, 95 % interval {ratio['low']:.2f} to {ratio['high']:.2f} (paper: {ratio['paper']})")
    return float(ratio["ratio"])


if __name__ == "__main__":
    main()
