"""What the report's page says around its numbers: costs, reference, how to repeat it; and how its figures and tables are set."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from eddygrad.plotting.html import table
from eddygrad.plotting.style import log_axis
from eddygrad.studies.unrolling.config import UnrollingConfiguration, describe, preset
from eddygrad.studies.unrolling.report import figures, notes
from eddygrad.studies.unrolling.report import page as report
from eddygrad.studies.unrolling.results import tables
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


def alone(folder: Path, kept: str = "correct-nog3-w16d4") -> UnrollingResults:
    """One run of the study, as `eddygrad evaluate` leaves it: no configuration, one test set."""
    for path in (folder / "runs").iterdir():
        if path.stem != kept and not path.name.startswith("baseline-coarse."):
            path.unlink()
    (folder / "study.json").write_text(json.dumps({"name": "mine", "recipe": None}))
    return edit(folder, lambda r: r["test"].update(sets=[{"name": "test", "kind": "test", "params": {}, "samples": 20}]))


def test_costs_say_how_they_were_measured(fabricate: Fabricate, tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "s", seeds=4)
    (folder / "study.json").write_text(json.dumps({"name": "s", "unroll": ["one", "nog:3", "wig:3"]}))
    assert "while the study ran; eddygrad compare with --costs" in notes.costs(load(folder))
    study = edit(folder, lambda r: r["environment"].update(side_by_side=2))
    assert "while 2 runs shared the machine; eddygrad compare with --costs times each run alone" in notes.costs(study)
    assert report.html(study).count(notes.costs(study)) == 3  # results, inference, training
    said = " ".join(s for v in verdicts(study, comparisons(study)) for s in v.sentences)
    assert "the cheapest to train, measured while 2 runs shared the machine." in said
    for change, expected in ((lambda r: r["environment"].update(side_by_side=1), "one run"), (lambda r: r["environment"].update(costs="x"), "alone")):
        study = edit(folder, change)
        assert expected in notes.costs(study) and "shared" not in report.html(study) and "--costs" not in notes.costs(study)


def test_networks_of_one_architecture_share_the_median_of_their_inference_times(fabricate: Fabricate, tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "s", seeds=2, networks=((16, 4), (26, 8)))
    for unroll, seconds in (("one", 3e-6), ("nog3", 5e-6), ("wig3", 1e-3)):
        edit(folder, lambda r, seconds=seconds: r["test"].update(inference_seconds_per_frame=seconds), f"correct-{unroll}-w16*.json")
    study = load(folder)
    found = {
        (r.task, r.network_label): {x.test.seconds_per_frame for x in study.models if x.group == r.group and x.task == r.task} for r in study.models
    }
    assert found["correct", "ResNet(16, 4)"] == {5e-6} and all(len(times) == 1 for times in found.values())
    assert found["correct", "ResNet(26, 8)"] != found["predict", "ResNet(26, 8)"]
    assert len({b.test.seconds_per_frame for b in study.baselines}) == 4


def test_the_reference_is_called_a_map_with_an_error_of_its_own(fabricate: Fabricate, tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "s", seeds=2)
    assert "reference computes the reference itself, a discrete map" in report.html(load(folder))
    (folder / "runs" / "baseline-reference.json").unlink()
    assert notes.reference(load(folder)) == ""


def test_a_comparison_is_reproduced_by_its_command_and_other_scores_are_drawn_again(fabricate: Fabricate, tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "s", seeds=2)
    (folder / "study.json").write_text(json.dumps(describe(UnrollingConfiguration(**preset("demo")))))
    assert f"<h3>Reproduce</h3><pre>eddygrad compare --preset demo --folder {folder}</pre>" in report.html(load(folder))
    page = report.html(alone(fabricate(tmp_path / "one", seeds=2)))
    assert f"<h3>Draw this page again</h3><pre>eddygrad report {tmp_path / 'one'}</pre>" in page and "Reproduce" not in page


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


def test_a_report_of_one_run_asks_nothing_and_counts_in_the_singular(fabricate: Fabricate, tmp_path: Path) -> None:
    page = report.html(alone(fabricate(tmp_path / "s", seeds=2)))
    assert "Which modality" not in page and "<h2>Result</h2>" in page
    assert "1 model · 2 seeds · 1 baseline ·" in page and "test, test" not in page


def test_the_head_names_recipe_and_date(fabricate: Fabricate, tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "s", seeds=2)
    (folder / "study.json").write_text(json.dumps({"name": "mine", "recipe": "kuramoto-sivashinsky"}))
    edit(folder, lambda r: r["environment"].update(finished="2026-11-19"))
    page = report.html(edit(folder, lambda r: r["environment"].update(finished="2026-11-20"), "correct-one*.json"))
    assert "<title>mine · kuramoto-sivashinsky · 2026-11-20</title>" in page and "eddygrad study · kuramoto-sivashinsky · 2026-11-20" in page
    assert page.count("<dt>cpu</dt>") == 1 and "<dt>finished</dt>" not in page  # one machine, whatever the day


def test_figures_are_read_out_and_letters_have_one_size(fabricate: Fabricate, tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "s", seeds=2)
    wide = re.findall(r'<svg role="img" aria-label="([^"]+)" style="max-width: ([\d.]+)rem"', report.html(load(folder)))
    assert len(wide) == 9 and {width for _, width in wide} == {"63.00"}
    said = next(text for text, _ in wide if text.startswith("Error over time."))
    assert "panels: Correction · " in said and "horizontally: time" in said and "vertically: relative squared error e(t)" in said
    narrow = re.findall(r'aria-label="Error over time[^"]+" style="max-width: ([\d.]+)rem"', report.html(alone(folder)))
    assert narrow == ["42.00"]  # one panel is 6 inches wide in place of 9


@pytest.mark.parametrize(
    ("low", "high", "style"), [(2e-5, 3.0, "10"), (2e-3, 3.0, "plain"), (1.0, 5e4, "10"), (0.5, 3.0, "plain"), (4e-4, 9e-4, "10")]
)
def test_ticks_of_an_axis_have_one_style(low: float, high: float, style: str) -> None:
    axes = Figure().subplots()
    axes.plot([1, 2], [low, high])
    log_axis(axes)
    bottom, top = axes.get_ylim()
    axes.figure.draw_without_rendering()
    shown = [t.get_text() for t, v in zip(axes.get_yticklabels(), axes.get_yticks(), strict=True) if bottom <= v <= top]
    assert len(shown) > 2 and all(("10" in t and any(c in t for c in "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")) == (style == "10") for t in shown)


def test_columns_without_any_entry_are_left_out(fabricate: Fabricate, tmp_path: Path) -> None:
    page = table(["", "a", "b", "c"], [["block"], ["x", "1", "", "2"], ["y", "", "", "3"]])
    assert "<th>b</th>" not in page and '<th colspan="3">block</th>' in page and "<td>y</td><td></td><td>3</td>" in page
    study = alone(fabricate(tmp_path / "s", seeds=2))
    assert "peak MB" not in tables.table(study) and "paper" not in tables.table(study, baselines=True)
    study = edit(study.folder, lambda r: r["training"].update(peak_resident_mb=9.0), "correct-*.json")
    assert "peak MB" in tables.table(study)


def test_one_panel_is_narrower_than_two(fabricate: Fabricate, tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "s", seeds=2)
    assert figures.seeds(load(folder)).get_figwidth() == 9 and figures.seeds(alone(folder)).get_figwidth() == 6
