"""The report's last section: method, machine, and the command that makes the study again."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from cases.fabricated_pinn import fabricate

from eddygrad.cli.main import main, parse
from eddygrad.studies.weightings.config import WeightingConfiguration, describe, preset
from eddygrad.studies.weightings.report import method, page
from eddygrad.studies.weightings.results.load import load
from eddygrad.studies.weightings.results.study_results import WeightingResults


def test_the_command_that_repeats_a_diagnosed_study_is_one(tmp_path: Path) -> None:
    config = {"name": "mine", "problem": ["layer"], "weighting": ["uniform"], "diagnose": True, "seeds": 2}
    words = str(method.command(config, tmp_path)).split()
    assert "--diagnose" in words and "True" not in words
    assert main([*words[1:], "--estimate", "--json"]) == 0


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> WeightingResults:
    folder = tmp_path_factory.mktemp("pinn")
    return load(fabricate(folder, problems=("poisson:k=6", "poisson:k=4"), others=("coefficients",)))


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
