"""The figures of a study. Each function returns a matplotlib Figure and touches no global state, or None where the data are missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from eddygrad.plotting.space_time import space_time, trajectories
from eddygrad.plotting.style import DASHES, INK, MUTED, PAPER, RULE, WIDTH, colour, factor, legend, log_axis, marker, number, styled, titled_panels
from eddygrad.studies.unrolling.results.run import TASKS, UnrollingRun
from eddygrad.studies.unrolling.results.tables import Comparison, UnrollingResults

__all__ = ["cost", "error_over_time", "pareto", "ratios", "seeds", "space_time", "spectrum", "training", "trajectories"]


def _panels(study: UnrollingResults, height: float = 3.1, share: bool = True) -> tuple[Figure, list[tuple[Axes, tuple[UnrollingRun, ...]]]]:
    """One titled panel per (group, task), two in a row."""
    cells = study.cells()
    figure, grid = titled_panels([f"{TASKS.get(task, task).capitalize()}  ·  {group}" for group, task in cells], height, share)
    return figure, list(zip(grid, cells.values(), strict=True))


def _legend(figure: Figure, runs: Sequence[UnrollingRun], baselines: Sequence[UnrollingRun] = (), extra: Sequence[Line2D] = ()) -> None:
    handles = [Line2D([], [], color=colour(m), marker=marker(m), ms=4.5, label=m) for m in dict.fromkeys(r.modality for r in runs)]
    handles += [Line2D([], [], color=MUTED, lw=1.4, ls=DASHES[i % len(DASHES)], label=b.name) for i, b in enumerate(baselines)]
    handles += extra
    legend(figure, handles)


def _band(axes: Axes, x: NDArray[Any], values: NDArray[Any], modality: str) -> None:
    """Median over seeds with the 10 % to 90 % band."""
    keep = np.isfinite(values).any(0)
    if not keep.any():
        return
    x, values = x[keep], values[:, keep]
    low, middle, high = np.nanquantile(np.where(np.isfinite(values), values, np.nan), (0.1, 0.5, 0.9), axis=0)
    axes.fill_between(x, low, high, color=colour(modality), alpha=0.18, lw=0)
    axes.plot(x, middle, color=colour(modality))


@styled
def error_over_time(study: UnrollingResults) -> Figure:
    """Error against time, median over seeds with a 10 % to 90 % band; baselines dashed."""
    figure, panels = _panels(study)
    shown = [b for b in study.baselines if not study.exact(b)]
    floor = min(float(np.min(r.test.error_over_time[:, 1:])) for r in study.models) / 3
    for axes, runs in panels:
        for run in runs:
            time = run.test.dt * np.arange(run.test.error_over_time.shape[1])
            _band(axes, time[1:], run.test.error_over_time[:, 1:], run.modality)
        for i, base in enumerate(shown):
            time = base.test.dt * np.arange(base.test.error_over_time.shape[1])
            axes.plot(time[1:], base.test.error_over_time[0, 1:].clip(floor / 100), color=MUTED, lw=1.4, ls=DASHES[i % len(DASHES)])
        axes.set_ylim(bottom=max(floor, 1e-12))
        axes.set_xlabel("time [frames]" if runs[0].test.dt == 1 else "time")
        axes.xaxis.set_major_locator(MaxNLocator(7, integer=True))
    for axes, _ in panels:
        log_axis(axes)
    panels[0][0].set_ylabel("relative squared error e(t)")
    _legend(figure, study.models, shown)
    return figure


@styled
def seeds(study: UnrollingResults) -> Figure:
    """Every seed's error per modality; a grey line joins the models of one seed, a bar marks the median."""
    figure, panels = _panels(study, share=False)
    for axes, runs in panels:
        edge = 12 * max(float(np.median(run.error(study.metric))) for run in runs)  # beyond it a seed is drawn at the edge, with its value
        errors = {run.name: run.error(study.metric).clip(max=edge) for run in runs}
        if len({run.seeds for run in runs}) == 1:
            axes.plot(range(len(runs)), [errors[r.name] for r in runs], color=MUTED, lw=0.6, alpha=0.35, zorder=1)
        for x, run in enumerate(runs):
            values = errors[run.name]
            axes.scatter(np.full(values.size, x), values, s=26, color=colour(run.modality), marker=marker(run.modality), alpha=0.75, lw=0, zorder=3)
            for beyond in run.error(study.metric)[run.error(study.metric) > edge]:
                axes.annotate(f"↑ {number(float(beyond))}", (x + 0.06, edge), va="center", fontsize=8.5, color=INK)
            median = float(np.median(values))
            axes.plot([x - 0.24, x + 0.24], [median, median], color=INK, lw=2, zorder=4)
            axes.annotate(number(median), (x + 0.27, median), va="center", fontsize=8.5, color=INK)
        axes.set_xlim(-0.5, len(runs) - 0.25)
        axes.set_xticks(range(len(runs)), [f"{r.modality} {r.reach}".strip() for r in runs])
        axes.tick_params(axis="x", labelcolor=INK, length=0)
        axes.grid(False, axis="x")
        log_axis(axes)
        axes.set_ylabel(f"{study.metric}, per seed")
    return figure


