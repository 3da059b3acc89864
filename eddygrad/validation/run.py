"""Run the physics self-checks: a row per quantity with expected value, measured value and verdict."""

from __future__ import annotations

import time
from collections.abc import Sequence

from eddygrad.validation import kuramoto_sivashinsky, published_benchmarks, spectral_flows, walls_and_bodies
from eddygrad.validation.check import Check, Row


def checks() -> list[Check]:
    """Return every self-check, in the order in which they run."""
    return [
        Check("order", kuramoto_sivashinsky.observed_orders),
        Check("linear", kuramoto_sivashinsky.linear_modes),
        Check("mean", kuramoto_sivashinsky.conserved_mean),
        Check("realisations", kuramoto_sivashinsky.realisations),
        Check("gradient", kuramoto_sivashinsky.gradients),
        Check("nog", kuramoto_sivashinsky.no_temporal_gradients),
        Check("lyapunov", kuramoto_sivashinsky.lyapunov_at_22),
        Check("probes", kuramoto_sivashinsky.paper_probes),
        Check("flow-order", spectral_flows.flow_orders),
        Check("taylor-green", spectral_flows.taylor_green),
        Check("kolmogorov", spectral_flows.laminar_kolmogorov),
        Check("invariants", spectral_flows.invariants),
        Check("balances", spectral_flows.balances),
        Check("forms", spectral_flows.two_forms),
        Check("active-growth", spectral_flows.active_growth),
        Check("active-turbulence", spectral_flows.active_statistics),
        Check("faces", walls_and_bodies.vortices_on_faces),
        Check("plane-flows", walls_and_bodies.plane_flows),
        Check("kovasznay", walls_and_bodies.kovasznay),
        Check("divergence", walls_and_bodies.divergence_left),
        Check("no-work", walls_and_bodies.no_work),
        Check("two-solvers", walls_and_bodies.two_solvers),
    ]


def benchmarks() -> list[Check]:
    """Return the published benchmarks; they take minutes each and run only if named."""
    return [
        Check("cavity", published_benchmarks.cavity),
        Check("channel", published_benchmarks.channel),
        Check("wake", published_benchmarks.wake),
    ]


def run(names: Sequence[str] | None = None, seed: int = 0) -> list[Row]:
    """Run self-checks.

    Args:
        names: names of checks and benchmarks; None runs all of `checks`.
        seed:  seed of the random states.
    Returns: a row per finding, with the seconds since the row before.
    Raises:  ValueError for an unknown name.
    """
    known = {check.name: check for check in (*checks(), *benchmarks())}
    unknown = [name for name in names or () if name not in known]
    if unknown:
        raise ValueError(f"self-checks: no check is called {unknown}; choose from {list(known)}")
    rows = []
    for name in [check.name for check in checks()] if names is None else names:
        since = time.perf_counter()
        for finding in known[name].measure(seed):
            now = time.perf_counter()
            rows.append(Row(*finding, seconds=now - since))
            since = now
    return rows
