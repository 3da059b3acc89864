"""Run the jobs of a suite, ours and the peers' in turn, and print medians and ratios. Each run waits for an idle machine.

python benchmarks/run.py --suite all --rounds 3     (benchmarks/setup_peers.sh makes the environments of the peers)
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from machine import describe, share, ticks, wait_idle
from suites import SUITES, Job, Programs
from table import read, table

REPOSITORY = Path(__file__).resolve().parents[1]
DISTURBED = 0.12  # a run is repeated if other processes take a larger share of the cores
TIMEOUT = 600.0


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", default="all", choices=[*SUITES, "all"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="cores of a run, except for jobs with one thread")
    default_peers = Path(os.environ.get("EDDYGRAD_PEERS", REPOSITORY / "peers-env"))
    parser.add_argument("--peers", type=Path, default=default_peers, help="folder of the peers' environments [EDDYGRAD_PEERS, else peers-env]")
    parser.add_argument("--only", default="", help="run only jobs whose 'case | label' contains this")
    parser.add_argument("--skip", default=[], nargs="+", help="run no jobs whose 'case | label' contains one of these")
    parser.add_argument("--out", type=Path, default=None, help="JSONL file to append to [runs/benchmarks/TIME.jsonl]")
    parser.add_argument("--idle-wait", type=float, default=20.0, help="longest wait for an idle machine before a run [s]")
    parser.add_argument("--quick", action="store_true", help="one round of three short blocks without waiting, to check that all jobs run")
    return parser.parse_args()


def environment(threads: str) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": ""}


def run_once(job: Job, extra: list[str], idle_wait: float) -> dict[str, Any]:
    """Run a job in a process of its own and return its JSON line with the share of the cores that other processes took, or its error."""
    idle = wait_idle(idle_wait) if idle_wait else None
    children, before, start = resource.getrusage(resource.RUSAGE_CHILDREN), ticks(), time.monotonic()
    try:
        command, threads = [*job.command, *extra], job.command[-1]
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, env=environment(threads), check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return {"error": str(error)}
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    own = after.ru_utime + after.ru_stime - children.ru_utime - children.ru_stime
    foreign = share(before, ticks(), own)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        return {"error": (done.stderr.strip().splitlines() or ["printed no result"])[-1][:300]}
    measured = {"idle_before": idle, "foreign": None if foreign is None else round(foreign, 3), "wall_seconds": round(time.monotonic() - start, 1)}
    return {**json.loads(lines[-1]), **measured, "disturbed": foreign is not None and foreign > DISTURBED}


def run_job(job: Job, extra: list[str], idle_wait: float) -> dict[str, Any]:
    """Run a job, and repeat it once if it was disturbed; the result says whether it was repeated and disturbed again."""
    result = run_once(job, extra, idle_wait)
    if result.get("disturbed") and idle_wait:
        print(f"   disturbed ({result['foreign']:.0%} of the cores taken by other processes), repeated: {job.name}", flush=True)
        result = {**run_once(job, extra, idle_wait), "repeated": True}
    return result


def selected_jobs(args: argparse.Namespace) -> list[Job]:
    programs = Programs(args.peers.expanduser().absolute(), args.threads)
    names = SUITES if args.suite == "all" else [args.suite]
    jobs = [job for name in names for job in SUITES[name](programs) if args.only in job.name and not any(s in job.name for s in args.skip)]
    absent = sorted({job.command[0] for job in jobs if not Path(job.command[0]).exists()})
    if absent:
        print(f"peers: not found: {', '.join(absent)}; skipped. Create them with benchmarks/setup_peers.sh {args.peers}", file=sys.stderr)
    return [job for job in jobs if job.command[0] not in absent]


def main() -> int:
    args = options()
    jobs, failed = selected_jobs(args), set()
    if not jobs:
        print(f"run: no job of suite {args.suite!r} contains {args.only!r}", file=sys.stderr)
        return 2
    extra = ["--repetitions", "3", "--max-seconds", "0.5"] if args.quick else []
    path = args.out or REPOSITORY / "runs" / "benchmarks" / time.strftime("%Y%m%d-%H%M%S.jsonl")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as out:
        out.write(json.dumps({"machine": describe(), "suite": args.suite, "rounds": args.rounds, "threads": args.threads}) + "\n")
        for round_ in range(1 if args.quick else args.rounds):
            for number, job in enumerate([job for job in jobs if job not in failed]):
                result = run_job(job, extra, 0.0 if args.quick else args.idle_wait)
                if "error" in result:
                    failed.add(job)
                out.write(json.dumps({"case": job.case, "role": job.role, "label": job.label, "round": round_, **result}) + "\n")
                out.flush()
                shown = result.get("error") or f"{result['seconds'] * 1e6:.1f} us"
                print(f"round {round_ + 1} {number + 1}/{len(jobs)} {job.name}: {shown}", flush=True)
    print(f"\n{table(*read(path))}\n\n{path}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
