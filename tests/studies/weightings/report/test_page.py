"""The report of a study of loss weightings: what it says, what its figures show, in which colours."""

from __future__ import annotations

import json
import re
import shlex
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from cases.fabricated_pinn import LEVELS, fabricate, record, write
from cases.report_outline import Outline
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb

from eddygrad.cli.main import parse
from eddygrad.plotting.style import factor, number
from eddygrad.studies.weightings.config import WeightingConfiguration, describe, preset
from eddygrad.studies.weightings.report import figures, method, page
from eddygrad.studies.weightings.results.comparisons import between, comparisons
from eddygrad.studies.weightings.results.conclusions import verdicts
from eddygrad.studies.weightings.results.load import load
from eddygrad.studies.weightings.results.study_results import WeightingResults

# Machado, Oliveira, Fernandes 2009: how full protanopia, deuteranopia and tritanopia change linear RGB.
BLINDNESS = (
    np.eye(3),
    [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> WeightingResults:
    folder = tmp_path_factory.mktemp("pinn")
    return load(fabricate(folder, problems=("poisson:k=6", "poisson:k=4"), others=("coefficients",)))


def study(folder: Path, **levels: list[float]) -> WeightingResults:
    for weighting, errors in levels.items():
        name = weighting.replace("_", "-")
        write(folder / "runs" / f"{name}.json", record("poisson:k=6", name, "adam", {"error": errors}, range(len(errors))))
    return load(folder)


def oklab(colour: str, blind: object) -> np.ndarray:
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    to_lms = [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566], [0.0883024619, 0.2817188376, 0.6299787005]]
    to_lab = [[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099], [0.0259040371, 0.7827717662, -0.8086757660]]
    return np.array(to_lab) @ np.cbrt(np.array(to_lms) @ (np.array(blind) @ linear).clip(0, 1))


def test_colours_of_weightings_stay_apart_for_every_kind_of_colour_blindness() -> None:
    nearest = min(float(np.linalg.norm(oklab(a, m) - oklab(b, m))) for a, b in combinations(figures.PALETTE, 2) for m in BLINDNESS)
    assert nearest > 0.09  # a difference of 0.02 can just be seen side by side


def test_a_weighting_keeps_its_colour_in_any_company_and_none_looks_like_another() -> None:
    many = [*LEVELS, "ntk", "gradnorm", "softadapt", "relobralo", "resnorm", "inverse-dirichlet:every=1", "homoscedastic"]
    shown = figures.tones(many)
    assert len(set(shown.values())) == len(many)
    for weighting in LEVELS:
        assert shown[weighting] == figures.tones([weighting])[weighting] == figures.tones(["ntk", weighting])[weighting]
    nine = ["uniform", "ntk", "gradnorm", "softadapt", "relobralo", "resnorm", "homoscedastic", "gradient-norm", "fixed"]
    assert {tone.colour for tone in figures.tones(nine).values()} == set(figures.PALETTE)  # no colour twice while one is left
    assert figures.tones(["inverse-dirichlet:every=1"])["inverse-dirichlet:every=1"] == shown["inverse-dirichlet"]


def lines(axes: Axes, colour: str) -> list[np.ndarray]:
    return [np.asarray(line.get_ydata(), dtype=float) for line in axes.lines if to_hex(line.get_color()) == colour]


def test_the_error_is_drawn_as_median_and_range_over_seeds_with_the_published_value_at_the_edge(found: WeightingResults) -> None:
    figure = figures.errors(found)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["poisson:k=6", "poisson:k=4"]
    for axes, runs in zip(figure.axes, found.blocks().values(), strict=True):
        bands = {to_hex(band.get_facecolor()[0]): band.get_paths()[0].vertices[:, 1] for band in axes.collections}
        for run in runs:
            tone = figures.tones(found.weightings)[run.weighting].colour
            values = run.curves["errors"]["error"]
            middle, *edge = lines(axes, tone)
            np.testing.assert_allclose(middle, np.median(values, axis=0), rtol=1e-12)
            assert (bands[tone].min(), bands[tone].max()) == pytest.approx((values.min(), values.max()))
            assert [list(line) for line in edge] == ([[run.published] * 2] if run.published else [])
            assert (run.published is None) == (run.problem == "poisson:k=4")


def test_terms_are_drawn_one_panel_each_and_only_where_something_was_written(found: WeightingResults, tmp_path: Path) -> None:
    runs = next(iter(found.blocks().values()))
    for group, panels in {"weights": ["pde", "boundary"], "losses": ["pde", "boundary"], "cosines": ["pde, boundary"]}.items():
        figure = figures.by_term(found, runs, group)
        assert figure is not None and [axes.get_title(loc="left") for axes in figure.axes] == panels
        scale = "linear" if group == "cosines" else "log"
        assert all(axes.get_yscale() == scale and len(axes.lines) >= len(runs) for axes in figure.axes)
    blue = figures.tones(found.weightings)["inverse-dirichlet"].colour
    weights = figures.by_term(found, runs, "weights")
    assert weights is not None and np.median(lines(weights.axes[1], blue)[0]) == pytest.approx(1.6e4, rel=0.1)
    old = record("poisson:k=6", "mgda", "adam", {"error": [0.1, 0.2]}, (1, 2))
    del old["curve"]["cosines"], old["curve"]["stds"]
    write(tmp_path / "runs" / "old.json", old)
    without = load(tmp_path)
    assert figures.by_term(without, without.runs, "cosines") is None
    assert 'id="cosines"' not in page.html(without) and 'id="weights"' in page.html(without)


def test_many_seeds_are_shown_by_their_middle_half_and_the_report_says_so(tmp_path: Path) -> None:
    values = np.arange(24.0).reshape(12, 2)[::-1]
    np.testing.assert_allclose(figures.band(values), np.quantile(values, [0.25, 0.75], axis=0))
    np.testing.assert_allclose(figures.band(values[:9]), [values[:9].min(0), values[:9].max(0)])
    few, many = study(tmp_path / "few", uniform=[0.2] * 9), study(tmp_path / "many", uniform=[0.2] * 10)
    assert "middle half" not in page.html(few) and "middle half where there are 10 or more" in page.html(many)


def test_runs_that_ended_early_share_the_axis_of_the_others(tmp_path: Path) -> None:
    study(tmp_path, uniform=[0.2, 0.3], mgda=[0.2, 0.3])
    path = tmp_path / "runs" / "mgda.json"
    run = json.loads(path.read_text())
    run["training"].update(updates=500, diverged=[True, True])
    run["curve"] = {"step": [500], "errors": {"error": run["curve"]["errors"]["error"][:1]}}
    write(path, run)
    (axes,) = figures.errors(load(tmp_path)).axes
    ends = {to_hex(line.get_color()): float(np.max(line.get_xdata())) for line in axes.lines if len(line.get_xdata()) != 2}
    assert sorted(ends.values()) == [0.5, 30.0] and axes.get_xlabel() == "updates [thousands]"


def test_every_seed_is_drawn_and_none_twice(found: WeightingResults) -> None:
    for axes, runs in zip(figures.seeds(found).axes, found.blocks().values(), strict=True):
        drawn = np.sort(np.concatenate([points.get_offsets()[:, 0] for points in axes.collections]))
        np.testing.assert_allclose(drawn, np.sort(np.concatenate([run.error for run in runs])))


def test_the_report_of_weightings_is_one_whole_file_that_needs_nothing_else(found: WeightingResults) -> None:
    text = page.html(found)
    outline = Outline()
    outline.feed(text)
    assert outline.open == [] and outline.outside == [] and "<script" not in text and "@import" not in text
    assert set(re.findall(r"url\(#([^)]+)\)", text)) | set(re.findall(r'href="#([^"]+)"', text)) <= set(outline.ids)
    assert len(set(outline.ids)) == len(outline.ids)
    sections = ["answer", "results", "ratios", "failed", "shares", "errors", "seeds", "weights", "losses", "stds", "cosines", "setup"]
    assert [i for i in outline.ids if i in sections] == sections
    assert page.html(found) == text


def test_the_report_says_each_error_with_its_published_value_and_cost(found: WeightingResults) -> None:
    text = page.html(found)
    for run in found.runs:
        assert number(run.typical) in text
    run = next(r for r in found.runs if r.weighting == "inverse-dirichlet" and r.published)
    (row,) = [r for r in re.findall(r"<tr>(.*?)</tr>", text) if number(run.typical) in r and number(7.4e-3) in r]
    cells = re.findall(r"<td>(.*?)</td>", row)
    assert cells[6:10] == ["0 / 5", number(7.4e-3), factor(run.typical / 7.4e-3), "20.0"] and cells[10].startswith(number(2 * run.typical))


def test_failed_runs_are_added_up_over_problems_and_optimisers(tmp_path: Path) -> None:
    folder = fabricate(tmp_path, problems=("poisson:k=6", "poisson:k=4"), optimizers=("adam", "adagrad"), weightings={"uniform": 0.5, "mgda": 0.01})
    text = page.html(load(folder))
    section = text[text.index('id="failed"') : text.index('id="errors"')]
    assert section.count("5 / 5") == 4 and "<b>20 / 20</b>" in section and "100 %" in section and "<b>0 / 20</b>" in section


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


@pytest.mark.parametrize("name", ["mine", "poisson"])
def test_the_reports_command_makes_the_same_study_again(name: str) -> None:
    base = preset("poisson") if name == "poisson" else {}
    plan = WeightingConfiguration(
        **{**base, "name": name, "problem": ("poisson:k=2,interior=50",), "weighting": ("uniform", "mgda"), "steps": 7, "seeds_per_run": 2}
    )
    config = json.loads(json.dumps(describe(plan)))
    command = method.command(config, Path("elsewhere"))
    assert command is not None
    words = shlex.split(command)
    again = parse(words[1], words[2:])
    assert again.plan == plan and again.folder == Path("elsewhere")  # type: ignore[attr-defined]
    assert "--folder" not in (method.command(config, Path("runs") / name) or "") and method.command({}, Path(".")) is None


def test_the_method_names_machine_network_and_weightings_as_they_were_built(found: WeightingResults) -> None:
    text = page.html(found)
    setup = text[text.index('id="setup"') :]
    assert all(said in setup for said in ("a cpu", "0.1.0", "[2, 50 x 5, 1] tanh", "10401", "Mgda(every=5)", "Drops(at=", "1 to 5", "30000", "0.001"))
    assert "eddygrad pinn --name made --problem poisson:k=6 poisson:k=4" in setup
