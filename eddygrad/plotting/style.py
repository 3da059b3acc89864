"""The style of figures: colours that colour-blind readers can distinguish, and inline SVG that follows the page's light or dark theme."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Sequence
from functools import wraps
from html import escape
from math import ceil, floor, isfinite, log10
from typing import Any, ParamSpec, TypeVar

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, Formatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

P = ParamSpec("P")
Drawn = TypeVar("Drawn", Figure, Figure | None)

WIDTH = 9.0  # inches of a full-width figure
INK, MUTED, RULE, PAPER = "#1b2128", "#6a737d", "#dfe3e8", "#fefefe"
# Unrolling modalities, after Tol's high-contrast triple: hues distinct for every kind of colour blindness, lightness distinct on paper.
COLOURS = {"ONE": "#d99a1c", "NOG": "#2f7fc1", "WIG": "#bf3f63"}
MARKERS = {"ONE": "o", "NOG": "s", "WIG": "D"}
# Grey, blue, amber, crimson, cyan for the weightings of Maddu et al. 2021; then the colours farthest from them for every kind of colour blindness.
PALETTE = ("#8b929b", "#2f7fc1", "#d99a1c", "#bf3f63", "#5cc4c9", "#3f2bdc", "#7f2382", "#c6d086", "#605f18")
_MORE = ("#4b9b6e", "#7a5ea8", "#57a8b8", "#8c6d46")
DASHES: tuple[Any, ...] = ((0, (5, 2)), (0, (1.2, 1.6)), (0, (6, 1.5, 1.2, 1.5)), (0, (9, 3)), (0, (3, 1, 1, 1, 1, 1)))

_STYLE: Any = {
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 7,
    "axes.facecolor": "none",
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.7,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "legend.handlelength": 2.4,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.fonttype": "none",
}


def styled(draw: Callable[P, Drawn]) -> Callable[P, Drawn]:
    """Make a drawing function use this style, whatever the user's settings of matplotlib are."""

    @wraps(draw)
    def inner(*args: P.args, **kwargs: P.kwargs) -> Drawn:
        with mpl.rc_context(), mpl.rc_context(_STYLE):
            return draw(*args, **kwargs)

    return inner


def titled_panels(titles: Sequence[str], height: float = 3.1, share: bool = True, columns: int = 2) -> tuple[Figure, list[Axes]]:
    """Return a figure with one titled panel per title, and its axes.

    Args: titles: of the panels. height: of a panel [inches]. share: whether all panels have the same vertical axis. columns: panels in a row.
    """
    columns = min(columns, len(titles))
    lines = ceil(len(titles) / columns)
    figure = Figure(figsize=(WIDTH if columns > 1 else 6.0, height * lines), layout="constrained")
    grid = list(figure.subplots(lines, columns, squeeze=False, sharey=share).flat)
    for axes in grid[len(titles) :]:
        axes.remove()
    for axes, title in zip(grid, titles, strict=False):
        axes.set_title(title)
    return figure, grid[: len(titles)]


def legend(figure: Figure, handles: Sequence[Artist]) -> None:
    """Put a legend above all panels, in as few lines as its words need."""
    letters = [8 + len(str(handle.get_label())) for handle in handles]
    lines, fits = 0, False
    while not fits:
        lines += 1
        columns = [letters[i : i + lines] for i in range(0, len(letters), lines)]
        fits = sum(map(max, columns)) <= 115 * figure.get_figwidth() / WIDTH or len(columns) == 1
    figure.legend(handles=handles, loc="outside upper left", ncols=len(columns), columnspacing=1.6)


def colour(modality: str) -> str:
    """Return the colour of a modality, the same in every figure."""
    return COLOURS.get(modality) or _MORE[sum(map(ord, modality)) % len(_MORE)]


def marker(modality: str) -> str:
    """Return the marker of a modality, the same in every figure."""
    return MARKERS.get(modality, "^")


def number(value: float) -> str:
    """Return two or three digits, with a power of ten outside 0.0001 to 9999: 0.0018, 4.4, 12.0, 2.1×10⁻⁵; a dash for NaN or infinity."""
    if value == 0 or not isfinite(value):
        return "–" if value else "0"
    if 9.95e-5 <= abs(value) < 1e4:
        return f"{value:#.2g}" if abs(value) < 9.95 else f"{value:.0f}" if abs(value) >= 99.5 else f"{value:.1f}"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa}×10{_power(int(exponent))}"


