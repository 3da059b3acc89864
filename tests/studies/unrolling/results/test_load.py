"""The folder of a comparison of unrolling modalities as it is read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eddygrad.studies.unrolling.results.load import load
from eddygrad.studies.unrolling.results.study_results import UnrollingResults

Fabricate = Callable[..., Path]


def edit(folder: Path, change: Callable[[dict[str, Any]], object], pattern: str = "*.json") -> UnrollingResults:
    for path in (folder / "runs").glob(pattern):
        run = json.loads(path.read_text())
        change(run)
        path.write_text(json.dumps(run))
    return load(folder)


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


@pytest.fixture(scope="module")
def study(study_folder: Path) -> UnrollingResults:
    return load(study_folder)


def test_models_come_first_and_in_the_papers_order(study: UnrollingResults) -> None:
    blocks = study.blocks()
    assert [task for _, task in blocks] == ["correct", "predict"] * 2
    assert [[r.modality for r in runs] for runs in blocks.values()] == [["ONE", "NOG", "WIG"]] * 4
    assert len(study.baselines) == 4


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
