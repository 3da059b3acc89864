"""Ratios of unrolling modalities: families and pairs of seeds."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import isnan
from pathlib import Path

import pytest

from eddygrad.studies.shared.statistics import geometric_mean, paired
from eddygrad.studies.unrolling.results.comparisons import comparisons
from eddygrad.studies.unrolling.results.load import load
from eddygrad.studies.unrolling.results.study_results import UnrollingResults

Fabricate = Callable[..., Path]


@pytest.fixture(scope="module")
def study(study_folder: Path) -> UnrollingResults:
    return load(study_folder)


def test_comparisons_are_the_papers_and_paired_by_seed(study: UnrollingResults) -> None:
    found = comparisons(study)
    first = [c for c in found if c.family == found[0].family]
    assert [c.label for c in first] == ["NOG 3 / ONE", "WIG 3 / ONE", "WIG 3 / NOG 3"]
    runs = {r.name: r for r in study.runs}
    for c in found:
        assert c.ratio.ratio == pytest.approx(geometric_mean(runs[c.first].error()) / geometric_mean(runs[c.second].error()), rel=1e-12)
        assert c.p_holm >= c.ratio.p or isnan(c.p_holm)
    assert all(c.ratio.method == "paired t" for c in found if c.kind != "baseline")
    wig = next(c for c in first if c.label == "WIG 3 / ONE")
    assert wig.ratio == paired(runs[wig.first].error(), runs[wig.second].error())
    assert wig.ratio.low < 0.70 < wig.ratio.high  # the ratio that was put in
    assert [(c.label, c.paper) for c in found if c.paper] == [("prediction WIG 3 / correction NOG 3", 4.5)] * 2


def test_seeds_in_another_order_are_paired_all_the_same(fabricate: Fabricate, tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "s", seeds=4)
    before = comparisons(load(folder))
    path = folder / "runs" / "correct-wig3-w16d4.json"
    run, order = json.loads(path.read_text()), [2, 0, 3, 1]
    run["seeds"] = [run["seeds"][i] for i in order]
    run["test"]["metrics"] = {k: [v[i] for i in order] for k, v in run["test"]["metrics"].items()}
    path.write_text(json.dumps(run))
    after = comparisons(load(folder))
    assert [c.ratio.low for c in after] == pytest.approx([c.ratio.low for c in before], rel=1e-9)
    run["seeds"] = [10, 11, 12, 13]
    path.write_text(json.dumps(run))
    methods = {(c.first, c.second): c.ratio.method for c in comparisons(load(folder))}
    assert methods["correct-wig3-w16d4", "correct-one-w16d4"] == "Welch t"
    assert methods["correct-nog3-w16d4", "correct-one-w16d4"] == "paired t"
