"""A comparison: every run once, resumed bitwise, alone in its folder, and gone with its parent."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
import xarray as xr
from cases.tiny_comparison import RUNS, TINY

from eddygrad.evaluation.evaluate import evaluate
from eddygrad.studies.unrolling import config as configuration
from eddygrad.studies.unrolling import study
from eddygrad.studies.unrolling.study import UnrollingStudy

TIMES = ("seconds", "seconds_per_update", "inference_seconds_per_frame", "environment")


def without_times(value):
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items() if k not in TIMES}
    return [without_times(v) for v in value] if isinstance(value, list) else value


def results(folder):
    return {path.stem: without_times(json.loads(path.read_text())) for path in sorted((folder / "runs").glob("*.json"))}


def weights(folder, runs=RUNS):
    return {name: (folder / "work" / name / "fit" / "weights.safetensors").read_bytes() for name in runs}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare") / "tiny"
    UnrollingStudy(TINY, folder).run(threads=1, progress=False)
    return folder


PARENT = """
import os, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from eddygrad.runtime.processes import leave_with_parent

if __name__ == "__main__":
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=leave_with_parent, initargs=(os.getpid(),)) as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        pool.submit(time.sleep, 600).result()
"""


def running(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_every_pair_and_every_baseline_is_scored(finished):
    found = results(finished)
    models = {name: run for name, run in found.items() if run["kind"] == "model"}
    assert sorted(models) == RUNS and len(found) - 4 == 1 + len(configuration.setting(TINY.recipe).baselines)
    for run in models.values():
        assert run["seeds"] == [0, 1] and run["training"]["batch"] == (4 if run["unroll"] == "one" else 2)
        assert len(run["test"]["metrics"]["rellinf"]) == 2 and len(run["test"]["metrics"]["rellinf"][0]) == 4
        assert run["training"]["learning_rate"] == min(run["tuning"], key=lambda t: t["validation"])["lr"]
        assert run["training"]["solver_calls_per_update"] == (4 if run["task"] == "correct" else 0)
        assert run["network"]["parameters"] == 7 * 2 + 2 * (3 * 4 + 2) + 3 * 2 + 1
    reference = next(run for name, run in found.items() if "reference" in name)
    # The reference steps float32 states whose truth was computed in float64 and rounded.
    assert max(reference["test"]["metrics"]["rellinf"][0]) < 1e-9
    assert not UnrollingStudy(TINY, finished).pending()
    assert all(run["environment"]["side_by_side"] == 1 for run in (json.loads((finished / "runs" / f"{n}.json").read_text()) for n in RUNS))
    with xr.open_dataset(finished / "runs" / f"{RUNS[0]}.nc", engine="h5netcdf") as pictures:
        assert pictures["prediction"].shape == (4, 6, 48)
        assert (pictures["prediction"][:, 0] == pictures["reference"][:, 0]).all()


def test_a_second_call_does_nothing_and_a_lost_run_alone_is_done_again_bitwise(finished):
    before, stamps = results(finished), {p.name: p.stat().st_mtime_ns for p in (finished / "runs").glob("*.json")}
    UnrollingStudy(TINY, finished).run(threads=1, progress=False)
    assert stamps == {p.name: p.stat().st_mtime_ns for p in (finished / "runs").glob("*.json")}
    trained = weights(finished)
    lost = finished / "runs" / f"{RUNS[1]}.json"
    lost.unlink()
    for path in (finished / "work" / RUNS[1]).rglob("*.*"):
        path.unlink()
    UnrollingStudy(TINY, finished).run(threads=1, progress=False)
    assert results(finished) == before and weights(finished) == trained
    again = {p.name: p.stat().st_mtime_ns for p in (finished / "runs").glob("*.json")}
    assert {name for name in stamps if again[name] != stamps[name]} == {lost.name}


def test_two_jobs_give_what_one_gives(finished, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    UnrollingStudy(dataclasses.replace(TINY, tasks=("predict",)), tmp_path).run(jobs=2, threads=1, progress=False)
    whole, apart = results(finished), results(tmp_path)
    assert set(RUNS[2:]) < set(apart) and all(whole[name] == run for name, run in apart.items())
    assert weights(tmp_path, RUNS[2:]) == weights(finished, RUNS[2:])
    assert json.loads((tmp_path / "runs" / f"{RUNS[2]}.json").read_text())["environment"]["side_by_side"] == 2


@pytest.mark.parametrize("field,value", [("steps", 7), ("lr", (1e-3,)), ("unroll", ("nog:2",)), ("test_seed", 1), ("dtype", "float64")])
def test_a_folder_of_another_configuration_is_refused(finished, field, value):
    with pytest.raises(ValueError, match=f"was made with {field}=.*choose another folder") as caught:
        UnrollingStudy(dataclasses.replace(TINY, **{field: value}), finished).run(progress=False)
    assert "\n" not in str(caught.value)


def test_two_processes_on_one_run_are_refused(tmp_path):
    with study.locked(tmp_path / "run"):
        with pytest.raises(ValueError, match="another process works on") as caught, study.locked(tmp_path / "run"):
            pass
        assert "\n" not in str(caught.value)
        with study.locked(tmp_path / "other"):
            pass
    with study.locked(tmp_path / "run"):
        pass


def test_a_candidate_that_diverges_loses_and_does_not_end_the_study(tmp_path):
    wild = dataclasses.replace(TINY, tasks=("predict",), unroll=("nog:2",), lr=(1e-3, 1e30), tune_steps=4)
    UnrollingStudy(wild, tmp_path).run(threads=1, progress=False)
    run = results(tmp_path)[RUNS[2]]
    assert [t["validation"] for t in run["tuning"]][1] == 30 and run["training"]["learning_rate"] == 1e-3


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="needs /proc")
def test_a_worker_dies_with_its_parent(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        assert running(worker)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        deadline = time.monotonic() + 20
        while running(worker) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not running(worker)


def test_a_run_whose_every_seed_diverges_is_counted_and_does_not_end_the_study(tmp_path):
    wild = dataclasses.replace(TINY, tasks=("predict",), unroll=("nog:2",), lr=(1e30,))
    UnrollingStudy(wild, tmp_path).run(threads=1, progress=False)
    run = results(tmp_path)[RUNS[2]]
    assert all(run["training"]["diverged"]) and all(e == 30 for seed in run["test"]["error_over_time"] for e in seed[1:])
    assert run["training"]["updates"] == wild.steps > run["training"]["updates_until_all_diverged"]


def test_a_seed_whose_training_diverged_counts_as_diverged_whatever_its_weights():
    c = dataclasses.replace(TINY, seeds=2)
    bench = study.Bench(c)
    score = evaluate(bench.stepper("predict", (0, 1)), bench.test, c.horizon)
    before = score.metrics["rellinf"].clone()
    score.charging([False, True])
    assert torch.equal(score.metrics["rellinf"][0], before[0]) and (score.metrics["rellinf"][1] == 30).all()
    assert (score.error_over_time[1] == 30).all() and score.diverged[1] == before.shape[1]
