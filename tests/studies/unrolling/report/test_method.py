"""The command that makes a study again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from eddygrad.studies.unrolling.config import UnrollingConfiguration, describe, preset
from eddygrad.studies.unrolling.report import page as report
from eddygrad.studies.unrolling.results.load import load
from eddygrad.studies.unrolling.results.study_results import UnrollingResults

Fabricate = Callable[..., Path]


def edit(folder: Path, change: Callable[[dict[str, Any]], object], pattern: str = "*.json") -> UnrollingResults:
    for path in (folder / "runs").glob(pattern):
        run = json.loads(path.read_text())
        change(run)
        path.write_text(json.dumps(run))
    return load(folder)


def alone(folder: Path, kept: str = "correct-nog3-w16d4") -> UnrollingResults:
    """One run of the study, as `eddygrad evaluate` leaves it: no configuration, one test set."""
    for path in (folder / "runs").iterdir():
        if path.stem != kept and not path.name.startswith("baseline-coarse."):
            path.unlink()
    (folder / "study.json").write_text(json.dumps({"name": "mine", "recipe": None}))
    return edit(folder, lambda r: r["test"].update(sets=[{"name": "test", "kind": "test", "params": {}, "samples": 20}]))


def test_a_comparison_is_reproduced_by_its_command_and_other_scores_are_drawn_again(fabricate: Fabricate, tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "s", seeds=2)
    (folder / "study.json").write_text(json.dumps(describe(UnrollingConfiguration(**preset("demo")))))
    assert f"<h3>Reproduce</h3><pre>eddygrad compare --preset demo --folder {folder}</pre>" in report.html(load(folder))
    page = report.html(alone(fabricate(tmp_path / "one", seeds=2)))
    assert f"<h3>Draw this page again</h3><pre>eddygrad report {tmp_path / 'one'}</pre>" in page and "Reproduce" not in page
