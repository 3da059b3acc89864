"""Kill -9 at random moments: `generate`, `train`, `compare` and `pinn` resume to the same bits.

In the suite `train`, `compare` and `pinn` are killed a few times each (EDDYGRAD_KILLS; `generate` has its own test beside its others). The whole
study, a table on standard output:

    python tests/test_kill.py 20
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

KILLS = int(os.environ.get("EDDYGRAD_KILLS", "2"))
LONGER = int(os.environ.get("EDDYGRAD_KILL_LONGER", "1"))  # times the updates of the suite
TIMES = ("seconds", "seconds_per_update", "inference_seconds_per_frame", "environment")


def generate(folder: Path) -> None:
    from eddygrad.datasets.recipes import kuramoto_sivashinsky as ks

    ks.training(frames=400, warmup=10).generate(folder, progress=False, shard_samples=3)


def generate_plane(folder: Path) -> None:
    from eddygrad.datasets.recipes import kolmogorov

    kolmogorov.training(frames=8, reynolds=(300.0, 600.0, 900.0), warmup=10).generate(folder, progress=False, shard_samples=1)


def train(folder: Path) -> None:
    from eddygrad.correctors import ResNet, correct, domain_size
    from eddygrad.datasets.recipes import kuramoto_sivashinsky as ks
    from eddygrad.fitting.corrector import fit_stepper
    from eddygrad.training import Plateau

    data = ks.training(frames=40, domains=(1.0, 1.1), warmup=10).generate(None, progress=False).split(val=0.2, test=0.2)
    stepper = correct(ks.coarse(), ResNet(4, 1), "parallel", features=domain_size())
    options: dict[str, Any] = {"schedule": Plateau(patience=0), "clip": 0.5, "outlier": 2.0, "validate_every": 17, "checkpoint_every": 11}
    fit_stepper(stepper, data, unroll="wig:2", steps=100 * LONGER, batch=4, seeds=2, folder=folder, progress=False, **options)


def compare(folder: Path) -> None:
    from eddygrad.studies.unrolling.config import UnrollingConfiguration
    from eddygrad.studies.unrolling.study import UnrollingStudy

    sizes: dict[str, Any] = {"width": 2, "depth": 1, "seeds": 2, "batch": 2, "frames": 24, "starts": 1, "horizon": 3, "long_horizon": 5}
    tuned: dict[str, Any] = {"lr": (1e-3, 3e-3), "tune_steps": 5 * LONGER, "tune_seeds": 1}
    often: dict[str, Any] = {"steps": 30 * LONGER, "validate_every": 10 * LONGER, "checkpoint_every": 7}
    UnrollingStudy(UnrollingConfiguration(tasks=("correct",), unroll=("one", "nog:2"), **sizes, **tuned, **often), folder).run(
        threads=1, progress=False
    )


def pinn(folder: Path) -> None:
    from eddygrad.studies.weightings.config import WeightingConfiguration
    from eddygrad.studies.weightings.study import WeightingStudy

    weightings = ("inverse-dirichlet:every=3", "relobralo", "ntk")
    often: dict[str, Any] = {"steps": 60 * LONGER, "validate_every": 10 * LONGER, "checkpoint_every": 7, "diagnose": True}
    plan = WeightingConfiguration(
        problem=("poisson:k=1,interior=40,width=6,depth=1",), weighting=weightings, optimizer=("adagrad",), seeds=2, **often
    )
    WeightingStudy(plan, folder).run(threads=1, progress=False)


JOBS: dict[str, Callable[[Path], None]] = {"generate": generate, "generate-plane": generate_plane, "train": train, "compare": compare, "pinn": pinn}


def without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items() if k not in TIMES}
    return [without_times(v) for v in value] if isinstance(value, list) else value


def contents(folder: Path) -> dict[str, Any]:
    """Every file that counts: bytes, or JSON without what a clock wrote. Pictures, checkpoints and temporary names are left out."""
    found: dict[str, Any] = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = str(path.relative_to(folder))
        if path.suffix == ".jsonl":
            found[name] = [without_times(json.loads(line)) for line in path.read_text().splitlines()]
        elif path.suffix == ".json":
            found[name] = without_times(json.loads(path.read_text()))
        elif path.suffix == ".safetensors" or (path.suffix == ".nc" and not path.name.startswith(".")):
            found[name] = path.read_bytes()
    return found


def forked(job: str, folder: Path, moment: float | None = None) -> tuple[int, float]:
    """Run a job in a process of its own, killed after `moment` seconds: (exit status or -signal, seconds)."""
    begin = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            JOBS[job](folder)
            status = 0
        finally:
            os._exit(status)
    if moment is not None:
        time.sleep(max(0.0, moment))
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), time.perf_counter() - begin


def study(job: str, kills: int, root: Path, seed: int = 0) -> list[dict[str, Any]]:
    """Kill a job at random moments of its duration, each time in a fresh folder, let it end, and compare with the run that was left alone."""
    status, _ = forked(job, root / "whole")
    assert status == 0, f"{job} failed with status {status}"
    _, seconds = forked(job, root / "timed")
    expected, rows = contents(root / "whole"), []
    assert contents(root / "timed") == expected, f"{job} is not reproducible"
    draw = random.Random(f"{job}/{seed}")
    for i in range(kills):
        folder, fraction = root / f"killed-{i}", draw.uniform(0.02, 0.98)
        killed, _ = forked(job, folder, fraction * seconds)
        files = len([p for p in folder.rglob("*") if p.is_file()]) if folder.exists() else 0
        ended, _ = forked(job, folder)
        equal = contents(folder) == expected
        rows.append({"fraction": fraction, "killed": killed == -signal.SIGKILL, "files": files, "ended": ended == 0, "equal": equal})
    return rows


def host(job: str, kills: int, root: Path) -> list[dict[str, Any]]:
    """The study of one job in a fresh process of one thread, whose children start with everything imported."""
    command = [sys.executable, __file__, "host", job, str(kills), str(root)]
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=one_thread, check=True)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("job", ["generate-plane", "train", "compare", "pinn"])
def test_killed_at_random_moments_it_resumes_to_the_same_bits(job: str, tmp_path: Path) -> None:
    rows = host(job, KILLS, tmp_path)
    assert len(rows) == KILLS and all(row["ended"] and row["equal"] for row in rows), rows
    assert sum(row["killed"] for row in rows) >= 1, rows


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["host"]:
        import torch
        import torch._dynamo  # the first optimiser would import it, in every child

        import eddygrad.datasets.recipes.kuramoto_sivashinsky
        import eddygrad.studies.unrolling.study
        import eddygrad.studies.weightings.study  # noqa: F401

        torch.set_num_threads(1)
        sys.stdout.write(json.dumps(study(arguments[1], int(arguments[2]), Path(arguments[3]))) + "\n")
        return 0
    import tempfile

    kills, good = int(arguments[0]) if arguments else 20, True
    os.environ.setdefault("EDDYGRAD_KILL_LONGER", "4")
    sys.stdout.write(f"{'job':16}{'kills':>7}{'in mid-run':>12}{'with files':>12}{'ended':>7}{'bitwise equal':>15}\n")
    for job in JOBS:
        with tempfile.TemporaryDirectory() as root:
            rows = host(job, kills, Path(root))
        killed, files = sum(r["killed"] for r in rows), sum(r["files"] > 0 for r in rows)
        ended, equal = sum(r["ended"] for r in rows), sum(r["equal"] for r in rows)
        sys.stdout.write(f"{job:16}{len(rows):7}{killed:12}{files:12}{ended:7}{equal:15}\n")
        sys.stdout.flush()
        good &= ended == equal == kills
    return 0 if good else 1


@pytest.mark.parametrize("whole", [False, True], ids=["parent", "group"])
def test_an_interrupt_ends_all_workers_who_keep_what_they_did(whole: bool, tmp_path: Path) -> None:
    """Of the parent alone, as `kill -INT` sends it, and of all, as a terminal does. What is begun would take minutes, and more is to follow."""
    options = ["--weighting", "uniform", "ntk", "mgda", "gradient-norm", "--seeds", "1", "--steps", "200000", "--jobs", "2", f"--folder={tmp_path}"]
    listens: Any = {
        "preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        "start_new_session": True,
    }  # the suite may not hear it
    child = subprocess.Popen([sys.executable, "-m", "eddygrad", "pinn", "poisson:k=1,interior=40,width=6,depth=1", *options], **listens)
    try:
        begin = time.perf_counter()
        while len(list(tmp_path.glob("work/*/metrics.jsonl"))) < 2 and time.perf_counter() - begin < 120:
            time.sleep(0.2)
        time.sleep(1.0)
        if whole:
            os.killpg(child.pid, signal.SIGINT)
        else:
            child.send_signal(signal.SIGINT)
        assert child.wait(60) == 130 and not list(tmp_path.glob("runs/*.json"))
        assert len(list(tmp_path.glob("work/*/checkpoint.pt"))) == len(list(tmp_path.glob("work/*/metrics.jsonl"))) == 2
    finally:
        child.kill()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
