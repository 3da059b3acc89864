"""Every block of Python in README.md and docs/ runs once, in order, the blocks of a page in one namespace."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

import eddygrad as eg

ROOT = Path(eg.__file__).parent.parent
PAGES = ["README.md", *sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs").rglob("*.md"))]
# Settings that take minutes on the page -> settings that take seconds here; each text is on its page.
TINY = {
    "README.md": {
        "training(frames=500)": "training(frames=60)",
        "ResNet(16, 4)": "ResNet(4, 1)",
        "seeds=4, steps=2000": "seeds=2, steps=100, lr=1e-2, progress=False",
        "steps=2000, seeds=3": "steps=60, seeds=3, progress=False",
        "seeds=4, steps=500, frames=200": "seeds=2, steps=4, frames=20, width=2, depth=0, starts=1, long_horizon=12",
    },
    "docs/tutorials/pinn.md": {"steps=2000, seeds=3": "steps=40, seeds=3, progress=False"},
    "docs/guides/pinn.md": {
        "steps=2000, lr=1e-2)": "steps=40, lr=1e-2, progress=False)",
        "steps=1500, lr=1e-2, polish=300)": "steps=40, lr=1e-2, polish=5, progress=False)",
    },
    "docs/guides/walls.md": {"steps=20)": "steps=4, progress=False)"},
    "docs/extending/weighting.md": {"steps=200,": "steps=5, progress=False,"},
}


def blocks(page: str, language: str = "python") -> list[str]:
    """Return the fenced blocks of one language, in order."""
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


def check_correct(names: dict[str, Any], folder: Path, printed: str) -> None:
    test = names["test"]
    assert float(test.error.max()) < float(test.baselines["coarse"].metrics["rellinf"].mean())
    assert (folder / "report.html").exists() and (folder / "report" / "study.json").exists()
    assert names["later"].shape == (2, 1, 1, 48)


def check_compare(names: dict[str, Any], folder: Path, printed: str) -> None:
    assert "NOG 2" in names["study"].table() and (folder / "runs" / "tiny" / "report.html").exists()


def check_pinn(names: dict[str, Any], folder: Path, printed: str) -> None:
    assert names["solution"].error(names["exact"]).shape == (3,) and (folder / "solution.png").exists()
    assert float(names["solution"].error(names["exact"]).max()) < 2


def check_weightings(names: dict[str, Any], folder: Path, printed: str) -> None:
    one = torch.ones(())
    assert float(names["weighting"].weight("slope", one)) == 1.0 and float(names["weighting"].weight("start", one)) > 10
    kept = torch.load(folder / "mine.pt", weights_only=True)
    eg.weightings.InverseDirichlet(reference="slope", every=5).load_state_dict(kept["weighting"])


def check_walls(names: dict[str, Any], folder: Path, printed: str) -> None:
    assert float(names["params"]["inflow"].grad) != 0 and float(names["params"]["height"].grad) != 0
    assert bool(names["u"].isfinite().all()) and names["u"].shape == (1, 2, 24, 12)


def check_spectral(names: dict[str, Any], folder: Path, printed: str) -> None:
    assert names["frames"].shape == (4, 20, 1, 32, 32) and float(names["viscosity"].grad) < 0


def check_data(names: dict[str, Any], folder: Path, printed: str) -> None:
    assert names["u"].shape == (36, 20, 1, 48) and names["mine"].samples == 4
    assert torch.equal(names["data"][-1], names["data"].all()[35])


CHECKS: dict[str, Callable[[dict[str, Any], Path, str], None]] = {
    "docs/tutorials/correct.md": check_correct,
    "docs/tutorials/compare.md": check_compare,
    "docs/tutorials/pinn.md": check_pinn,
    "docs/guides/weightings.md": check_weightings,
    "docs/guides/walls.md": check_walls,
    "docs/guides/spectral.md": check_spectral,
    "docs/guides/data.md": check_data,
}


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)])
def test_the_blocks_of_a_page_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    text = "\n".join(blocks(page))
    for setting in TINY.get(page, {}):
        assert setting in text, f"{page} no longer has {setting!r}"
    names: dict[str, Any] = {"__name__": "__docs__"}
    for number, block in enumerate(blocks(page), start=1):
        for whole, tiny in TINY.get(page, {}).items():
            block = block.replace(whole, tiny)
        exec(compile(block, f"{page}, block {number}", "exec"), names)
    plt.close("all")
    if page in CHECKS:
        CHECKS[page](names, tmp_path, capsys.readouterr().out)


def test_every_checked_page_is_there() -> None:
    assert {*CHECKS, *TINY} <= set(PAGES)


def test_the_numpy_solver_is_implicit_explicit_euler() -> None:
    """(1 - h L) u+ = u - h (u^2/2)_x by dense matrices of the Fourier modes, to round-off."""
    names: dict[str, Any] = {}
    exec(blocks("docs/tutorials/correct.md")[0].partition("\n\n\ncoarse")[0], names)
    u, length = np.random.default_rng(0).standard_normal((2, 1, 48)), np.array([40.0, 60.0]).reshape(2, 1, 1)
    for one, L in zip(u, length.reshape(-1)):
        m = np.arange(-23, 24)
        modes = np.exp(2j * np.pi * np.outer(np.arange(48), m) / 48)
        state = modes @ (modes.conj().T @ one[0]) / 48
        one[0], k = state.real, 2 * np.pi * m / L
        for _ in range(4):
            flux = modes.conj().T @ (state**2 / 2) / 48
            state = modes @ ((modes.conj().T @ state / 48 - 0.25j * k * flux) / (1 - 0.25 * (k**2 - k**4)))
        result = names["my_solver_step"](one[None], np.array(L).reshape(1, 1, 1))[0, 0]
        # Without the shortest wave, which has no odd derivative on the grid.
        np.testing.assert_allclose(np.fft.rfft(result)[:24], np.fft.rfft(state.real)[:24], rtol=0, atol=1e-10)
