"""The report of a study: one HTML file that needs nothing else, neither network nor script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import isfinite
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from eddygrad.plotting import planes
from eddygrad.plotting.html import HEAD, TAIL, captioned, cards, p_value, table
from eddygrad.plotting.style import colour, factor, number
from eddygrad.studies.shared.statistics import Ratio
from eddygrad.studies.shared.text_tables import count, page_in
from eddygrad.studies.unrolling.report import figures, notes
from eddygrad.studies.unrolling.report.method import setup
from eddygrad.studies.unrolling.results import tables
from eddygrad.studies.unrolling.results.conclusions import verdicts
from eddygrad.studies.unrolling.results.run import TASKS, Run
from eddygrad.studies.unrolling.results.tables import Comparison, Study, comparisons, fields, load, rows, write_text


def write(folder: str | Path, path: str | Path = "report.html", command: str | None = None) -> Path:
    """Write the report of the study in `folder`.

    Args:
        folder:  with `study.json` and `runs/*.json`.
        path:    of the report; relative ones lie in `folder`.
        command: how to reproduce the study; default: study.json's "command".
    Returns: the path written.
    Raises:  ValueError, one line, if the folder holds no valid study.
    """
    target = page_in(folder, path)
    write_text(target, html(load(folder), command))
    return target


def publish(folder: str | Path, path: str | Path = "report.html") -> dict[str, Any]:
    """Write the report, and `results.json`, `results.csv` and `results-ratios.csv` into `folder`; returns where it is and what it says."""
    study = load(folder)
    tables.to_json(study, Path(folder) / "results.json")
    tables.to_csv(study, Path(folder) / "results.csv")
    return {"report": write(folder, path), "runs": rows(study), "ratios": tables.comparison_rows(comparisons(study))}


def html(study: Study, command: str | None = None) -> str:
    """The report as a string."""
    found = comparisons(study)
    title = str(study.config.get("title") or study.name)
    sections = [
        _answers(study, found),
        _results(study),
        _ratios(found),
        _baselines(study, found),
        _sets(study, found),
        *_pictures(study),
        setup(study, command),
    ]
    kicker, summary = " · ".join(["eddygrad study", *_when(study)]), _summary(study)
    head = f'<header><p class="kicker">{escape(kicker)}</p><h1>{escape(title)}</h1><p class="lead">{escape(summary)}</p></header>'
    return HEAD.replace("TITLE", escape(" · ".join([title, *_when(study)]))) + head + "\n".join(s for s in sections if s) + TAIL


def _when(study: Study) -> list[str]:
    """Recipe and date, as far as they are known."""
    return [part for part in (study.recipe, study.finished) if part]


def _summary(study: Study) -> str:
    seeds = max((len(r.seeds) for r in study.models), default=0)
    each = f"{'up to ' if len({len(r.seeds) for r in study.models}) > 1 else ''}{count(seeds, 'seed')}{' each' if len(study.models) > 1 else ''}"
    return f"{count(len(study.models), 'model')} · {each} · {count(len(study.baselines), 'baseline')} · endpoint {study.metric}"


def _answers(study: Study, found: Sequence[Comparison]) -> str:
    shown = [c for c in found if c.kind != "baseline"]
    forest = ""
    if shown:
        caption = "Ratios of errors with 95 % intervals over seeds. Filled: significant after Holm's correction. Black tick: the paper's value."
        forest = captioned(figures.ratios(shown), "ratios", "Ratios of errors", caption)
    question = "Which modality is best here?" if shown else "What came of it"
    return f'<section id="answer"><h2>{question}</h2>{cards(verdicts(study, found))}{forest}</section>'


def _results(study: Study) -> str:
    head = ["", "error", "95 % interval", "median", "median<br>state", "diverged<br>seeds", "diverged<br>tests", "ms /<br>update"]
    head += ["graph<br>MB", "µs /<br>frame"]
    body: list[list[str]] = []
    by_name = {r["name"]: r for r in rows(study)}
    for (group, task), runs in study.cells().items():
        body.append([f"{TASKS.get(task, task).capitalize()}, {group}"])
        best = min(runs, key=lambda r: r.typical(study.metric))
        body += [_result(run, by_name[run.name], run is best) for run in runs]
    if study.baselines:
        body.append(["Baselines"])
        body += [_result(run, by_name[run.name], False) for run in study.baselines]
    note = f"Error: {escape(study.metric)}, geometric mean over seeds; the lowest of each block is bold. Median: over seeds. Median state: over "
    note += "test states in place of their mean, which few hard ones can decide. Cost per update is that of the whole stack of seeds; graph MB: "
    note += "what an update keeps for its backward pass; inference is per frame of all test trajectories at once, the median over networks of one "
    note += f"architecture. {notes.costs(study)}"
    note += " Diverged tests: trajectories that diverge anywhere in the long window."
    note += f" {escape(notes.reference(study))}"
    return f'<section id="results"><h2>Results</h2>{table(head, body)}<p class="note">{note}</p></section>'


def _result(run: Run, row: Mapping[str, Any], best: bool) -> list[str]:
    interval = "" if row["low"] is None else f"{number(row['low'])} – {number(row['high'])}"
    error = f"<b>{number(row['error'])}</b>" if best else number(row["error"])
    diverged = f"{row['diverged_seeds']} / {row['seeds']}" if row["seeds"] else ""
    scales = (("seconds_per_update", 1e3), ("graph_memory_mb", 1.0), ("inference_seconds_per_frame", 1e6))
    return [
        _chip(run),
        error,
        interval,
        number(row["median"]),
        number(row["median_state"]),
        diverged,
        run.diverged_tests,
        *("" if row[k] is None else number(row[k] * scale) for k, scale in scales),
    ]


def _chip(run: Run) -> str:
    if run.task is None:
        return escape(run.name)
    return f'<i class="dot" style="background:{colour(run.modality)}"></i>{escape(f"{run.modality} {run.reach}".strip())}'


def _ratios(found: Sequence[Comparison]) -> str:
    shown = [c for c in found if c.kind != "baseline"]
    body: list[list[str]] = []
    for family in dict.fromkeys(c.family for c in shown):
        body.append([family[:1].upper() + family[1:]])
        body += [_ratio(c) for c in shown if c.family == family]
    if not body:
        return ""
    head = ["", "ratio", "95 % interval", "p (Holm)", "p (ranks)", "medians", "paper", "significant"]
    note = "Below 1 the first is better. p (ranks): Wilcoxon or Mann–Whitney, not corrected, as a companion that no single seed can dominate."
    return f'<section id="ratios"><h2>Ratios</h2>{table(head, body)}<p class="note">{note}</p></section>'


def _ratio(c: Comparison) -> list[str]:
    r = c.ratio
    verdict = '<span class="yes">yes</span>' if c.significant else '<span class="no">no</span>'
    return [
        escape(c.label),
        factor(r.ratio),
        _interval(c),
        p_value(c.p_holm),
        p_value(r.p_rank),
        factor(r.medians),
        f"{c.paper:g}" if c.paper else "",
        verdict,
    ]


def _interval(c: Comparison) -> str:
    return f"{factor(c.ratio.low)} – {factor(c.ratio.high)}" if isfinite(c.ratio.low) else "–"


def _baselines(study: Study, found: Sequence[Comparison]) -> str:
    shown = {(c.first, c.second): c for c in found if c.kind == "baseline"}
    names = [b.name for b in study.baselines if any(b.name == second for _, second in shown)]
    if not names:
        return ""
    body: list[list[str]] = []
    for (group, task), runs in study.cells().items():
        body.append([f"{TASKS.get(task, task).capitalize()}, {group}"])
        for run in runs:
            body.append([_chip(run)] + [_against(shown.get((run.name, name))) for name in names])
    exact = [b.name for b in study.baselines if b.name not in names]
    note = "Error of the model / error of the baseline, 95 % interval; ° marks what is not significant after Holm's correction."
    note += f" Without a ratio, because it computes the reference itself: {escape(', '.join(exact))}." if exact else ""
    return f'<section id="baselines"><h2>Against baselines</h2>{table(["", *map(escape, names)], body)}<p class="note">{note}</p></section>'


def _against(c: Comparison | None) -> str:
    return "" if c is None else f"{factor(c.ratio.ratio)}{'' if c.significant else '°'} <small>{_interval(c)}</small>"


def _sets(study: Study, found: Sequence[Comparison]) -> str:
    sets = list(dict.fromkeys((s.name, s.kind) for r in study.models for s in r.test.sets))
    if len(sets) < 2:
        return ""
    head = ["", *(f"{escape(name)}<br><small>{escape(kind)}</small>" for name, kind in sets)]
    by_name = {r["name"]: r["by_set"] for r in rows(study)}
    body: list[list[str]] = []
    for (group, task), runs in study.cells().items():
        body.append([f"{TASKS.get(task, task).capitalize()}, {group}"])
        for run in runs:
            body.append([_chip(run), *(_of_set(name, by_name[run.name], [by_name[r.name] for r in runs]) for name, _ in sets)])
    note = "Geometric mean over seeds; the lowest of each block is bold. Percent: the set's share of the endpoint's error over all trajectories."
    ratios: list[list[str]] = []
    for family in dict.fromkeys(c.family for c in found if c.kind != "baseline"):
        ratios.append([family[:1].upper() + family[1:]])
        for c in (c for c in found if c.family == family):
            ratios.append([escape(c.label), *(_within(c.by_set[name]) if name in c.by_set else "" for name, _ in sets)])
    more = table(head, ratios) + '<p class="note">Ratios inside each set with 95 % intervals over seeds, not corrected.</p>' if ratios else ""
    title = "<h3>Ratios by test set</h3>" if ratios else ""
    return f'<section id="sets"><h2>By test set</h2>{table(head, body)}<p class="note">{note}</p>{title}{more}</section>'


def _of_set(name: str, own: Mapping[str, Any], block: Sequence[Mapping[str, Any]]) -> str:
    if name not in own:
        return ""
    error, share = number(own[name]["error"]), own[name]["share"]
    lowest = own[name]["error"] == min(b[name]["error"] for b in block if name in b)
    return (f"<b>{error}</b>" if lowest else error) + (f" <small>{100 * share:.0f} %</small>" if share is not None else "")


def _within(r: Ratio) -> str:
    return factor(r.ratio) + (f" <small>{factor(r.low)} – {factor(r.high)}</small>" if isfinite(r.low) else "")


def _pictures(study: Study) -> list[str]:
    band = "Line: median over seeds; band: 10 % to 90 % of the seeds."
    plan: list[tuple[str, str, Figure | None, str]] = [
        (
            "time",
            "Error over time",
            figures.error_over_time(study),
            f"{band} Grey: baselines. e(t) is the mean squared error over the largest squared value of the reference.",
        ),
        (
            "seeds",
            "Every seed",
            figures.seeds(study),
            "One mark per seed, a grey line joins the models of one seed, the bar is the median. Arrows: seeds beyond the axis.",
        ),
    ]
    for task, run, data in _shown(study):
        caption = f"{run.label[:1].upper() + run.label[1:]}, {run.network_label}: the seed with the median test error. Grey is not finite."
        drawn = planes.compared(run, data) if "channel" in data.dims else figures.trajectories(run, data)
        plan.append((f"space-{task}", f"In space and time: {TASKS.get(task, task)}", drawn, caption))
    plan += [
        (
            "spectrum",
            "Energy spectrum",
            figures.spectrum(study),
            f"{band} Dashed: reference. Trajectories that diverge lift a model out of the frame.",
        ),
        (
            "pareto",
            "Error against inference cost",
            figures.pareto(study),
            f"Down and left is better; the grey staircase joins the best trade-offs. Filled: correction, hollow: prediction. {notes.costs(study)}",
        ),
        (
            "cost",
            "Cost of training",
            figures.cost(study),
            f"Of one update of the whole stack of seeds; memory: what its graph keeps for the backward pass. {notes.costs(study)}",
        ),
        ("training", "Training", figures.training(study), f"Validation error: {band[0].lower()}{band[1:]} Thin: training loss, median."),
    ]
    return [
        f'<section id="{key}"><h2>{escape(title)}</h2>{captioned(fig, key, title, caption)}</section>'
        for key, title, fig, caption in plan
        if fig is not None
    ]


def _shown(study: Study) -> list[tuple[str, Run, Any]]:
    """Per task the best model that kept its trajectories."""
    chosen = []
    for task in dict.fromkeys(r.task or "" for r in study.models):
        for run in sorted((r for r in study.models if r.task == task), key=lambda r: r.typical(study.metric)):
            data = fields(run)
            if data is not None:
                chosen.append((task, run, data))
                break
    return chosen
