"""The figures of a comparison of unrolling modalities; each function returns a Figure, or None without its data, and changes no global state."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from eddygrad.plotting.style import DASHES, INK, MUTED, RULE, WIDTH, colour, legend, log_axis, marker, number, styled, titled_panels
from eddygrad.studies.shared import ratio_figure
from eddygrad.studies.shared.comparison import Comparison
from eddygrad.studies.unrolling.results.run import TASKS, UnrollingRun
from eddygrad.studies.unrolling.results.study_results import UnrollingResults


def _panels(results: UnrollingResults, height: float = 3.1, share: bool = True) -> tuple[Figure, list[tuple[Axes, tuple[UnrollingRun, ...]]]]:
    """Return a figure with one titled panel per block, two in a row, and each panel with its runs."""
    blocks = results.blocks()
    figure, grid = titled_panels([f"{TASKS.get(task, task).capitalize()}  ·  {group}" for group, task in blocks], height, share)
    return figure, list(zip(grid, blocks.values(), strict=True))


def _legend(figure: Figure, runs: Sequence[UnrollingRun], baselines: Sequence[UnrollingRun] = (), extra: Sequence[Line2D] = ()) -> None:
    handles = [Line2D([], [], color=colour(m), marker=marker(m), ms=4.5, label=m) for m in dict.fromkeys(r.modality for r in runs)]
    handles += [Line2D([], [], color=MUTED, lw=1.4, ls=DASHES[i % len(DASHES)], label=b.name) for i, b in enumerate(baselines)]
    handles += extra
    legend(figure, handles)


def _band(axes: Axes, x: NDArray[Any], values: NDArray[Any], modality: str) -> None:
    """Draw the median over seeds with the band from 10 % to 90 %."""
    keep = np.isfinite(values).any(0)
    if not keep.any():
        return
    x, values = x[keep], values[:, keep]
    low, middle, high = np.nanquantile(np.where(np.isfinite(values), values, np.nan), (0.1, 0.5, 0.9), axis=0)
    axes.fill_between(x, low, high, color=colour(modality), alpha=0.18, lw=0)
    axes.plot(x, middle, color=colour(modality))


@styled
def error_over_time(results: UnrollingResults) -> Figure:
    """Draw the error against time, median over seeds with the band from 10 % to 90 %; baselines are dashed."""
    figure, panels = _panels(results)
    shown = [b for b in results.baselines if not results.exact(b)]
    floor = min(float(np.min(r.test.error_over_time[:, 1:])) for r in results.models) / 3
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
    _legend(figure, results.models, shown)
    return figure


@styled
def seeds(results: UnrollingResults) -> Figure:
    """Draw the error of every seed by modality; a grey line joins the models of one seed, a bar marks the median."""
    figure, panels = _panels(results, share=False)
    for axes, runs in panels:
        edge = 12 * max(float(np.median(run.error(results.metric))) for run in runs)  # a seed beyond it is drawn at the edge, with its value
        errors = {run.name: run.error(results.metric).clip(max=edge) for run in runs}
        if len({run.seeds for run in runs}) == 1:
            axes.plot(range(len(runs)), [errors[r.name] for r in runs], color=MUTED, lw=0.6, alpha=0.35, zorder=1)
        for x, run in enumerate(runs):
            values = errors[run.name]
            axes.scatter(np.full(values.size, x), values, s=26, color=colour(run.modality), marker=marker(run.modality), alpha=0.75, lw=0, zorder=3)
            for beyond in run.error(results.metric)[run.error(results.metric) > edge]:
                axes.annotate(f"↑ {number(float(beyond))}", (x + 0.06, edge), va="center", fontsize=8.5, color=INK)
            median = float(np.median(values))
            axes.plot([x - 0.24, x + 0.24], [median, median], color=INK, lw=2, zorder=4)
            axes.annotate(number(median), (x + 0.27, median), va="center", fontsize=8.5, color=INK)
        axes.set_xlim(-0.5, len(runs) - 0.25)
        axes.set_xticks(range(len(runs)), [r.short for r in runs])
        axes.tick_params(axis="x", labelcolor=INK, length=0)
        axes.grid(False, axis="x")
        log_axis(axes)
        axes.set_ylabel(f"{results.metric}, per seed")
    return figure


def ratios(compared: Sequence[Comparison]) -> Figure:
    """Draw the ratios with their intervals, in the colours of their modalities; see `ratio_figure.ratios`."""
    return ratio_figure.ratios(compared, lambda c: colour(c.label.split("/")[0].replace("prediction", "").split()[0]))


@styled
def spectrum(results: UnrollingResults) -> Figure | None:
    """Draw energy spectra of the predictions and of the reference."""
    if not any(r.test.spectrum for r in results.models):
        return None
    figure, panels = _panels(results, height=2.9)
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
    _legend(figure, results.models, extra=[Line2D([], [], color=INK, lw=1.2, ls=(0, (4, 2)), label="reference")])
    return figure


@styled
def pareto(results: UnrollingResults) -> Figure:
    """Draw error against inference cost: models by modality (correction filled, prediction hollow), baselines as crosses, best trade-offs joined."""
    figure = Figure(figsize=(WIDTH, 4.2), layout="constrained")
    axes = figure.subplots()
    points = [(r, r.test.seconds_per_frame * 1e6, r.typical(results.metric)) for r in results.runs]
    floor = min([e for r, _, e in points if not results.exact(r)] or [1e-6]) / 6
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
            exact = results.exact(run)
            axes.plot(cost, max(error, floor), "v" if exact else "X", color=MUTED, ms=8, mec="none", zorder=3)
            what = run.name + (f" (error {number(error)})" if exact else "") + (" (costs nothing)" if run.test.seconds_per_frame == 0 else "")
            axes.annotate(what, (cost, max(error, floor)), xytext=(8, 5), textcoords="offset points", fontsize=8.5, color=MUTED)
        else:
            tone = colour(run.modality)
            face = tone if run.task == "correct" else "none"
            axes.plot(cost, error, marker(run.modality), ms=8, mfc=face, mec=tone, mew=1.6, zorder=4)
    for runs in results.blocks().values():
        top = max(runs, key=lambda r: r.typical(results.metric))
        at = (max(top.test.seconds_per_frame * 1e6, cheapest), top.typical(results.metric))
        axes.annotate(top.network_label, at, xytext=(0, 9), textcoords="offset points", ha="center", fontsize=8.5)
    axes.margins(x=0.14, y=0.08)
    for which in ("x", "y"):
        axes.set(**{f"{which}scale": "log"})
        log_axis(axes, which)
    axes.set(
        xlabel=f"inference time per frame of the batch of {results.runs[0].test.batch} trajectories [µs]",
        ylabel=f"{results.metric} (geometric mean over seeds)",
    )
    fills = [("correction", "o", MUTED), ("prediction", "o", "none"), ("without a network", "X", MUTED)]
    extra = [Line2D([], [], ls="", marker=shape, mec=MUTED, mfc=face, ms=7, label=label) for label, shape, face in fills]
    _legend(figure, results.models, extra=extra)
    return figure


@styled
def cost(results: UnrollingResults) -> Figure:
    """Draw the time per update of the whole stack of seeds, and the memory that an update keeps for its gradient, per model."""
    models = [r for r in results.models if r.training]
    figure = Figure(figsize=(WIDTH, 0.8 + 0.27 * (len(models) + len(results.blocks()))), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    y, labels = 0.0, []
    for (group, task), runs in results.blocks().items():
        labels.append((y, f"{TASKS.get(task, task)}, {group}"))
        for run in (r for r in runs if r.training):
            y += 1
            labels.append((y, run.short))
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
def training(results: UnrollingResults) -> Figure | None:
    """Draw validation error (solid, with band) and training loss (thin) against updates."""
    if not any(r.curve for r in results.models):
        return None
    figure, panels = _panels(results, height=2.8, share=False)
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
    _legend(figure, results.models)
    return figure
