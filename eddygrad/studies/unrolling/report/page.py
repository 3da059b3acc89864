"""The report of a comparison of unrolling modalities: one HTML file that needs neither network nor scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import isfinite
from pathlib import Path
from typing import Any

from eddygrad.plotting.html import captioned, cards, table
from eddygrad.plotting.style import colour, factor, number
from eddygrad.studies.shared import report_page
from eddygrad.studies.shared.comparison import Comparison
from eddygrad.studies.shared.report_page import FOREST_CAPTION, RANK_NOTE, chip, figure_section, interval, mark, note, section
from eddygrad.studies.shared.statistics import Ratio
from eddygrad.studies.shared.text_tables import count, write_text
from eddygrad.studies.unrolling.report import figures, notes, trajectories
from eddygrad.studies.unrolling.report.method import setup
from eddygrad.studies.unrolling.results import tables
from eddygrad.studies.unrolling.results.comparisons import comparisons
from eddygrad.studies.unrolling.results.conclusions import verdicts
from eddygrad.studies.unrolling.results.load import load
from eddygrad.studies.unrolling.results.run import UnrollingRun
from eddygrad.studies.unrolling.results.study_results import UnrollingResults
from eddygrad.studies.unrolling.results.tables import rows

_BAND = "Line: median over seeds; band: 10 % to 90 % of the seeds."


def write(folder: str | Path, path: str | Path = "report.html", command: str | None = None) -> Path:
    """Write the report of the study in `folder`.

    Args:
        folder:  with `study.json` and `runs/*.json`.
        path:    of the report; a relative one lies in `folder`.
        command: how to reproduce the study; by default `study.json`'s "command", or the one made from its configuration.
    Returns: the path of the report.
    Raises:  ValueError, one line, if the folder holds no valid study.
    """
    target = report_page.report_path(folder, path)
    write_text(target, html(load(folder), command))
    return target


def publish(*folders: str | Path, path: str | Path | None = None) -> dict[str, Any]:
    """Write the report and, into the folder of the study, `results.json`, `results.csv` and `results-ratios.csv`.

    Args:
        folders: of one study.
        path:    NAME.html of the report, by default report.html; a relative one lies in the folder.
    Returns: "report", its path, and "runs" and "ratios", the rows of `results.json`.
    Raises:  ValueError, one line, if the folder holds no valid study, or for several folders.
    """
    if len(folders) > 1:
        raise ValueError(f"report: expected one folder, got {folders[1]} too; only comparisons of loss weightings are reported as one")
    target = report_page.report_path(folders[0], path)
    results = load(folders[0])
    return report_page.publish(results, comparisons(results), tables, html(results), target, Path(folders[0]) / "results")


def html(results: UnrollingResults, command: str | None = None) -> str:
    """Return the report as a string. Args: results: of a study. command: see `write`."""
    compared = comparisons(results)
    title = str(results.config.get("title") or results.name)
    when = [part for part in (results.recipe, results.finished) if part]
    sections = [
        _answers(results, compared),
        _results(results),
        _ratios(compared),
        _baselines(results, compared),
        _sets(results, compared),
        *_pictures(results),
        setup(results, command),
    ]
    return report_page.document(title, " · ".join(["eddygrad study", *when]), _summary(results), sections, " · ".join([title, *when]))


def _summary(results: UnrollingResults) -> str:
    seeds = {len(r.seeds) for r in results.models}
    of_each = f"{'up to ' if len(seeds) > 1 else ''}{count(max(seeds, default=0), 'seed')}{' each' if len(results.models) > 1 else ''}"
    return f"{count(len(results.models), 'model')} · {of_each} · {count(len(results.baselines), 'baseline')} · endpoint {results.metric}"


def _answers(results: UnrollingResults, compared: Sequence[Comparison]) -> str:
    shown = [c for c in compared if c.kind != "baseline"]
    forest = captioned(figures.ratios(shown), "ratios", "Ratios of errors", FOREST_CAPTION.format(paper="the paper's value")) if shown else ""
    return section("answer", "Which modality is best here?" if shown else "Result", cards(verdicts(results, compared)) + forest)


def _results(results: UnrollingResults) -> str:
    head = ["", "error", "95 % interval", "median", "median<br>state", "diverged<br>seeds", "diverged<br>tests", "ms /<br>update"]
    head += ["graph<br>MB", "µs /<br>frame"]
    body: list[list[str]] = []
    by_name = {r["name"]: r for r in rows(results)}
    for block, runs in results.blocks().items():
        body.append([results.title(block)])
        best = min(runs, key=lambda r: r.typical(results.metric))
        body += [_result(run, by_name[run.name], run is best) for run in runs]
    if results.baselines:
        body.append(["Baselines"])
        body += [_result(run, by_name[run.name], False) for run in results.baselines]
    text = f"Error: {escape(results.metric)}, geometric mean over seeds; the lowest of each block is bold. Median: over seeds. "
    text += "Median state: with the median over test states in place of their mean, which a few hard states can decide. "
    text += "Cost per update is that of the whole stack of seeds; graph MB: memory that an update keeps for its backward pass. "
    text += "Inference is per frame of all test trajectories at once, the median over "
    text += f"networks of one architecture. {notes.costs(results)} Diverged tests: trajectories that diverged anywhere in the long window. "
    return section("results", "Results", table(head, body) + note(text + escape(notes.reference(results))))


def _result(run: UnrollingRun, row: Mapping[str, Any], best: bool) -> list[str]:
    scales = (("seconds_per_update", 1e3), ("graph_memory_mb", 1.0), ("inference_seconds_per_frame", 1e6))
    return [
        _chip(run),
        f"<b>{number(row['error'])}</b>" if best else number(row["error"]),
        "" if row["low"] is None else f"{number(row['low'])} – {number(row['high'])}",
        number(row["median"]),
        number(row["median_state"]),
        f"{row['diverged_seeds']} / {row['seeds']}" if row["seeds"] else "",
        run.diverged_tests,
        *("" if row[k] is None else number(row[k] * scale) for k, scale in scales),
    ]


def _chip(run: UnrollingRun) -> str:
    return chip(run.name, None) if run.task is None else chip(run.short, colour(run.modality))


def _ratios(compared: Sequence[Comparison]) -> str:
    shown = [c for c in compared if c.kind != "baseline"]
    body = report_page.ratio_rows(shown, paper="{:g}".format, verdict=lambda c: mark("yes" if c.significant else "no", c.significant))
    return report_page.ratio_section(body, "paper", "significant", f"Below 1 the first is better. {RANK_NOTE}")


def _baselines(results: UnrollingResults, compared: Sequence[Comparison]) -> str:
    shown = {(c.first, c.second): c for c in compared if c.kind == "baseline"}
    names = [b.name for b in results.baselines if any(b.name == second for _, second in shown)]
    if not names:
        return ""
    body: list[list[str]] = []
    for block, runs in results.blocks().items():
        body.append([results.title(block)])
        body += [[_chip(run)] + [_against(shown.get((run.name, name))) for name in names] for run in runs]
    exact = [b.name for b in results.baselines if b.name not in names]
    text = "Error of the model / error of the baseline, 95 % interval; ° marks what is not significant after Holm's correction."
    text += f" Without a ratio, because it computes the reference itself: {escape(', '.join(exact))}." if exact else ""
    return section("baselines", "Against baselines", table(["", *map(escape, names)], body) + note(text))


def _against(c: Comparison | None) -> str:
    return "" if c is None else f"{factor(c.ratio.ratio)}{'' if c.significant else '°'} <small>{interval(c.ratio)}</small>"


def _sets(results: UnrollingResults, compared: Sequence[Comparison]) -> str:
    """Return the section with errors and ratios by test set; "" for a single test set."""
    sets = list(dict.fromkeys((s.name, s.kind) for r in results.models for s in r.test.sets))
    if len(sets) < 2:
        return ""
    head = ["", *(f"{escape(name)}<br><small>{escape(kind)}</small>" for name, kind in sets)]
    by_name = {r["name"]: r["by_set"] for r in rows(results)}
    body: list[list[str]] = []
    for block, runs in results.blocks().items():
        body.append([results.title(block)])
        for run in runs:
            body.append([_chip(run), *(_of_set(name, by_name[run.name], [by_name[r.name] for r in runs]) for name, _ in sets)])
    text = "Geometric mean over seeds; the lowest of each block is bold. Percent: the set's share of the endpoint's error over all trajectories."
    return section("sets", "By test set", table(head, body) + note(text) + _set_ratios(head, [name for name, _ in sets], compared))


def _set_ratios(head: Sequence[str], names: Sequence[str], compared: Sequence[Comparison]) -> str:
    body: list[list[str]] = []
    for family in dict.fromkeys(c.family for c in compared if c.kind != "baseline"):
        body.append([family])
        for c in (c for c in compared if c.family == family):
            body.append([escape(c.label), *(_within(c.by_set[name]) if name in c.by_set else "" for name in names)])
    text = note("Ratios inside each set with 95 % intervals over seeds, not corrected.")
    return f"<h3>Ratios by test set</h3>{table(head, body)}{text}" if body else ""


def _of_set(name: str, own: Mapping[str, Any], block: Sequence[Mapping[str, Any]]) -> str:
    if name not in own:
        return ""
    error, share = number(own[name]["error"]), own[name]["share"]
    lowest = own[name]["error"] == min(b[name]["error"] for b in block if name in b)
    return (f"<b>{error}</b>" if lowest else error) + (f" <small>{100 * share:.0f} %</small>" if share is not None else "")


def _within(r: Ratio) -> str:
    return factor(r.ratio) + (f" <small>{interval(r)}</small>" if isfinite(r.low) else "")


def _pictures(results: UnrollingResults) -> list[str]:
    time = f"{_BAND} Grey: baselines. e(t) is the mean squared error over the largest squared value of the reference."
    seeds = "One mark per seed, a grey line joins the models of one seed, the bar is the median. Arrows: seeds beyond the axis."
    spectrum = f"{_BAND} Dashed: reference. Trajectories that diverge lift a model out of the frame."
    pareto = "Down and left is better; the grey staircase joins the best trade-offs. Filled: correction, hollow: prediction."
    cost = "Cost of one update of the whole stack of seeds; memory: what its graph keeps for the backward pass."
    training = f"Validation error: {_BAND[0].lower()}{_BAND[1:]} Thin: training loss, median."
    return [
        figure_section("time", "Error over time", figures.error_over_time(results), time),
        figure_section("seeds", "Every seed", figures.seeds(results), seeds),
        *(figure_section(*parts) for parts in trajectories.figures(results)),
        figure_section("spectrum", "Energy spectrum", figures.spectrum(results), spectrum),
        figure_section("pareto", "Error against inference cost", figures.pareto(results), f"{pareto} {notes.costs(results)}"),
        figure_section("cost", "Cost of training", figures.cost(results), f"{cost} {notes.costs(results)}"),
        figure_section("training", "Training", figures.training(results), training),
    ]
