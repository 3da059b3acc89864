"""Figures of loss weightings: colours, bands, panels."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from cases.fabricated_pinn import LEVELS, fabricate, record, write
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb

from eddygrad.studies.weightings.report import figures, page
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


def lines(axes: Axes, colour: str) -> list[np.ndarray]:
    return [np.asarray(line.get_ydata(), dtype=float) for line in axes.lines if to_hex(line.get_color()) == colour]


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
