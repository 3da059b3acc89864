"""The Python of the docs runs as printed, block by block."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

import eddygrad as eg

DOCS = Path(eg.__file__).parent.parent / "docs"
BLOCKS = {page: re.findall(r"```python\n(.*?)```", (DOCS / f"{page}.md").read_text(), re.DOTALL) for page in ("walls", "pinns", "extending")}
PINNS = {
    "steps=2000, seeds=3)": "steps=40, seeds=3, progress=False)",
    "steps=2000, lr=1e-2)": "steps=40, lr=1e-2, progress=False)",
    "steps=1500, lr=1e-2, polish=300)": "steps=40, lr=1e-2, polish=5, progress=False)",
}


@pytest.mark.parametrize("number", range(len(BLOCKS["walls"])))
def test_a_block_runs(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(BLOCKS["walls"][number], names)
    u = names["u"]
    assert isinstance(u, torch.Tensor) and bool(u.isfinite().all())


def test_what_the_blocks_say_holds() -> None:
    assert len(BLOCKS["walls"]) == 3
    drag: dict[str, object] = {}
    exec(BLOCKS["walls"][0], drag)
    for name in ("inflow", "height"):
        assert float(drag["params"][name].grad) != 0  # type: ignore[index]


def test_the_blocks_on_pinns_run_at_few_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert len(BLOCKS["pinns"]) == 5
    ends = []
    for block in BLOCKS["pinns"]:
        for whole, tiny in PINNS.items():
            block = block.replace(whole, tiny)
        assert not re.search(r"steps=\d{4}", block)
        names: dict[str, object] = {}
        exec(block, names)
        ends.append(names)
    assert (tmp_path / "solution.png").exists() and "0." in capsys.readouterr().out
    for end in ends[3:]:
        weighting = end["weighting"]
        assert isinstance(weighting, eg.weightings.Weighting)
        one = torch.ones(())
        assert float(weighting.weight("slope", one)) == 1.0 and float(weighting.weight("start", one)) > 10  # the first is 1e4 times too large
    kept = torch.load(tmp_path / "mine.pt", weights_only=True)
    eg.weightings.InverseDirichlet(reference="slope", every=5).load_state_dict(kept["weighting"])


def test_a_weighting_of_ones_own_is_taken() -> None:
    (block,) = BLOCKS["extending"]
    names: dict[str, object] = {}
    exec(block.replace("steps=200,", "steps=5, progress=False,"), names)
    assert callable(names["by_length"])
