"""Reports of several studies of loss weightings as one."""

from __future__ import annotations

import html
from pathlib import Path

import pytest
from cases.fabricated_pinn import fabricate, write

from eddygrad.cli.main import main
from eddygrad.studies.weightings.report import page

SMALL = "poisson:k=6"


def study(folder: Path, name: str, *runs: dict[str, object]) -> Path:
    weightings = list(dict.fromkeys(run["weighting"] for run in runs))
    write(folder / "study.json", {"kind": "pinn", "name": name, "problem": [SMALL], "weighting": weightings, "optimizer": ["adam"]})
    for i, run in enumerate(runs):
        write(folder / "runs" / f"{i}.json", run)
    return folder


def test_the_report_of_several_lies_beside_none_of_theirs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = fabricate(tmp_path / "first", weightings={"uniform": 0.25})
    second = fabricate(tmp_path / "second", weightings={"mgda": 0.012})
    assert main(["report", str(first), str(second), "--out", "both.html", "--table"]) == 0
    assert "mgda / uniform" in capsys.readouterr().out
    assert sorted(path.name for path in first.glob("*.*")) == ["both-ratios.csv", "both.csv", "both.html", "both.json", "study.json"]
    assert [path.name for path in second.glob("*.*")] == ["study.json"]
    text = html.unescape((first / "both.html").read_text())
    assert f"eddygrad report {first} {second} --out both.html" in text
    for folder in (first, second):  # both studies have one name: they are told apart by their folders
        assert text.count(f"Configuration of {folder}, fixed beforehand") == 1
    assert f"--folder {first}" in text and f"--folder {second}" in text  # how each is made again


def test_the_command_that_draws_it_again_is_the_one_that_drew_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With relative folders and a relative name."""
    monkeypatch.chdir(tmp_path)
    for name, weighting in (("a", "uniform"), ("b", "mgda")):
        fabricate(Path(name), weightings={weighting: 0.1})
    words = ["report", "a", "b", "--out", "both.html"]
    assert main(words) == 0
    assert " ".join(["eddygrad", *words]) in html.unescape(Path("a/both.html").read_text())


def test_what_cannot_be_reported_together_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = fabricate(tmp_path / "first", weightings={"uniform": 0.25})
    with pytest.raises(ValueError, match=r"expected a name for the report of several studies \(--out NAME.html\)"):
        page.publish(first, first)
    with pytest.raises(ValueError, match=r"expected another name than results.html, which is that of a single study's report or results"):
        page.publish(first, first, path="results.html")
    for words, said in (
        (["report"], "expected a folder, got none"),
        (["report", str(first), str(tmp_path / "no"), "--out", "both.html"], "got none; run the study first"),
    ):
        assert main(words) == 2 and said in capsys.readouterr().err
    write(tmp_path / "models" / "study.json", {"name": "models"})
    assert main(["report", str(tmp_path / "models"), str(first)]) == 2
    assert "expected one folder, got" in capsys.readouterr().err
