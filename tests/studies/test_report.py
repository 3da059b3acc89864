"""A fabricated study: what is read, what is compared, and what the report says."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from math import isnan
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

from eddygrad.studies import figures, report, results
from eddygrad.studies.statistics import geometric_mean, paired
from eddygrad.studies.verdict import verdicts

Fabricate = Callable[..., Path]


@pytest.fixture(scope="module")
def study(study_folder: Path) -> results.Study:
    return results.load(study_folder)


@pytest.fixture(scope="module")
def page(study_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    return report.write(study_folder, tmp_path_factory.mktemp("page") / "report.html").read_text(encoding="utf-8")


def test_models_come_first_and_in_the_papers_order(study: results.Study) -> None:
    cells = study.cells()
    assert [task for _, task in cells] == ["correct", "predict"] * 2
    assert [[r.modality for r in runs] for runs in cells.values()] == [["ONE", "NOG", "WIG"]] * 4
    assert len(study.baselines) == 4


def test_comparisons_are_the_papers_and_paired_by_seed(study: results.Study) -> None:
    found = results.comparisons(study)
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
    before = results.comparisons(results.load(folder))
    path = folder / "runs" / "correct-wig3-w16d4.json"
    run, order = json.loads(path.read_text()), [2, 0, 3, 1]
    run["seeds"] = [run["seeds"][i] for i in order]
    run["test"]["metrics"] = {k: [v[i] for i in order] for k, v in run["test"]["metrics"].items()}
    path.write_text(json.dumps(run))
    after = results.comparisons(results.load(folder))
    assert [c.ratio.low for c in after] == pytest.approx([c.ratio.low for c in before], rel=1e-9)
    run["seeds"] = [10, 11, 12, 13]
    path.write_text(json.dumps(run))
    methods = {(c.first, c.second): c.ratio.method for c in results.comparisons(results.load(folder))}
    assert methods["correct-wig3-w16d4", "correct-one-w16d4"] == "Welch t"
    assert methods["correct-nog3-w16d4", "correct-one-w16d4"] == "paired t"


def test_diverged_seeds_are_counted_and_kept(study: results.Study) -> None:
    run = next(r for r in study.models if r.name == "predict-one-w16d4")
    assert run.diverged_seeds == 1 and run.diverged_tests == "20 / 160"
    assert run.error().max() == pytest.approx(29.0) and run.error().size == len(run.seeds)
    assert run.test.error_over_time.max() <= 30


def test_error_per_set_averages_to_the_error(study: results.Study) -> None:
    run = study.models[0]
    per_set = run.test.per_set("rellinf")
    assert list(per_set) == ["D/8=1.40", "D/8=0.85", "D/8=1.15", "D/8=0.93"]
    assert np.mean(list(per_set.values()), axis=0) == pytest.approx(run.error(), rel=1e-12)  # equal sizes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r.update(schema="other/1"), "expected schema"),
        (lambda r: r["test"]["metrics"].update(rellinf=[[1.0]]), r"test.metrics.rellinf: expected numbers of shape \(3, 20\), got shape \(1, 1\)"),
        (lambda r: r["test"]["metrics"]["rellinf"][0].__setitem__(0, None), "finite numbers"),
        (lambda r: r["training"].update(diverged=[False]), "training.diverged: expected 3 entries"),
        (lambda r: r["training"].pop("seconds"), "training.seconds: expected an entry of that name"),
        (lambda r: r["test"].update(horizon="twelve"), "test.horizon: expected a finite number"),
        (lambda r: r.update(seeds=[0, 0, 1]), "distinct seeds"),
        (lambda r: r.update(name="correct-one-w16d4"), "same name as"),
        (lambda r: r.update(unroll="one"), "same setting as"),
        (lambda r: r["test"]["sets"][0].update(name="another"), "expected the sets and horizon of"),
    ],
)
def test_a_bad_run_is_named_in_one_line(fabricate: Fabricate, tmp_path: Path, change: Callable[[dict], object], message: str) -> None:
    folder = fabricate(tmp_path / "s", seeds=3)
    path = folder / "runs" / "correct-wig3-w16d4.json"
    run = json.loads(path.read_text())
    change(run)
    path.write_text(json.dumps(run))
    with pytest.raises(ValueError, match=message) as error:
        results.load(folder)
    assert "\n" not in str(error.value) and ".json" in str(error.value)


def test_a_truncated_file_and_an_empty_folder_are_named(fabricate: Fabricate, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="run the study first"):
        results.load(tmp_path)
    folder = fabricate(tmp_path / "s", seeds=2)
    path = folder / "runs" / "correct-one-w16d4.json"
    path.write_text(path.read_text()[:300])
    with pytest.raises(ValueError, match=r"correct-one-w16d4.json: expected JSON"):
        results.load(folder)


def test_the_endpoint_must_be_an_error(fabricate: Fabricate, tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "s", seeds=2)
    (folder / "study.json").write_text(json.dumps({"endpoint": {"metric": "correlation_time"}}))
    with pytest.raises(ValueError, match="less is better"):
        results.load(folder)
    (folder / "study.json").write_text(json.dumps({"endpoint": {"metric": "nrmse_final"}}))
    assert results.load(folder).metric == "nrmse_final"


def test_csv_json_and_table_say_the_same(study: results.Study, tmp_path: Path) -> None:
    runs, ratios = results.to_csv(study, tmp_path / "out.csv")
    content = json.loads(results.to_json(study, tmp_path / "out.json").read_text())
    with runs.open() as file:
        read = list(csv.DictReader(file))
    assert [float(r["error"]) for r in read] == [r["error"] for r in content["runs"]] == [r.typical() for r in study.runs]
    with ratios.open() as file:
        assert [float(r["ratio"]) for r in csv.DictReader(file)] == [c["ratio"] for c in content["ratios"]]
    table = results.table(study)
    assert all(r.name in table for r in study.runs)
    assert "persistence" in table and "/ persistence" not in table and "/ persistence" in results.table(study, baselines=True)
    assert not list(tmp_path.glob(".*"))


class _Outline(HTMLParser):
    """Collects ids and references, and checks that tags close."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.open: list[str] = []
        self.outside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "br"):
            self.open.append(tag)
        for key, value in attrs:
            if key == "id" and value:
                self.ids.append(value)
            if key in ("src", "href", "xlink:href") and value and not value.startswith(("#", "data:")):
                self.outside.append(value)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if self.open and tag not in ("meta", "br"):
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_report_is_one_whole_file_that_needs_nothing_else(page: str) -> None:
    outline = _Outline()
    outline.feed(page)
    assert outline.open == [] and outline.outside == []
    assert "<script" not in page and "@import" not in page
    used = set(re.findall(r"url\(#([^)]+)\)", page)) | set(re.findall(r'href="#([^"]+)"', page))
    assert used <= set(outline.ids)
    sections = [
        "answer",
        "results",
        "ratios",
        "baselines",
        "sets",
        "time",
        "seeds",
        "space-correct",
        "space-predict",
        "spectrum",
        "pareto",
        "cost",
        "training",
        "setup",
    ]
    assert [i for i in outline.ids if i in sections] == sections


