"""The style of report pages: the style sheet for screen (light and dark) and paper, and the HTML of cards, tables, figures and lists."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import isfinite
from typing import Any

from matplotlib.figure import Figure

from eddygrad.plotting.style import describe, svg

HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>TITLE</title>
<style>
:root { --ink: #1b2128; --muted: #626b75; --rule: #dfe3e8; --paper: #ffffff; --card: #f6f7f9; --accent: #2f7fc1; --yes: #1d6f42; --yes-back: #e2f2e8;
  --no: #5d6670; --no-back: #e9ecef; }
@media screen and (prefers-color-scheme: dark) {
  :root { --ink: #e7eaee; --muted: #9aa4af; --rule: #333b45; --paper: #14181d; --card: #1c2229;
    --accent: #6fb0e6; --yes: #8fd6ab; --yes-back: #1d3a2a;
    --no: #b0b8c1; --no-back: #2b323a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2.5rem 1.5rem 4rem; max-width: 66rem; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", sans-serif; }
header { margin-bottom: 2rem; }
.kicker { margin: 0; color: var(--accent); font-size: .8rem; font-weight: 600; letter-spacing: .08em; text-transform: uppercase; }
h1 { margin: .2rem 0 .3rem; font-size: 2.1rem; line-height: 1.2; letter-spacing: -.01em; }
.lead { margin: 0; color: var(--muted); }
h2 { margin: 3rem 0 .9rem; padding-top: .9rem; border-top: 1px solid var(--rule); font-size: 1.35rem; }
h3 { margin: 1.6rem 0 .4rem; font-size: 1.02rem; }
.cards { display: grid; gap: .9rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 25rem), 1fr)); }
.card { padding: 1rem 1.15rem; background: var(--card); border: 1px solid var(--rule); border-radius: .6rem; }
.card:last-child:nth-child(odd) { grid-column: 1 / -1; }
.card h3 { margin: .35rem 0 .4rem; font-size: 1.1rem; line-height: 1.35; }
.card p { margin: 0; font-size: .92rem; }
.card .topic { display: flex; flex-wrap: wrap; justify-content: space-between; gap: .2rem .6rem; color: var(--muted); font-size: .82rem; }
.yes, .no { padding: .05rem .5rem; border-radius: 1rem; font-size: .76rem; font-weight: 600; white-space: nowrap; }
.yes { color: var(--yes); background: var(--yes-back); }
.no { color: var(--no); background: var(--no-back); }
figure { margin: 1.2rem 0 0; }
figure svg { display: block; width: 100%; height: auto; margin: 0 auto; }
figure svg text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", sans-serif !important; }
figcaption, .note { margin-top: .6rem; color: var(--muted); font-size: .87rem; }
.scroll { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .38rem .6rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--rule); }
th:first-child, td:first-child { padding-left: .2rem; text-align: left; }
thead th { color: var(--muted); font-weight: 600; font-size: .82rem; vertical-align: bottom; }
tr.block th { padding-top: 1.1rem; font-weight: 650; }
.wraps td { white-space: normal; overflow-wrap: anywhere; }
.wraps th, .wraps td { padding: .38rem .4rem; }
small { color: var(--muted); font-weight: 400; }
.dot { display: inline-block; width: .68em; height: .68em; margin-right: .5em; border-radius: 50%; }
dl { display: grid; grid-template-columns: minmax(7rem, max-content) 1fr; gap: .2rem 1.2rem; margin: .4rem 0 0; font-size: .9rem; }
dt { color: var(--muted); }
dd { margin: 0; overflow-wrap: anywhere; }
pre { padding: .8rem 1rem; overflow-x: auto; background: var(--card); border: 1px solid var(--rule); border-radius: .5rem; font-size: .88rem; }
@media screen and (max-width: 68rem) { table { font-size: .84rem; } th, td { padding: .38rem .4rem; } }
@media print { body { max-width: none; padding: 0; font-size: 10.5pt; } h2 { break-after: avoid; margin-top: 1.6rem; }
  figure, .card, tr { break-inside: avoid; } .scroll { overflow: visible; } th, td { padding: .25rem .35rem; } }
</style></head><body><main>
"""

TAIL = "</main></body></html>\n"


