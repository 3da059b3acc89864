"""The report of loss weightings: its parts, its numbers, and where it is written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from cases.fabricated_pinn import fabricate
from cases.report_outline import Outline

from eddygrad.cli.main import main
from eddygrad.plotting.style import factor, number
from eddygrad.studies.weightings.report import page
from eddygrad.studies.weightings.results.load import load
from eddygrad.studies.weightings.results.study_results import WeightingResults


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> WeightingResults:
    folder = tmp_path_factory.mktemp("pinn")
    return load(fabricate(folder, problems=("poisson:k=6", "poisson:k=4"), others=("coefficients",)))


@pytest.mark.usefixtures("drawn")
def test_the_report_of_weightings_is_one_whole_file_that_needs_nothing_else(found: WeightingResults) -> None:
    text = page.html(found)
    outline = Outline()
    outline.feed(text)
    assert outline.open == [] and outline.outside == [] and "<script" not in text and "@import" not in text
    assert set(re.findall(r"url\(#([^)]+)\)", text)) | set(re.findall(r'href="#([^"]+)"', text)) <= set(outline.ids)
    assert len(set(outline.ids)) == len(outline.ids)
    sections = ["answer", "results", "ratios", "failed", "shares", "errors", "seeds", "weights", "losses", "stds", "cosines", "setup"]
    assert [i for i in outline.ids if i in sections] == sections
    assert page.html(found) == text


def test_the_report_says_each_error_with_its_published_value_and_cost(found: WeightingResults) -> None:
    text = page.html(found)
    for run in found.runs:
        assert number(run.typical) in text
    run = next(r for r in found.runs if r.weighting == "inverse-dirichlet" and r.published)
    (row,) = [r for r in re.findall(r"<tr>(.*?)</tr>", text) if number(run.typical) in r and number(7.4e-3) in r]
    cells = re.findall(r"<td>(.*?)</td>", row)
    assert cells[6:10] == ["0 / 5", number(7.4e-3), factor(run.typical / 7.4e-3), "20.0"] and cells[10].startswith(number(2 * run.typical))


def test_failed_runs_are_added_up_over_problems_and_optimisers(tmp_path: Path) -> None:
    folder = fabricate(tmp_path, problems=("poisson:k=6", "poisson:k=4"), optimizers=("adam", "adagrad"), weightings={"uniform": 0.5, "mgda": 0.01})
    text = page.html(load(folder))
    section = text[text.index('id="failed"') : text.index('id="errors"')]
    assert section.count("5 / 5") == 4 and "<b>20 / 20</b>" in section and "100 %" in section and "<b>0 / 20</b>" in section


def test_a_report_takes_no_name_of_a_result(tmp_path: Path, capsys: Any) -> None:
    folder = fabricate(tmp_path)
    before = {path: path.read_bytes() for path in folder.rglob("*.json")}
    for name in ("study.json", "results.json", "report"):
        assert main(["report", str(folder), "--out", name]) == 2
        assert "expected a name that ends in .html" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in folder.rglob("*.json")} == before
