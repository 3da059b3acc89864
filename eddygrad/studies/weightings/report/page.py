"""The report of one or several comparisons of loss weightings: one HTML file that needs neither network nor scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from eddygrad.plotting.html import captioned, cards, table
from eddygrad.plotting.style import factor, number
from eddygrad.studies.shared import report_page
from eddygrad.studies.shared.comparison import Comparison
from eddygrad.studies.shared.report_page import FOREST_CAPTION, RANK_NOTE, chip, figure_section, mark, note, section, with_range
from eddygrad.studies.shared.statistics import geometric_mean
from eddygrad.studies.shared.text_tables import count
from eddygrad.studies.weightings.report import figures
from eddygrad.studies.weightings.report.method import setup
from eddygrad.studies.weightings.results import coefficients, tables, term_joins, weight_shares
from eddygrad.studies.weightings.results.comparisons import comparisons, ties, verdict
from eddygrad.studies.weightings.results.conclusions import verdicts
from eddygrad.studies.weightings.results.load import load
from eddygrad.studies.weightings.results.run import FAILED, WeightingRun
from eddygrad.studies.weightings.results.study_results import WeightingResults
from eddygrad.studies.weightings.results.tables import percent, spread

_BANDS = {
    False: "Line: median over seeds; band: from the lowest to the highest seed.",
    True: f"Line: median over seeds; band: their middle half where there are {figures.MANY} or more, else from the lowest to the highest.",
}
_LAYERS = (
    "Density of the weighted gradients at the first and the last diagnosis, over all seeds and all weights of a layer, each term in one colour. "
    "A term whose density is a spike at zero next to a broad one is not learned; terms with equal densities have equal influence. At the end of a "
    "training the gradients of the terms cancel whatever their influence, so the first diagnosis is the one to read."
)
_TITLES = {
    "weights": ("Weights", "If a weighting holds the weight of one term at 1, only ratios to it have a meaning."),
    "losses": ("Losses", "Loss of each term before it is weighted."),
    "stds": ("Spread of gradients", "Standard deviation, over the network's parameters, of the gradient of each unweighted term."),
    "cosines": ("Angles between gradients", "Cosine between the gradients of two terms; below 0 an update that reduces one term raises the other."),
}


def publish(*folders: str | Path, path: str | Path | None = None) -> dict[str, Any]:
    """Write the report and the files with its numbers.

    Args:
        folders: of one study, or of several that are reported as one, see `load`.
        path:    NAME.html of the report, by default report.html; a relative one lies in the first folder. Required for several studies.
    Returns: "report", its path, and "runs" and "ratios", the rows of `results.json`. `results.json`, `results.csv` and `results-ratios.csv` lie in
             the folder; those of several studies lie in the folder of the report and bear its name.
    Raises:  ValueError, one line, if a folder holds no valid study or studies do not belong together.
    """
    if len(folders) > 1 and path is None:
        raise ValueError("report: expected a name for the report of several studies (--out NAME.html), got none")
    if len(folders) > 1 and Path(path or "").stem in ("report", "results"):
        raise ValueError(f"report: expected another name than {path}, which is that of a single study's report or results")
    target = report_page.report_path(folders[0], path)
    results = load(*folders)
    numbers = Path(folders[0]) / "results" if len(folders) == 1 else target.with_suffix("")
    return report_page.publish(results, comparisons(results), tables, html(results, path), target, numbers)


def html(results: WeightingResults, path: str | Path | None = None) -> str:
    """Return the report as a string. Args: results: of one study or of several. path: the report's path, for the command that draws it again."""
    compared = comparisons(results)
    seeds = {len(run.seeds) for run in results.runs}
    lead = [
        count(len({run.problem for run in results.runs}), "problem"),
        count(len(results.weightings), "weighting"),
        count(len({run.optimizer for run in results.runs}), "optimiser"),
        f"{'up to ' if len(seeds) > 1 else ''}{count(max(seeds), 'seed')} each",
        *tables.unfinished(results),
    ]
    sections = [
        _answer(results, compared),
        _results(results),
        _ratios(compared),
        _reliability(results),
        _coefficients(results),
        _joins(results),
        _shares(results),
        *_figures(results),
        setup(results, path),
    ]
    return report_page.document(results.name, "eddygrad study · loss weightings", " · ".join(lead), sections)


