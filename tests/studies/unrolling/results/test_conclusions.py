"""What the verdicts on unrolling modalities say."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eddygrad.plotting.style import factor
from eddygrad.studies.unrolling.report import page as report
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


@pytest.mark.parametrize(("seeds", "said"), [(2, "but 2 seeds are too few to decide"), (6, "which is not shown to differ from 1")])
def test_a_headline_says_by_how_much_and_whether_seeds_suffice(fabricate: Fabricate, tmp_path: Path, seeds: int, said: str) -> None:
    """A network whose first seed is as good as the solver and whose others are worse by far."""
    folder = fabricate(tmp_path / "s", seeds=seeds, effect=False)
    (folder / "runs" / "baseline-reference.json").unlink()
    for path in (folder / "runs").glob("baseline-coarse[!.]*.json"):
        path.unlink()

    def worse(run: dict[str, Any]) -> None:
        error = np.array(run["test"]["metrics"]["rellinf"])
        run["test"]["metrics"]["rellinf"] = (
            error / error.mean(1, keepdims=True) * 10.0 ** (4 * np.arange(seeds)[:, None] / (seeds - 1) - 3)
        ).tolist()

    study = edit(folder, worse, "[cp]*.json")
    study = edit(folder, lambda r: r["test"]["metrics"].update(rellinf=[[0.05] * 20]), "baseline-coarse.json")
    last = verdicts(study, comparisons(study))[-1]
    assert last.headline == f"The plain solver coarse is no slower; the best network has 2.00 times its error in the mean, {said}."
    first = verdicts(study, comparisons(study))[0].headline
    assert ("too few to decide" in first) == (seeds < 4)


@pytest.fixture(scope="module")
def study(study_folder: Path) -> UnrollingResults:
    return load(study_folder)


def _edit(folder: Path, change: Callable[[dict], object], pattern: str = "*.json") -> None:
    for path in sorted((folder / "runs").glob(pattern)):
        run = json.loads(path.read_text())
        change(run)
        path.write_text(json.dumps(run))


def _scale(run: dict, level: float) -> None:
    run["test"]["metrics"]["rellinf"] = [[level * e for e in errors] for errors in run["test"]["metrics"]["rellinf"]]


def test_without_one_that_decides_the_verdict_names_no_set(fabricate: Fabricate, tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "s", seeds=3)
    _edit(folder, lambda r: r["test"]["metrics"].update(rellinf=[[float(np.mean(e))] * len(e) for e in r["test"]["metrics"]["rellinf"]]))
    study = load(folder)
    assert all("One test set" not in s for v in verdicts(study, comparisons(study)) for s in v.sentences)


def test_report_answers_in_words(study: UnrollingResults) -> None:
    page = report.html(study)
    headlines = [v.headline for v in verdicts(study, comparisons(study))]
    assert re.fullmatch(r"WIG 3 is best: \d+\u00a0% below ONE and \d+\u00a0% below NOG 3\.", headlines[0])
    assert "The plain solver wins here: reference" in headlines[-1]  # the fabricated reference scheme costs less than the networks
    assert all(headline in page for headline in headlines)
    text = " ".join(verdicts(study, comparisons(study))[1].sentences)
    assert "1 of 8 with ONE" in text


def test_without_an_effect_the_report_says_so(fabricate: Fabricate, tmp_path: Path) -> None:
    study = load(fabricate(tmp_path / "s", seeds=6, effect=False))
    found = verdicts(study, comparisons(study))
    assert found[0].mark == "not significant" and found[0].headline.startswith("No significant winner")
    (said,) = [s for s in found[0].sentences if "is the cheapest to train;" in s]
    ends = [f"{factor(c.ratio.low)} to {factor(c.ratio.high)}" for c in comparisons(study) if c.kind == "modality"]
    ends += [f"{factor(1 / c.ratio.high)} to {factor(1 / c.ratio.low)}" for c in comparisons(study) if c.kind == "modality"]
    assert "not shown to differ" in said and "not shown to be equal" in said and any(e in said for e in ends)
    assert not any("told apart" in s or "distinguishable" in s for v in found for s in (v.headline, *v.sentences))


def test_a_gain_over_baselines_comes_with_its_interval(fabricate: Fabricate, tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "s", seeds=6)
    for path in (folder / "runs").glob("baseline-*.json"):
        if path.name != "baseline-coarse.json":
            path.unlink()
    study = load(folder)
    found = comparisons(study)
    best = min(study.models, key=lambda r: r.typical())
    r = next(c for c in found if (c.first, c.second) == (best.name, "coarse")).ratio
    last = verdicts(study, found)[-1]
    interval = f"95 % interval over seeds {factor(1 / r.high)} to {factor(1 / r.low)}"
    assert last.headline == f"The best network is {factor(1 / r.ratio)} times more accurate than the best baseline of its cost ({interval})."
    assert last.mark == "significant" and any("chosen among 6 models" in s for s in last.sentences)
    # A baseline in the middle of the seeds of the best network: no claim in either direction.
    for scale, said in ((1.01, "network is 1.01 times more accurate in the mean"), (0.99, "network has 1.01 times its error in the mean")):
        level = scale * best.typical() / study.baselines[0].error()[0]
        _edit(folder, lambda run, level=level: _scale(run, level), "baseline-*.json")
        study = load(folder)
        last = verdicts(study, comparisons(study))[-1]
        assert last.mark == "not significant" and said in last.headline and "not shown to differ from 1" in last.headline
