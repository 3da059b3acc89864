"""Comparisons of weightings that are odd or not finished: one seed, lost seeds, names that clash, plans that cannot work."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cases.fabricated_pinn import fabricate, record, write

import eddygrad as eg
from eddygrad.cli.main import main
from eddygrad.pinn.problems import OWN, PROBLEMS
from eddygrad.pinn.problems.turbulence import turbulence_inverse
from eddygrad.pinn.registry import register
from eddygrad.studies.weightings.config import WeightingConfiguration
from eddygrad.studies.weightings.report import method, page
from eddygrad.studies.weightings.results import tables, weight_shares
from eddygrad.studies.weightings.results.comparisons import comparisons, ties, verdict
from eddygrad.studies.weightings.results.conclusions import verdicts
from eddygrad.studies.weightings.results.load import load
from eddygrad.studies.weightings.results.study_results import WeightingResults
from eddygrad.studies.weightings.study import WeightingStudy, compare


def study(
    folder: Path, diverged: dict[str, list[bool]] | None = None, first: dict[str, int] | None = None, **levels: list[float]
) -> WeightingResults:
    for weighting, errors in levels.items():
        name = weighting.replace("_", "-")
        begin = (first or {}).get(weighting, 1)
        run = record("poisson:k=6", name, "adam", {"error": errors}, range(begin, begin + len(errors)))
        run["training"]["diverged"] = (diverged or {}).get(weighting, [False] * len(errors))
        write(folder / "runs" / f"{name}.json", run)
    return load(folder)


def test_a_rival_of_one_seed_is_no_tie_and_nothing_is_said_of_it(tmp_path: Path) -> None:
    found = study(tmp_path, uniform=[0.3, 0.31, 0.29, 0.3, 0.32], mgda=[0.01, 0.011, 0.009, 0.01, 0.012], ntk=[0.02])
    (said,) = verdicts(found)
    assert said.headline == "mgda is lowest; one seed cannot show whether its gap to ntk is more than chance."
    assert any(s == "Only one seed compares with ntk: no interval." for s in said.sentences)
    assert ties(found.runs)[1] == []
    page.publish(tmp_path)
    alone = study(tmp_path / "alone", uniform=[0.3], mgda=[0.01])
    assert "°" not in page.html(alone).split('id="results"')[1].split("<p")[0]


def test_a_pair_of_which_one_lost_seeds_is_told_apart_by_the_others_after_holm(tmp_path: Path) -> None:
    """The clipped error of the lost seed blows the interval up; what the others say enters Holm's correction as any p-value does."""
    lost = {"uniform": [False, False, False, False, True]}
    errors = {"uniform": [0.13, 0.10, 0.12, 0.11, 1.0], "mgda": [0.10, 0.09, 0.1, 0.098, 0.1]}
    near = study(tmp_path / "two", lost, **errors)
    (c,) = comparisons(near)
    assert c.ratio.low < 1 < c.ratio.high and c.ratio.apart and c.significant and verdict(c) == "lower"
    more = {name: [0.2, 0.1, 0.15, 0.3, 0.1] for name in ("ntk", "gradnorm", "softadapt", "relobralo", "resnorm", "homoscedastic")}
    among = study(tmp_path / "many", lost, **errors, **more)
    (same,) = [c for c in comparisons(among) if {c.first, c.second} == {"uniform", "mgda"}]
    assert same.ratio == c.ratio and not same.significant and verdict(same) == "not shown"
    (said,) = verdicts(among)
    assert said.mark != "clear"
    better = study(tmp_path / "other", lost, uniform=[0.05, 0.04, 0.05, 0.045, 1.0], mgda=errors["mgda"])  # what is left does not speak against it
    (c,) = comparisons(better)
    assert not c.ratio.apart and verdict(c) == "tie"


def test_seeds_that_both_have_are_paired_whatever_else_is_there(tmp_path: Path) -> None:
    found = study(tmp_path, uniform=[0.1, 0.2, 0.4, 0.8], mgda=[0.09, 0.18, 0.36, 0.72, 0.01])
    (c,) = comparisons(found)
    assert c.ratio.method == "paired t" and c.ratio.sizes == (4, 4) and c.ratio.ratio == pytest.approx(0.9) and verdict(c) == "lower"
    apart = study(tmp_path / "apart", first={"mgda": 11}, uniform=[0.1, 0.2, 0.4], mgda=[0.1, 0.2, 0.4])
    assert [c.label for c in comparisons(apart)] == ["mgda / uniform (unpaired)"]


def test_a_verdict_does_not_say_the_opposite_of_its_ratio(tmp_path: Path) -> None:
    """On the seeds that both have the rival is better, over all of its own it is worse: nothing is clear."""
    wobble = [1.0, 1.05, 0.95, 1.02, 0.98]
    found = study(tmp_path, uniform=[*(0.005 * w for w in wobble), *(0.085 * w for w in wobble)], mgda=[0.01 * w for w in wobble])
    (c,) = comparisons(found)
    assert c.ratio.method == "Welch t" and c.ratio.ratio < 1 and verdict(c) == "tie"
    (said,) = verdicts(found)
    assert said.mark != "clear" and "mgda is lowest" in said.headline