def factor(value: float) -> str:
    """Return a ratio with about two decimals: 0.027, 0.73, 1.05, 10.6."""
    return f"{value:.2f}" if 0.1 <= value < 10 else number(value)


def _power(exponent: int) -> str:
    return str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


class _Ticks(Formatter):
    """Ticks 0.01, 0.1, 1 if every visible tick can be written so, else 10⁻⁴, 10⁻³, 10⁻² for all of them."""

    def __call__(self, value: float, pos: int | None = None) -> str:
        return _tick(value, _plain(value))

    def format_ticks(self, values: Sequence[float]) -> list[str]:
        assert self.axis is not None
        low, high = self.axis.get_view_interval()
        plain = all(_plain(t) for t in values if low <= t <= high)
        return [_tick(t, plain) for t in values]


def _plain(value: float) -> bool:
    return 1e-3 * (1 - 1e-9) <= value < 1e4


def _tick(value: float, plain: bool) -> str:
    if value <= 0:
        return ""
    if plain:
        return f"{value:.10g}"
    exponent = floor(log10(value) + 1e-9)
    mantissa = f"{value / 10.0**exponent:.3g}"
    return ("" if mantissa == "1" else f"{mantissa}·") + f"10{_power(exponent)}"


def log_axis(axes: Axes, which: str = "y") -> None:
    """Make an axis logarithmic, with ticks 0.1, 1, 10 or 10⁻⁴, 10⁻³, 10⁻², and 2 and 5 between them below two decades.

    Args: axes: of the figure. which: "x" or "y".
    """
    axes.set_yscale("log") if which == "y" else axes.set_xscale("log")
    axis = axes.yaxis if which == "y" else axes.xaxis
    low, high = axes.get_ylim() if which == "y" else axes.get_xlim()
    decades = high / low
    subs = (1.0,) if decades > 2000 else (1.0, 3.0) if decades > 60 else (1.0, 2.0, 5.0)
    if decades < 4:
        ticks = [t for t in MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high) if low <= t <= high and t > 0]
        axis.set_major_locator(FixedLocator(ticks))
    else:
        axis.set_major_locator(LogLocator(10, subs=subs, numticks=12))
    axis.set_major_formatter(_Ticks())
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


_REM_PER_INCH = 7  # 63 rem is the width of the page's column
_THEMED = {INK: "var(--ink)", MUTED: "var(--muted)", RULE: "var(--rule)", PAPER: "var(--paper)"}


def describe(figure: Figure, title: str) -> str:
    """Return a figure in words, for those who do not see it: its title, the titles of its panels, the labels of their axes."""
    panels = [text for axes in figure.axes if (text := axes.get_title(loc="left") or axes.get_title())]
    labels = [list(dict.fromkeys(text for axes in figure.axes if (text := of(axes)))) for of in (Axes.get_xlabel, Axes.get_ylabel)]
    parts = [("panels", panels), ("horizontally", labels[0]), ("vertically", labels[1])]
    content = "; ".join(f"{what}: {', '.join(texts)}" for what, texts in parts if texts)
    return " ".join(f"{title}. {content}".split()) + "."


def svg(figure: Figure, prefix: str, alternative: str = "") -> str:
    """Return a figure as inline SVG whose colours for ink, muted ink and rules are the page's CSS variables.

    Letters have one size on the page: a figure 9 inches wide fills the page's width, a narrower one a part of it.

    Args: figure: to draw. prefix: keeps ids apart on one page. alternative: text read out in place of the figure.
    """
    buffer = io.StringIO()
    settings: Any = {**_STYLE, "svg.hashsalt": prefix}
    with mpl.rc_context(settings):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    text = re.sub(r'(<svg[^>]*?) (?:width|height)="[^"]*pt"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) (?:width|height)="[^"]*pt"', r"\1", text, count=1)
    shown = f'role="img" aria-label="{escape(alternative)}" style="max-width: {_REM_PER_INCH * figure.get_figwidth():.2f}rem"'
    text = text.replace("<svg", f"<svg {shown}", 1)
    for fixed, variable in _THEMED.items():
        text = text.replace(fixed, variable)
    text = re.sub(r'\bid="', f'id="{prefix}-', text)
    text = re.sub(r"url\(#", f"url(#{prefix}-", text)
    return re.sub(r'(xlink:href|href)="#', rf'\1="#{prefix}-', text)


def png(figure: Figure) -> str:
    """Return a figure as a data URI of a PNG, at twice the screen's resolution."""
    buffer = io.BytesIO()
    with mpl.rc_context(_STYLE):
        figure.savefig(buffer, format="png", dpi=2 * 96)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
