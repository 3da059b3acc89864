"""Figures of a comparison of unrolling modalities."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest

from eddygrad.studies.unrolling.report import figures
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


def test_figures_are_read_out_and_letters_have_one_size(fabricate: Fabricate, tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "s", seeds=2)
    wide = re.findall(r'<svg role="img" aria-label="([^"]+)" style="max-width: ([\d.]+)rem"', report.html(load(folder)))
    assert len(wide) == 9 and {width for _, width in wide} == {"63.00"}
    said = next(text for text, _ in wide if text.startswith("Error over time."))
    assert "panels: Correction · " in said and "horizontally: time" in said and "vertically: relative squared error e(t)" in said
    narrow = re.findall(r'aria-label="Error over time[^"]+" style="max-width: ([\d.]+)rem"', report.html(alone(folder)))
    assert narrow == ["42.00"]  # one panel is 6 inches wide in place of 9


def test_one_panel_is_narrower_than_two(fabricate: Fabricate, tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "s", seeds=2)
    assert figures.seeds(load(folder)).get_figwidth() == 9 and figures.seeds(alone(folder)).get_figwidth() == 6


@pytest.fixture(scope="module")
def study(study_folder: Path) -> UnrollingResults:
    return load(study_folder)


def test_figures_leave_matplotlib_as_it_was(study: UnrollingResults) -> None:
    before = dict(mpl.rcParams)
    figures.seeds(study)
    assert dict(mpl.rcParams) == before