def test_what_is_missing_of_a_plan_is_told(tmp_path: Path) -> None:
    folder = fabricate(tmp_path, seeds=3)
    assert load(folder).missing == {} and "not finished" not in tables.table(load(folder))
    (folder / "runs" / "poisson-k=6-mgda-adam.json").unlink()
    config = json.loads((folder / "study.json").read_text())
    write(folder / "study.json", {**config, "seeds": 4})
    found = load(folder)
    assert found.planned == 20 and sum(found.missing.values()) == 8 and found.missing["poisson:k=6", "mgda", "adam"] == 4
    for text in (tables.table(found), page.html(found)):
        assert "not finished, 8 of 20 trainings are missing: poisson:k=6, uniform, adam (1 seed)" in text
    assert len(json.loads(tables.to_json(found, tmp_path / "r.json").read_text())["missing"]) == 5


def test_shares_and_curves_of_lost_seeds_do_not_depend_on_how_seeds_were_spread(tmp_path: Path) -> None:
    whole = record("poisson:k=6", "mgda", "adam", {"error": [0.1, 0.2]}, (1, 2))
    steps = [100, 200, 300]
    whole["curve"] = {"step": steps, "errors": {"error": [[1.0, 1.0], [0.5, 0.5], [0.1, 0.5]]}, "losses": {}}
    whole["curve"]["weights"] = {"a": [[1.0, 1.0], [2.0, 9.0], [3.0, 9.0]], "b": [[1.0, 1.0], [1.0, 1.0], [1.0, 1.0]]}
    whole["training"] |= {"diverged": [False, True], "frozen_at": [-1, 150]}
    write(tmp_path / "whole" / "runs" / "a.json", whole)
    for seed in (0, 1):
        part = json.loads(json.dumps(whole))
        stop = 3 if seed == 0 else 2
        part |= {"seeds": [seed + 1], "errors": {"error": [whole["errors"]["error"][seed]]}}
        part["training"] |= {"diverged": [seed == 1], "frozen_at": [[-1], [150]][seed]}
        curve = part["curve"]
        curve["step"] = steps[:stop]
        for group in ("errors", "weights"):
            curve[group] = {name: [[row[seed]] for row in rows[:stop]] for name, rows in whole["curve"][group].items()}
        write(tmp_path / "parts" / "runs" / f"{seed}.json", part)
    one, other = (load(tmp_path / name).runs[0] for name in ("whole", "parts"))
    assert weight_shares.shares(one) == weight_shares.shares(other) == {"a": (0.75, 0.75, 0.75), "b": (0.25, 0.25, 0.25)}
    np.testing.assert_array_equal(one.curves["errors"]["error"], other.curves["errors"]["error"])
    assert one.curves["errors"]["error"][1].tolist() == [1.0, 30.0, 30.0]


def test_a_report_takes_no_name_of_a_result(tmp_path: Path, capsys: Any) -> None:
    folder = fabricate(tmp_path)
    before = {path: path.read_bytes() for path in folder.rglob("*.json")}
    for name in ("study.json", "results.json", "report"):
        assert main(["report", str(folder), "--out", name]) == 2
        assert "expected a name that ends in .html" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in folder.rglob("*.json")} == before


def test_the_command_that_repeats_a_diagnosed_study_is_one(tmp_path: Path) -> None:
    config = {"name": "mine", "problem": ["layer"], "weighting": ["uniform"], "diagnose": True, "seeds": 2}
    words = str(method.command(config, tmp_path)).split()
    assert "--diagnose" in words and "True" not in words
    assert main([*words[1:], "--estimate", "--json"]) == 0


