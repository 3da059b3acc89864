"""The README's Python runs as printed, at tiny settings, from the top to the bottom in one folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import eddygrad as eg
from eddygrad.cli.main import COMMANDS, main, parse

README = (Path(eg.__file__).parent.parent / "README.md").read_text()
TINY = {
    "frames=300, warmup=100": "frames=20, warmup=100",
    "training(frames=500)": "training(frames=60)",
    "ResNet(16, 4)": "ResNet(4, 1)",
    "seeds=4, steps=2000": "seeds=2, steps=200, lr=1e-2, progress=False",
    "grid = eg.Grid((64, 64))": "grid = eg.Grid((16, 16))",
    "w, 100, grad=True": "w, 9, grad=True",
    "steps=2000, seeds=3": "steps=60, seeds=3, progress=False",
    "width=8, depth=2, seeds=4, steps=500, frames=200": "width=2, depth=0, seeds=2, steps=4, frames=20, starts=1, long_horizon=12",
}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_python_blocks_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = "".join(blocks("python"))
    assert all(text.count(whole) == 1 for whole in TINY)
    names: list[dict[str, Any]] = []
    for block in blocks("python"):
        for whole, tiny in TINY.items():
            block = block.replace(whole, tiny)
        names.append({})
        exec(block, names[-1])
    simulated, corrected, arrays, flow, compared, posed = names
    assert (tmp_path / "ks.png").read_bytes().startswith(b"\x89PNG") and simulated["frames"].shape == (3, 20, 1, 48)
    assert float(corrected["test"].error.max()) < float(corrected["test"].baselines["coarse"].metrics["rellinf"].mean())
    assert (tmp_path / "report.html").exists() and (tmp_path / "report" / "study.json").exists()
    assert arrays["u"].shape == (36, 60, 1, 48) and torch.equal(arrays["data"][-1], arrays["data"].all()[35])
    assert flow["viscosity"].grad < 0
    assert posed["solution"].error(posed["exact"]).shape == (3,) and float(posed["solution"].error(posed["exact"]).max()) < 2
    assert "nog:4" in compared["study"].table() or "NOG 4" in compared["study"].table()


def test_the_numpy_solver_is_implicit_explicit_euler() -> None:
    """(1 - h L) u+ = u - h (u^2/2)_x by dense matrices of the Fourier modes, to round-off."""
    names: dict[str, Any] = {}
    exec(blocks("python")[1].partition("\n\n\neg.recipes")[0], names)
    u, length = np.random.default_rng(0).standard_normal((2, 1, 48)), np.array([40.0, 60.0]).reshape(2, 1, 1)
    for one, L in zip(u, length.reshape(-1)):
        m = np.arange(-23, 24)
        modes = np.exp(2j * np.pi * np.outer(np.arange(48), m) / 48)
        state = modes @ (modes.conj().T @ one[0]) / 48
        one[0], k = state.real, 2 * np.pi * m / L
        for _ in range(4):
            flux = modes.conj().T @ (state**2 / 2) / 48
            state = modes @ ((modes.conj().T @ state / 48 - 0.25j * k * flux) / (1 - 0.25 * (k**2 - k**4)))
        expected = state.real
        found = names["my_solver_step"](one[None], np.array(L).reshape(1, 1, 1))[0, 0]
        # Without the shortest wave, which has no odd derivative on the grid.
        np.testing.assert_allclose(np.fft.rfft(found)[:24], np.fft.rfft(expected)[:24], rtol=0, atol=1e-10)


def test_the_commands_parse() -> None:
    lines = [line.partition("#")[0].split() for line in "".join(blocks("bash")).splitlines() if line.startswith("eddygrad ")]
    assert {line[1] for line in lines} <= set(COMMANDS)
    for line in lines:
        parse(line[1], line[2:])


def test_a_generated_file_can_be_split(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "--frames", "3", "--out", str(tmp_path / "runs.nc"), "--json"]) == 0
    parts = eg.open(tmp_path / "runs.nc").split(val=0.1, test=0.2)
    assert tuple(part.samples for part in parts) == (25, 4, 7) and capsys.readouterr().out


@pytest.mark.parametrize("page", ["flows", "walls"])
def test_the_blocks_of_the_documentation_run(page: str) -> None:
    text = (Path(eg.__file__).parent.parent / "docs" / f"{page}.md").read_text()
    found = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert found
    for block in found:
        exec(compile(block, f"{page}.md", "exec"), {})
