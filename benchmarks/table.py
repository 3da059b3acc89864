"""Print medians and ratios of a file of runs as a table.

python benchmarks/table.py RUNS.jsonl
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Row = dict[str, Any]
# Largest difference of two probes that did the same work.
# ks-step: PhiFlow's coefficients are float32, so its states differ from ours by 1e-4 after the 50 steps of the probe.
# ns-step: vorticities are of order one in float32. Round-off changes the fifth digit. One step too many, a wrong sign, a forcing in another mode or a
#   missing drag changes the third digit. 10 % more viscosity or another scheme of the same time step changes the fifth digit and is not detected.
# ns-gradient: a gradient through 512 steps accumulates more round-off.
# staggered: finite volumes with different fluxes agree to a few digits.
# pinn-*: the probes are logarithms, so these tolerances are relative.
_PROBE_TOLERANCE = {"ks-step": 2e-3, "ns-step": 1e-4, "ns-gradient": 1e-3, "staggered": 5e-3, "pinn-poisson": 1e-3, "pinn-residual": 1e-3}
_ONE_THREAD = ", one thread"


def read(path: Path) -> tuple[Row, list[Row]]:
    """Return (the machine, the runs) of a file."""
    lines = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    machine: Row = next((line["machine"] for line in lines if "machine" in line), {})
    return machine, [line for line in lines if "case" in line]


def _duration(seconds: float) -> str:
    unit, factor = ("us", 1e6) if seconds < 1e-3 else ("ms", 1e3)
    return f"{seconds * factor:.3g} {unit}" if seconds * factor < 1000 else f"{seconds * factor:.0f} {unit}"


def ratios(ours: list[Row], theirs: list[Row]) -> tuple[float, float, float] | None:
    """Return the ratio theirs / ours of the medians over rounds, and the smallest and largest ratio within a round."""
    mine, other = ({r["round"]: r["seconds"] for r in rows} for rows in (ours, theirs))
    rounds = sorted(mine.keys() & other.keys())
    if not rounds:
        return None
    per_round = [other[k] / mine[k] for k in rounds]
    return statistics.median(other.values()) / statistics.median(mine.values()), min(per_round), max(per_round)


def different_work(rows: list[Row]) -> str | None:
    """Return a warning if the rows of a case did different work: networks of different sizes, or different states after the steps of the probe."""
    sizes = {r["label"]: r["parameters"] for r in rows if "parameters" in r}
    if len(set(sizes.values())) > 1:
        return f"the networks have different sizes: {sizes}"
    ours = next((r["probe"] for r in rows if r["role"] == "ours" and "probe" in r), None)
    for row in rows:
        if ours is None or "probe" not in row or row.get("lengths") == "per-sample":
            continue
        distance = max(abs(a - b) for a, b in zip(ours, row["probe"]))
        tolerance = _PROBE_TOLERANCE[row["workload"]]
        if not distance < tolerance:
            return f"{row['label']} differs by {distance:.2g} after the steps of the probe, expected less than {tolerance}: not the same work"
    return None


def _rate(runs: list[Row]) -> float:
    """Operations of the row over its median time [GFLOP/s]."""
    return round(statistics.median(r["flops"] for r in runs) / statistics.median(r["seconds"] for r in runs) / 1e9, 1)


def _case(case: str, rows: list[Row]) -> Iterable[str]:
    ours = [r for r in rows if r["role"] == "ours"]
    yield f"\n{case}\n  {'':42s} {'median':>10s} {'rounds':>21s}   {'x ours':>7s} {'in a round':>15s}"
    for label in dict.fromkeys(r["label"] for r in rows):
        runs = [r for r in rows if r["label"] == label]
        times = [r["seconds"] for r in runs]
        ratio = ratios(ours, runs)
        relative = "" if ratio is None else f"{ratio[0]:7.2f} {ratio[1]:7.2f}-{ratio[2]:.2f}"
        extra = f"  {_rate(runs)} GFLOP/s" if "flops" in runs[-1] else ""
        extra += f"  {1 / statistics.median(times):.3g} /s" if "iterations_per_second" in runs[-1] else ""
        memory = [r["extra_mb"] for r in runs if r.get("extra_mb") is not None]
        extra += f"  {statistics.median(memory):.0f} MB" if memory else ""
        disturbed = sum(bool(r.get("disturbed")) for r in runs)
        mark = f"  disturbed {disturbed}/{len(runs)}" if disturbed else ""
        span = f"{_duration(min(times))} - {_duration(max(times))}"
        yield f"  {label:42s} {_duration(statistics.median(times)):>10s} {span:>21s}   {relative}{extra}{mark}"
    warning = different_work(rows)
    if warning:
        yield f"  WARNING {warning}"


def summary(rows: list[Row]) -> Iterable[str]:
    """Yield a line per scheme and peer or limit: its time over ours in the cases of a workload, each with its faster number of threads."""
    groups = dict.fromkeys((r["workload"], r["scheme"]) for r in rows if "scheme" in r)
    for workload, scheme in groups:
        own = [r for r in rows if (r.get("workload"), r.get("scheme")) == (workload, scheme)]
        times: dict[str, dict[str, float]] = {}
        for case, label in dict.fromkeys((r["case"], r["label"]) for r in own):
            median = statistics.median(r["seconds"] for r in own if (r["case"], r["label"]) == (case, label))
            best = times.setdefault(label.removesuffix(_ONE_THREAD), {})
            best[case] = min(median, best.get(case, median))
        reference = {r["case"]: times[r["label"].removesuffix(_ONE_THREAD)][r["case"]] for r in own if r["role"] == "ours"}
        others = dict.fromkeys(r["label"].removesuffix(_ONE_THREAD) for r in own if r["role"] in ("peer", "limit"))
        for label in others:
            ratio = {case: t / reference[case] for case, t in times[label].items() if case in reference}
            if ratio:
                worst = min(ratio, key=lambda case: ratio[case])
                mean = f"geometric mean {statistics.geometric_mean(ratio.values()):.2f}"
                yield f"  {workload} {scheme:7s} {label:32s} {mean}, worst {ratio[worst]:.2f} ({worst}), {len(ratio)} cases"


def table(machine: Row, rows: list[Row]) -> str:
    """Return the table of all cases. `x ours` is the time of a row over ours: a peer above 1 is slower than ours; a limit of .5 is twice as fast."""
    summarised = list(summary([r for r in rows if "seconds" in r]))
    lines = ["machine: " + ", ".join(f"{k} {v}" for k, v in machine.items())]
    lines += sorted({r["versions"] for r in rows if "versions" in r})
    for case in dict.fromkeys(r["case"] for r in rows):
        lines += _case(case, [r for r in rows if r["case"] == case and "seconds" in r])
    lines += ["\ntimes over ours, each with its faster number of threads", *summarised] if summarised else []
    lines += [f"failed: {r['case']} | {r['label']}: {r['error']}" for r in rows if "error" in r]
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(*read(Path(sys.argv[1]))))
