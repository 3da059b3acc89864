"""A fabricated study folder: numbers drawn at random with known ratios. For tests only."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

SETS = [
    ("D/8=1.40", "extrapolation", 70.37),
    ("D/8=0.85", "extrapolation", 42.73),
    ("D/8=1.15", "interpolation", 57.81),
    ("D/8=0.93", "interpolation", 46.75),
]
HORIZON, SAMPLES = 12, 5
LEVELS = {
    ("correct", "one"): 1.0,
    ("correct", "nog:3"): 0.95,
    ("correct", "wig:3"): 0.70,
    ("predict", "one"): 6.0,
    ("predict", "nog:3"): 5.2,
    ("predict", "wig:3"): 4.3,
}
BASELINES = {"persistence": (0.204, 0.0), "coarse": (0.066, 8e-7), "coarse:dt/2": (0.011, 1.6e-6), "reference": (3e-13, 1.7e-6)}


def test_part(error: np.ndarray, rng: np.random.Generator, seconds: float) -> dict[str, Any]:
    seeds, samples = error.size, len(SETS) * SAMPLES
    set_factor = np.repeat(np.array([1.9, 0.6, 1.1, 0.4]), SAMPLES) * np.exp(rng.normal(0, 0.5, samples))
    rellinf = error[:, None] * set_factor / set_factor.mean()
    t = np.arange(HORIZON + 1)
    growth = np.where(t == 0, 0.0, np.exp(0.3 * t))
    k = np.arange(1, 25)
    reference = np.exp(-(((k - 6) / 4.0) ** 2)) + 1e-6
    return {
        "sets": [{"name": n, "kind": kind, "params": {"length": length}, "samples": SAMPLES} for n, kind, length in SETS],
        "horizon": HORIZON,
        "dt": 1.0,
        "metrics": {
            "rellinf": rellinf.tolist(),
            "correlation_time": np.clip(12 - 40 * rellinf, 0, 12).tolist(),
            "nrmse_final": np.sqrt(rellinf).tolist(),
        },
        "error_over_time": (error[:, None] * growth / growth.mean()).clip(0, 30).tolist(),
        "spectrum": {
            "k": k.tolist(),
            "reference": reference.tolist(),
            "model": (reference * np.exp(rng.normal(0, 0.2, (seeds, k.size))) + error[:, None] * 1e-3).tolist(),
        },
        "inference_seconds_per_frame": seconds,
        "inference_batch": 20,
        "diverged_samples": [int(20 * (e > 10)) for e in error],
    }


ENVIRONMENT = {"eddygrad": "0.1.0", "torch": "2.13.0", "python": "3.11.7", "cpu": "a processor", "threads": 1}


def model(task: str, unroll: str, width: int, depth: int, error: np.ndarray, rng: np.random.Generator, updates: int = 20000) -> dict[str, Any]:
    seeds, modality = error.size, unroll.partition(":")[0]
    cost = {"one": 1.0, "nog": 1.15, "wig": 1.6}[modality] * width / 16
    steps = np.linspace(0, updates, 41)
    fall = np.exp(-5 * steps / updates)[:, None] + 0.02
    diverged = (error > 10).tolist()
    return {
        "schema": "eddygrad-run/1",
        "name": f"{task}-{unroll.replace(':', '')}-w{width}d{depth}",
        "kind": "model",
        "task": task,
        "unroll": unroll,
        "recipe": "kuramoto-sivashinsky",
        "network": {"name": "ResNet", "width": width, "depth": depth, "parameters": 7 * width + 2 * depth * (3 * width**2 + width) + 3 * width + 1},
        "seeds": list(range(seeds)),
        "training": {
            "updates": updates,
            "batch": 48 if modality == "one" else 16,
            "learning_rate": 1e-3,
            "schedule": "cosine",
            "seconds": updates * 0.0256 * cost,
            "seconds_per_update": 0.0256 * cost,
            "peak_memory_mb": 300 * cost**2,
            "solver_calls_per_update": 48,
            "threads": 1,
            "diverged": diverged,
            "skipped_updates": [0] * seeds,
        },
        "curve": {
            "step": steps.tolist(),
            "loss": (fall * error * np.exp(rng.normal(0, 0.1, (41, seeds)))).tolist(),
            "validation": (fall * error * 1.2).tolist(),
        },
        "test": test_part(error, rng, 1.2e-5 * width / 16 * (1.1 if task == "correct" else 1.0)),
        "environment": ENVIRONMENT,
    }


def baseline(name: str, error: float, seconds: float, rng: np.random.Generator) -> dict[str, Any]:
    rest = {key: None for key in ("task", "unroll", "network", "training", "curve")}
    test = test_part(np.array([error]), rng, seconds)
    return {
        "schema": "eddygrad-run/1",
        "name": name,
        "kind": "baseline",
        "recipe": "kuramoto-sivashinsky",
        "seeds": [None],
        **rest,
        "test": test,
        "environment": ENVIRONMENT,
    }


def trajectories(path: Path, rng: np.random.Generator, error: float) -> None:
    t, x = np.arange(40)[:, None], np.linspace(0, 2 * np.pi, 48, endpoint=False)[None, :]
    phase = rng.uniform(0, 6, (len(SETS), 1, 1))
    reference = 1.4 * np.sin(5 * x + 0.05 * t + phase) + 0.8 * np.cos(3 * x - 0.11 * t) * np.sin(0.2 * t + phase)
    drift = np.exp(0.12 * t) * np.sin(7 * x + phase)
    data = {"reference": reference, "uncorrected": reference + 0.1 * drift, "prediction": reference + error * drift}
    xr.Dataset({k: (("set", "time", "x"), v.astype(np.float32)) for k, v in data.items()}).to_netcdf(path, engine="h5netcdf")


def fabricate(
    folder: Path, seeds: int = 8, scatter: float = 0.2, effect: bool = True, networks: tuple[tuple[int, int], ...] = ((16, 4),), diverge: bool = False
) -> Path:
    """Write a study folder: correction and prediction by ONE, NOG, WIG, baselines, trajectories; seeds share half of their scatter."""
    rng = np.random.default_rng(7)
    (folder / "runs").mkdir(parents=True)
    config = {
        "name": "fabricated",
        "title": "A fabricated study",
        "endpoint": {"metric": "rellinf", "horizon": HORIZON},
        "seeds": list(range(seeds)),
        "test_states": "20, fixed beforehand",
    }
    (folder / "study.json").write_text(json.dumps(config))
    for width, depth in networks:
        shared = rng.normal(0, scatter, seeds)
        for (task, unroll), level in LEVELS.items():
            error = 0.0019 * 16 / width * (level if effect else 1.0) * np.exp(shared + rng.normal(0, scatter / 2, seeds))
            if diverge and (task, unroll) == ("predict", "one"):
                error[0] = 29.0
            run = model(task, unroll, width, depth, error, rng)
            (folder / "runs" / f"{run['name']}.json").write_text(json.dumps(run))
            trajectories(folder / "runs" / f"{run['name']}.nc", rng, float(np.sqrt(np.median(error)) / 4))
    for name, (level, seconds) in BASELINES.items():
        (folder / "runs" / f"baseline-{name.replace(':', '-').replace('/', '')}.json").write_text(json.dumps(baseline(name, level, seconds, rng)))
    return folder


@pytest.fixture(name="fabricate")
def fabricate_fixture() -> Callable[..., Path]:
    return fabricate


@pytest.fixture(scope="session")
def study_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fabricate(tmp_path_factory.mktemp("study") / "fabricated", networks=((16, 4), (26, 8)), diverge=True)


@pytest.fixture
def drawn() -> None:
    """Ask for figures that are drawn, see `_figures_are_not_drawn`."""


@pytest.fixture(autouse=True)
def _figures_are_not_drawn(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the SVG of a figure empty, which takes most of the time of a report, unless the test asks for `drawn`. Figures are composed as ever."""
    if "drawn" in request.fixturenames:
        return
    save = Figure.savefig

    def savefig(self: Figure, target: Any, **options: Any) -> None:
        if not (isinstance(target, StringIO) and options["format"] == "svg"):
            save(self, target, **options)
            return
        width, height = 72 * self.get_size_inches()
        target.write(f'<svg width="{width}pt" height="{height}pt" viewBox="0 0 {width} {height}"></svg>')

    monkeypatch.setattr(Figure, "savefig", savefig)
