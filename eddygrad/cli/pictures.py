"""Pictures that the command line writes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from eddygrad.plotting.style import COLOURS, log_axis, styled
from eddygrad.runtime.files import write_atomically

KINDS = (".png", ".pdf", ".svg")


def check(path: Path) -> None:
    """Check the ending of a picture's name. Raises: ValueError for a format that cannot be written."""
    if path.suffix not in KINDS:
        raise ValueError(f"picture: expected a name that ends in one of {', '.join(KINDS)}, got {path}")


def save(figure: Figure, path: Path) -> None:
    """Write a picture, whole or not at all. Raises: ValueError for a format that cannot be written."""
    check(path)
    content = io.BytesIO()
    figure.savefig(content, dpi=150, format=path.suffix.lstrip("."))
    write_atomically(path, content.getvalue())


@styled
def curves(curve: Sequence[dict[str, Any]], modality: str) -> Figure:
    """Draw the validation error of every seed over the updates, with the median as a bold line.

    Args:
        curve:    records of a training: "step" and "validation", one error per seed.
        modality: ONE, NOG or WIG, which sets the colour.
    """
    steps = [record["step"] for record in curve]
    errors = np.array([record["validation"] for record in curve], dtype=float)
    figure = Figure(figsize=(6.0, 3.4), layout="constrained")
    axes = figure.subplots()
    colour = COLOURS.get(modality, "#4b9b6e")
    axes.plot(steps, errors, color=colour, lw=0.8, alpha=0.4)
    axes.plot(steps, np.nanmedian(errors, axis=1), color=colour, lw=2.2, marker="o", ms=3)
    axes.set_xlabel("updates")
    axes.set_ylabel("validation error (rellinf)")
    axes.set_title(f"{errors.shape[1]} seeds, bold: their median")
    log_axis(axes)
    return figure
