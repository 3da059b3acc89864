"""The report of comparisons of loss weightings: one HTML file that needs nothing else, neither network nor script."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from math import isfinite
from pathlib import Path
from typing import Any

from eddygrad.plotting.html import HEAD, TAIL, captioned, cards, p_value, table
from eddygrad.plotting.style import factor, number
from eddygrad.studies.shared.statistics import geometric_mean
from eddygrad.studies.shared.text_tables import count, page_in, write_text
from eddygrad.studies.weightings.report import figures
from eddygrad.studies.weightings.report.method import setup
from eddygrad.studies.weightings.results import coefficients, tables, term_joins, weight_shares
from eddygrad.studies.weightings.results.conclusions import verdicts
from eddygrad.studies.weightings.results.load import FAILED, Results, Run, load
from eddygrad.studies.weightings.results.tables import Comparison, comparison_rows, comparisons, percent, rows, spread, to_csv, to_json, verdict

_BANDS = {
    False: "Line: median over seeds; band: from the lowest to the highest seed.",
    True: f"Line: median over seeds; band: their middle half where there are {figures.MANY} or more, else from the lowest to the highest.",
}
_LAYERS = (
    "Density of the weighted gradients at the first and the last diagnosis, over all seeds and all weights of a layer, each term in one colour. "
    "A term that is a spike at zero beside a broad one is not learned; terms that lie on each other have the same say. Where a training has come to "
    "rest their gradients cancel, whatever they stand for, so it is the first that tells."
)
_TITLES = {
    "weights": ("Weights", "Where a weighting holds one term's weight at one, only ratios to it tell."),
    "losses": ("Losses", "Of each term by itself, before it is weighted."),
    "stds": ("Spread of gradients", "Standard deviation, over the network's parameters, of the gradient of each term by itself."),
    "cosines": ("Angles between gradients", "Cosine between the gradients of two terms; below 0 an update that helps the one harms the other."),
}


def publish(*folders: str | Path, path: str | Path | None = None) -> dict[str, Any]:
    """Write the report and its numbers.

    Args:    folders: of a study, or of several that are reported as one, see `load`.
             path:    NAME.html of the report, default report.html; a relative one lies in the first folder. Of several studies it must be given.
    Returns: "report", where it is, and "runs" and "ratios", what it says. `results.json`, `results.csv` and `results-ratios.csv` lie in the folder;
             of several studies beside the report and named like it.
    Raises:  ValueError, one line, if a folder holds no valid study or studies do not belong together.
    """
    if len(folders) > 1 and path is None:
        raise ValueError("report: expected a name for the report of several studies (--out NAME.html), got none")
    if len(folders) > 1 and Path(path or "").stem in ("report", "results"):
        raise ValueError(f"report: {path} is what a study's own report or results are called; take another name for that of several")
    target = page_in(folders[0], path)
    found = load(*folders)
    numbers = Path(folders[0]) / "results" if len(folders) == 1 else target.with_suffix("")
    to_json(found, numbers.with_name(f"{numbers.name}.json"))
    to_csv(found, numbers.with_name(f"{numbers.name}.csv"))
    write_text(target, html(found, path))
    return {"report": target, "runs": rows(found), "ratios": comparison_rows(comparisons(found))}


def html(found: Results, path: str | Path | None = None) -> str:
    """The report as a string; it says how to draw it again at this path, as `publish` takes it."""
    compared = comparisons(found)
    title = found.name
    seeds = max(len(run.seeds) for run in found.runs)
    parts = [
        count(len({run.problem for run in found.runs}), "problem"),
        count(len(found.weightings), "weighting"),
        count(len({run.optimizer for run in found.runs}), "optimiser"),
        f"{'up to ' if len({len(run.seeds) for run in found.runs}) > 1 else ''}{count(seeds, 'seed')} each",
        *map(escape, tables.unfinished(found)),
    ]
    head = f'<header><p class="kicker">eddygrad study · loss weightings</p><h1>{escape(title)}</h1><p class="lead">{" · ".join(parts)}</p></header>'
    sections = [
        _answer(found, compared),
        _results(found),
        _ratios(compared),
        _reliability(found),
        _coefficients(found),
        _joins(found),
        _shares(found),
        *_figures(found),
        setup(found, path),
    ]
    return HEAD.replace("TITLE", escape(title)) + head + "\n".join(s for s in sections if s) + TAIL


def _answer(found: Results, compared: Sequence[Comparison]) -> str:
    caption = "Ratios of errors with 95 % intervals over seeds. Filled: significant after Holm's correction. Black tick: ratio of published values."
    forest = captioned(figures.ratios(found, compared), "forest", "Ratios of errors", caption) if compared else ""
    return f'<section id="answer"><h2>Which weighting is best here?</h2>{cards(verdicts(found))}{forest}</section>'


def _results(found: Results) -> str:
    others = list(dict.fromkeys(name for run in found.runs for name in run.errors if name != run.endpoint))
    head = ["", "error", "95 % interval", "median", "lowest", "highest", "failed", "published", "times", "ms /<br>update", *map(escape, others)]
    body: list[list[str]] = []
    for block, runs in found.blocks().items():
        best, equals = tables.ties(runs)
        body.append([f"{found.title(block)}: {runs[0].endpoint}" if runs[0].endpoint != "error" else found.title(block)])
        body += [_result(found, run, "<b>{}</b>" if run is best else "{}°" if run in equals else "{}", others) for run in runs]
    note = "Error: geometric mean over seeds; the lowest of each block is bold, ° marks those that tie with it. Lowest, highest: seeds. "
    note += f"Failed: seeds with an error above {FAILED:g}. Times: error over published value. Cost per update is that of the whole stack of seeds."
    note += " Further columns: other errors, geometric mean over seeds and from the lowest to the highest." if others else ""
    return f'<section id="results"><h2>Results</h2>{table(head, body)}<p class="note">{note}</p></section>'


def _result(found: Results, run: Run, shown: str, others: Sequence[str]) -> list[str]:
    row = spread(run.error)
    numbers = {key: "" if value is None else number(value) for key, value in row.items()}
    published = [number(run.published), factor(run.typical / run.published)] if run.published else ["", ""]
    return [
        _chip(found, run.weighting),
        shown.format(numbers["error"]),
        f"{numbers['low']} – {numbers['high']}" if numbers["low"] else "",
        *(numbers[key] for key in ("median", "lowest", "highest")),
        f"{run.failed} / {len(run.seeds)}",
        *published,
        number(1e3 * run.seconds_per_update),
        *(_other(run, name) for name in others),
    ]


def _other(run: Run, name: str) -> str:
    if name not in run.errors:
        return ""
    errors = run.errors[name]
    return _ranged([geometric_mean(errors), float(errors.min()), float(errors.max())])


def _chip(found: Results, weighting: str) -> str:
    tone = figures.tones(found.weightings)[weighting].colour
    return f'<i class="dot" style="background:{tone}"></i>{escape(weighting)}'


def _ratios(compared: Sequence[Comparison]) -> str:
    if not compared:
        return ""
    body: list[list[str]] = []
    for title in dict.fromkeys(c.family for c in compared):
        body.append([title])
        body += [_ratio(c) for c in compared if c.family == title]
    head = ["", "ratio", "95 % interval", "p (Holm)", "p (ranks)", "medians", "published", ""]
    note = "Below 1 the first is better. Tie: the interval contains 1, the gap is below the spread of the seeds. p (ranks): Wilcoxon or "
    note += "Mann–Whitney, not corrected, as a companion that no single seed can dominate. Published: ratio of the published values."
    return f'<section id="ratios"><h2>Ratios</h2>{table(head, body)}<p class="note">{note}</p></section>'


def _ratio(c: Comparison) -> list[str]:
    r, said = c.ratio, verdict(c)
    interval = f"{factor(r.low)} – {factor(r.high)}" if isfinite(r.low) else "–"
    mark = f'<span class="{"yes" if said in ("lower", "higher") else "no"}">{said}</span>'
    published = factor(c.paper) if c.paper else ""
    return [escape(c.label), factor(r.ratio), interval, p_value(c.p_holm), p_value(r.p_rank), factor(r.medians), published, mark]


def _reliability(found: Results) -> str:
    """Failed seeds of each weighting in each block, where there are several."""
    blocks = found.blocks()
    if len(blocks) < 2:
        return ""
    body = []
    for weighting in found.weightings:
        runs = {run.block: run for run in found.runs if run.weighting == weighting}
        cells = [_share(runs[block]) if block in runs else "" for block in blocks]
        failed, seeds = sum(run.failed for run in runs.values()), sum(len(run.seeds) for run in runs.values())
        body.append([_chip(found, weighting), *cells, f"<b>{failed} / {seeds}</b>", f"{100 * failed / seeds:.0f} %"])
    head = ["", *(escape(found.title(block)).replace(", ", "<br>") for block in blocks), "all", "share"]
    note = f"Seeds with an error above {FAILED:g}, those that diverged among them, of all seeds; with the 95 % score interval of the share."
    return f'<section id="failed"><h2>Failed runs</h2>{table(head, body)}<p class="note">{note}</p></section>'


def _share(run: Run) -> str:
    return f"{run.failed} / {len(run.seeds)}<br><small>{percent(run.failed_interval)}</small>"


def _coefficients(found: Results) -> str:
    """What the trainings found for the unknown coefficients of an equation."""
    names = coefficients.names(found.runs)
    body: list[list[str]] = []
    for block, runs in found.blocks().items():
        lines = [
            [_chip(found, run.weighting), *(_ranged(coefficients.spread(run, name), "{:#.4g}".format) for name in names)]
            for run in runs
            if run.unknown
        ]
        body += [[found.title(block)], *lines] if lines else []
    if not body:
        return ""
    note = '<p class="note">As found at the end: median over seeds, from the lowest to the highest.</p>'
    return f'<section id="coefficients"><h2>Coefficients</h2>{table(["", *map(escape, names)], body)}{note}</section>'


def _ranged(values: Sequence[float] | None, write: Callable[[float], str] = number, gap: str = " ") -> str:
    """A typical number and, after the gap, the lowest and highest where they are written otherwise."""
    if values is None:
        return ""
    typical, low, high = map(write, values)
    return typical if low == typical == high else f"{typical}{gap}<small>{low} – {high}</small>"


def _joins(found: Results) -> str:
    """What each run forgets when terms join, where any do."""
    body: list[list[str]] = []
    for block, runs in found.blocks().items():
        rows = term_joins.rows(runs)
        body += [[f"{found.title(block)}: {runs[0].endpoint}"], *(_join(found, row) for row in rows)] if rows else []
    if not body:
        return ""
    head = ["", "terms then", "before", "highest", "times", "updates<br>after", "at last", "times"]
    note = "Geometric mean over seeds of the error at the last look before terms join, of its highest value until the next ones join or the training "
    note += "ends, and of the value then; times: over the error before, from the lowest to the highest seed; updates after: median."
    return f'<section id="joins"><h2>When terms join</h2>{table(head, body)}<p class="note">{note}</p></section>'


def _join(found: Results, row: Mapping[str, Any]) -> list[str]:
    highest, last = ([number(row[name]), _ranged(row[f"{name}_times"], factor) or "–"] for name in ("highest", "last"))
    updates = f"{row['at'] - row['last_before']:.0f}"
    return [_chip(found, row["weighting"]), escape(", ".join(row["terms"])), number(row["before"]), *highest, updates, *last]


def _shares(found: Results) -> str:
    """The weights at the end, where there are several weightings of several terms."""
    names = weight_shares.terms(found.runs)
    body: list[list[str]] = []
    for block, runs in found.blocks().items():
        lines = [
            [_chip(found, run.weighting), *(_ranged(own.get(name), gap="<br>") for name in names)]
            for run in runs
            if (own := weight_shares.shares(run))
        ]
        body += [[found.title(block)], *lines] if len(lines) > 1 else []
    if not body:
        return ""
    note = "Of the sum of all weights where the training ends: geometric mean over seeds, from the lowest to the highest. Weightings of different "
    note += "scales are alike where the shares are."
    return f'<section id="shares"><h2>Shares of the weights</h2>{table(["", *map(escape, names)], body)}<p class="note">{note}</p></section>'


def _figures(found: Results) -> list[str]:
    known = any(run.published for run in found.runs)
    band = _BANDS[max(len(run.seeds) for run in found.runs) >= figures.MANY]
    published = " A tick beyond the right edge: the published value, reached with the problem's own budget." if known else ""
    marks = f"One mark per seed, one height for each seed; the bar and the number are the median. Dotted: {FAILED:g}, above which a run has failed."
    marks += " Hollow triangle: the published value." if known else ""
    plan = [
        ("errors", "Error against updates", captioned(figures.errors(found), "errors", "Error against updates", band + published)),
        ("seeds", "Every seed", captioned(figures.seeds(found), "seeds", "Every seed", marks)),
    ]
    for group, (title, caption) in _TITLES.items():
        drawn = []
        for i, (block, runs) in enumerate(found.blocks().items()):
            figure = figures.by_term(found, runs, group)
            if figure is not None:
                drawn.append(f"<h3>{escape(found.title(block))}</h3>" + captioned(figure, f"{group}{i}", f"{title}, {found.title(block)}", band))
        if drawn:
            plan.append((group, title, f'<p class="note">{escape(caption)}</p>' + "".join(drawn)))
    layers = [
        f"<h3>{escape(found.title(block))}</h3>" + captioned(figure, f"layers{i}", f"Gradients in every layer, {found.title(block)}", _LAYERS)
        for i, (block, runs) in enumerate(found.blocks().items())
        if (figure := figures.layers(runs)) is not None
    ]
    plan += [("layers", "Gradients in every layer", "".join(layers))] if layers else []
    return [f'<section id="{key}"><h2>{escape(title)}</h2>{content}</section>' for key, title, content in plan]
