"""Notes of the report: how costs were measured, what the reference is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from eddygrad.studies.unrolling.report import notes
from eddygrad.studies.unrolling.report import page as report
from eddygrad.studies.unrolling.results.comparisons import comparisons
from eddygrad.studies.unrolling.results.conclusions import verdicts
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


def test_costs_say_how_they_were_measured(fabricate: Fabricate, tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "s", seeds=4)
    (folder / "study.json").write_text(json.dumps({"name": "s", "unroll": ["one", "nog:3", "wig:3"]}))
    assert "while the study ran; eddygrad compare with --costs" in notes.costs(load(folder))
    study = edit(folder, lambda r: r["environment"].update(side_by_side=2))
    assert "while 2 runs shared the machine; eddygrad compare with --costs times each run alone" in notes.costs(study)
    assert report.html(study).count(notes.costs(study)) == 3  # results, inference, training
    said = " ".join(s for v in verdicts(study, comparisons(study)) for s in v.sentences)
    assert "the cheapest to train, measured while 2 runs shared the machine." in said
    for change, expected in ((lambda r: r["environment"].update(side_by_side=1), "one run"), (lambda r: r["environment"].update(costs="x"), "alone")):
        study = edit(folder, change)
        assert expected in notes.costs(study) and "shared" not in report.html(study) and "--costs" not in notes.costs(study)


def test_the_reference_is_called_a_map_with_an_error_of_its_own(fabricate: Fabricate, tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "s", seeds=2)
    assert "reference computes the reference itself, a discrete map" in report.html(load(folder))
    (folder / "runs" / "baseline-reference.json").unlink()
    assert notes.reference(load(folder)) == ""
