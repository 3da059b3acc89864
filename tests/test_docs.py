"""The Python of docs/walls.md runs as printed, block by block."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

import eddygrad as eg

BLOCKS = re.findall(r"```python\n(.*?)```", (Path(eg.__file__).parent.parent / "docs" / "walls.md").read_text(), re.DOTALL)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_a_block_runs(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(BLOCKS[number], names)
    u = names["u"]
    assert isinstance(u, torch.Tensor) and bool(u.isfinite().all())


def test_what_the_blocks_say_holds() -> None:
    assert len(BLOCKS) == 3
    drag: dict[str, object] = {}
    exec(BLOCKS[0], drag)
    for name in ("inflow", "height"):
        assert float(drag["params"][name].grad) != 0  # type: ignore[index]
