"""The examples run as they stand, at tiny settings, and say what is true."""

from __future__ import annotations

import importlib.util
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
    "generate_dataset": {"PER_DOMAIN": 3, "FRAMES": 30, "WARMUP": 400, "FOLDER": "data"},
    "simulate_and_correct": {"TRAJECTORIES": 10, "FRAMES": 24, "WIDTH": 6, "DEPTH": 1, "SEEDS": 2, "STEPS": 60, "REPORT": "report.html"},
    "compare_modalities": {
        "UNROLL": ("nog:2", "wig:2"), "WIDTH": 4, "DEPTH": 1, "SEEDS": 2, "STEPS": 20, "FRAMES": 20, "STARTS": 2, "FOLDER": "study"
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


@pytest.mark.parametrize("name", sorted(TINY))
def test_examples_run_and_print_their_number(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    number = load(name, **TINY[name]).main()
    assert np.isfinite(number)
    last = capsys.readouterr().out.strip().splitlines()[-1]
    assert any(ch.isdigit() for ch in last)
    if name == "generate_dataset":
        assert abs(number - 1.31) < 0.2  # 12 trajectories of 30 frames scatter by about .07
    if name == "simulate_and_correct":
        assert number < 1 and (tmp_path / "report.html").exists()
    if name == "compare_modalities":
        assert (tmp_path / "study" / "report.html").exists()


def test_every_example_is_tested_and_short() -> None:
    files = sorted(EXAMPLES.glob("*.py"))
    assert {f.stem for f in files} == set(TINY)
    assert all(len(f.read_text().splitlines()) <= 80 for f in files)


def test_the_numpy_solver_of_the_example_is_exponential_euler() -> None:
    """Against our own ETD1 in float64; a step amplifies round-off by about e^(h/4), so a few ulp of 1."""
    solver = load("simulate_and_correct").my_solver
    ours = eg.presets.kuramoto_sivashinsky(8, 48, order=1)
    u = random_fourier(ours.grid, 3, bandlimit=20, seed=1)
    torch.testing.assert_close(torch.from_numpy(solver(u.numpy())), ours.at({}, u)(u), rtol=0, atol=1e-13)