@dataclass(frozen=True)
class Verdict:
    """The answer to one question of a study.

    Args:
        topic:     the question.
        headline:  the answer in one sentence.
        mark:      its standing in one or two words, e.g. "significant", "not significant" or "tie"; "" if there is none.
        sentences: the evidence.
    """

    topic: str
    headline: str
    mark: str
    sentences: tuple[str, ...]


def table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Return a table as HTML.

    Args: head: HTML of the column titles. body: HTML of the cells of each row; a row with one cell, plain text, is a heading of the rows below it.
          A column that is empty in every row is left out.
    """
    kept = [i for i in range(len(head)) if i == 0 or any(row[i] for row in body if len(row) > 1)]
    head, body = [head[i] for i in kept], [row if len(row) == 1 else [row[i] for i in kept] for row in body]
    lines = ["<tr>" + "".join(f"<th>{h}</th>" for h in head) + "</tr>"]
    for row in body:
        if len(row) == 1:
            lines.append(f'<tr class="block"><th colspan="{len(head)}">{escape(row[0])}</th></tr>')
        else:
            lines.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>")
    return f'<div class="scroll"><table><thead>{lines[0]}</thead><tbody>{"".join(lines[1:])}</tbody></table></div>'


def cards(verdicts: Sequence[Verdict]) -> str:
    """Return one card per verdict."""
    articles = []
    for v in verdicts:
        mark = f'<span class="{"no" if v.mark.startswith(("not", "tie")) else "yes"}">{v.mark}</span>' if v.mark else ""
        text = " ".join(escape(s) for s in v.sentences)
        articles.append(f'<article class="card"><p class="topic">{escape(v.topic)} {mark}</p><h3>{escape(v.headline)}</h3><p>{text}</p></article>')
    return f'<div class="cards">{"".join(articles)}</div>'


def captioned(figure: Figure, prefix: str, title: str, caption: str) -> str:
    """Return a figure with its caption.

    Args: figure: to draw. prefix: keeps ids apart on one page. title: read out to those who do not see the figure. caption: plain text.
    """
    return f"<figure>{svg(figure, prefix, describe(figure, title))}<figcaption>{escape(caption)}</figcaption></figure>"


def p_value(p: float) -> str:
    """Return a p-value with two digits, a dash for NaN."""
    return "–" if not isfinite(p) else "&lt; 0.0001" if p < 1e-4 else f"{p:.2g}"


def machines(environments: Iterable[Mapping[str, Any]]) -> str:
    """Return the list of distinct environments, without the entries that belong to a single run."""
    kept = [{k: v for k, v in e.items() if k not in ("finished", "side_by_side")} for e in environments]
    return "".join(pairs(json.loads(e)) for e in dict.fromkeys(json.dumps(e, sort_keys=True) for e in kept))


def again(command: str | None, draw: str) -> str:
    """Return the commands that repeat a study.

    Args: command: makes the study again; None if only its scores are known. draw: draws the page from the finished runs.
    """
    if command is None or command.startswith("eddygrad report"):
        return f"<h3>Draw this page again</h3><pre>{escape(command or draw)}</pre>"
    note = "In an empty folder (--folder) this trains and scores everything again; in a folder with finished runs it makes the missing ones. "
    note += f"From the finished runs alone, {escape(draw)} draws this page again."
    return f'<h3>Reproduce</h3><pre>{escape(command)}</pre><p class="note">{note}</p>'


def pairs(values: Mapping[str, Any]) -> str:
    """Return names and values as a list, one pair per line."""
    if not values:
        return ""
    items = "".join(f"<dt>{escape(str(k))}</dt><dd>{escape(setting(v))}</dd>" for k, v in values.items())
    return f"<dl>{items}</dl>"


def setting(value: Any) -> str:
    """Return a setting as people write it: 0 to 7, 0.001, a, b."""
    if isinstance(value, Mapping):
        return "; ".join(f"{k} {setting(v)}" for k, v in value.items())
    if isinstance(value, list) and _consecutive(value):
        return f"{value[0]} to {value[-1]}"
    if isinstance(value, float):
        return f"{value:.6g}"
    return ", ".join(setting(v) for v in value) if isinstance(value, list) else str(value)


def _consecutive(values: Sequence[Any]) -> bool:
    """Return whether these are three or more consecutive whole numbers."""
    return len(values) > 2 and all(isinstance(v, int) for v in values) and values == list(range(values[0], values[-1] + 1))
