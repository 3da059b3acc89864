"""The forest plot of a study's ratios."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from eddygrad.plotting.style import INK, PAPER, WIDTH, factor, log_axis, styled
from eddygrad.studies.shared.comparison import Comparison


@styled
def ratios(compared: Sequence[Comparison], tone: Callable[[Comparison], str], level: float = 0.05) -> Figure:
    """Draw ratios of errors with their intervals, one line each, grouped by family.

    Left of 1 the first of a pair is better. A dot is filled if the ratio is significant after Holm's correction; a tick marks the published ratio.

    Args: compared: the ratios. tone: colour of a ratio. level: below which a corrected p-value is significant.
    """
    families = list(dict.fromkeys(c.family for c in compared))
    figure = Figure(figsize=(WIDTH, 0.7 + 0.27 * (len(compared) + 1.1 * len(families))), layout="constrained")
    axes = figure.subplots()
    axes.axvline(1, color=INK, lw=1)
    y, ticks = 0.0, []
    for family in families:
        axes.text(-0.015, y, family, transform=axes.get_yaxis_transform(), ha="right", va="center", fontweight="bold", fontsize=8.5)
        y += 1
        for c in (c for c in compared if c.family == family):
            _line(axes, y, c, tone(c), level)
            ticks.append((y, c.label))
            y += 1
        y += 0.1
    axes.set(xlim=_limits(compared), ylim=(y - 0.4, -0.6), xlabel="ratio of errors (left of 1: the first is better)")
    log_axis(axes, "x")
    axes.set_yticks([t for t, _ in ticks], [label for _, label in ticks])
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.grid(False, axis="y")
    axes.spines["left"].set_visible(False)
    return figure


def _limits(compared: Sequence[Comparison]) -> tuple[float, float]:
    """Return the ends of the horizontal axis: all intervals and published ratios fit, and it reaches from 0.5 to 2 at least."""
    ends = [e for c in compared for e in (c.ratio.ratio, c.ratio.low, c.ratio.high, c.paper or c.ratio.ratio) if isfinite(e)]
    return min([*ends, 0.5]) / 1.2, max([*ends, 2.0]) * 1.2


def _line(axes: Axes, y: float, c: Comparison, tone: str, level: float) -> None:
    """Draw one ratio at height y."""
    if isfinite(c.ratio.low):
        axes.plot([c.ratio.low, c.ratio.high], [y, y], color=tone, lw=2.4, alpha=0.8)
    axes.plot(c.ratio.ratio, y, "o", ms=6.5, mfc=tone if c.p_holm < level else PAPER, mec=tone, mew=1.6, zorder=3)
    if c.paper:
        axes.plot(c.paper, y, "|", color=INK, ms=13, mew=1.8, zorder=4)
    ends = f"  [{factor(c.ratio.low)}, {factor(c.ratio.high)}]" if isfinite(c.ratio.low) else ""
    axes.text(1.015, y, factor(c.ratio.ratio) + ends, transform=axes.get_yaxis_transform(), va="center", fontsize=8.5)
