"""Coefficients of an equation as the runs of a comparison found them."""

from __future__ import annotations

from pathlib import Path

import pytest
from cases.fabricated_pinn import record, write

from eddygrad.studies.weightings.report import page
from eddygrad.studies.weightings.results import coefficients, tables
from eddygrad.studies.weightings.results.load import load


def made(folder: Path, weighting: str, seeds: tuple[int, ...], name: str, **changes: object) -> None:
    write(folder / "runs" / f"{name}.json", record("sobolev", weighting, "adam", {"error": [0.1] * len(seeds)}, seeds, **changes))


def test_they_are_told_with_their_range_and_runs_of_split_seeds_are_one(tmp_path: Path) -> None:
    made(tmp_path, "mgda", (1, 2), "a", unknown={"viscosity": [0.5, 0.7], "drag": [-1.0, -2.0]})
    made(tmp_path, "mgda", (3,), "b", unknown={"viscosity": [0.9], "drag": [-3.0]})
    made(tmp_path, "uniform", (1, 2), "c")
    found = load(tmp_path)
    run = next(run for run in found.runs if run.weighting == "mgda")
    assert coefficients.names(found.runs) == ["viscosity", "drag"]
    assert coefficients.spread(run, "drag") == (-2.0, -3.0, -1.0)
    table = coefficients.table(found)
    assert "0.7 (0.5 .. 0.9)" in table and "uniform" not in table and table in tables.table(found)
    assert '<section id="coefficients">' in page.html(found) and "viscosity" in page.html(found)
    (row,) = [row for row in tables.rows(found) if row["weighting"] == "mgda"]
    assert row["unknown"]["viscosity"] == pytest.approx((0.7, 0.5, 0.9))
    tables.to_csv(found, tmp_path / "r.csv")
    tables.to_json(found, tmp_path / "r.json")
    assert "viscosity found" in (tmp_path / "r.csv").read_text()


def test_a_seed_without_a_number_is_left_out_and_breaks_no_report(tmp_path: Path) -> None:
    made(tmp_path, "mgda", (1, 2), "a", unknown={"drag": [None, -2.0], "force": [None, None]})
    found = load(tmp_path)
    assert coefficients.spread(found.runs[0], "drag") == (-2.0, -2.0, -2.0) and coefficients.spread(found.runs[0], "force") is None
    assert '"force": null' in tables.to_json(found, tmp_path / "r.json").read_text()
    tables.to_csv(found, tmp_path / "r.csv")
    assert "drag" in page.html(found) and "drag" in tables.table(found)


def test_nothing_is_said_where_nothing_was_unknown_and_a_wrong_entry_is_named(tmp_path: Path) -> None:
    made(tmp_path, "uniform", (1, 2), "a", unknown={})
    found = load(tmp_path)
    assert coefficients.table(found) == "" and 'id="coefficients"' not in page.html(found)
    made(tmp_path, "uniform", (1, 2), "a", unknown={"drag": [1.0]})
    with pytest.raises(ValueError, match=r"unknown.drag: expected numbers of shape \(2\)"):
        load(tmp_path)
