"""A run's JSON as it is read: errors by set, memory, spectra, errors of bad files."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import isnan
from pathlib import Path

import numpy as np
import pytest

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


def _edit(folder: Path, change: Callable[[dict], object], pattern: str = "*.json") -> None:
    for path in sorted((folder / "runs").glob(pattern)):
        run = json.loads(path.read_text())
        change(run)
        path.write_text(json.dumps(run))


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
