"""Profile a spectral step: time share of transforms, copies, sums and products, and call overhead. Prints a table.

python benchmarks/step_profile.py [--threads 2] [--steps 50]
"""

from __future__ import annotations

import argparse
from collections import defaultdict

import torch
from navier_stokes_step import bind_flow
from torch.profiler import ProfilerActivity, profile

from eddygrad.runtime.memory import keep_freed_memory
from eddygrad.solver.unroll import repeat

CASES = (("rk4cn", 512, 1), ("etdrk2", 256, 1), ("etdrk2", 256, 8))
KINDS = {
    "transforms": ("aten::_fft_r2c", "aten::_fft_c2r", "aten::_fft_c2c"),
    "copies": ("aten::copy_", "aten::fill_", "aten::zero_"),
    "sums and products": ("aten::mul", "aten::addcmul", "aten::addcmul_", "aten::add", "aten::add_", "aten::mul_"),
}


def shares(scheme: str, n: int, batch: int, steps: int) -> dict[str, float]:
    """Return the milliseconds per step by kind; the rest is "calls"."""
    step, w = bind_flow(n, batch, scheme)
    repeat(step, w, steps)
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        repeat(step, w, steps)
    kind_of = {name: kind for kind, names in KINDS.items() for name in names}
    spent: dict[str, float] = defaultdict(float)
    for event in profiled.key_averages():
        spent[kind_of.get(event.key, "calls")] += event.self_cpu_time_total / 1e3 / steps
    return spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=50)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    keep_freed_memory()
    names = [*KINDS, "calls"]
    print(f"{'':24}" + "".join(f"{name:>20}" for name in names) + f"{'ms per step':>12}")
    for scheme, n, batch in CASES:
        spent = shares(scheme, n, batch, args.steps)
        whole = sum(spent.values())
        print(f"{scheme + f' {n}^2 batch {batch}':24}" + "".join(f"{spent[name] / whole:20.0%}" for name in names) + f"{whole:12.2f}")


if __name__ == "__main__":
    main()