def test_report_is_the_same_twice(study: results.Study, page: str) -> None:
    assert report.html(study) == page


def test_report_answers_in_words(page: str, study: results.Study) -> None:
    headlines = [v.headline for v in verdicts(study, results.comparisons(study))]
    assert re.fullmatch(r"WIG 3 is best: \d+\u00a0% below ONE and \d+\u00a0% below NOG 3\.", headlines[0])
    assert "The plain solver wins here: reference" in headlines[-1]  # the fabricated reference scheme costs less than the networks
    assert all(headline in page for headline in headlines)
    text = " ".join(verdicts(study, results.comparisons(study))[1].sentences)
    assert "1 of 8 with ONE" in text


def test_without_an_effect_the_report_says_so(fabricate: Fabricate, tmp_path: Path) -> None:
    study = results.load(fabricate(tmp_path / "s", seeds=6, effect=False))
    found = verdicts(study, results.comparisons(study))
    assert found[0].mark == "not significant" and found[0].headline.startswith("No significant winner")
    assert any("cheapest" in s for s in found[0].sentences)


def test_one_seed_and_one_model_still_make_a_report(fabricate: Fabricate, tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "s", seeds=1)
    assert "one seed gives no interval" in report.html(results.load(folder))
    for path in (folder / "runs").iterdir():
        if path.name != "correct-nog3-w16d4.json":
            path.unlink()
    (folder / "study.json").unlink()
    assert "nothing to compare" in report.html(results.load(folder))


def test_figures_leave_matplotlib_as_it_was(study: results.Study) -> None:
    before = dict(mpl.rcParams)
    figures.seeds(study)
    assert dict(mpl.rcParams) == before


def test_space_time_takes_one_trajectory_or_several() -> None:
    u = np.sin(np.linspace(0, 6, 48))[None, :] * np.linspace(1, 2, 30)[:, None]
    single = figures.space_time(u, dt=0.5, length=50.0, title="u", time_unit="s", length_unit="m")
    axes = single.axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("time [s]", "x [m]")
    assert axes.images[0].get_extent() == [-0.25, 14.75, 0.0, 50.0]
    assert axes.images[0].get_array().shape == (48, 30)  # space upwards
    blown = u.copy()
    blown[20:] = np.nan
    assert len(figures.space_time({"a": u, "b": blown, "error": u - blown}).axes) == 5
    with pytest.raises(ValueError, match="expected one trajectory"):
        figures.space_time(u[None])
