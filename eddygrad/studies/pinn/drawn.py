"""A solution as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure

from eddygrad.studies.look import styled
from eddygrad.training.objectives.domains import SpaceTime

if TYPE_CHECKING:
    from eddygrad.studies.pinn.solution import Solution

NODES = 201


@styled
def draw(solution: Solution, field: str, at: float | None = None) -> Figure:
    """A field of the first seed over a rectangle around the domain, blank outside of it; of one axis and time over both.

    Raises: ValueError for a domain of one or of three axes of space.
    """
    domain, names = solution.problem.domain, solution.problem.inputs
    low, high = domain.bounds
    if len(low) not in (2, 3) or (len(low) == 3 and not isinstance(domain, SpaceTime)):
        raise ValueError(f"plot: expected a plane, or a line or a plane in time, got the coordinates {', '.join(names)}")
    axes = [torch.linspace(a, b, NODES, dtype=torch.float64) for a, b in zip(low[:2], high[:2])]
    x = torch.cartesian_prod(*axes)
    inside = x
    if len(low) == 3:
        moment = high[2] if at is None else at
        x = torch.cat([x, torch.full((len(x), 1), moment, dtype=torch.float64)], 1)
        middle = (low[2] + high[2]) / 2
        inside = torch.cat([x[:, :2], torch.full((len(x), 1), middle, dtype=torch.float64)], 1)
    values = solution.partials(x, (field,))[field].double()
    values = values[0] if values.ndim == 2 else values
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
