"""Axes and descriptions of figures."""

from __future__ import annotations

import pytest
from matplotlib.figure import Figure

from eddygrad.plotting.style import log_axis


@pytest.mark.parametrize(
    ("low", "high", "style"), [(2e-5, 3.0, "10"), (2e-3, 3.0, "plain"), (1.0, 5e4, "10"), (0.5, 3.0, "plain"), (4e-4, 9e-4, "10")]
)
def test_ticks_of_an_axis_have_one_style(low: float, high: float, style: str) -> None:
    axes = Figure().subplots()
    axes.plot([1, 2], [low, high])
    log_axis(axes)
    bottom, top = axes.get_ylim()
    axes.figure.draw_without_rendering()
    shown = [t.get_text() for t, v in zip(axes.get_yticklabels(), axes.get_yticks(), strict=True) if bottom <= v <= top]
    assert len(shown) > 2 and all(("10" in t and any(c in t for c in "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")) == (style == "10") for t in shown)
