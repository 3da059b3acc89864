"""Several studies of loss weightings reported as one: later weightings, later seeds, and what must not be put together."""

from __future__ import annotations

import html
import json
from pathlib import Path

import numpy as np
import pytest
from cases.fabricated_pinn import fabricate, record, write

from eddygrad.cli.main import main
from eddygrad.studies.weightings.report import page
from eddygrad.studies.weightings.results import tables
from eddygrad.studies.weightings.results.comparisons import comparisons
from eddygrad.studies.weightings.results.load import load

SMALL = "poisson:k=6"


def study(folder: Path, name: str, *runs: dict[str, object]) -> Path:
    weightings = list(dict.fromkeys(run["weighting"] for run in runs))
    write(folder / "study.json", {"kind": "pinn", "name": name, "problem": [SMALL], "weighting": weightings, "optimizer": ["adam"]})
    for i, run in enumerate(runs):
        write(folder / "runs" / f"{i}.json", run)
    return folder


def test_weightings_of_two_studies_are_compared_as_those_of_one(tmp_path: Path) -> None:
    levels = {"uniform": 0.25, "inverse-dirichlet": 8e-3, "mgda": 0.012}
    whole = load(fabricate(tmp_path / "whole", weightings=levels))
    first, second = tmp_path / "first", tmp_path / "second"
    for path in sorted((tmp_path / "whole" / "runs").glob("*.json")):
        write((second if "mgda" in path.name else first) / "runs" / path.name, json.loads(path.read_text()))
    write(first / "study.json", {"kind": "pinn", "name": "first", "problem": [SMALL], "weighting": ["uniform", "inverse-dirichlet"]})
    write(second / "study.json", {"kind": "pinn", "name": "second", "problem": [SMALL], "weighting": ["mgda"]})
    found = load(first, second)
    assert found.name == "first and second" and found.folders == (first, second)
    assert tables.rows(found) == tables.rows(whole)
    assert comparisons(found) == comparisons(whole)  # Holm's correction over all of them, not by folder
    assert [c.p_holm for c in comparisons(load(first))] != [c.p_holm for c in comparisons(found)][:1]


def test_seeds_that_were_added_later_join_their_setting(tmp_path: Path) -> None:
    early = study(tmp_path / "early", "early", record(SMALL, "uniform", "adam", {"error": [0.2, 0.3]}, (1, 2)))
    late = study(tmp_path / "late", "late", record(SMALL, "uniform", "adam", {"error": [0.4]}, (3,)))
    (run,) = load(late, early).runs
    assert run.seeds == (1, 2, 3) and np.array_equal(run.error, [0.2, 0.3, 0.4])


def test_studies_that_do_not_belong_together_are_told_apart(tmp_path: Path) -> None:
    uniform = record(SMALL, "uniform", "adam", {"error": [0.2, 0.3]}, (1, 2))
    first = study(tmp_path / "first", "first", uniform)
    again = study(tmp_path / "again", "again", record(SMALL, "uniform", "adam", {"error": [0.4]}, (2,)))
    with pytest.raises(ValueError, match=r"expected other seeds than \S*0.json, which has the same setting, got \[2\] again"):
        load(first, again)
    mgda = record(SMALL, "mgda", "adam", {"error": [0.4]}, (1,))
    for change, said in (
        ({"made": {**mgda["made"], "network": "[2, 9, 1]"}}, r"expected the network of \S*0.json, .*got '\[2, 9, 1\]'"),
        ({"training": {**mgda["training"], "updates": 7}}, r"expected the updates of .*got 7"),
        ({"training": {**mgda["training"], "learning_rate": 0.5}}, r"expected the learning rate of .*got 0.5"),
        ({"training": {**mgda["training"], "schedule": "constant"}}, r"expected the schedule of .*got 'constant'"),
    ):
        other = study(tmp_path / "other", "other", {**mgda, **change})
        with pytest.raises(ValueError, match=rf"other/runs/0.json: {said}"):
            load(first, other)


@pytest.mark.parametrize(
    "change, said",
    [
        ({"updates": 7}, "expected the updates of .*, another part of this run, 30000, got 7"),
        ({"polish": 500}, "expected the polish of .*, another part of this run, 0, got 500"),
        ({"dtype": "float64"}, "expected the dtype of .*, another part of this run, 'float32', got 'float64'"),
    ],
)
def test_later_seeds_of_another_training_do_not_join(change: dict[str, object], said: str, tmp_path: Path) -> None:
    early, late = (record(SMALL, "uniform", "adam", {"error": [0.2]}, (seed,)) for seed in (1, 2))
    early["training"]["dtype"] = "float32"
    late["training"] |= {"dtype": "float32", **change}
    with pytest.raises(ValueError, match=said):
        load(study(tmp_path / "early", "early", early), study(tmp_path / "late", "late", late))
    other = study(tmp_path / "other", "other", {**late, "weighting": "mgda"})
    with pytest.raises(ValueError, match=said.replace("another part of this run", "to which it would be compared")):
        load(tmp_path / "early", other)


def test_a_run_that_lost_all_its_seeds_early_is_still_compared(tmp_path: Path) -> None:
    first = study(tmp_path / "first", "first", record(SMALL, "uniform", "adam", {"error": [0.2, 0.3]}, (1, 2)))
    mgda = record(SMALL, "mgda", "adam", {"error": [None, None]}, (1, 2))
    lost = {**mgda, "training": {**mgda["training"], "updates": 7, "diverged": [True, True]}}
    folder = study(tmp_path / "lost", "lost", lost)
    assert len(load(first, folder).runs) == len(load(folder, first).runs) == 2
    third = record(SMALL, "max-average", "adam", {"error": [0.2]}, (1,))
    third["training"]["updates"] = 9
    with pytest.raises(ValueError, match="expected the updates of"):  # whichever comes first
        load(folder, first, study(tmp_path / "third", "third", third))


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
    assert "expected no other folder, got" in capsys.readouterr().err
