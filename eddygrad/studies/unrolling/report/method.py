"""The last section of the report: how the modalities were compared, on which machine, and how to repeat the comparison."""

from __future__ import annotations

from html import escape
from math import isfinite

from eddygrad.plotting.html import machines, pairs, setting, table
from eddygrad.plotting.style import number
from eddygrad.studies.shared.report_page import note, setup_section
from eddygrad.studies.unrolling import config as configuration
from eddygrad.studies.unrolling.results.study_results import UnrollingResults

_METHOD = (
    "The error of a model is the mean of the endpoint over all test trajectories. Models are compared at equal updates by the ratio of the "
    "geometric means of their errors over seeds, paired by seed on the log scale (Welch's test where seeds differ); intervals are 95 % t-intervals "
    "and p-values are corrected by Holm inside each family. The intervals cover the choice of the training seed; the test states are the same for "
    "all models. Each e(t) is clipped at 30, so a diverged run has a finite error: it is counted and never dropped."
)


def setup(results: UnrollingResults, command: str | None) -> str:
    """Return the section with method, configuration, training, environment and the command that repeats the study.

    Args: results: of a study. command: by default that of `study.json`, or the one made from its configuration.
    """
    command = command or results.config.get("command") or configuration.command(results.config, results.folder)
    config = pairs({k: v for k, v in results.config.items() if k not in ("command", "title")}) or "<p>No study.json in the folder.</p>"
    parts = {
        "Configuration, fixed beforehand": config,
        "Training": _training(results),
        "Environment": machines(r.environment for r in results.runs),
    }
    return setup_section(_METHOD, parts, command, ["eddygrad", "report", str(results.folder)])


def _training(results: UnrollingResults) -> str:
    keys = ("updates", "batch", "learning_rate", "schedule", "solver_calls_per_update")
    head = ["", "seeds", "updates", "batch", "rate", "schedule", "solver<br>calls", "skipped", "minutes", "peak<br>MB"]
    models = [r for r in results.models if r.training]
    body = []
    for run in models:
        assert run.training is not None
        details = [setting(run.training.details.get(k, "")) for k in keys]
        minutes = f"{'≈ ' if run.training.estimated else ''}{run.training.seconds / 60:.1f}"
        peak = number(run.training.peak_resident_mb) if isfinite(run.training.peak_resident_mb) else ""
        body.append([escape(run.name), str(len(run.seeds)), *map(escape, details), str(sum(run.training.skipped)), minutes, peak])
    text = "Solver calls are per update and seed; skipped updates are summed over seeds."
    text += " ≈: time of an update, measured later, times the number of updates." if any(r.training and r.training.estimated for r in models) else ""
    text += " Peak MB: largest resident memory in an update above that before it." if any(row[-1] for row in body) else ""
    return f'<div class="wraps">{table(head, body)}</div>' + note(text)
