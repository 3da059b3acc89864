"""The diagnosis of gradients in every layer: what a run keeps of it, its densities, its figure."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from cases.fabricated_pinn import record, write

from eddygrad.studies.weightings.config import WeightingConfiguration
from eddygrad.studies.weightings.report import figures, page
from eddygrad.studies.weightings.results import layer_gradients
from eddygrad.studies.weightings.results.load import load
from eddygrad.studies.weightings.results.run import read
from eddygrad.studies.weightings.study import WeightingStudy
from eddygrad.training.gradient_diagnostics import BINS


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    plan = WeightingConfiguration(
        problem=("poisson:k=2,interior=60,width=12,depth=2",),
        weighting=("uniform", "inverse-dirichlet"),
        seeds=2,
        steps=40,
        validate_every=1,
        diagnose=True,
    )
    WeightingStudy(plan, folder).run(progress=False)
    return folder


def test_a_run_keeps_its_first_and_last_diagnosis(study: Path) -> None:
    for run in load(study).runs:
        assert [own.step for own in run.layers] == [10, 40]
        own = run.layers[0]
        assert own.tensors == ("network.weights.0", "network.weights.1", "network.weights.2") and set(own.spreads) == {"pde", "boundary"}
        assert "network.biases.0" in own.spreads["pde"]


def test_densities_are_those_of_weighted_gradients(study: Path) -> None:
    """Each integrates to the share within five deviations; the widest is in its own, the others by their share of it."""
    uniform, inverse = load(study).runs
    for run in (uniform, inverse):
        own = run.layers[0]
        widths = {}
        for term in own.spreads:
            edges, density = own.density(term, "network.weights.1")
            spread = own.spreads[term]["network.weights.1"]
            inside = spread.counts.sum() / (2 * 12 * 12)  # two seeds, 12 x 12 weights
            assert 0.97 < inside <= 1 and (density * np.diff(edges)).sum() == pytest.approx(inside) and edges.size == BINS + 1
            widths[term] = edges[-1]
        assert max(widths.values()) == pytest.approx(5.0)
        std = {term: own.weights[term] * parts["network.weights.1"].std for term, parts in own.spreads.items()}
        assert widths["boundary"] / widths["pde"] == pytest.approx(std["boundary"] / std["pde"])
    first = {run.weighting: run.layers[0] for run in (uniform, inverse)}
    apart = {name: own.density("boundary", "network.weights.1")[0][-1] for name, own in first.items()}
    assert apart["uniform"] < 0.5 < apart["inverse-dirichlet"]  # a spike at zero, and one that is no more


def test_the_report_shows_them_and_one_without_does_not(study: Path, tmp_path: Path) -> None:
    figure = figures.layers(load(study).runs)
    assert figure is not None and len(figure.axes) == 4 * 3
    assert figure.axes[0].get_ylabel() == "uniform\nupdate 10" and len(figure.axes[0].patches) == 2
    assert 'id="layers"' in page.html(load(study))
    write(tmp_path / "runs" / "a.json", record("poisson:k=6", "uniform", "adam", {"error": [0.1]}, (1,)))
    assert figures.layers(load(tmp_path).runs) is None and 'id="layers"' not in page.html(load(tmp_path))


def test_a_broken_diagnosis_is_named(study: Path, tmp_path: Path) -> None:
    run = json.loads(next((study / "runs").glob("*.json")).read_text())
    run["layers"][1]["gradients"]["pde"]["network.weights.0"]["counts"] = [1, 2]
    write(tmp_path / "a.json", run)
    with pytest.raises(ValueError, match=r"a.json: layers\[1\].gradients.pde.network.weights.0.counts: expected 41 counts, or none, got 2"):
        read(tmp_path / "a.json")


def test_what_has_no_gradient_or_no_weight_has_no_density() -> None:
    spread = layer_gradients.GradientSpread(1.0, np.ones(BINS), BINS)
    own = layer_gradients.LayerGradients(1, {"a": 1.0, "b": 0.0}, {"a": {"x": spread}, "b": {"x": spread, "y": spread}})
    assert own.density("a", "x") is not None and own.density("b", "x") is None and own.density("a", "y") is None and own.density("a", "z") is None
