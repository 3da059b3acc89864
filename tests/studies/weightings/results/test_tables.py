"""Results of loss weightings as text, CSV and JSON."""

from __future__ import annotations

import csv
import json
from math import exp, log, sqrt
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import pytest
from cases.fabricated_pinn import fabricate
from scipy import stats

from eddygrad.studies.weightings.results import tables
from eddygrad.studies.weightings.results.load import load


def test_the_interval_over_seeds_is_the_textbooks() -> None:
    errors = [1.0e-3, 2.0e-3, 4.5e-3, 3.0e-3]
    logs = [log(e) for e in errors]
    half = float(stats.t.ppf(0.975, 3)) * stdev(logs) / sqrt(4)
    found = tables.spread(np.array(errors))
    assert [found[k] for k in ("error", "low", "high")] == pytest.approx([exp(mean(logs)), exp(mean(logs) - half), exp(mean(logs) + half)], rel=1e-12)
    assert [found[k] for k in ("median", "lowest", "highest")] == pytest.approx([2.5e-3, 1.0e-3, 4.5e-3])
    alone = tables.spread(np.array([0.2]))
    assert (alone["low"], alone["high"]) == (None, None) and alone["error"] == pytest.approx(0.2)


def test_json_csv_and_table_of_weightings_say_the_same(tmp_path: Path) -> None:
    found = load(fabricate(tmp_path, others=("coefficients",)))
    rows, ratios = tables.to_csv(found, tmp_path / "out.csv")
    content = json.loads(tables.to_json(found, tmp_path / "out.json").read_text())
    with rows.open() as file:
        read = list(csv.DictReader(file))
    assert [float(r["error"]) for r in read] == [r["error"] for r in content["runs"]] == [run.typical for run in found.runs]
    twice = [r["others"]["coefficients"]["error"] for r in content["runs"]]
    assert [float(r["coefficients"]) for r in read] == twice == pytest.approx([2 * run.typical for run in found.runs])
    assert read[0]["seeds"] == "1 2 3 4 5" and read[0]["coefficients low"] and float(read[1]["to_published"]) == found.runs[1].typical / 7.4e-3
    with ratios.open() as file:
        said = [(float(r["ratio"]), r["verdict"]) for r in csv.DictReader(file)]
    assert said == [(c["ratio"], c["verdict"]) for c in content["ratios"]] and {verdict for _, verdict in said} >= {"lower", "tie"}
    table = tables.table(found)
    assert "coefficients" in table and all(f"\n{run.weighting} " in table and f"{run.typical:.3g}" in table for run in found.runs)
