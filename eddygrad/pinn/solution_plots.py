"""A solution, and the training that led to it, as pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from eddygrad.pinn.domains import SpaceTime
from eddygrad.plotting.style import INK, legend, log_axis, styled, titled_panels
from eddygrad.studies.weightings.report.figures import PALETTE

if TYPE_CHECKING:
    from eddygrad.pinn.solution import Solution

NODES = 201


@styled
def draw(solution: Solution, field: str, at: float | None = None, seed: int | None = None) -> Figure:
    """A field of one seed, by default the first, over a rectangle around the domain, blank outside of it; of one axis and time over both.

    Over a line alone it is a curve, of all seeds where none is named. Raises: ValueError for three axes of space, and a seed that was not trained.
    """
    domain, names, seeds = solution.problem.domain, solution.problem.inputs, solution.objective.network.seeds
    if seed is not None and seed not in seeds:
        raise ValueError(f"plot: expected one of the seeds {', '.join(map(str, seeds))}, got {seed}")
    low, high = domain.bounds
    if len(low) == 1:
        return _curve(solution, field, seed)
    if len(low) not in (2, 3) or (len(low) == 3 and not isinstance(domain, SpaceTime)):
        raise ValueError(f"plot: expected a plane, or a line or a plane in time, got the coordinates {', '.join(names)}")
    axes = [torch.linspace(a, b, NODES, dtype=torch.float64) for a, b in zip(low[:2], high[:2])]
    x = torch.cartesian_prod(*axes)
    inside = x
    if len(low) == 3:
        moment = high[2] if at is None else at
        if not low[2] <= moment <= high[2]:
            raise ValueError(f"plot: expected a moment from {low[2]:g} to {high[2]:g}, got {at}")
        x = torch.cat([x, torch.full((len(x), 1), moment, dtype=torch.float64)], 1)
        middle = (low[2] + high[2]) / 2
        inside = torch.cat([x[:, :2], torch.full((len(x), 1), middle, dtype=torch.float64)], 1)
    values = solution.partials(x, (field,))[field].double().cpu()
    values = values[0 if seed is None else seeds.index(seed)] if values.ndim == 2 else values
    values = torch.where(domain.inside(inside), values, torch.nan).reshape(NODES, NODES)
    size = float(values.nan_to_num().abs().max())
    signed = bool((values.nan_to_num() < -0.05 * size).any())
    fig, ax = plt.subplots(figsize=(5.2, 4.2), layout="constrained")
    shown = ax.pcolormesh(
        *(axis.numpy() for axis in axes),
        values.T.numpy(),
        cmap="RdBu_r" if signed else "viridis",
        vmin=-size if signed else None,
        vmax=size if signed else None,
        rasterized=True,
    )
    fig.colorbar(shown, ax=ax, label=field)
    ax.set_xlabel(names[0])
    ax.set_ylabel(names[1])
    ax.grid(False)
    if len(low) == 3:
        ax.set_title(f"{names[2]} = {moment:g}")
    if names[1] != "t":
        ax.set_aspect("equal")
    return fig


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


_DRAWN = {"loss": "loss", "weight": "weight", "stds": "std of the gradient", "cosines": "cosine of gradients", "error": "error"}


@styled
def draw_training(curve: Sequence[Mapping[str, Any]]) -> Figure:
    """A panel for each of losses, weights, spreads and angles of gradients and the error that there are, a line per term."""
    found = {group: _lines(curve, group) for group in _DRAWN}
    shown = {group: lines for group, lines in found.items() if lines}
    names = list(dict.fromkeys(name for group, lines in shown.items() if group not in ("cosines", "error") for name in lines))
    colours = dict(zip(names, PALETTE[1:] * len(names)))
    figure, grid = titled_panels([_DRAWN[group] for group in shown], height=2.7, share=False)
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
    """Name -> updates and values (points, seeds), where there are any that are finite."""
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
    found = {}
    for name, told in points.items():
        seeds = max(value.size for _, value in told)
        rows = np.array([np.broadcast_to(value, (seeds,)) for _, value in told])
        if np.isfinite(rows).any():
            found[name] = (np.array([step for step, _ in told]), rows)
    return found
