"""A fabricated study: what is read, what is compared, and what the report says."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from math import isnan
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from cases.report_outline import Outline

from eddygrad.plotting.space_time import space_time
from eddygrad.plotting.style import factor
from eddygrad.studies.shared.statistics import geometric_mean, paired
from eddygrad.studies.unrolling.report import figures
from eddygrad.studies.unrolling.report import page as report
from eddygrad.studies.unrolling.results import tables
from eddygrad.studies.unrolling.results.comparisons import comparisons
from eddygrad.studies.unrolling.results.conclusions import verdicts
from eddygrad.studies.unrolling.results.load import load
from eddygrad.studies.unrolling.results.study_results import UnrollingResults

Fabricate = Callable[..., Path]


@pytest.fixture(scope="module")
def study(study_folder: Path) -> UnrollingResults:
    return load(study_folder)


@pytest.fixture(scope="module")
def page(study_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    return report.write(study_folder, tmp_path_factory.mktemp("page") / "report.html").read_text(encoding="utf-8")


def test_models_come_first_and_in_the_papers_order(study: UnrollingResults) -> None:
    blocks = study.blocks()
    assert [task for _, task in blocks] == ["correct", "predict"] * 2
    assert [[r.modality for r in runs] for runs in blocks.values()] == [["ONE", "NOG", "WIG"]] * 4
    assert len(study.baselines) == 4


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


def test_diverged_seeds_are_counted_and_kept(study: UnrollingResults) -> None:
    run = next(r for r in study.models if r.name == "predict-one-w16d4")
    assert run.diverged_seeds == 1 and run.diverged_tests == "20 / 160"
    assert run.error().max() == pytest.approx(29.0) and run.error().size == len(run.seeds)
    assert run.test.error_over_time.max() <= 30


def test_error_per_set_averages_to_the_error(study: UnrollingResults) -> None:
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
        load(folder)
    assert "\n" not in str(error.value) and ".json" in str(error.value)


def test_a_truncated_file_and_an_empty_folder_are_named(fabricate: Fabricate, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="run the study first"):
        load(tmp_path)
    folder = fabricate(tmp_path / "s", seeds=2)
    path = folder / "runs" / "correct-one-w16d4.json"
    path.write_text(path.read_text()[:300])
    with pytest.raises(ValueError, match=r"correct-one-w16d4.json: expected JSON"):
        load(folder)


def test_the_endpoint_must_be_an_error(fabricate: Fabricate, tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "s", seeds=2)
    (folder / "study.json").write_text(json.dumps({"endpoint": {"metric": "correlation_time"}}))
    with pytest.raises(ValueError, match="less is better"):
        load(folder)
    (folder / "study.json").write_text(json.dumps({"endpoint": {"metric": "nrmse_final"}}))
    assert load(folder).metric == "nrmse_final"


def test_csv_json_and_table_say_the_same(study: UnrollingResults, tmp_path: Path) -> None:
    runs, ratios = tables.to_csv(study, tmp_path / "out.csv")
    content = json.loads(tables.to_json(study, tmp_path / "out.json").read_text())
    with runs.open() as file:
        read = list(csv.DictReader(file))
    assert [float(r["error"]) for r in read] == [r["error"] for r in content["runs"]] == [r.typical() for r in study.runs]
    with ratios.open() as file:
        assert [float(r["ratio"]) for r in csv.DictReader(file)] == [c["ratio"] for c in content["ratios"]]
    table = tables.table(study)
    assert all(r.name in table for r in study.runs)
    assert "persistence" in table and "/ persistence" not in table and "/ persistence" in tables.table(study, baselines=True)
    assert not list(tmp_path.glob(".*"))


def _edit(folder: Path, change: Callable[[dict], object], pattern: str = "*.json") -> None:
    for path in sorted((folder / "runs").glob(pattern)):
        run = json.loads(path.read_text())
        change(run)
        path.write_text(json.dumps(run))


def test_a_set_that_decides_the_endpoint_is_shown_everywhere(fabricate: Fabricate, tmp_path: Path) -> None:
    """The first set is made 50 times as hard; there, and only there, WIG loses its lead."""
    folder = fabricate(tmp_path / "s", seeds=4)

    def harder(run: dict) -> None:
        for errors in run["test"]["metrics"]["rellinf"]:
            errors[:5] = [50 * e * (2 if run["unroll"] == "wig:3" else 1) for e in errors[:5]]

    _edit(folder, harder)
    study = load(folder)
    runs = {r.name: r for r in study.runs}
    nog, wig = runs["correct-nog3-w16d4"], runs["correct-wig3-w16d4"]
    values = np.array(wig.test.metrics["rellinf"])
    content = json.loads(tables.to_json(study, tmp_path / "out.json").read_text())
    row = next(r for r in content["runs"] if r["name"] == wig.name)
    share = float(np.mean(values[:, :5].sum(1) / values.sum(1)))
    assert share > 0.9 and row["by_set"]["D/8=1.40"]["share"] == pytest.approx(share, rel=1e-12)
    assert sum(part["share"] for part in row["by_set"].values()) == pytest.approx(1, rel=1e-12)
    # By hand: geometric mean over seeds of the median over test states; the ratio inside a set from that set's columns alone.
    assert row["median_state"] == pytest.approx(geometric_mean(np.median(values, axis=1)), rel=1e-12)
    ratio = next(c for c in content["ratios"] if (c["first"], c["second"]) == (wig.name, nog.name))
    other = np.array(nog.test.metrics["rellinf"])
    for i, (name, inside) in enumerate(ratio["by_set"].items()):
        columns = slice(5 * i, 5 * i + 5)
        by_hand = paired(values[:, columns].mean(1), other[:, columns].mean(1))
        assert (inside["ratio"], inside["low"], inside["medians"]) == pytest.approx((by_hand.ratio, by_hand.low, by_hand.medians), rel=1e-12)
        assert (inside["ratio"] > 1) == (name == "D/8=1.40")
    assert ratio["ratio"] > 1 > ratio["median_state"]
    csv_runs, csv_ratios = tables.to_csv(study, tmp_path / "out.csv")
    with csv_runs.open() as runs_file, csv_ratios.open() as ratios_file:
        assert float(next(r for r in csv.DictReader(runs_file) if r["name"] == wig.name)["share D/8=1.40"]) == pytest.approx(share)
        assert float(next(csv.DictReader(ratios_file))["ratio D/8=0.85"]) == pytest.approx(content["ratios"][0]["by_set"]["D/8=0.85"]["ratio"])
    line = next(line for line in tables.table(study).splitlines() if line.startswith(f"share of {wig.name}"))
    assert line.split()[3] == f"{100 * share:.0f}"
    said = " ".join(verdicts(study, comparisons(study))[0].sentences)
    assert re.search(r"One test set, D/8=1.40, makes up 9\d\u00a0% of this error", said) and "By test set" in said
    assert "Ratios by test set" in report.html(study) and f"<small>{100 * share:.0f} %</small>" in report.html(study)


def test_without_one_that_decides_the_verdict_names_no_set(fabricate: Fabricate, tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "s", seeds=3)
    _edit(folder, lambda r: r["test"]["metrics"].update(rellinf=[[float(np.mean(e))] * len(e) for e in r["test"]["metrics"]["rellinf"]]))
    study = load(folder)
    assert all("One test set" not in s for v in verdicts(study, comparisons(study)) for s in v.sentences)


def test_graph_memory_is_read_under_both_names_and_not_called_peak(fabricate: Fabricate, tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "s", seeds=2)
    old = load(folder).models[0].training
    assert old is not None and old.graph_memory_mb == 300 and isnan(old.peak_resident_mb)
    assert "peak<br>MB" not in report.html(load(folder))
    _edit(folder, lambda r: r["training"].update(graph_memory_mb=7.0, peak_resident_mb=9.0), "correct-one-*.json")
    study = load(folder)
    row = tables.rows(study)[0]
    assert (row["graph_memory_mb"], row["peak_resident_mb"]) == (7.0, 9.0) and "peak_memory_mb" not in row
    assert "graph MB" in tables.table(study) and "peak<br>MB" in report.html(study)
    assert any("times the graph memory" in s for v in verdicts(study, comparisons(study)) for s in v.sentences)


def test_spectra_of_old_and_new_files_share_the_mode_number(fabricate: Fabricate, tmp_path: Path) -> None:
    """Older files hold m / 8, the wavenumber on L = 16 pi; a seed without a finite frame is null."""
    folder = fabricate(tmp_path / "s", seeds=2)
    _edit(folder, lambda r: r["test"]["spectrum"].update(k=[m / 8 for m in range(1, 25)]), "correct-one-*.json")
    _edit(folder, lambda r: r["test"]["spectrum"].update(axis="mode", model=[[None] * 24] * 2), "correct-nog3-*.json")
    study = load(folder)
    for run in study.models:
        assert run.test.spectrum is not None and run.test.spectrum["k"].tolist() == list(range(1, 25))
    figure = figures.spectrum(study)
    assert figure is not None and figure.axes[0].get_xlabel() == "mode m"
    assert "NaN" not in tables.to_json(study, tmp_path / "out.json").read_text()


def test_report_is_one_whole_file_that_needs_nothing_else(page: str) -> None:
    outline = Outline()
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


def test_report_is_the_same_twice(study: UnrollingResults, page: str) -> None:
    assert report.html(study) == page


def test_report_answers_in_words(page: str, study: UnrollingResults) -> None:
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


def _scale(run: dict, level: float) -> None:
    run["test"]["metrics"]["rellinf"] = [[level * e for e in errors] for errors in run["test"]["metrics"]["rellinf"]]


def test_one_seed_and_one_model_still_make_a_report(fabricate: Fabricate, tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "s", seeds=1)
    assert "one seed gives no interval" in report.html(load(folder))
    for path in (folder / "runs").iterdir():
        if path.name != "correct-nog3-w16d4.json":
            path.unlink()
    (folder / "study.json").unlink()
    assert "nothing to compare" in report.html(load(folder))


def test_figures_leave_matplotlib_as_it_was(study: UnrollingResults) -> None:
    before = dict(mpl.rcParams)
    figures.seeds(study)
    assert dict(mpl.rcParams) == before


def test_space_time_takes_one_trajectory_or_several() -> None:
    u = np.sin(np.linspace(0, 6, 48))[None, :] * np.linspace(1, 2, 30)[:, None]
    single = space_time(u, dt=0.5, length=50.0, title="u", time_unit="s", length_unit="m")
    axes = single.axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("time [s]", "x [m]")
    assert axes.images[0].get_extent() == [-0.25, 14.75, 0.0, 50.0]
    assert axes.images[0].get_array().shape == (48, 30)  # space upwards
    blown = u.copy()
    blown[20:] = np.nan
    assert len(space_time({"a": u, "b": blown, "error": u - blown}).axes) == 5
    with pytest.raises(ValueError, match="expected one trajectory"):
        space_time(u[None])
