"""Ratios of loss weightings: pairs, seeds that both have, lost seeds, ties and Holm's correction."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases.fabricated_pinn import fabricate, record, study, write

from eddygrad.studies.shared.statistics import holm, paired
from eddygrad.studies.weightings.results import tables
from eddygrad.studies.weightings.results.comparisons import comparisons, ties, verdict
from eddygrad.studies.weightings.results.conclusions import verdicts
from eddygrad.studies.weightings.results.load import load
from eddygrad.studies.weightings.results.study_results import WeightingResults


def test_a_pair_of_which_one_lost_seeds_is_told_apart_by_the_others_after_holm(tmp_path: Path) -> None:
    """The clipped error of the lost seed blows the interval up; what the others say enters Holm's correction as any p-value does."""
    lost = {"uniform": [False, False, False, False, True]}
    errors = {"uniform": [0.13, 0.10, 0.12, 0.11, 1.0], "mgda": [0.10, 0.09, 0.1, 0.098, 0.1]}
    near = study(tmp_path / "two", lost, **errors)
    (c,) = comparisons(near)
    assert c.ratio.low < 1 < c.ratio.high and c.ratio.apart and c.significant and verdict(c) == "lower"
    more = {name: [0.2, 0.1, 0.15, 0.3, 0.1] for name in ("ntk", "gradnorm", "softadapt", "relobralo", "resnorm", "homoscedastic")}
    among = study(tmp_path / "many", lost, **errors, **more)
    (same,) = [c for c in comparisons(among) if {c.first, c.second} == {"uniform", "mgda"}]
    assert same.ratio == c.ratio and not same.significant and verdict(same) == "not shown"
    (said,) = verdicts(among)
    assert said.mark != "clear"
    better = study(tmp_path / "other", lost, uniform=[0.05, 0.04, 0.05, 0.045, 1.0], mgda=errors["mgda"])  # what is left does not speak against it
    (c,) = comparisons(better)
    assert not c.ratio.apart and verdict(c) == "tie"


def test_seeds_that_both_have_are_paired_whatever_else_is_there(tmp_path: Path) -> None:
    found = study(tmp_path, uniform=[0.1, 0.2, 0.4, 0.8], mgda=[0.09, 0.18, 0.36, 0.72, 0.01])
    (c,) = comparisons(found)
    assert c.ratio.method == "paired t" and c.ratio.sizes == (4, 4) and c.ratio.ratio == pytest.approx(0.9) and verdict(c) == "lower"
    apart = study(tmp_path / "apart", first={"mgda": 11}, uniform=[0.1, 0.2, 0.4], mgda=[0.1, 0.2, 0.4])
    assert [c.label for c in comparisons(apart)] == ["mgda / uniform (unpaired)"]


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


def test_seeds_are_paired_by_their_number_and_others_by_welch(tmp_path: Path) -> None:
    folder = fabricate(tmp_path)
    before = comparisons(load(folder))[0].ratio
    path = folder / "runs" / "poisson-k=6-uniform-adam.json"
    edit(path, lambda r: r.update(seeds=r["seeds"][::-1], errors={"error": r["errors"]["error"][::-1]}))
    assert comparisons(load(folder))[0].ratio.low == pytest.approx(before.low, rel=1e-9)
    edit(path, lambda r: r.update(seeds=[11, 12, 13, 14, 15]))
    assert (before.method, comparisons(load(folder))[0].ratio.method) == ("paired t", "Welch t")
