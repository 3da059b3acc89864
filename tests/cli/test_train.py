"""`eddygrad train`: what it keeps, when, and what it refuses before anything is computed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from eddygrad.cli.train import Train, load
from eddygrad.fitting.recipe import TrainingRecipe

TINY: dict[str, Any] = {"width": 2, "depth": 0, "seeds": 2, "frames": 20, "steps": 4, "batch": 2, "validate_every": 2, "checkpoint_every": 2}


def train(out: Path, **options: Any) -> dict[str, Any]:
    return Train(**{**TINY, "json": True, "out": out, **options}).run(lambda line: None).data


def test_outlier_and_validation_horizon_reach_the_recipe_and_the_folder(tmp_path: Path) -> None:
    command = Train(**TINY, outlier=3.0, validation_horizon=5)
    assert (command.training_recipe().outlier, command.training_recipe().validation_horizon) == (3.0, 5)
    assert (Train(**TINY).training_recipe().outlier, Train(**TINY).training_recipe().validation_horizon) == (
        TrainingRecipe().outlier,
        TrainingRecipe().validation_horizon,
    )
    near = train(tmp_path / "near", outlier=3.0, validation_horizon=2)["validation"]
    far = train(tmp_path / "far", outlier=3.0, validation_horizon=9)["validation"]
    assert near != far
    again, record = load(tmp_path / "near")
    assert (again.outlier, again.validation_horizon) == (3.0, 2) and record["training"]["frames_per_update"] == 2 * 3


def test_the_options_are_there_from_the_start_and_stay_those_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*args: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("eddygrad.fitting.corrector.fit_stepper", killed)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path)
    assert json.loads((tmp_path / "train.json").read_text())["steps"] == 4
    with pytest.raises(ValueError, match="train first, or finish it by the same command"):
        load(tmp_path)
    train(tmp_path, lr=2e-3)  # nothing of the killed run was kept, so another may take its place
    kept = (tmp_path / "train.json").read_bytes()
    with pytest.raises(ValueError, match="another configuration"):
        train(tmp_path)
    assert (tmp_path / "train.json").read_bytes() == kept and load(tmp_path)[0].lr == 2e-3


def test_a_short_training_is_validated_five_times_and_the_median_is_of_the_middle_two(tmp_path: Path) -> None:
    said: list[str] = []
    options = {**TINY, "steps": 10, "validate_every": None}
    outcome = Train(**options, json=True, out=tmp_path).run(said.append)
    assert load(tmp_path)[1]["curve"]["step"] == [2, 4, 6, 8, 10]
    a, b = outcome.data["validation"]
    assert f"median {(a + b) / 2:.3g}, best {min(a, b):.3g}" in said[0] and a != b
    assert Train().configuration().validate_every == 250 and Train(validate_every=7).configuration().validate_every == 7


def test_without_validation_there_is_a_run_and_no_curve(tmp_path: Path) -> None:
    said: list[str] = []
    outcome = Train(**TINY, json=True, out=tmp_path, val=0).run(said.append)
    assert outcome.data["validation"] == [] and outcome.data["updates"] == 4
    assert any("--val 0 keeps no trajectories" in line for line in said) and not any("curve.png" in line for line in said)


@pytest.mark.parametrize(
    "options,complaint",
    [
        ({"val": 0, "schedule": "plateau"}, "plateau needs a validation error, got --val 0"),
        ({"val": 1.0}, "--val must be a share .* below 1, got 1"),
        ({"val": -0.1}, "--val must be a share"),
        ({"outlier": 1.0}, "--outlier must be above 1, got 1"),
        ({"clip": 0.0}, "--clip must be above 0, got 0"),
        ({"lr": 0.0}, "--lr must be positive"),
        ({"seed": -1}, "--seed must not be negative"),
        *(({name: 0}, f"--{name.replace('_', '-')} must be at least 1, got 0") for name in ("seeds", "steps", "batch", "frames", "validate_every")),
        *(({name: 0}, f"--{name.replace('_', '-')} must be at least 1, got 0") for name in ("validation_horizon", "checkpoint_every")),
    ],
)
def test_numbers_out_of_range_are_one_line_and_leave_no_folder(tmp_path: Path, options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as caught:
        train(tmp_path / "none", **options)
    assert "\n" not in str(caught.value) and not (tmp_path / "none").exists()
