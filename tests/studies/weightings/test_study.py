"""Studies of loss weightings: estimates, claimed folders, workers that are terminated."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from eddygrad.evaluation.cost import saved_megabytes
from eddygrad.pinn.collocation import Collocation
from eddygrad.studies.weightings.config import WeightingConfiguration
from eddygrad.studies.weightings.study import WeightingStudy
from eddygrad.training.loop import Loop


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


SMALL: dict[str, Any] = {"problem": ("poisson:k=1,interior=20,width=4,depth=1",), "seeds": 2, "steps": 6}


def test_hours_are_told_beforehand(tmp_path: Any) -> None:
    study = WeightingStudy(WeightingConfiguration(**SMALL), tmp_path)
    rows = study.estimate(updates=2)
    assert [row.updates for row in rows] == [6, 6] and all(row.seconds_per_update > 0 and row.megabytes > 0 for row in rows)
    assert not list(tmp_path.iterdir()) and "about" in str(rows)


def test_a_begun_study_takes_another_interval_of_checkpoints_and_says_where_more_weightings_go(tmp_path: Any) -> None:
    tiny = {"problem": ("poisson:k=1,interior=20,width=4,depth=1",), "weighting": ("uniform",), "seeds": 1, "steps": 2}
    for every in (500, 1):
        WeightingStudy(WeightingConfiguration(**tiny, checkpoint_every=every), tmp_path).run(progress=False)
    with pytest.raises(ValueError, match=r"was made with weighting=.*; eddygrad report FOLDER OTHER --out both.html reports several as one"):
        WeightingStudy(WeightingConfiguration(**{**tiny, "weighting": ("mgda",)}), tmp_path).run(progress=False)


def test_hours_are_those_of_all_phases(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Updates cost what their terms cost, those that look at gradients more: by a clock that ticks as the work goes."""
    case = WeightingConfiguration(problem=("two-sensors",), weighting=("uniform",), seeds=1).case("two-sensors", (1,))
    given = Collocation(case.problem.network, case.problem.names, dict(case.problem.terms), {"k": 0.5})
    late = replace(case, problem=given, reference=("pde", "good"), steps=100)
    late.problem.terms["pde"] = replace(late.problem.terms["pde"], begins=75)
    clock = [0.0]

    def update(loop: Loop) -> None:
        terms = sum(term.active(loop.step) for term in late.problem.terms.values())
        clock[0] += terms * (5.0 if loop.weighting.due else 1.0)
        loop.weighting.calls += 1
        loop.step += 1

    monkeypatch.setattr(WeightingConfiguration, "case", lambda plan, text, seeds, device=None: late)
    monkeypatch.setattr(Loop, "update", update)
    monkeypatch.setattr("eddygrad.studies.weightings.study.time.perf_counter", lambda: clock[0])
    plan = WeightingConfiguration(problem=("two-sensors",), weighting=("inverse-dirichlet",), seeds=1, steps=100, every=4)
    (row,) = WeightingStudy(plan, tmp_path).estimate(updates=2)
    assert row.seconds_per_update == pytest.approx((0.75 * 2 + 0.25 * 3) * (3 + 5) / 4)
    later = saved_megabytes(late.problem, late.problem.losses, late.batches, 1, 80)
    assert row.megabytes == later > saved_megabytes(late.problem, late.problem.losses, late.batches, 1, 0)
