"""Shares of the weights at the end of a training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases.fabricated_pinn import record, write

from eddygrad.studies.weightings.report import page
from eddygrad.studies.weightings.results import tables, weight_shares
from eddygrad.studies.weightings.results.load import load


def made(folder: Path, name: str, weights: dict[str, Any]) -> None:
    run = record("poisson:k=6", name, "adam", {"error": [0.1, 0.2]}, (1, 2))
    run["curve"] = {"step": [1, 2, 3], "errors": {"error": [[1.0, 1.0]] * 3}, "losses": {}, "weights": weights}
    write(folder / "runs" / f"{name}.json", run)


def test_they_are_those_of_the_last_look_whatever_the_scale(tmp_path: Path) -> None:
    made(tmp_path, "uniform", {"a": [1.0, 1.0, 1.0], "b": [1.0, 1.0, 1.0]})
    made(tmp_path, "mgda", {"a": [[1.0, 1.0], [1.0, 1.0], [1.0, 4.0]], "b": [[5.0, 5.0], [5.0, 5.0], [3.0, 4.0]]})
    made(tmp_path, "ntk", {"a": [[1.0, 1.0], [1.0, 1.0], [100.0, 400.0]], "b": [[5.0, 5.0], [5.0, 5.0], [300.0, 400.0]]})
    found = load(tmp_path)
    by_name = {run.weighting: weight_shares.shares(run) for run in found.runs}
    assert by_name["uniform"]["a"] == (0.5, 0.5, 0.5)
    assert by_name["mgda"]["a"] == pytest.approx((np.sqrt(0.25 * 0.5), 0.25, 0.5))
    assert all(by_name["ntk"][name] == pytest.approx(share) for name, share in by_name["mgda"].items())
    assert weight_shares.shares(next(run for run in found.runs if run.weighting == "ntk"), update=2)["a"] == pytest.approx((1 / 6,) * 3)
    assert "update 2 as" in weight_shares.table(found, 2)
    (row,) = [row for row in tables.rows(found) if row["weighting"] == "mgda"]
    assert row["shares"]["b"] == pytest.approx({"share": np.sqrt(0.75 * 0.5), "lowest": 0.5, "highest": 0.75})
    tables.to_csv(found, tmp_path / "r.csv")
    assert "share of a" in (tmp_path / "r.csv").read_text().splitlines()[0]
    assert json.loads(tables.to_json(found, tmp_path / "r.json").read_text())["runs"][0]["shares"]
    assert "weights at the end" in tables.table(found) and "0.354 (0.25 .. 0.5)" in tables.table(found)
    assert 'id="shares"' in page.html(found)


@pytest.mark.parametrize(
    "weights",
    [
        {},
        {"a": [1.0, 2.0, 3.0]},
        {"a": [None] * 3, "b": [None] * 3},
        {"a": [1.0, 1.0, 0.0], "b": [1.0, 1.0, 1.0]},
        {"a": [1.0, 1.0, None], "b": [2.0] * 3},
    ],
    ids=["none", "one term", "unwritten", "zero", "one left"],
)
def test_there_are_none_of_less_than_two_positive_weights(tmp_path: Path, weights: dict[str, Any]) -> None:
    made(tmp_path, "uniform", weights)
    made(tmp_path, "mgda", weights)
    found = load(tmp_path)
    assert all(weight_shares.shares(run) == {} for run in found.runs)
    assert "weights at the end" not in tables.table(found) and 'id="shares"' not in page.html(found)