def _answer(results: WeightingResults, compared: Sequence[Comparison]) -> str:
    caption = FOREST_CAPTION.format(paper="ratio of published values")
    forest = captioned(figures.ratios(results, compared), "forest", "Ratios of errors", caption) if compared else ""
    return section("answer", "Which weighting is best here?", cards(verdicts(results)) + forest)


def _results(results: WeightingResults) -> str:
    others = list(dict.fromkeys(name for run in results.runs for name in run.errors if name != run.endpoint))
    head = ["", "error", "95 % interval", "median", "lowest", "highest", "failed", "published", "times", "ms /<br>update", *map(escape, others)]
    body: list[list[str]] = []
    for block, runs in results.blocks().items():
        best, tied = ties(runs)
        body.append([f"{results.title(block)}: {runs[0].endpoint}" if runs[0].endpoint != "error" else results.title(block)])
        body += [_result(results, run, "<b>{}</b>" if run is best else "{}°" if run in tied else "{}", others) for run in runs]
    text = "Error: geometric mean over seeds; the lowest of each block is bold, ° marks those that tie with it. Lowest, highest: seeds. "
    text += f"Failed: seeds with an error above {FAILED:g}. Times: error over published value. Cost per update is that of the whole stack of seeds."
    text += " Further columns: other errors, geometric mean over seeds and from the lowest to the highest." if others else ""
    return section("results", "Results", table(head, body) + note(text))


def _result(results: WeightingResults, run: WeightingRun, shown: str, others: Sequence[str]) -> list[str]:
    numbers = {key: "" if value is None else number(value) for key, value in spread(run.error).items()}
    published = [number(run.published), factor(run.typical / run.published)] if run.published else ["", ""]
    return [
        _chip(results, run.weighting),
        shown.format(numbers["error"]),
        f"{numbers['low']} – {numbers['high']}" if numbers["low"] else "",
        *(numbers[key] for key in ("median", "lowest", "highest")),
        f"{run.failed} / {len(run.seeds)}",
        *published,
        number(1e3 * run.seconds_per_update),
        *(_other(run, name) for name in others),
    ]


def _other(run: WeightingRun, name: str) -> str:
    if name not in run.errors:
        return ""
    errors = run.errors[name]
    return with_range([geometric_mean(errors), float(errors.min()), float(errors.max())])


def _chip(results: WeightingResults, weighting: str) -> str:
    return chip(weighting, figures.tones(results.weightings)[weighting].colour)


def _ratios(compared: Sequence[Comparison]) -> str:
    body = report_page.ratio_rows(compared, paper=factor, verdict=lambda c: mark(verdict(c), verdict(c) in ("lower", "higher")))
    text = "Below 1 the first is better. Tie: the interval contains 1, the gap is below the spread of the seeds. "
    return report_page.ratio_section(body, "published", "", f"{text}{RANK_NOTE} Published: ratio of the published values.")


def _reliability(results: WeightingResults) -> str:
    """Return the table of failed seeds by weighting and block; "" for a single block."""
    blocks = results.blocks()
    if len(blocks) < 2:
        return ""
    body = []
    for weighting in results.weightings:
        runs = {run.block: run for run in results.runs if run.weighting == weighting}
        cells = [_share(runs[block]) if block in runs else "" for block in blocks]
        failed, seeds = sum(run.failed for run in runs.values()), sum(len(run.seeds) for run in runs.values())
        body.append([_chip(results, weighting), *cells, f"<b>{failed} / {seeds}</b>", f"{100 * failed / seeds:.0f} %"])
    head = ["", *(escape(results.title(block)).replace(", ", "<br>") for block in blocks), "all", "share"]
    text = f"Seeds with an error above {FAILED:g}, diverged ones included, out of all seeds; with the 95 % score interval of the share."
    return section("failed", "Failed seeds", table(head, body) + note(text))


def _share(run: WeightingRun) -> str:
    return f"{run.failed} / {len(run.seeds)}<br><small>{percent(run.failed_interval)}</small>"


