"""The figures of a comparison of loss weightings; a weighting has the same colour, marker and dash in all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from math import ceil
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from eddygrad.plotting.style import DASHES, INK, MUTED, PALETTE, WIDTH, legend, log_axis, number, styled, titled_panels
from eddygrad.studies.shared import ratio_figure
from eddygrad.studies.shared.comparison import Comparison
from eddygrad.studies.shared.strict_json import Array
from eddygrad.studies.weightings.results.run import FAILED, WeightingRun
from eddygrad.studies.weightings.results.study_results import WeightingResults
from eddygrad.training.gradient_diagnostics import REACH

MANY = 10
"""With this many seeds or more, bands show quartiles in place of extremes."""
_POINTS = 160  # of a curve
_OWN = {"uniform": 0, "inverse-dirichlet": 1, "max-average": 2, "mgda": 3, "epsilon-optimal": 4}
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
GROUPS: Mapping[str, str] = {  # groups of curves by term, and the label of their axis
    "weights": "weight",
    "losses": "loss",
    "stds": "std of the gradient",
    "cosines": "cosine of gradients",
}


@dataclass(frozen=True)
class Tone:
    """Colour, marker and dash of a weighting."""

    colour: str
    marker: str
    dash: Any


def tones(weightings: Sequence[str]) -> dict[str, Tone]:
    """Return the tone of each weighting.

    A weighting of Maddu et al. 2021 has the tone of its name, if that is free; others get the next tone without a name, then any free one. Beyond the
    length of the palette, lines are dashed.
    """
    taken: dict[str, int] = {}
    for text in weightings:
        own = _OWN.get(text.partition(":")[0])
        if own is not None and own not in taken.values():
            taken[text] = own
    dashes, size = ("-", *DASHES), len(PALETTE)
    free = (place for place in chain(range(len(_OWN), size), range(len(_OWN)), count(size)) if place not in taken.values())
    for text in weightings:
        if text not in taken:
            taken[text] = next(free)
    return {text: Tone(PALETTE[taken[text] % size], _MARKERS[taken[text] % size], dashes[taken[text] // size % len(dashes)]) for text in weightings}


@styled
def errors(results: WeightingResults) -> Figure:
    """Draw the endpoint against updates: median over seeds with a band, see `band`; a tick at the right edge is the published value."""
    blocks, shown = results.blocks(), tones(results.weightings)
    figure, grid = titled_panels([results.title(block) for block in blocks], share=False)
    for axes, runs in zip(grid, blocks.values(), strict=True):
        for run in runs:
            _course(axes, run, run.curves["errors"].get(run.endpoint), shown[run.weighting], _unit(runs))
        edge: Any = {"transform": axes.get_yaxis_transform(), "clip_on": False, "solid_capstyle": "butt"}
        for run, value in ((r, r.published) for r in runs if r.published):
            axes.plot([1.01, 1.05], [value, value], color=shown[run.weighting].colour, lw=2.6, **edge)
        _updates(axes, runs)
        log_axis(axes)
    grid[0].set_ylabel(_endpoint(results))
    published = [Line2D([], [], color=MUTED, lw=2.6, label="at the edge: published", solid_capstyle="butt")]
    _legend(figure, shown, published if any(r.published for r in results.runs) else [])
    return figure


@styled
def seeds(results: WeightingResults) -> Figure:
    """Draw the final error of every seed by weighting, each seed at its own height; a bar marks the median, a hollow triangle the published value."""
    blocks, shown = results.blocks(), tones(results.weightings)
    figure, grid = titled_panels([results.title(block) for block in blocks], height=0.95 + 0.34 * len(shown), share=True)
    names = list(shown)
    for axes, runs in zip(grid, blocks.values(), strict=True):
        axes.axvline(FAILED, color=MUTED, lw=1, ls=DASHES[1])
        for run in runs:
            y, tone = names.index(run.weighting), shown[run.weighting]
            heights = y + np.linspace(-0.24, 0.24, len(run.seeds)) * (len(run.seeds) > 1)
            axes.scatter(run.error, heights, s=22, color=tone.colour, marker=tone.marker, alpha=0.8, lw=0, zorder=3)
            median = float(np.median(run.error))
            axes.plot([median, median], [y - 0.33, y + 0.33], color=INK, lw=2, zorder=4)
            axes.annotate(number(median), (1.015, y), xycoords=("axes fraction", "data"), va="center", fontsize=8.5, color=INK)
            if run.published:
                axes.plot(run.published, y, "<", ms=6.5, mfc="none", mec=INK, mew=1.1, zorder=5)
        axes.set_xlabel(f"{runs[0].endpoint}, per seed")
        axes.margins(x=0.06)
        axes.grid(False, axis="y")
        axes.tick_params(axis="y", length=0, labelcolor=INK)
        log_axis(axes, "x")
    grid[0].set_yticks(range(len(names)), names)
    grid[0].set_ylim(len(names) - 0.5, -0.5)
    return figure


@styled
def by_term(results: WeightingResults, runs: Sequence[WeightingRun], group: str) -> Figure | None:
    """Draw the curves of one group against updates, a panel per term; None if no run recorded them.

    Args: results: of a study. runs: to draw. group: "weights", "losses", "stds" or "cosines".
    """
    names = list(dict.fromkeys(name for run in runs for name, value in run.curves.get(group, {}).items() if np.isfinite(value).any()))
    if not names:
        return None
    columns = 2 if len(names) in (2, 4) else 3
    figure, grid = titled_panels(names, height=2.6 if len(names) > 1 else 3.2, share=group == "cosines", columns=columns)
    shown = tones(results.weightings)
    for axes, name in zip(grid, names, strict=True):
        for run in runs:
            _course(axes, run, run.curves.get(group, {}).get(name), shown[run.weighting], _unit(runs), positive=group != "cosines")
        _updates(axes, runs)
        if group == "cosines":
            axes.set_ylim(-1.05, 1.05)
            axes.axhline(0, color=INK, lw=0.8)
        else:
            log_axis(axes)
    for axes in grid[::columns]:
        axes.set_ylabel(GROUPS[group])
    _legend(figure, {name: tone for name, tone in shown.items() if name in {run.weighting for run in runs}})
    return figure


@styled
def layers(runs: Sequence[WeightingRun]) -> Figure | None:
    """Draw the weighted gradients of the terms in every layer, a row per weighting and diagnosis; None if no run was diagnosed."""
    seen = [(run, own) for run in runs for own in run.layers]
    if not seen:
        return None
    tensors = list(dict.fromkeys(name for _, own in seen for name in own.tensors))
    terms = list(dict.fromkeys(name for _, own in seen for name in own.spreads))
    colours = PALETTE[1:] * len(terms)
    figure = Figure(figsize=(WIDTH, 0.7 + 1.35 * len(seen)), layout="constrained")
    grid = figure.subplots(len(seen), len(tensors), squeeze=False, sharex=True, sharey=True)
    for (run, own), row in zip(seen, grid, strict=True):
        row[0].set_ylabel(f"{run.weighting}\nupdate {own.step}", fontsize=7.5)
        for axes, tensor in zip(row, tensors, strict=True):
            for term, colour in zip(terms, colours):
                density = own.density(term, tensor) if term in own.spreads else None
                if density is not None:
                    axes.stairs(density[1], density[0], color=colour, lw=1.3)
            axes.set_yscale("log")
            axes.set_xlim(-REACH, REACH)
            axes.set_ylim(1e-4, 1e4)
            axes.set_yticks([1e-3, 1, 1e3])
    for i, axes in enumerate(grid[0]):
        axes.set_title(f"layer {i + 1}", fontsize=9)
    figure.supxlabel("weighted gradient, in standard deviations of the widest term", fontsize=8.5)
    legend(figure, [Line2D([], [], color=colour, lw=1.5, label=term) for term, colour in zip(terms, colours)])
    return figure


def ratios(results: WeightingResults, compared: Sequence[Comparison]) -> Figure:
    """Draw the ratios with their intervals, in the colours of their weightings."""
    colours = {name: tone.colour for name, tone in tones(results.weightings).items()}
    return ratio_figure.ratios(compared, lambda c: colours[c.first])


def _course(axes: Axes, run: WeightingRun, values: Array | None, tone: Tone, unit: float, positive: bool = True) -> None:
    """Draw the median over seeds with a band; only positive values if the axis is logarithmic."""
    if values is None:
        return
    kept = np.where(values > 0, values, np.nan) if positive else values
    seen = np.flatnonzero(np.isfinite(kept).any(0))
    if not seen.size:
        return
    seen = seen[np.unique(np.linspace(0, seen.size - 1, _POINTS).round().astype(int))]
    x, kept = run.steps[seen] / unit, kept[:, seen]
    every = max(1, ceil(x.size / 8))
    start = int(PALETTE.index(tone.colour) * every / len(PALETTE))  # markers of lines that coincide do not overlap
    if len(run.seeds) > 1:
        axes.fill_between(x, *band(kept), color=tone.colour, alpha=0.13, lw=0)
    axes.plot(x, np.nanmedian(kept, 0), color=tone.colour, ls=tone.dash, lw=1.5, marker=tone.marker, ms=4, markevery=(start, every))


def band(values: Array) -> tuple[Array, Array]:
    """Return the ends of the band (points,): the lowest and the highest seed, or the quartiles of `MANY` and more, whose extremes would hide all.

    Args: values: (seeds, points).
    """
    low, high = (0.25, 0.75) if len(values) >= MANY else (0.0, 1.0)
    return np.nanquantile(values, low, axis=0), np.nanquantile(values, high, axis=0)


def _unit(runs: Sequence[WeightingRun]) -> float:
    """Return the unit of the axis of updates: thousands if a run has many."""
    return 1e3 if max(run.updates for run in runs) >= 10_000 else 1.0


def _updates(axes: Axes, runs: Sequence[WeightingRun]) -> None:
    axes.set_xlabel("updates [thousands]" if _unit(runs) > 1 else "updates")
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axes.margins(x=0.02)


def _endpoint(results: WeightingResults) -> str:
    names = dict.fromkeys(run.endpoint for run in results.runs)
    return " or ".join(names)


def _legend(figure: Figure, shown: Mapping[str, Tone], extra: Sequence[Line2D] = ()) -> None:
    handles = [Line2D([], [], color=t.colour, ls=t.dash, lw=1.5, marker=t.marker, ms=4, label=name) for name, t in shown.items()]
    legend(figure, [*handles, *extra])
