"""Results of unrolling modalities as text, CSV and JSON."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eddygrad.plotting.html import table
from eddygrad.studies.shared.statistics import geometric_mean, paired
from eddygrad.studies.unrolling.report import page as report
from eddygrad.studies.unrolling.results import tables
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


def test_columns_without_any_entry_are_left_out(fabricate: Fabricate, tmp_path: Path) -> None:
    page = table(["", "a", "b", "c"], [["block"], ["x", "1", "", "2"], ["y", "", "", "3"]])
    assert "<th>b</th>" not in page and '<th colspan="3">block</th>' in page and "<td>y</td><td></td><td>3</td>" in page
    study = alone(fabricate(tmp_path / "s", seeds=2))
    assert "peak MB" not in tables.table(study) and "paper" not in tables.table(study, baselines=True)
    study = edit(study.folder, lambda r: r["training"].update(peak_resident_mb=9.0), "correct-*.json")
    assert "peak MB" in tables.table(study)


@pytest.fixture(scope="module")
def study(study_folder: Path) -> UnrollingResults:
    return load(study_folder)


def _edit(folder: Path, change: Callable[[dict], object], pattern: str = "*.json") -> None:
    for path in sorted((folder / "runs").glob(pattern)):
        run = json.loads(path.read_text())
        change(run)
        path.write_text(json.dumps(run))


def test_csv_json_and_table_say_the_same(study: UnrollingResults, tmp_path: Path) -> None:
    runs, ratios = tables.to_csv(study, tmp_path / "out.csv")
    content = json.loads(tables.to_json(study, tmp_path / "out.json").read_text())
    with runs.open() as file:
        read = list(csv.DictReader(file))
    assert [float(r["error"]) for r in read] == [r["error"] for r in content["runs"]] == [r.typical() for r in study.runs]
    with ratios.open() as file:
        assert [float(r["ratio"]) for r in csv.DictReader(file)] == [c["ratio"] for c in content["ratios"]]
    table = tables.table(study)
    assert all(r.name in table for r in study.runs)
    assert "persistence" in table and "/ persistence" not in table and "/ persistence" in tables.table(study, baselines=True)
    assert not list(tmp_path.glob(".*"))


def test_a_set_that_decides_the_endpoint_is_shown_everywhere(fabricate: Fabricate, tmp_path: Path) -> None:
    """The first set is made 50 times as hard; there, and only there, WIG loses its lead."""
    folder = fabricate(tmp_path / "s", seeds=4)

    def harder(run: dict) -> None:
        for errors in run["test"]["metrics"]["rellinf"]:
            errors[:5] = [50 * e * (2 if run["unroll"] == "wig:3" else 1) for e in errors[:5]]

    _edit(folder, harder)
    study = load(folder)
    runs = {r.name: r for r in study.runs}
    nog, wig = runs["correct-nog3-w16d4"], runs["correct-wig3-w16d4"]
    values = np.array(wig.test.metrics["rellinf"])
    content = json.loads(tables.to_json(study, tmp_path / "out.json").read_text())
    row = next(r for r in content["runs"] if r["name"] == wig.name)
    share = float(np.mean(values[:, :5].sum(1) / values.sum(1)))
    assert share > 0.9 and row["by_set"]["D/8=1.40"]["share"] == pytest.approx(share, rel=1e-12)
    assert sum(part["share"] for part in row["by_set"].values()) == pytest.approx(1, rel=1e-12)
    # By hand: geometric mean over seeds of the median over test states; the ratio inside a set from that set's columns alone.
    assert row["median_state"] == pytest.approx(geometric_mean(np.median(values, axis=1)), rel=1e-12)
    ratio = next(c for c in content["ratios"] if (c["first"], c["second"]) == (wig.name, nog.name))
    other = np.array(nog.test.metrics["rellinf"])
    for i, (name, inside) in enumerate(ratio["by_set"].items()):
        columns = slice(5 * i, 5 * i + 5)
        by_hand = paired(values[:, columns].mean(1), other[:, columns].mean(1))
        assert (inside["ratio"], inside["low"], inside["medians"]) == pytest.approx((by_hand.ratio, by_hand.low, by_hand.medians), rel=1e-12)
        assert (inside["ratio"] > 1) == (name == "D/8=1.40")
    assert ratio["ratio"] > 1 > ratio["median_state"]
    csv_runs, csv_ratios = tables.to_csv(study, tmp_path / "out.csv")
    with csv_runs.open() as runs_file, csv_ratios.open() as ratios_file:
        assert float(next(r for r in csv.DictReader(runs_file) if r["name"] == wig.name)["share D/8=1.40"]) == pytest.approx(share)
        assert float(next(csv.DictReader(ratios_file))["ratio D/8=0.85"]) == pytest.approx(content["ratios"][0]["by_set"]["D/8=0.85"]["ratio"])
    line = next(line for line in tables.table(study).splitlines() if line.startswith(f"share of {wig.name}"))
    assert line.split()[3] == f"{100 * share:.0f}"
    said = " ".join(verdicts(study, comparisons(study))[0].sentences)
    assert re.search(r"One test set, D/8=1.40, makes up 9\d\u00a0% of this error", said) and "By test set" in said
    assert "Ratios by test set" in report.html(study) and f"<small>{100 * share:.0f} %</small>" in report.html(study)