@styled
def ratios(found: Sequence[Comparison], level: float = 0.05, tones: Mapping[str, str] | None = None) -> Figure:
    """A forest of ratios with their intervals: left of 1 the first is better, filled where significant after Holm, a tick where the paper stands.

    Args: tones: colours by the name of the first; by default those of its modality.
    """
    families = list(dict.fromkeys(c.family for c in found))
    rows = len(found) + 1.1 * len(families)
    figure = Figure(figsize=(WIDTH, 0.7 + 0.27 * rows), layout="constrained")
    axes = figure.subplots()
    y, ticks = 0.0, []
    ends = [e for c in found for e in (c.ratio.ratio, c.ratio.low, c.ratio.high, c.paper or c.ratio.ratio) if isfinite(e)]
    low, high = min([*ends, 0.5]) / 1.2, max([*ends, 2.0]) * 1.2
    axes.axvline(1, color=INK, lw=1)
    for family in families:
        axes.text(-0.015, y, family, transform=axes.get_yaxis_transform(), ha="right", va="center", fontweight="bold", fontsize=8.5)
        y += 1
        for c in (c for c in found if c.family == family):
            tone = tones[c.first] if tones else colour(c.label.split("/")[0].replace("prediction", "").split()[0])
            if isfinite(c.ratio.low):
                axes.plot([c.ratio.low, c.ratio.high], [y, y], color=tone, lw=2.4, alpha=0.8)
            axes.plot(c.ratio.ratio, y, "o", ms=6.5, mfc=tone if c.p_holm < level else PAPER, mec=tone, mew=1.6, zorder=3)
            if c.paper:
                axes.plot(c.paper, y, "|", color=INK, ms=13, mew=1.8, zorder=4)
            ends_text = f"  [{factor(c.ratio.low)}, {factor(c.ratio.high)}]" if isfinite(c.ratio.low) else ""
            axes.text(1.015, y, factor(c.ratio.ratio) + ends_text, transform=axes.get_yaxis_transform(), va="center", fontsize=8.5)
            ticks.append((y, c.label))
            y += 1
        y += 0.1
    axes.set(xlim=(low, high), ylim=(y - 0.4, -0.6), xlabel="ratio of errors (left of 1: the first is better)")
    log_axis(axes, "x")
    axes.set_yticks([t for t, _ in ticks], [label for _, label in ticks])
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.grid(False, axis="y")
    axes.spines["left"].set_visible(False)
    return figure


@styled
def spectrum(study: UnrollingResults) -> Figure | None:
    """Energy spectra of the predictions beside the reference."""
    if not any(r.test.spectrum for r in study.models):
        return None
    figure, panels = _panels(study, height=2.9)
    for axes, runs in panels:
        for run in (r for r in runs if r.test.spectrum):
            part = run.test.spectrum or {}
            keep = part["k"] > 0
            _band(axes, part["k"][keep], part["model"][:, keep], run.modality)
            axes.plot(part["k"][keep], part["reference"][keep], color=INK, lw=1.2, ls=(0, (4, 2)), zorder=5)
        reference = np.concatenate([(r.test.spectrum or {})["reference"] for r in runs if r.test.spectrum] or [np.ones(1)])
        positive = reference[reference > 0]
        axes.set_ylim(max(float(positive.min()) / 10, float(positive.max()) * 1e-9), float(positive.max()) * 10)
        axes.set_xlabel("mode m")
        axes.set_xscale("log")
        log_axis(axes, "x")
    for axes, _ in panels:
        log_axis(axes)
    panels[0][0].set_ylabel("energy")
    _legend(figure, study.models, extra=[Line2D([], [], color=INK, lw=1.2, ls=(0, (4, 2)), label="reference")])
    return figure


