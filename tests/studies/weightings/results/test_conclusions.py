"""What the verdicts on loss weightings say."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from cases.fabricated_pinn import fabricate, study

from eddygrad.plotting.style import factor
from eddygrad.studies.weightings.report import page
from eddygrad.studies.weightings.results.comparisons import between, comparisons, ties, verdict
from eddygrad.studies.weightings.results.conclusions import verdicts
from eddygrad.studies.weightings.results.load import load
from eddygrad.studies.weightings.results.study_results import WeightingResults


def test_a_rival_of_one_seed_is_no_tie_and_nothing_is_said_of_it(tmp_path: Path) -> None:
    found = study(tmp_path, uniform=[0.3, 0.31, 0.29, 0.3, 0.32], mgda=[0.01, 0.011, 0.009, 0.01, 0.012], ntk=[0.02])
    (said,) = verdicts(found)
    assert said.headline == "mgda is lowest; one seed cannot show whether its gap to ntk is more than chance."
    assert any(s == "Only one seed compares with ntk: no interval." for s in said.sentences)
    assert ties(found.runs)[1] == []
    page.publish(tmp_path)
    alone = study(tmp_path / "alone", uniform=[0.3], mgda=[0.01])
    assert "°" not in page.html(alone).split('id="results"')[1].split("<p")[0]


def test_a_verdict_does_not_say_the_opposite_of_its_ratio(tmp_path: Path) -> None:
    """On the seeds that both have the rival is better, over all of its own it is worse: nothing is clear."""
    wobble = [1.0, 1.05, 0.95, 1.02, 0.98]
    found = study(tmp_path, uniform=[*(0.005 * w for w in wobble), *(0.085 * w for w in wobble)], mgda=[0.01 * w for w in wobble])
    (c,) = comparisons(found)
    assert c.ratio.method == "Welch t" and c.ratio.ratio < 1 and verdict(c) == "tie"
    (said,) = verdicts(found)
    assert said.mark != "clear" and "mgda is lowest" in said.headline


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> WeightingResults:
    folder = tmp_path_factory.mktemp("pinn")
    return load(fabricate(folder, problems=("poisson:k=6", "poisson:k=4"), others=("coefficients",)))


def test_the_headline_names_the_best_its_ties_and_the_factor_to_uniform(tmp_path: Path) -> None:
    tie = study(tmp_path / "tie", uniform=[0.20, 0.25, 0.30], ntk=[0.021, 0.026, 0.029], mgda=[0.020, 0.024, 0.031])
    (v,) = verdicts(tie)
    assert (v.headline, v.mark) == ("mgda is lowest; ntk ties with it.", "tie")
    ratio = between(tie.runs[2], tie.runs[0])  # files in the alphabet's order: mgda, ntk, uniform
    assert ratio is not None and ratio.ratio > 5
    said = f"uniform has {factor(ratio.ratio)} times its error (95 % interval {factor(ratio.low)} to {factor(ratio.high)})."
    assert said in v.sentences and "Failed seeds (error above 0.1): 3 of 3 with uniform." in v.sentences
    alike = study(tmp_path / "alike", uniform=[0.20, 0.25, 0.30], ntk=[0.21, 0.26, 0.29], mgda=[0.020, 0.024, 0.31])
    assert "Failed seeds (error above 0.1): 1 of 3 with mgda; 3 of 3 with ntk and uniform." in verdicts(alike)[0].sentences
    lost = study(tmp_path / "lost", uniform=[0.20, 0.25, 0.30], ntk=[0.21, 0.26, 0.29])
    assert "Every seed failed (error above 0.1)." in verdicts(lost)[0].sentences
    clear = study(tmp_path / "clear", uniform=[0.20, 0.25, 0.30], mgda=[0.020, 0.024, 0.031])
    (v,) = verdicts(clear)
    assert v.mark == "clear" and re.fullmatch(r"mgda is best: [\d.]+ times below uniform, the next\.", v.headline)
    (v,) = verdicts(study(tmp_path / "same", uniform=[0.20, 0.25, 0.30], mgda=[0.21, 0.23, 0.32]))
    assert v.mark == "not shown" and v.headline == "uniform is lowest; mgda ties with it."
    (v,) = verdicts(study(tmp_path / "one", uniform=[0.2], mgda=[0.1]))
    assert v.mark == "not shown" and "one seed cannot show" in v.headline
    (v,) = verdicts(study(tmp_path / "alone", mgda=[0.1, 0.2]))
    assert v.headline == "Only mgda was run: nothing to compare."


def test_what_only_holms_correction_makes_a_tie_is_said(tmp_path: Path) -> None:
    first = np.array([0.02, 0.022, 0.024])
    levels = {f"w{i}": (first * np.array([1.05, 1.2, 1.12])).tolist() for i in range(4)}  # p of about .06 and .03 by the interval
    levels = {name: (1.1 * np.array(errors)).tolist() for name, errors in levels.items()}
    found = study(tmp_path, mgda=first.tolist(), **levels, far=(50 * first * np.array([1.0, 1.01, 0.99])).tolist())
    (v,) = verdicts(found)
    assert [(c.first, c.ratio.tie, c.significant) for c in comparisons(found)] == [("far", False, True), *((w, False, False) for w in levels)]
    assert v.mark == "tie" and "after Holm's correction its gap to w0, w1, w2 and w3 is not significant" in v.headline
    assert "After Holm's correction over 5 ratios the gap to w0, w1, w2 and w3 is not significant." in v.sentences
