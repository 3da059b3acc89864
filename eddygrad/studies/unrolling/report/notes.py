"""What has to be known beside a figure or table of the report: how its costs were measured, what its reference is."""

from __future__ import annotations

from eddygrad.studies.unrolling.results.load import Study


def costs(study: Study) -> str:
    """Whether runs shared the machine while they were timed."""
    together = study.side_by_side
    if together == 0:
        return "Times were measured alone, the runs in turn."
    how = "while the runs went on" if together is None else f"while {together} runs shared the machine" if together > 1 else "one run at a time"
    alone = "; eddygrad compare with --costs times them alone" if "unroll" in study.config and together != 1 else ""
    return f"Times were measured {how}{alone}."


def reference(study: Study) -> str:
    """Where a baseline is the reference itself: that refining another solver does not lead to it."""
    exact = [b.name for b in study.baselines if study.exact(b)]
    if not exact:
        return ""
    return (
        f"The baseline {' and '.join(exact)} computes the reference itself, which is a discrete map with a time error of its own: "
        "another solver with finer steps converges to the equation and not to that map, so its error here levels off."
    )