@styled
def pareto(study: UnrollingResults) -> Figure:
    """Error against inference cost: models by modality (correction filled, prediction hollow), baselines as crosses, the best trade-offs joined."""
    figure = Figure(figsize=(WIDTH, 4.2), layout="constrained")
    axes = figure.subplots()
    points = [(r, r.test.seconds_per_frame * 1e6, r.typical(study.metric)) for r in study.runs]
    floor = min([e for r, _, e in points if not study.exact(r)] or [1e-6]) / 6
    cheapest = min([c for _, c, _ in points if c > 0] or [1.0]) / 3
    points = [(r, max(c, cheapest), e) for r, c, e in points]
    front, best = [], float("inf")
    for _, cost, error in sorted(points, key=lambda p: (p[1], p[2])):
        if error < best:
            front.append((cost, max(error, floor)))
            best = error
    axes.plot(*zip(*front, strict=True), color=RULE, lw=5, zorder=1, drawstyle="steps-post")
    for run, cost, error in points:
        if run.kind == "baseline":
            exact = study.exact(run)
            axes.plot(cost, max(error, floor), "v" if exact else "X", color=MUTED, ms=8, mec="none", zorder=3)
            what = run.name + (f" (error {number(error)})" if exact else "") + (" (costs nothing)" if run.test.seconds_per_frame == 0 else "")
            axes.annotate(what, (cost, max(error, floor)), xytext=(8, 5), textcoords="offset points", fontsize=8.5, color=MUTED)
        else:
            tone = colour(run.modality)
            face = tone if run.task == "correct" else "none"
            axes.plot(cost, error, marker(run.modality), ms=8, mfc=face, mec=tone, mew=1.6, zorder=4)
    for runs in study.cells().values():
        top = max(runs, key=lambda r: r.typical(study.metric))
        at = (max(top.test.seconds_per_frame * 1e6, cheapest), top.typical(study.metric))
        axes.annotate(top.network_label, at, xytext=(0, 9), textcoords="offset points", ha="center", fontsize=8.5)
    axes.margins(x=0.14, y=0.08)
    for which in ("x", "y"):
        axes.set(**{f"{which}scale": "log"})
        log_axis(axes, which)
    axes.set(
        xlabel=f"inference time per frame of the batch of {study.runs[0].test.batch} trajectories [µs]",
        ylabel=f"{study.metric} (geometric mean over seeds)",
    )
    fills = [("correction", "o", MUTED), ("prediction", "o", "none"), ("without a network", "X", MUTED)]
    extra = [Line2D([], [], ls="", marker=shape, mec=MUTED, mfc=face, ms=7, label=label) for label, shape, face in fills]
    _legend(figure, study.models, extra=extra)
    return figure


@styled
def cost(study: UnrollingResults) -> Figure:
    """Time per update (the whole stack of seeds) and the memory that an update keeps for its gradient, per model."""
    models = [r for r in study.models if r.training]
    figure = Figure(figsize=(WIDTH, 0.8 + 0.27 * (len(models) + len(study.cells()))), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    y, labels = 0.0, []
    for (group, task), runs in study.cells().items():
        labels.append((y, f"{TASKS.get(task, task)}, {group}"))
        for run in (r for r in runs if r.training):
            y += 1
            labels.append((y, f"{run.modality} {run.reach}".strip()))
            assert run.training is not None
            for axes, value in ((left, run.training.seconds_per_update * 1e3), (right, run.training.graph_memory_mb)):
                if isfinite(value):
                    axes.barh(y, value, 0.66, color=colour(run.modality))
                    axes.annotate(number(value), (value, y), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8.5)
        y += 1.2
    left.set_yticks([v for v, _ in labels], [text for _, text in labels])
    for tick, (_, text) in zip(left.get_yticklabels(), labels, strict=True):
        tick.set_fontweight("bold" if "," in text else "normal")
        tick.set_color(INK)
    for axes, title in ((left, "time per update [ms]"), (right, "graph memory [MB]")):
        axes.set_title(title)
        axes.grid(False, axis="y")
        axes.tick_params(axis="y", length=0)
        axes.margins(x=0.14)
        axes.xaxis.set_major_locator(MaxNLocator(5))
    left.set_ylim(y - 0.6, -0.7)
    return figure


@styled
def training(study: UnrollingResults) -> Figure | None:
    """Validation error (solid, with band) and training loss (thin) against updates."""
    if not any(r.curve for r in study.models):
        return None
    figure, panels = _panels(study, height=2.8, share=False)
    for axes, runs in panels:
        for run in (r for r in runs if r.curve):
            curve = run.curve or {}
            keep = curve["step"] >= 0
            if "validation" in curve:
                _band(axes, curve["step"][keep] / 1e3, curve["validation"][:, keep], run.modality)
            if "loss" in curve:
                axes.plot(curve["step"][keep] / 1e3, np.nanmedian(curve["loss"][:, keep], axis=0), color=colour(run.modality), lw=0.8, alpha=0.7)
        log_axis(axes)
        axes.set_xlabel("updates [thousands]")
        axes.xaxis.set_major_locator(MaxNLocator(5))
    panels[0][0].set_ylabel("validation error; thin: training loss")
    _legend(figure, study.models)
    return figure