def _coefficients(results: WeightingResults) -> str:
    """Return the table of estimated coefficients; "" if none was unknown."""
    names = coefficients.names(results.runs)
    body: list[list[str]] = []
    for block, runs in results.blocks().items():
        lines = [
            [_chip(results, run.weighting), *(with_range(coefficients.spread(run, name), "{:#.4g}".format) for name in names)]
            for run in runs
            if run.unknown
        ]
        body += [[results.title(block)], *lines] if lines else []
    text = note("Estimates at the end: median over seeds, from the lowest to the highest.")
    return section("coefficients", "Coefficients", table(["", *map(escape, names)], body) + text) if body else ""


def _joins(results: WeightingResults) -> str:
    """Return the table of errors around the updates at which terms join; "" if none does."""
    body: list[list[str]] = []
    for block, runs in results.blocks().items():
        rows = term_joins.rows(runs)
        body += [[f"{results.title(block)}: {runs[0].endpoint}"], *(_join(results, row) for row in rows)] if rows else []
    if not body:
        return ""
    head = ["", "terms then", "before", "highest", "times", "updates<br>after", "at last", "times"]
    text = "Error at the last measurement before terms join, its highest value until the next terms join or the training ends, and its value then: "
    text += "geometric means over seeds. Times: over the error before, from the lowest to the highest seed. Updates after: median."
    return section("joins", "When terms join", table(head, body) + note(text))


def _join(results: WeightingResults, row: Mapping[str, Any]) -> list[str]:
    highest, last = ([number(row[name]), with_range(row[f"{name}_times"], factor) or "–"] for name in ("highest", "last"))
    updates = f"{row['at'] - row['last_before']:.0f}"
    return [_chip(results, row["weighting"]), escape(", ".join(row["terms"])), number(row["before"]), *highest, updates, *last]


def _shares(results: WeightingResults) -> str:
    """Return the table of weight shares at the end; "" unless a block has several weightings of several terms."""
    names = weight_shares.terms(results.runs)
    body: list[list[str]] = []
    for block, runs in results.blocks().items():
        lines = [
            [_chip(results, run.weighting), *(with_range(own.get(name), gap="<br>") for name in names)]
            for run in runs
            if (own := weight_shares.shares(run))
        ]
        body += [[results.title(block)], *lines] if len(lines) > 1 else []
    text = "Each term's share of the sum of all weights at the end of the training: geometric mean over seeds, from the lowest to the highest. "
    text += "Weightings of different scales act alike if their shares are alike."
    return section("shares", "Shares of the weights", table(["", *map(escape, names)], body) + note(text)) if body else ""


def _figures(results: WeightingResults) -> list[str]:
    known = any(run.published for run in results.runs)
    band = _BANDS[max(len(run.seeds) for run in results.runs) >= figures.MANY]
    published = " A tick beyond the right edge: the published value, reached with the problem's own budget." if known else ""
    marks = f"One mark per seed, each seed at its own height; bar and number are the median. Dotted: {FAILED:g}, above which a seed has failed."
    marks += " Hollow triangle: the published value." if known else ""
    return [
        figure_section("errors", "Error against updates", figures.errors(results), band + published),
        figure_section("seeds", "Every seed", figures.seeds(results), marks),
        *(_by_term(results, group, band) for group in _TITLES),
        _layers(results),
    ]


def _by_term(results: WeightingResults, group: str, band: str) -> str:
    """Return the section with the curves of one group, a figure per block; "" if no run recorded them."""
    title, caption = _TITLES[group]
    drawn = ""
    for i, (block, runs) in enumerate(results.blocks().items()):
        figure = figures.by_term(results, runs, group)
        if figure is not None:
            name = results.title(block)
            drawn += f"<h3>{escape(name)}</h3>" + captioned(figure, f"{group}{i}", f"{title}, {name}", band)
    return section(group, title, note(escape(caption)) + drawn) if drawn else ""


def _layers(results: WeightingResults) -> str:
    """Return the section with the gradients by layer, a figure per block; "" if no run was diagnosed."""
    title, drawn = "Gradients in every layer", ""
    for i, (block, runs) in enumerate(results.blocks().items()):
        figure = figures.layers(runs)
        if figure is not None:
            name = results.title(block)
            drawn += f"<h3>{escape(name)}</h3>" + captioned(figure, f"layers{i}", f"{title}, {name}", _LAYERS)
    return section("layers", title, drawn) if drawn else ""
