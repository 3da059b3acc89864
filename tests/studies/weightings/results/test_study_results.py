"""Trainings that a plan still lacks."""

from __future__ import annotations

import json
from pathlib import Path

from cases.fabricated_pinn import fabricate, write

from eddygrad.studies.weightings.report import page
from eddygrad.studies.weightings.results import tables
from eddygrad.studies.weightings.results.load import load


def test_what_is_missing_of_a_plan_is_told(tmp_path: Path) -> None:
    folder = fabricate(tmp_path, seeds=3)
    assert load(folder).missing == {} and "not finished" not in tables.table(load(folder))
    (folder / "runs" / "poisson-k=6-mgda-adam.json").unlink()
    config = json.loads((folder / "study.json").read_text())
    write(folder / "study.json", {**config, "seeds": 4})
    found = load(folder)
    assert found.planned == 20 and sum(found.missing.values()) == 8 and found.missing["poisson:k=6", "mgda", "adam"] == 4
    for text in (tables.table(found), page.html(found)):
        assert "not finished, 8 of 20 trainings are missing: poisson:k=6, uniform, adam (1 seed)" in text
    assert len(json.loads(tables.to_json(found, tmp_path / "r.json").read_text())["missing"]) == 5
