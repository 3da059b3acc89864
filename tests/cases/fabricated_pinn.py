"""A fabricated study of loss weightings, as its runs would write it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eddygrad.studies.weightings.results.load import load
from eddygrad.studies.weightings.results.study_results import WeightingResults

LEVELS = {"uniform": 0.25, "inverse-dirichlet": 7e-3, "max-average": 8e-3, "mgda": 0.02, "epsilon-optimal": 7.1e-3}
PUBLISHED = {"uniform": 0.25, "inverse-dirichlet": 7.4e-3, "max-average": 7.6e-3, "mgda": 1.2e-2, "epsilon-optimal": 7.2e-3}
POINTS = 60


def record(
    problem: str, weighting: str, optimizer: str, errors: Mapping[str, Sequence[float | None]], seeds: Sequence[int], **changes: Any
) -> dict[str, Any]:
    """A run's JSON whose final errors are these; its curve falls to them."""
    steps = np.linspace(500, 30_000, POINTS)
    rng = np.random.default_rng(sum(map(ord, problem + weighting + optimizer)))

    def falling(ends: Sequence[float | None], start: float) -> list[list[float | None]]:
        fall = start ** (1 - np.linspace(0, 1, POINTS)[:, None] ** 0.4) * np.exp(0.2 * rng.standard_normal((POINTS, len(ends))))
        fall[-1] = 1.0
        return [[None if end is None else float(f * end ** (i / (POINTS - 1))) for f, end in zip(row, ends)] for i, row in enumerate(fall)]

    def around(level: float, wobble: float = 0.3) -> list[list[float]]:
        return (level * np.exp(wobble * rng.standard_normal((POINTS, len(seeds))))).tolist()

    weights = {"pde": [1.0] * POINTS, "boundary": around(1.6e4 if weighting == "inverse-dirichlet" else 1.0)}
    return {
        "schema": "eddygrad-pinn/1",
        "name": f"{problem}-{weighting}",
        "problem": problem,
        "weighting": weighting,
        "optimizer": optimizer,
        "seeds": list(seeds),
        "published": PUBLISHED.get(weighting) if problem == "poisson:k=6" and optimizer == "adam" else None,
        "reference": "pde",
        "made": {"weighting": f"{weighting.title()}(every=5)", "network": "[2, 50 x 5, 1] tanh", "parameters": 10_401},
        "training": {
            "updates": 30_000,
            "learning_rate": 1e-3,
            "schedule": "Drops(at=(0.3, 0.7), rate=0.1)",
            "seconds": 600.0,
            "seconds_per_update": 0.02,
            "threads": 1,
            "diverged": [False] * len(seeds),
        },
        "curve": {
            "step": steps.tolist(),
            "errors": {name: falling(ends, 2.0) for name, ends in errors.items()},
            "losses": {"pde": around(10.0), "boundary": around(1e-4)},
            "weights": weights,
            "stds": {"pde": around(0.3), "boundary": around(2e-5)},
            "cosines": {"pde, boundary": np.clip(0.3 * rng.standard_normal((POINTS, len(seeds))), -1, 1).tolist()},
        },
        "errors": {name: list(ends) for name, ends in errors.items()},
        "environment": {"eddygrad": "0.1.0", "cpu": "a cpu", "threads": 1, "side_by_side": 1},
        **changes,
    }


def fabricate(
    folder: Path,
    problems: Sequence[str] = ("poisson:k=6",),
    weightings: Mapping[str, float] = LEVELS,
    optimizers: Sequence[str] = ("adam",),
    seeds: int = 5,
    others: Sequence[str] = (),
) -> Path:
    """A folder with study.json and a run of each setting; seeds scatter by a factor of about 1.3 around the level of the weighting."""
    rng = np.random.default_rng(7)
    config = {"kind": "pinn", "name": "made", "problem": list(problems), "weighting": list(weightings), "optimizer": list(optimizers)}
    write(folder / "study.json", {**config, "seeds": seeds})
    for problem in problems:
        for optimizer in optimizers:
            shared = 0.15 * rng.standard_normal(seeds)  # some seeds are luckier than others, whatever the weighting
            for weighting, level in weightings.items():
                own = level * np.exp(shared + 0.25 * rng.standard_normal(seeds)) * (3 if optimizer == "adagrad" else 1)
                errors = {name: (own * (i + 1)).tolist() for i, name in enumerate(("error", *others))}
                run = record(problem, weighting, optimizer, errors, range(1, seeds + 1))
                write(folder / "runs" / f"{problem}-{weighting}-{optimizer}.json".replace(":", "-"), run)
    return folder


def write(path: Path, content: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def study(
    folder: Path, diverged: dict[str, list[bool]] | None = None, first: dict[str, int] | None = None, **levels: list[float]
) -> WeightingResults:
    """Results of these final errors by weighting. diverged: by seed. first: the first seed of a weighting, else 1."""
    for weighting, errors in levels.items():
        name = weighting.replace("_", "-")
        begin = (first or {}).get(weighting, 1)
        run = record("poisson:k=6", name, "adam", {"error": errors}, range(begin, begin + len(errors)))
        run["training"]["diverged"] = (diverged or {}).get(weighting, [False] * len(errors))
        write(folder / "runs" / f"{name}.json", run)
    return load(folder)
