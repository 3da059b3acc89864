"""`eddygrad pinn` and what other commands make of its folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import eddygrad.studies.weightings.study as pinn
from eddygrad.cli.main import main
from eddygrad.studies.weightings.results.load import load

TINY = ["--problem", "poisson:k=1,interior=20,width=4,depth=1", "--weighting", "uniform", "mgda", "--seeds", "2", "--steps", "6"]


def answer(capsys: pytest.CaptureFixture[str], *args: str) -> dict[str, Any]:
    capsys.readouterr()
    assert main([*args, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_pinn_ends_with_its_numbers_and_report_and_validate_know_its_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "study"
    found = answer(capsys, "pinn", *TINY, "--folder", str(folder))
    assert [(row["weighting"], row["seeds"], row["updates"]) for row in found["runs"]] == [("uniform", [1, 2], 6), ("mgda", [1, 2], 6)]
    assert [(c["first"], c["second"]) for c in found["ratios"]] in ([("mgda", "uniform")], [("uniform", "mgda")])
    names = ("report.html", "results.json", "results.csv", "results-ratios.csv")
    first = {name: (folder / name).read_bytes() for name in names}
    for name in names:
        (folder / name).unlink()
    again = answer(capsys, "report", str(folder))
    assert again["runs"] == found["runs"] and again["report"] == str(folder / "report.html") == found["report"]
    assert {name: (folder / name).read_bytes() for name in names} == first
    checked = answer(capsys, "validate", str(folder))
    assert (checked["kind"], checked["problems"], checked["weightings"], checked["settings"]) == ("study", 1, 2, 2)
    assert main(["report", str(folder), "--table"]) == 0
    assert "mgda" in capsys.readouterr().out
    run = next((folder / "runs").iterdir())
    run.write_text(run.read_text()[:-40])
    assert main(["validate", str(folder)]) == 2
    assert run.name in capsys.readouterr().err


def test_problems_may_stand_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = "poisson:k=1,interior=20,width=4,depth=1", "layer:width=4,depth=1"
    found = answer(capsys, "pinn", first, second, *TINY[2:], "--folder", str(tmp_path))
    assert [row["problem"] for row in found["runs"]] == [first, first, second, second]
    assert json.loads((tmp_path / "study.json").read_text())["problem"] == [first, second]
    assert main(["pinn", "poisson:k=x", "--folder", str(tmp_path / "other")]) == 2
    assert "problem: poisson: k is a whole number, got 'x'" in capsys.readouterr().err and not (tmp_path / "other").exists()


def test_weightings_are_tried_on_the_problems_that_stand_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flow = "kovasznay:interior=20,width=4,depth=1"
    found = answer(
        capsys, "pinn", flow, "--weighting", "inverse-dirichlet:reference=momentum", "--seeds", "1", "--steps", "2", "--folder", str(tmp_path)
    )
    assert [row["problem"] for row in found["runs"]] == [flow]
    assert main(["pinn", flow, "--problem", "layer"]) == 2
    assert f"expected problems once, got {flow} and --problem" in capsys.readouterr().err


def test_a_study_tells_its_table_and_report(tmp_path: Path) -> None:
    study = pinn.compare(tmp_path, problem="poisson:k=1,interior=20,width=4,depth=1", weighting="uniform", seeds=3, seeds_per_run=2, steps=4)
    study.run(progress=False)
    (run,) = load(tmp_path).runs
    assert run.seeds == (1, 2, 3) and len(list((tmp_path / "runs").iterdir())) == 2 and run.steps[-1] == 4
    assert f"{run.typical:.3g}" in study.table() and study.report("mine.html") == tmp_path / "mine.html"
    assert "Only uniform was run" in (tmp_path / "mine.html").read_text()


def test_info_lists_problems_weightings_optimisers_and_plans(capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(capsys, "info")
    assert "poisson" in found["problems"] and {"uniform", "inverse-dirichlet", "mgda"} <= set(found["weightings"])
    assert {"adam", "adagrad"} <= set(found["optimizers"]) and found["pinn"]["poisson"].startswith("poisson:k=6, poisson:k=4 by inverse-dirichlet")
