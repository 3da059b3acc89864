"""Terms that join a training: what the error was before, where it went and whether it came back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases.fabricated_pinn import record, write

from eddygrad.studies.shared.strict_json import CLIP
from eddygrad.studies.weightings.report import page
from eddygrad.studies.weightings.results import tables, term_joins
from eddygrad.studies.weightings.results.load import load
from eddygrad.studies.weightings.results.study_results import WeightingResults

STEPS = [100, 200, 300, 400, 500, 600, 700, 800]
COURSE = [[1.0, 2.0], [0.5, 1.0], [0.6, 1.5], [0.9, 1.2], [0.7, 4.0], [0.8, 1.1], [0.6, 3.0], [0.25, 0.5]]  # of two seeds
ALWAYS, THEN, LATE = [1.0] * 8, [None, None, *[1.0] * 6], [None] * 6 + [1.0] * 2
JOINING = {"data": THEN, "divergence": THEN, "momentum": LATE}  # the first is alone and unwritten until the second joins


def made(
    folder: Path, losses: dict[str, Any], course: list[Any] = COURSE, name: str = "one", seeds: Any = (1, 2), **training: Any
) -> WeightingResults:
    run = record("poisson:k=6", "uniform", "adam", {"error": course[-1]}, seeds)
    run["curve"] = {"step": STEPS[: len(course)], "errors": {"error": course}, "losses": losses, "weights": {}}
    run["training"] |= training
    write(folder / "runs" / f"{name}.json", run)
    return load(folder)


def test_errors_before_at_their_highest_and_at_last_of_every_stretch(tmp_path: Path) -> None:
    found = made(tmp_path, JOINING)
    first, second = term_joins.joins(found.runs[0], after=200)
    assert first.terms == ("data", "divergence") and second.terms == ("data", "divergence", "momentum")
    assert first.updates == (200, 300) and second.updates == (600, 700)
    expected = (
        (first, COURSE[1], [0.9, 4.0], [400, 500], COURSE[3], COURSE[5]),
        (second, COURSE[5], [0.6, 3.0], [700, 700], COURSE[7], COURSE[7]),
    )
    for join, *values in expected:
        for got, value in zip((join.before, join.highest, join.at, join.later, join.last), values, strict=True):
            np.testing.assert_array_equal(got, value)
    row = first.row()
    assert row["highest"] == pytest.approx(np.sqrt(0.9 * 4.0)) and row["at"] == 450
    assert row["last_times"] == pytest.approx([np.sqrt(1.6 * 1.1), 1.1, 1.6])
    assert term_joins.joins(found.runs[0], after=10_000)[0].later is None
    assert term_joins.joins(made(tmp_path, {"data": ALWAYS}).runs[0]) == []


def test_a_seed_that_diverged_is_not_counted_with_what_it_was_frozen_at(tmp_path: Path) -> None:
    """The second seed is left at 1.2 from update 350 on."""
    course = [*COURSE[:3], *([own, 1.2] for own, _ in COURSE[3:])]
    (run,) = made(tmp_path, JOINING, course, diverged=[False, True], frozen_at=[-1, 350]).runs
    first, second = term_joins.joins(run)
    np.testing.assert_array_equal([first.before[1], first.highest[1], first.at[1], first.last[1]], [1.0, CLIP, 400, CLIP])
    assert second.before[1] == second.last[1] == CLIP and first.last[0] == 0.8


def test_a_part_that_ended_early_makes_no_term_join(tmp_path: Path) -> None:
    """It was looked at once more where it ended, between the looks of the others."""
    made(tmp_path, {"data": ALWAYS, "divergence": ALWAYS})
    run = record("poisson:k=6", "uniform", "adam", {"error": [0.3]}, (3,))
    run["curve"] = {"step": [100, 157], "errors": {"error": [[1.0], [0.9]]}, "losses": {"data": [1.0, 1.0], "divergence": [1.0, 1.0]}, "weights": {}}
    run["training"] |= {"diverged": [True], "frozen_at": [150]}
    write(tmp_path / "runs" / "two.json", run)
    (both,) = load(tmp_path).runs
    assert both.seeds == (1, 2, 3) and both.frozen_at == (-1, -1, 150) and 157 in both.steps
    assert term_joins.joins(both) == []


def test_table_json_and_report_tell_of_them_where_there_are_any(tmp_path: Path) -> None:
    found = made(tmp_path, {"data": THEN, "momentum": THEN})
    assert "data, momentum" in tables.table(found) and "250 updates" in tables.table(found) and "300 later" in term_joins.table(found, 300)
    text = page.html(found)
    assert 'id="joins"' in text and "data, momentum" in text
    assert tables.to_json(found, tmp_path / "r.json").read_text().count('"first_after": 300') == 1
    nothing = made(tmp_path, {"data": ALWAYS})
    assert "when terms join" not in tables.table(nothing) and 'id="joins"' not in page.html(nothing)


def test_an_error_of_zero_before_has_no_times(tmp_path: Path) -> None:
    found = made(tmp_path, {"data": THEN, "momentum": THEN}, [COURSE[0], [0.0, 1.0], *COURSE[2:]])
    (row,) = term_joins.rows(found.runs)
    assert row["highest_times"] is None and row["last"] == pytest.approx(np.sqrt(0.125))
    assert "–" in page.html(found)[page.html(found).index('id="joins"') :] and "when terms join" in tables.table(found)
