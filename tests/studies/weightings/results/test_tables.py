"""Runs of a study of loss weightings put together: intervals, ratios, ties, seeds that diverged, files that are broken."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from math import exp, log, sqrt
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import pytest
from cases.fabricated_pinn import fabricate, record, write
from scipy import stats

from eddygrad.studies import study_kinds
from eddygrad.studies.shared.statistics import holm, paired
from eddygrad.studies.weightings.results import tables
from eddygrad.studies.weightings.results.comparisons import comparisons, ties, verdict
from eddygrad.studies.weightings.results.load import load
from eddygrad.studies.weightings.results.run import FAILED
from eddygrad.studies.weightings.results.study_results import WeightingResults

ALL = ("uniform", "inverse-dirichlet", "max-average", "mgda", "epsilon-optimal")


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


def test_the_interval_over_seeds_is_the_textbooks() -> None:
    errors = [1.0e-3, 2.0e-3, 4.5e-3, 3.0e-3]
    logs = [log(e) for e in errors]
    half = float(stats.t.ppf(0.975, 3)) * stdev(logs) / sqrt(4)
    found = tables.spread(np.array(errors))
    assert [found[k] for k in ("error", "low", "high")] == pytest.approx([exp(mean(logs)), exp(mean(logs) - half), exp(mean(logs) + half)], rel=1e-12)
    assert [found[k] for k in ("median", "lowest", "highest")] == pytest.approx([2.5e-3, 1.0e-3, 4.5e-3])
    alone = tables.spread(np.array([0.2]))
    assert (alone["low"], alone["high"]) == (None, None) and alone["error"] == pytest.approx(0.2)


def test_every_weighting_is_compared_to_uniform_and_to_the_best_each_pair_once(tmp_path: Path) -> None:
    found = load(fabricate(tmp_path))
    compared = comparisons(found)
    errors = {run.weighting: run.error for run in found.runs}
    best = min(errors, key=lambda w: float(np.log(errors[w]).mean()))
    expected = [(w, "uniform") for w in ALL if w != "uniform"] + [(w, best) for w in ALL if w not in (best, "uniform")]
    assert [(c.first, c.second) for c in compared] == expected and len({frozenset(pair) for pair in expected}) == len(expected)
    for c in compared:
        assert c.ratio == paired(errors[c.first], errors[c.second])
    assert [c.p_holm for c in compared] == holm([c.ratio.p for c in compared])
    assert compared[0].paper == pytest.approx(7.4e-3 / 0.25)


def test_without_uniform_and_where_uniform_is_best_all_are_compared_to_the_best(tmp_path: Path) -> None:
    without = made(tmp_path / "a", mgda=[0.2, 0.3], ntk=[0.1, 0.11], relobralo=[0.4, 0.5])
    assert [(c.first, c.second) for c in comparisons(without)] == [("mgda", "ntk"), ("relobralo", "ntk")]
    best = made(tmp_path / "b", uniform=[0.01, 0.02], ntk=[0.1, 0.11], relobralo=[0.4, 0.5])
    assert [(c.first, c.second) for c in comparisons(best)] == [("ntk", "uniform"), ("relobralo", "uniform")]


def test_holms_correction_keeps_to_a_block(tmp_path: Path) -> None:
    alone = {c.label: c for c in comparisons(load(fabricate(tmp_path / "a", problems=("poisson:k=6",))))}
    both = comparisons(load(fabricate(tmp_path / "b", problems=("poisson:k=6", "poisson:k=4"))))
    first = [c for c in both if c.family == "poisson:k=6"]
    assert len(both) == 2 * len(alone) and all(c.p_holm == alone[c.label].p_holm for c in first)


def test_a_gap_below_the_spread_of_seeds_is_a_tie_and_a_clear_one_is_not(tmp_path: Path) -> None:
    found = made(tmp_path, uniform=[0.20, 0.25, 0.30], ntk=[0.24, 0.20, 0.33], mgda=[0.020, 0.024, 0.031], softadapt=[0.8, 1.05, 1.2])
    said = {c.label: verdict(c) for c in comparisons(found)}
    assert (said["ntk / uniform"], said["mgda / uniform"], said["softadapt / uniform"], said["ntk / mgda"]) == ("tie", "lower", "higher", "higher")
    (block,) = found.blocks().values()
    best, equals = ties(block)
    assert best.weighting == "mgda" and equals == []
    for c in comparisons(found):
        assert (verdict(c) == "tie") == (c.ratio.low <= 1 <= c.ratio.high)
    line = next(line for line in tables.table(found).splitlines() if line.startswith("ntk / uniform"))
    assert " tie" in line
    alone = made(tmp_path / "one", uniform=[0.2], mgda=[0.02])
    assert [verdict(c) for c in comparisons(alone)] == ["one seed"]


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


def test_a_diverged_seed_makes_no_tie_of_a_clear_loser(tmp_path: Path) -> None:
    """Ten times the error on every seed and one lost: the clipped error widens the interval beyond 1. Without a gap on the others it stays a tie."""
    for name, others, said in (("worse", 1e-2, "higher"), ("level", 1e-3, "tie")):
        folder = tmp_path / name
        scatter = [1.0, 1.1, 0.9, 1.05, 1.0]
        made(folder, ntk=[1e-3 * s for s in scatter], mgda=[*(others * s for s in reversed(scatter[:4])), None])
        edit(folder / "runs" / "mgda.json", lambda r: r["training"].update(diverged=[False] * 4 + [True]))
        found = load(folder)
        (c,) = comparisons(found)
        assert c.ratio.low < 1 < c.ratio.high and c.label == "mgda / ntk" and verdict(c) == said
        (block,) = found.blocks().values()
        best, equals = ties(block)
        assert best.weighting == "ntk" and [r.weighting for r in equals] == (["mgda"] if said == "tie" else [])


def test_a_run_fails_above_the_threshold_only(tmp_path: Path) -> None:
    (row,) = tables.rows(made(tmp_path, uniform=[FAILED, 1.001 * FAILED, 0.01]))
    assert (row["failed"], row["failed_share"]) == (1, pytest.approx(1 / 3))


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


def test_seeds_are_paired_by_their_number_and_others_by_welch(tmp_path: Path) -> None:
    folder = fabricate(tmp_path)
    before = comparisons(load(folder))[0].ratio
    path = folder / "runs" / "poisson-k=6-uniform-adam.json"
    edit(path, lambda r: r.update(seeds=r["seeds"][::-1], errors={"error": r["errors"]["error"][::-1]}))
    assert comparisons(load(folder))[0].ratio.low == pytest.approx(before.low, rel=1e-9)
    edit(path, lambda r: r.update(seeds=[11, 12, 13, 14, 15]))
    assert (before.method, comparisons(load(folder))[0].ratio.method) == ("paired t", "Welch t")


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


def test_a_truncated_run_an_empty_folder_and_another_kind_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="run the study first"):
        load(tmp_path)
    made(tmp_path, uniform=[0.1, 0.2])
    write(tmp_path / "study.json", {"kind": "unrolling"})
    with pytest.raises(ValueError, match="expected kind 'pinn', got 'unrolling'"):
        load(tmp_path)
    write(tmp_path / "study.json", {"kind": "soup"})
    with pytest.raises(ValueError, match="expected a kind among unrolling, pinn, got 'soup'"):
        study_kinds.kind_of(tmp_path)
    (tmp_path / "study.json").unlink()
    path = tmp_path / "runs" / "uniform.json"
    path.write_text(path.read_text()[:400])
    with pytest.raises(ValueError, match=r"uniform.json: expected JSON, got .*; delete the file, and the study redoes this run"):
        load(tmp_path)


def test_rows_stand_in_the_plans_order(tmp_path: Path) -> None:
    found = load(fabricate(tmp_path, problems=("poisson:k=6", "poisson:k=4"), optimizers=("soap", "adam"), seeds=2))
    assert found.weightings == ALL
    assert list(found.blocks()) == [("poisson:k=6", "soap"), ("poisson:k=6", "adam"), ("poisson:k=4", "soap"), ("poisson:k=4", "adam")]
    assert [found.title(block) for block in found.blocks()][:2] == ["poisson:k=6, soap", "poisson:k=6, adam"]


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