@pytest.mark.parametrize(
    "options, message",
    [
        ({"seeds": [1, 2]}, r"seeds is a whole number, got \[1, 2\]"),
        ({"steps": 1e4}, "steps is a whole number, got 10000.0"),
        ({"weighting": eg.InverseDirichlet("pde")}, "weighting: expected names such as NAME or NAME:OPTION=VALUE"),
        ({"weighting": [eg.InverseDirichlet("pde")]}, "weighting: expected names such as NAME or NAME:OPTION=VALUE"),
        ({"problem": "turbulence-inverse:momentum_from=0.5,steps=100", "steps": 50}, "the updates stand in .* and in steps=50; leave out one"),
        ({"problem": "turbulence-inverse:momentum_from=1.5"}, "momentum_from expects a share of the updates, at least 0 and below 1, got 1.5"),
        ({"problem": "turbulence-inverse:share=1.0"}, "share expects a number above 0 and below 1"),
        ({"problem": "turbulence-inverse:stride=3"}, "stride 1, 2 or 4"),
        ({"problem": "layer", "optimizer": ["adam", "lbfgs"], "seeds": 1, "weighting": "relobralo"}, "relobralo moves its weights from update to up"),
        (
            {"problem": "layer", "seeds": 1, "polish": 5, "weighting": "uniform:aggregate=Mean"},
            "the update of uniform:aggregate=Mean is no loss's gradient",
        ),
    ],
)
def test_plans_that_cannot_work_are_refused_before_anything_runs(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        compare(tmp_path, **options)


def test_numbers_of_numpy_are_numbers_and_some_work_is_done_by_somebody(tmp_path: Path) -> None:
    mine = compare(tmp_path, problem="layer", weighting=("uniform",), seeds=np.int64(1), steps=np.int32(2))
    mine.run(progress=False)
    assert json.loads((tmp_path / "study.json").read_text())["steps"] == 2
    for work in (mine.run, mine.estimate):
        with pytest.raises(ValueError, match="jobs must be at least one, got 0"):
            work(jobs=0)


@pytest.fixture
def registry() -> Any:
    before = dict(PROBLEMS), dict(OWN)
    yield
    for now, then in zip((PROBLEMS, OWN), before):
        now.clear()
        now.update(then)


def line_of(scale: float = 1.0) -> Any:
    """A line, quick to train."""
    return eg.pinn.Problem(
        lambda d, p: {"pde": d.u_x - scale}, eg.pinn.Box(0.0, 1.0, axes=1), boundary=lambda x: x[:, 0], points=20, width=4, depth=1
    )


@pytest.mark.usefixtures("registry")
def test_settings_that_would_share_a_file_are_refused(tmp_path: Path) -> None:
    for name in ("wave_1", "wave-1"):
        register(name, line_of(), errors=lambda x: x[:, 0], steps=3)
    with pytest.raises(ValueError, match="wave_1, uniform, adam and wave-1, uniform, adam would both be kept as wave-1-uniform-adam"):
        WeightingConfiguration(problem=("wave_1", "wave-1"), weighting=("uniform",)).check()


@pytest.mark.usefixtures("registry")
def test_another_number_of_updates_is_another_problem(tmp_path: Path) -> None:
    digests = []
    for steps in (3, 6):
        register("line", line_of(), errors=lambda x: x[:, 0], steps=steps)
        digests.append(OWN["line"])
    assert digests[0] != digests[1]


@pytest.mark.usefixtures("registry")
def test_a_seed_that_cannot_begin_has_diverged_wherever_it_is_trained(tmp_path: Path) -> None:
    """Of log(u + c) at first: some networks have none. Where no seed can begin the problem is wrong, and that is an error."""

    def posed(c: float) -> Any:
        def residuals(d: Any, p: Any) -> dict[str, Any]:
            return {"pde": d.u_x - torch.log(d.u + c)}

        return eg.pinn.Problem(residuals, eg.pinn.Box(0.0, 1.0, axes=1), points=10, width=4, depth=1)

    def networks(c: float) -> list[bool]:
        register("log", posed(c), errors=lambda x: x[:, 0], steps=3)
        case = PROBLEMS["log"](seeds=tuple(range(1, 7)))
        (loss,) = case.problem.losses(case.batches(0)).values()
        return loss.isfinite().tolist()

    c = next(c for c in np.linspace(0.05, 2, 40) if 0 < sum(networks(float(c))) < 5)
    begins = networks(float(c))
    for per_run in (6, 1):
        mine = compare(tmp_path / str(per_run), problem="log", weighting="uniform", seeds=6, seeds_per_run=per_run)
        with pytest.warns(RuntimeWarning) if per_run == 6 else pytest.MonkeyPatch.context():
            mine.run(progress=False)
        (run,) = load(tmp_path / str(per_run)).runs
        assert [not lost for lost in run.diverged] == begins and run.error[np.array(run.diverged)].tolist() == [30.0] * run.diverged.count(True)
    assert networks(-50.0) == [False] * 6
    with pytest.raises(FloatingPointError, match="no seed can be trained"):
        compare(tmp_path / "wrong", problem="log", weighting="uniform", seeds=2, seeds_per_run=1).run(progress=False)


def test_termination_of_the_parent_lets_its_workers_keep_what_they_did(tmp_path: Path) -> None:
    """A batch system may terminate the first process alone."""
    options = ["--weighting", "uniform", "ntk", "--seeds", "1", "--steps", "200000", "--jobs", "2", "--folder", str(tmp_path)]
    child = subprocess.Popen([sys.executable, "-m", "eddygrad", "pinn", "poisson:k=1,interior=40,width=6,depth=1", *options], start_new_session=True)
    try:
        begin = time.perf_counter()
        while len(list(tmp_path.glob("work/*/metrics.jsonl"))) < 2 and time.perf_counter() - begin < 120:
            time.sleep(0.2)
        child.send_signal(signal.SIGTERM)
        assert child.wait(60) == -signal.SIGTERM and not list(tmp_path.glob("runs/*.json"))
        assert len(list(tmp_path.glob("work/*/checkpoint.pt"))) == 2
    finally:
        child.kill()


def test_the_inverse_problem_checks_its_shares() -> None:
    with pytest.raises(ValueError, match="divergence_from expects a share"):
        turbulence_inverse(divergence_from=-0.1)
    assert WeightingStudy(WeightingConfiguration(problem=("layer",)), "x").configuration.seeds == 5
