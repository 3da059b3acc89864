"""A run's JSON as it is read: clipped errors, failed seeds, errors of bad files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cases.fabricated_pinn import record, write

from eddygrad.studies.weightings.results import tables
from eddygrad.studies.weightings.results.comparisons import comparisons
from eddygrad.studies.weightings.results.load import load
from eddygrad.studies.weightings.results.run import FAILED
from eddygrad.studies.weightings.results.study_results import WeightingResults


def made(folder: Path, **errors: list[float | None]) -> WeightingResults:
    """A study of one problem: weighting -> final errors per seed."""
    for weighting, ends in errors.items():
        name = weighting.replace("_", "-")
        write(folder / "runs" / f"{name}.json", record("poisson:k=6", name, "adam", {"error": ends}, range(len(ends))))
    return load(folder)


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    run = json.loads(path.read_text())
    change(run)
    path.write_text(json.dumps(run))


def test_a_seed_that_diverged_or_is_not_finite_counts_with_the_clipped_error(tmp_path: Path) -> None:
    made(tmp_path, uniform=[0.2, 0.2, 0.2, 0.2], mgda=[0.05, None, 0.05, 400.0])
    edit(tmp_path / "runs" / "mgda.json", lambda r: r["training"].update(diverged=[True, False, False, False]))
    found = load(tmp_path)
    row = next(r for r in tables.rows(found) if r["weighting"] == "mgda")
    assert (row["failed"], row["failed_share"], row["diverged"], row["highest"]) == (3, 0.75, 1, 30.0)
    assert row["error"] == pytest.approx((30.0**3 * 0.05) ** 0.25)
    ratio = next(c for c in comparisons(found) if c.first == "uniform" or c.second == "uniform").ratio
    assert ratio.sizes == (4, 4)
    curve = next(r for r in found.runs if r.weighting == "mgda").curves["errors"]["error"]
    assert curve[1, 1:].tolist() == [30.0] * (curve.shape[1] - 1)


def test_a_run_fails_above_the_threshold_only(tmp_path: Path) -> None:
    (row,) = tables.rows(made(tmp_path, uniform=[FAILED, 1.001 * FAILED, 0.01]))
    assert (row["failed"], row["failed_share"]) == (1, pytest.approx(1 / 3))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r.update(schema="eddygrad-run/1"), "expected schema 'eddygrad-pinn/1', got 'eddygrad-run/1'"),
        (lambda r: r.pop("weighting"), "weighting: expected an entry of that name"),
        (lambda r: r.update(seeds=[1, 1, 2]), r"seeds: expected distinct whole numbers, got \[1, 1, 2\]"),
        (lambda r: r.update(seeds=[1, 2]), "training.diverged: expected 2 entries true or false"),
        (lambda r: r["errors"].update(error=[0.1]), r"errors.error: expected numbers of shape \(3\), got shape \(1,\)"),
        (lambda r: r.update(errors={}), "errors: expected at least one, got none"),
        (lambda r: r["training"].update(seconds="long"), "training.seconds: expected a finite number of at least 0, got 'long'"),
        (lambda r: r["curve"]["losses"]["pde"].pop(), r"curve.losses.pde: expected 60 points of 3 seeds, got 59 points of \[3\] seeds"),
        (lambda r: r["curve"]["weights"]["boundary"][4].pop(), r"curve.weights.boundary: expected 60 points of 3 seeds, got 60 points of \[2, 3\]"),
        (lambda r: r["curve"]["losses"]["pde"].__setitem__(3, "much"), "curve.losses.pde: expected numbers"),
        (lambda r: r["curve"].pop("errors"), "curve.errors: expected an object"),
        (lambda r: r.update(published="0.1"), "published: expected a finite number"),
    ],
)
def test_a_bad_run_of_a_weighting_is_named_in_one_line(tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str) -> None:
    made(tmp_path, uniform=[0.1, 0.2, 0.3], mgda=[0.1, 0.2, 0.3])
    path = tmp_path / "runs" / "mgda.json"
    edit(path, change)
    with pytest.raises(ValueError, match=message) as error:
        load(tmp_path)
    assert "\n" not in str(error.value) and str(error.value).startswith(str(path))
