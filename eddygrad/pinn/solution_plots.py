"""Plots of a solution and of its training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torch import Tensor

from eddygrad.pinn.domains import SpaceTime
from eddygrad.plotting.style import INK, PALETTE, legend, log_axis, styled, titled_panels

if TYPE_CHECKING:
    from eddygrad.pinn.solution import Solution

NODES = 201  # per axis


@styled
def draw(solution: Solution, field: str, at: float | None = None, seed: int | None = None) -> Figure:
    """Plot a field: over the bounding rectangle, blank outside the domain; over one axis and time; or along a line for all seeds.

    Args:
        solution: a trained solution.
        field:    name of an output or partial.
        at:       time, for a plane that changes in time; None for the last.
        seed:     one of the trained seeds; None for the first, along a line for all.
    Raises: ValueError for three axes of space, a time outside the domain or an unknown seed.
    """
    domain, names, seeds = solution.problem.domain, solution.problem.inputs, solution.objective.network.seeds
    if seed is not None and seed not in seeds:
        raise ValueError(f"plot: expected one of the seeds {', '.join(map(str, seeds))}, got {seed}")
    low, high = domain.bounds
    if len(low) == 1:
        return _curve(solution, field, seed)
    if len(low) not in (2, 3) or (len(low) == 3 and not isinstance(domain, SpaceTime)):
        raise ValueError(f"plot: expected a plane, or a line or a plane in time, got the coordinates {', '.join(names)}")
    axes, x, inside, time = _plane_nodes(low, high, at)
    values = solution.partials(x, (field,))[field].double().cpu()
    values = values[0 if seed is None else seeds.index(seed)] if values.ndim == 2 else values
    values = torch.where(domain.inside(inside), values, torch.nan).reshape(NODES, NODES)
    figure, ax = _heat_map(axes, values, field)
    ax.set_xlabel(names[0])
    ax.set_ylabel(names[1])
    if time is not None:
        ax.set_title(f"{names[2]} = {time:g}")
    if names[1] != "t":
        ax.set_aspect("equal")
    return figure


def _plane_nodes(low: Sequence[float], high: Sequence[float], at: float | None) -> tuple[list[Tensor], Tensor, Tensor, float | None]:
    """Return the two axes, the nodes of the plane, the nodes to test for being inside the domain, and the time of a plane in time."""
    axes = [torch.linspace(a, b, NODES, dtype=torch.float64) for a, b in zip(low[:2], high[:2])]
    plane = torch.cartesian_prod(*axes)
    if len(low) == 2:
        return axes, plane, plane, None
    time = high[2] if at is None else at
    if not low[2] <= time <= high[2]:
        raise ValueError(f"plot: expected a time from {low[2]:g} to {high[2]:g}, got {at}")
    # The first and last time are not inside the domain, so that the middle one decides.
    shown, middle = (torch.cat([plane, torch.full((len(plane), 1), t, dtype=torch.float64)], 1) for t in (time, (low[2] + high[2]) / 2))
    return axes, shown, middle, time


def _heat_map(axes: Sequence[Tensor], values: Tensor, label: str) -> tuple[Figure, Axes]:
    """Draw values (x, y) in colours, of both signs around zero; NaN is blank."""
    size = float(values.nan_to_num().abs().max())
    signed = bool((values.nan_to_num() < -0.05 * size).any())
    figure, ax = plt.subplots(figsize=(5.2, 4.2), layout="constrained")
    shown = ax.pcolormesh(
        *(axis.numpy() for axis in axes),
        values.T.numpy(),
        cmap="RdBu_r" if signed else "viridis",
        vmin=-size if signed else None,
        vmax=size if signed else None,
        rasterized=True,
    )
    figure.colorbar(shown, ax=ax, label=label)
    ax.grid(False)
    return figure, ax


def _curve(solution: Solution, field: str, seed: int | None) -> Figure:
    (low,), (high,) = solution.problem.domain.bounds
    seeds = solution.objective.network.seeds
    x = torch.linspace(low, high, NODES, dtype=torch.float64)
    rows = torch.atleast_2d(solution.partials(x.unsqueeze(1), (field,))[field].double().cpu())
    shown = range(len(seeds)) if seed is None else [seeds.index(seed)]
    fig, ax = plt.subplots(figsize=(5.2, 3.4), layout="constrained")
    for i in shown:
        ax.plot(x.numpy(), rows[i].numpy(), color=PALETTE[1:][i % (len(PALETTE) - 1)], label=f"seed {seeds[i]}")
    ax.set_xlabel(solution.problem.inputs[0])
    ax.set_ylabel(field)
    if len(shown) > 1:
        ax.legend()
    return fig


_PANEL_TITLES = {"loss": "loss", "weight": "weight", "stds": "std of the gradient", "cosines": "cosine of gradients", "error": "error"}


@styled
def draw_training(curve: Sequence[Mapping[str, Any]]) -> Figure:
    """Plot a training's records, one panel each for losses, weights, spreads and cosines of gradients and the error, one line per term."""
    recorded = {group: _lines(curve, group) for group in _PANEL_TITLES}
    shown = {group: lines for group, lines in recorded.items() if lines}
    names = list(dict.fromkeys(name for group, lines in shown.items() if group not in ("cosines", "error") for name in lines))
    colours = dict(zip(names, PALETTE[1:] * len(names)))
    figure, grid = titled_panels([_PANEL_TITLES[group] for group in shown], height=2.7, share=False)
    for axes, (group, lines) in zip(grid, shown.items(), strict=True):
        for i, (name, (x, values)) in enumerate(lines.items()):
            colour = colours.get(name) or (INK if group == "error" else PALETTE[1:][i % (len(PALETTE) - 1)])
            if values.shape[1] > 1:
                axes.fill_between(x, np.nanmin(values, 1), np.nanmax(values, 1), color=colour, alpha=0.13, lw=0)
            axes.plot(x, np.nanmedian(values, 1), color=colour, label=name)
        axes.set_xlabel("updates")
        if group == "cosines":
            axes.set_ylim(-1.05, 1.05)
            axes.legend(fontsize=7.5)
        else:
            log_axis(axes)
    legend(figure, [Line2D([], [], color=colour, label=name) for name, colour in colours.items()])
    return figure


def _lines(curve: Sequence[Mapping[str, Any]], group: str) -> dict[str, tuple[Any, Any]]:
    """Return updates and values (updates, seeds) by name, for names with a finite value."""
    points: dict[str, list[tuple[int, Any]]] = {}
    for record in curve:
        if group == "error":
            values = {"error": record["validation"]} if "validation" in record else {}
        elif group in ("loss", "weight"):
            values = {name: pair[group] for name, pair in record.get("terms", {}).items()}
            values = values or ({"total": record["loss"]} if group == "loss" else {})
        else:
            values = record.get(group, {})
        for name, value in values.items():
            points.setdefault(name, []).append((record["step"], np.atleast_1d(np.asarray(value, dtype=float))))
    lines = {}
    for name, records in points.items():
        seeds = max(value.size for _, value in records)
        rows = np.array([np.broadcast_to(value, (seeds,)) for _, value in records])
        if np.isfinite(rows).any():
            lines[name] = (np.array([step for step, _ in records]), rows)
    return lines
