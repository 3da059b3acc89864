"""The report of a comparison of unrolling modalities: one whole file, its head, its parts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cases.report_outline import Outline

from eddygrad.studies.unrolling.report import page as report
from eddygrad.studies.unrolling.results.load import load
from eddygrad.studies.unrolling.results.study_results import UnrollingResults

Fabricate = Callable[..., Path]


@pytest.fixture(scope="module")
def study(study_folder: Path) -> UnrollingResults:
    return load(study_folder)


@pytest.fixture(scope="module")
def page(study_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    return report.write(study_folder, tmp_path_factory.mktemp("page") / "report.html").read_text(encoding="utf-8")


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


@pytest.mark.usefixtures("drawn")
def test_report_is_one_whole_file_that_needs_nothing_else(page: str) -> None:
    outline = Outline()
    outline.feed(page)
    assert outline.open == [] and outline.outside == []
    assert "<script" not in page and "@import" not in page
    used = set(re.findall(r"url\(#([^)]+)\)", page)) | set(re.findall(r'href="#([^"]+)"', page))
    assert used <= set(outline.ids)
    sections = [
        "answer",
        "results",
        "ratios",
        "baselines",
        "sets",
        "time",
        "seeds",
        "space-correct",
        "space-predict",
        "spectrum",
        "pareto",
        "cost",
        "training",
        "setup",
    ]
    assert [i for i in outline.ids if i in sections] == sections


@pytest.mark.usefixtures("drawn")
def test_report_is_the_same_twice(study: UnrollingResults, page: str) -> None:
    assert report.html(study) == page


def test_one_seed_and_one_model_still_make_a_report(fabricate: Fabricate, tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "s", seeds=1)
    assert "one seed gives no interval" in report.html(load(folder))
    for path in (folder / "runs").iterdir():
        if path.name != "correct-nog3-w16d4.json":
            path.unlink()
    (folder / "study.json").unlink()
    assert "nothing to compare" in report.html(load(folder))


def test_a_report_of_one_run_asks_nothing_and_counts_in_the_singular(fabricate: Fabricate, tmp_path: Path) -> None:
    page = report.html(alone(fabricate(tmp_path / "s", seeds=2)))
    assert "Which modality" not in page and "<h2>Result</h2>" in page
    assert "1 model · 2 seeds · 1 baseline ·" in page and "test, test" not in page


def test_the_head_names_recipe_and_date(fabricate: Fabricate, tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "s", seeds=2)
    (folder / "study.json").write_text(json.dumps({"name": "mine", "recipe": "kuramoto-sivashinsky"}))
    edit(folder, lambda r: r["environment"].update(finished="2026-11-19"))
    page = report.html(edit(folder, lambda r: r["environment"].update(finished="2026-11-20"), "correct-one*.json"))
    assert "<title>mine · kuramoto-sivashinsky · 2026-11-20</title>" in page and "eddygrad study · kuramoto-sivashinsky · 2026-11-20" in page
    assert page.count("<dt>cpu</dt>") == 1 and "<dt>finished</dt>" not in page  # one machine, whatever the day
