"""Notes on the figures and tables of the report: how costs were measured, and what the reference is."""

from __future__ import annotations

from eddygrad.studies.unrolling.results.study_results import UnrollingResults


def costs(results: UnrollingResults) -> str:
    """Say whether runs shared the machine while they were timed."""
    shared = results.side_by_side
    if shared == 0:
        return "Times were measured alone, the runs in turn."
    how = "while the study ran" if shared is None else f"while {shared} runs shared the machine" if shared > 1 else "one run at a time"
    alone = "; eddygrad compare with --costs times each run alone" if "unroll" in results.config and shared != 1 else ""
    return f"Times were measured {how}{alone}."


def reference(results: UnrollingResults) -> str:
    """Explain a baseline that is the reference itself, and why refining another solver does not converge to it; "" without such a baseline."""
    exact = [b.name for b in results.baselines if results.exact(b)]
    if not exact:
        return ""
    return (
        f"The baseline {' and '.join(exact)} computes the reference itself, a discrete map with a time error of its own: "
        "another solver with finer steps converges to the equation and not to that map, so its error here levels off."
    )
