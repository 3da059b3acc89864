"""Runs of different seeds merged into one run of all."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases.fabricated_pinn import fabricate, record, write

from eddygrad.studies.weightings.results import tables, weight_shares
from eddygrad.studies.weightings.results.comparisons import comparisons
from eddygrad.studies.weightings.results.load import load
from eddygrad.studies.weightings.results.study_results import WeightingResults


def test_shares_and_curves_of_lost_seeds_do_not_depend_on_how_seeds_were_spread(tmp_path: Path) -> None:
    whole = record("poisson:k=6", "mgda", "adam", {"error": [0.1, 0.2]}, (1, 2))
    steps = [100, 200, 300]
    whole["curve"] = {"step": steps, "errors": {"error": [[1.0, 1.0], [0.5, 0.5], [0.1, 0.5]]}, "losses": {}}
    whole["curve"]["weights"] = {"a": [[1.0, 1.0], [2.0, 9.0], [3.0, 9.0]], "b": [[1.0, 1.0], [1.0, 1.0], [1.0, 1.0]]}
    whole["training"] |= {"diverged": [False, True], "frozen_at": [-1, 150]}
    write(tmp_path / "whole" / "runs" / "a.json", whole)
    for seed in (0, 1):
        part = json.loads(json.dumps(whole))
        stop = 3 if seed == 0 else 2
        part |= {"seeds": [seed + 1], "errors": {"error": [whole["errors"]["error"][seed]]}}
        part["training"] |= {"diverged": [seed == 1], "frozen_at": [[-1], [150]][seed]}
        curve = part["curve"]
        curve["step"] = steps[:stop]
        for group in ("errors", "weights"):
            curve[group] = {name: [[row[seed]] for row in rows[:stop]] for name, rows in whole["curve"][group].items()}
        write(tmp_path / "parts" / "runs" / f"{seed}.json", part)
    one, other = (load(tmp_path / name).runs[0] for name in ("whole", "parts"))
    assert weight_shares.shares(one) == weight_shares.shares(other) == {"a": (0.75, 0.75, 0.75), "b": (0.25, 0.25, 0.25)}
    np.testing.assert_array_equal(one.curves["errors"]["error"], other.curves["errors"]["error"])
    assert one.curves["errors"]["error"][1].tolist() == [1.0, 30.0, 30.0]


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


def part_of(run: dict[str, Any], kept: slice) -> dict[str, Any]:
    """The run of some of the seeds."""
    curve = {"step": run["curve"]["step"]}
    for group in ("errors", "losses", "weights", "stds", "cosines"):
        curve[group] = {
            name: [row[kept] if isinstance(row, list) else row for row in rows]  # a weight may be one number for all seeds
            for name, rows in run["curve"][group].items()
        }
    size = len(run["seeds"][kept])
    training = {**run["training"], "diverged": run["training"]["diverged"][kept], "seconds": 120.0 * size, "seconds_per_update": 0.004 * size}
    errors = {name: ends[kept] for name, ends in run["errors"].items()}
    return {**run, "seeds": run["seeds"][kept], "training": training, "errors": errors, "curve": curve}


def test_runs_of_split_seeds_are_one_run_of_all(tmp_path: Path) -> None:
    whole = load(fabricate(tmp_path / "whole", others=("coefficients",)))
    for path in (fabricate(tmp_path / "parts", others=("coefficients",)) / "runs").iterdir():
        run = json.loads(path.read_text())
        path.unlink()
        for name, kept in (("b", slice(0, 2)), ("a", slice(2, 5))):  # files in another order than seeds
            write(path.with_stem(f"{path.stem}-{name}"), part_of(run, kept))
    parts = load(tmp_path / "parts")
    for a, b in zip(tables.rows(parts), tables.rows(whole), strict=True):
        assert a.pop("seconds_per_update") == pytest.approx(b.pop("seconds_per_update")) and a == b
    assert tables.comparison_rows(comparisons(parts)) == tables.comparison_rows(comparisons(whole))
    for a, b in zip(parts.runs, whole.runs, strict=True):
        for group, values in b.curves.items():
            assert all(np.array_equal(a.curves[group][name], value, equal_nan=True) for name, value in values.items())


def test_a_part_that_lost_all_its_seeds_ends_early_and_still_counts(tmp_path: Path) -> None:
    run = record("poisson:k=6", "mgda", "adam", {"error": [0.02, 0.02, None]}, (1, 2, 3))
    lost = part_of(run, slice(2, 3))
    lost["training"]["diverged"] = [True]
    for group in ("errors", "losses", "weights", "stds", "cosines"):
        lost["curve"][group] = {name: rows[:10] for name, rows in lost["curve"][group].items()}
    lost["curve"]["step"] = lost["curve"]["step"][:10]
    write(tmp_path / "runs" / "a.json", part_of(run, slice(0, 2)))
    write(tmp_path / "runs" / "b.json", lost)
    (found,) = load(tmp_path).runs
    assert found.error.tolist() == [0.02, 0.02, 30.0] and found.diverged == (False, False, True)
    assert found.curves["errors"]["error"][2, 10:].tolist() == [30.0] * 50
    assert np.isnan(found.curves["losses"]["pde"][2, 10:]).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r.update(seeds=[5, 6, 7, 8]), r"b.json: expected other seeds than .*a.json, .* got \[5\] again"),
        (
            lambda r: r["training"].update(learning_rate=0.1),
            "the learning rate of .*a.json, another part of this run, 0.001, got 0.1",
        ),
        (lambda r: r["made"].update(parameters=3), "b.json: expected the made of .*a.json"),
    ],
)
def test_parts_that_do_not_belong_together_are_named(tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str) -> None:
    write(tmp_path / "runs" / "a.json", record("poisson:k=6", "mgda", "adam", {"error": [0.1] * 5}, (1, 2, 3, 4, 5)))
    write(tmp_path / "runs" / "b.json", record("poisson:k=6", "mgda", "adam", {"error": [0.1] * 4}, (6, 7, 8, 9)))
    edit(tmp_path / "runs" / "b.json", change)
    with pytest.raises(ValueError, match=message) as error:
        load(tmp_path)
    assert "\n" not in str(error.value)
