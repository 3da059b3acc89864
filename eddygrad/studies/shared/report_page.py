"""The frame of a study's report: one HTML file without scripts or network access, and the parts that reports of all kinds of study share."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from math import isfinite
from pathlib import Path
from typing import Any, Protocol, TypeVar

from matplotlib.figure import Figure

from eddygrad.plotting.html import HEAD, TAIL, again, captioned, p_value, table
from eddygrad.plotting.style import factor, number
from eddygrad.studies.shared.comparison import Comparison
from eddygrad.studies.shared.statistics import Ratio
from eddygrad.studies.shared.text_tables import write_text

Results = TypeVar("Results", contravariant=True)
FOREST_CAPTION = "Ratios of errors with 95 % intervals over seeds. Filled: significant after Holm's correction. Black tick: {paper}."
RANK_NOTE = "p (ranks): Wilcoxon or Mann–Whitney, not corrected, as a companion that no single seed can dominate."


class ResultTables(Protocol[Results]):
    """A module that writes the results of one kind of study as rows and files."""

    def rows(self, results: Results, /) -> list[dict[str, Any]]:
        """Return one row per run."""

    def comparison_rows(self, compared: Sequence[Comparison], /) -> list[dict[str, Any]]:
        """Return one row per ratio."""

    def to_json(self, results: Results, path: Path, /) -> Path:
        """Write all numbers as JSON."""

    def to_csv(self, results: Results, path: Path, /) -> tuple[Path, Path]:
        """Write runs and ratios as CSV."""


def report_path(folder: str | Path, path: str | Path | None = None) -> Path:
    """Return the path of a report; a relative one lies in the folder, the default is report.html.

    Args:   folder: of the study. path: of the report.
    Raises: ValueError if the path does not end in .html: it might be that of a result file.
    """
    if path is not None and Path(path).suffix != ".html":
        raise ValueError(f"report: expected a name that ends in .html, got {path}; nothing was written")
    return Path(folder) / (path or "report.html")


def publish(results: Any, compared: Sequence[Comparison], tables: ResultTables[Any], page: str, target: Path, numbers: Path) -> dict[str, Any]:
    """Write a report and the files with its numbers.

    Args:
        results:  of a study. compared: its comparisons.
        tables:   the module that writes results of this kind.
        page:     the report as HTML. target: its path.
        numbers:  path of the result files without ending: NAME.json, NAME.csv and NAME-ratios.csv.
    Returns: "report", its path, and "runs" and "ratios", the rows of the result files.
    """
    tables.to_json(results, numbers.with_name(f"{numbers.name}.json"))
    tables.to_csv(results, numbers.with_name(f"{numbers.name}.csv"))
    write_text(target, page)
    return {"report": target, "runs": tables.rows(results), "ratios": tables.comparison_rows(compared)}


def document(title: str, kicker: str, lead: str, sections: Iterable[str], window_title: str = "") -> str:
    """Return the whole page.

    Args:
        title:        heading of the page. kicker: line above it. lead: line below it; all plain text.
        sections:     HTML of the sections; empty ones are left out.
        window_title: title of the browser's window, by default the heading.
    """
    head = f'<header><p class="kicker">{escape(kicker)}</p><h1>{escape(title)}</h1><p class="lead">{escape(lead)}</p></header>'
    return HEAD.replace("TITLE", escape(window_title or title)) + head + "\n".join(s for s in sections if s) + TAIL


def section(key: str, title: str, content: str) -> str:
    """Return a section of the page. Args: key: its id. title: plain text. content: HTML."""
    return f'<section id="{key}"><h2>{escape(title)}</h2>{content}</section>'


def note(text: str) -> str:
    """Return a paragraph in small print. Args: text: HTML."""
    return f'<p class="note">{text}</p>'


def figure_section(key: str, title: str, figure: Figure | None, caption: str) -> str:
    """Return a section with one figure; "" without a figure. Args: key: id of the section. title: its heading. figure, caption: its content."""
    return "" if figure is None else section(key, title, captioned(figure, key, title, caption))


def chip(text: str, colour: str | None) -> str:
    """Return a name behind a dot of its colour, or the name alone."""
    return escape(text) if colour is None else f'<i class="dot" style="background:{colour}"></i>{escape(text)}'


def interval(ratio: Ratio) -> str:
    """Return the interval of a ratio: "0.40 – 0.70", a dash if there is none."""
    return f"{factor(ratio.low)} – {factor(ratio.high)}" if isfinite(ratio.low) else "–"


def with_range(values: Sequence[float] | None, write: Callable[[float], str] = number, gap: str = " ") -> str:
    """Return a typical number followed by the lowest and the highest, unless all three read the same.

    Args: values: typical, lowest, highest; None gives "". write: number -> text. gap: HTML between number and range.
    """
    if values is None:
        return ""
    typical, low, high = map(write, values)
    return typical if low == typical == high else f"{typical}{gap}<small>{low} – {high}</small>"


def mark(text: str, yes: bool) -> str:
    """Return a word as a green or grey label."""
    return f'<span class="{"yes" if yes else "no"}">{text}</span>'


def ratio_rows(compared: Sequence[Comparison], paper: Callable[[float], str], verdict: Callable[[Comparison], str]) -> list[list[str]]:
    """Return the rows of the table of ratios, each family below its title.

    Args: compared: the ratios. paper: published ratio -> text. verdict: comparison -> label of the last column.
    """
    body: list[list[str]] = []
    for family in dict.fromkeys(c.family for c in compared):
        body.append([family])
        for c in (c for c in compared if c.family == family):
            published = paper(c.paper) if c.paper else ""
            numbers = [factor(c.ratio.ratio), interval(c.ratio), p_value(c.p_holm), p_value(c.ratio.p_rank), factor(c.ratio.medians)]
            body.append([escape(c.label), *numbers, published, verdict(c)])
    return body


def ratio_section(body: Sequence[Sequence[str]], paper: str, verdict: str, text: str) -> str:
    """Return the section of ratios; "" if there are none.

    Args: body: of `ratio_rows`. paper, verdict: titles of the last two columns. text: the note below the table.
    """
    head = ["", "ratio", "95 % interval", "p (Holm)", "p (ranks)", "medians", paper, verdict]
    return section("ratios", "Ratios", table(head, body) + note(text)) if body else ""


def setup_section(method: str, parts: Mapping[str, str], command: str | None, report: Sequence[str]) -> str:
    """Return the last section: how the study was done, on which machine, and how to repeat it.

    Args:
        method:  a paragraph. parts: heading -> HTML.
        command: the command that makes the study again; None if only its scores are known.
        report:  words of the command that draws the report again.
    """
    headed = "".join(f"<h3>{escape(title)}</h3>{content}" for title, content in parts.items())
    return section("setup", "How this was done", f"<p>{method}</p>{headed}{again(command, shlex.join(report))}")
