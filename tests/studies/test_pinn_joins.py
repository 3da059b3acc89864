"""Terms that join a training: what the error was before, where it went and whether it came back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fabricated_pinn import record, write

from eddygrad.studies.pinn import joins, page, results

STEPS = [100, 200, 300, 400, 500, 600]
COURSE = [[1.0, 2.0], [0.5, 1.0], [0.9, 4.0], [0.7, 1.5], [0.6, 3.0], [0.25, 0.5]]  # of two seeds


def made(folder: Path, losses: dict[str, Any]) -> results.Results:
    run = record("poisson:k=6", "uniform", "adam", {"error": COURSE[-1]}, (1, 2))
    run["curve"] = {"step": STEPS, "errors": {"error": COURSE}, "losses": losses, "weights": {}}
    write(folder / "runs" / "one.json", run)
    return results.load(folder)


def test_errors_before_at_their_highest_and_at_last_of_every_stretch(tmp_path: Path) -> None:
    """The first term is alone and unwritten until the second joins; the third joins after the fourth look."""
    there, both, late = [1.0] * 6, [None, None, *[1.0] * 4], [None] * 4 + [1.0] * 2
    found = made(tmp_path, {"data": both, "divergence": both, "momentum": late})
    first, second = joins.joins(found.runs[0], after=200)
    assert first.terms == ("data", "divergence") and second.terms == ("data", "divergence", "momentum")
    assert first.updates == (200, 300) and second.updates == (400, 500)
    for join, before, highest, at, last in (
        (first, COURSE[1], COURSE[2], [300, 300], COURSE[3]),
        (second, COURSE[3], COURSE[4], [500, 500], COURSE[5]),
    ):
        for got, expected in zip((join.before, join.highest, join.at, join.last), (before, highest, at, last)):
            np.testing.assert_array_equal(got, expected)
        np.testing.assert_array_equal(join.later, last)
    row = second.row()
    assert row["highest"] == pytest.approx(np.sqrt(0.6 * 3.0)) and row["last_times"] == pytest.approx([np.sqrt(0.25 / 0.7 / 3), 1 / 3, 0.25 / 0.7])
    assert joins.joins(found.runs[0], after=10_000)[0].later is None
    assert joins.joins(made(tmp_path, {"data": there}).runs[0]) == []


def test_table_json_and_report_tell_of_them_where_there_are_any(tmp_path: Path) -> None:
    late = [None, None, *[1.0] * 4]
    found = made(tmp_path, {"data": late, "momentum": late})
    assert "data, momentum" in results.table(found) and "100 updates" in results.table(found) and "300 later" in joins.table(found, 300)
    text = page.html(found)
    assert 'id="joins"' in text and "data, momentum" in text
    assert results.to_json(found, tmp_path / "r.json").read_text().count('"first_after": 300') == 1
    nothing = made(tmp_path, {"data": [1.0] * 6})
    assert "when terms join" not in results.table(nothing) and 'id="joins"' not in page.html(nothing)
