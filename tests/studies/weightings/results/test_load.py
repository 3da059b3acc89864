"""Folders of loss weightings as they are read: one study, several as one, and what does not belong together."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from cases.fabricated_pinn import fabricate, record, write

from eddygrad.studies import study_kinds
from eddygrad.studies.weightings.results import tables
from eddygrad.studies.weightings.results.comparisons import comparisons
from eddygrad.studies.weightings.results.load import load
from eddygrad.studies.weightings.results.study_results import WeightingResults

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


ALL = ("uniform", "inverse-dirichlet", "max-average", "mgda", "epsilon-optimal")


def made(folder: Path, **errors: list[float | None]) -> WeightingResults:
    """A study of one problem: weighting -> final errors per seed."""
    for weighting, ends in errors.items():
        name = weighting.replace("_", "-")
        write(folder / "runs" / f"{name}.json", record("poisson:k=6", name, "adam", {"error": ends}, range(len(ends))))
    return load(folder)


def test_a_truncated_run_an_empty_folder_and_another_kind_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="run the study first"):
        load(tmp_path)
    made(tmp_path, uniform=[0.1, 0.2])
    write(tmp_path / "study.json", {"kind": "unrolling"})
    with pytest.raises(ValueError, match="expected kind 'pinn', got 'unrolling'"):
        load(tmp_path)
    write(tmp_path / "study.json", {"kind": "soup"})
    with pytest.raises(ValueError, match="expected a kind among unrolling, pinn, got 'soup'"):
        study_kinds.kind_of(tmp_path)
    (tmp_path / "study.json").unlink()
    path = tmp_path / "runs" / "uniform.json"
    path.write_text(path.read_text()[:400])
    with pytest.raises(ValueError, match=r"uniform.json: expected JSON, got .*; delete the file, and the study redoes this run"):
        load(tmp_path)


def test_rows_stand_in_the_plans_order(tmp_path: Path) -> None:
    found = load(fabricate(tmp_path, problems=("poisson:k=6", "poisson:k=4"), optimizers=("soap", "adam"), seeds=2))
    assert found.weightings == ALL
    assert list(found.blocks()) == [("poisson:k=6", "soap"), ("poisson:k=6", "adam"), ("poisson:k=4", "soap"), ("poisson:k=4", "adam")]
    assert [found.title(block) for block in found.blocks()][:2] == ["poisson:k=6, soap", "poisson:k=6, adam"]
