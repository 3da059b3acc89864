"""All examples run at tiny settings and print the known number."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

import eddygrad as eg
from eddygrad.solver.initial import random_fourier

EXAMPLES = Path(eg.__file__).parent.parent / "examples"
TINY: dict[str, dict[str, Any]] = {
    "learn_viscosity": {"POINTS": 24, "STEPS": 25},
    "cylinder_drag": {"CELLS": 8, "END": 2.5},
    "taylor_green": {"POINTS": (12, 16), "END": 0.8},
    "active_channel": {"POINTS": (96, 48), "SUBSTEPS": 2, "WARMUP": 130, "FRAMES": 20},
    "wake": {"POINTS": 64, "SUBSTEPS": 1, "WARMUP": 300, "FRAMES": 450},
    "progressive_refinement": {"FINE": 32, "COARSE": 16, "TRAJECTORIES": 4, "FRAMES": 20, "UPDATES": 40, "VALIDATE_EVERY": 4, "BATCH": 2},
    "poisson_pinn": {"K": 2, "STEPS": 250, "SEEDS": 1, "POINTS": 300, "WIDTH": 20, "DEPTH": 3},
    "hybrid_losses": {
        "FINE": 32, "COARSE": 20, "TRAJECTORIES": 6, "FRAMES": 30, "WARMUP": 100, "HORIZON": 12, "WIDTH": 4, "DEPTH": 1, "SEEDS": 2, "BATCH": 2,
        "UPDATES": 60, "CONSTANTS": (0.01, 1.0), "TUNING_UPDATES": 5, "RESULTS": "results/hybrid-losses.json",
    },
    "generate_dataset": {"PER_DOMAIN": 3, "FRAMES": 30, "WARMUP": 400, "FOLDER": "data"},
    "simulate_and_correct": {"TRAJECTORIES": 20, "FRAMES": 60, "WIDTH": 8, "DEPTH": 2, "SEEDS": 2, "STEPS": 300, "REPORT": "report.html"},
    "compare_modalities": {
        "UNROLL": ("one", "nog:2", "wig:2"), "WIDTH": 4, "DEPTH": 1, "SEEDS": 2, "STEPS": 20, "FRAMES": 20, "STARTS": 2, "FOLDER": "study"
    },
}  # fmt: skip


def load(name: str, **settings: Any) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for key, value in settings.items():
        assert hasattr(module, key), f"{name} has no setting {key}"
        setattr(module, key, value)
    return module


def errors(path: Path) -> np.ndarray[Any, Any]:
    """Return the metric rellinf of a run, (seeds, samples)."""
    return np.array(json.loads(path.read_text())["test"]["metrics"]["rellinf"])


@pytest.mark.parametrize("name", sorted(TINY))
def test_examples_run_and_print_their_number(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    number = load(name, **TINY[name]).main()
    assert np.isfinite(number)
    printed = capsys.readouterr().out.strip()
    assert any(ch.isdigit() for ch in printed.splitlines()[-1])
    if name == "generate_dataset":
        assert abs(number - 1.31) < 0.2  # 12 trajectories of 30 frames scatter by about .07
    if name == "learn_viscosity":
        assert number < 1e-2  # the guess is off by 3
    if name == "cylinder_drag":
        assert number == pytest.approx(1.1, abs=0.06)  # first order in the cell size: 3 % at 20 cells
    if name == "taylor_green":  # the flow is smooth until t = .8, so both grids and Simpson's rule over 8 frames resolve it
        found = json.loads((tmp_path / "taylor-green.json").read_text())
        assert number < 2e-3 and all(found[points]["balance"] < 1e-5 for points in ("12", "16"))
        assert found["16"]["energy"][0] == pytest.approx(1 / 8, rel=1e-12) and found["16"]["dissipation"][0] == pytest.approx(3 / 4 / 1600, rel=1e-12)
    if name == "poisson_pinn":
        assert number < 0.8 and (tmp_path / "poisson-uniform.png").exists()
    if name == "wake":  # periodic images five diameters away raise it; six cells per diameter
        assert 1.0 < number < 1.4 and (tmp_path / "wake.png").exists() and "mean Cd" in printed
    if name == "progressive_refinement":
        assert ", iterations 8 to " in printed and number < 1 and (tmp_path / "runs/progressive-refinement/progressive-refinement.json").exists()
    if name == "hybrid_losses":
        found = json.loads((tmp_path / "results/hybrid-losses.json").read_text())
        alone, uniform, tuned, balanced = (found[n] for n in ("solver alone", "uniform", "tuned constant", "inverse-Dirichlet"))
        assert number == pytest.approx(np.exp(np.log(uniform["error"]).mean() - np.log(balanced["error"]).mean()), rel=1e-9)
        best = min(found["tuning"], key=found["tuning"].get).split(", ")
        assert len(found["tuning"]) == 4 and [np.mean(w) for w in tuned["weights"].values()] == pytest.approx([float(x) for x in best])
        assert uniform["weights"] == {"divergence": 1.0, "energy": 1.0} and all(len(set(w)) == 2 for w in balanced["weights"].values())
        # The solver's divergence is round-off. After sixty updates the network's is not, and small weights reduce the error by 6 %.
        assert alone["divergence"][0] < 1e-5 < min(uniform["divergence"]) and max(tuned["error"]) < 0.98 * alone["error"][0]
    if name == "active_channel":  # 3.1 to 3.6 in a periodic box; the mean over twenty frames and a quarter of the area varies
        assert 2.0 < number < 4.5 and (tmp_path / "active-channel.png").exists()
        middle, near = (float(x) for x in re.findall(r"\d+\.\d{3}", printed))
        assert middle == pytest.approx(number, abs=1e-3) and near < 0.5 * middle
    if name == "simulate_and_correct":
        assert number < 1 and (tmp_path / "report.html").exists()
        # Errors are clipped at 1, so that a blow-up of the solver alone does not decide. Without training the error doubles.
        alone, corrected = (errors(tmp_path / "report" / "runs" / f"{run}.json").clip(max=1).mean() for run in ("baseline-coarse", "correct-nog3"))
        assert corrected < 0.2 * alone
    if name == "compare_modalities":
        assert (tmp_path / "study" / "report.html").exists()
        runs = {f"{task}-{unroll}-w4d1" for task in ("correct", "predict") for unroll in ("one", "nog2", "wig2")}
        assert all(any(row.startswith(run) for row in printed.splitlines()) for run in runs)
        mean = {run: np.log(errors(tmp_path / "study" / "runs" / f"{run}.json").mean(1)).mean() for run in runs}
        # Ratios of geometric means over seeds; the printed one is prediction with WIG over correction with NOG.
        assert number == pytest.approx(np.exp(mean["predict-wig2-w4d1"] - mean["correct-nog2-w4d1"]), rel=1e-9)
        found = [r for r in json.loads((tmp_path / "study" / "results.json").read_text())["ratios"] if r["kind"] == "modality"]
        assert {r["label"] for r in found} == {"NOG 2 / ONE", "WIG 2 / ONE", "WIG 2 / NOG 2"}
        # Networks with equal initial weights and equal data differ little after 20 updates, but they differ.
        assert all(1 / 3 < r["ratio"] < 3 and r["low"] < r["ratio"] < r["high"] for r in found) and len({r["ratio"] for r in found}) == len(found)


def test_every_example_is_tested_and_short() -> None:
    files = sorted(EXAMPLES.glob("*.py"))
    assert {f.stem for f in files} == set(TINY)
    assert all(len(f.read_text().splitlines()) <= 80 for f in files)


def test_the_numpy_solver_of_the_example_is_exponential_euler() -> None:
    """Compare with our ETD1 in float64. A step amplifies round-off by about e^(h / 4), hence a tolerance of a few ulp of 1."""
    solver = load("simulate_and_correct").my_solver
    ours = eg.presets.kuramoto_sivashinsky(8, 48, order=1)
    u = random_fourier(ours.grid, 3, bandlimit=20, seed=1)
    torch.testing.assert_close(torch.from_numpy(solver(u.numpy())), ours.at({}, u)(u), rtol=0, atol=1e-13)
