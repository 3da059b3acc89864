"""The last section of the report: how the study was done, on what machine, and how to do it again."""

from __future__ import annotations

import shlex
from html import escape
from math import isfinite

from eddygrad.plotting.html import again, machines, pairs, setting, table
from eddygrad.plotting.style import number
from eddygrad.studies.unrolling import config as configuration
from eddygrad.studies.unrolling.results.load import Study

_METHOD = (
    "The error of a model is the mean of the endpoint over all test trajectories. Models are compared at equal updates by the ratio of the "
    "geometric means of their errors over seeds, paired by seed on the log scale (Welch's test where seeds differ); intervals are 95 % t-intervals "
    "and p-values are corrected by Holm inside each family. The intervals cover the choice of the training seed; the test states are the same for "
    "all models. Each e(t) is clipped at 30, so a diverged run has a finite error: it is counted and never dropped."
)


def setup(study: Study, command: str | None) -> str:
    """Method, configuration, training, environment and the command that repeats it."""
    command = command or study.config.get("command") or configuration.command(study.config, study.folder)
    config = pairs({k: v for k, v in study.config.items() if k not in ("command", "title")}) or "<p>No study.json in the folder.</p>"
    made_on = machines(r.environment for r in study.runs)
    draw = shlex.join(["eddygrad", "report", str(study.folder)])
    return (
        f'<section id="setup"><h2>How this was done</h2><p>{_METHOD}</p><h3>Configuration, fixed beforehand</h3>{config}'
        f"<h3>Training</h3>{_training(study)}<h3>Environment</h3>{made_on}{again(command, draw)}</section>"
    )


def _training(study: Study) -> str:
    keys = ("updates", "batch", "learning_rate", "schedule", "solver_calls_per_update")
    head = ["", "seeds", "updates", "batch", "rate", "schedule", "solver<br>calls", "skipped", "minutes", "peak<br>MB"]
    models = [r for r in study.models if r.training]
    body = []
    for run in models:
        assert run.training is not None
        details = [setting(run.training.details.get(k, "")) for k in keys]
        minutes = f"{'≈ ' if run.training.estimated else ''}{run.training.seconds / 60:.1f}"
        peak = number(run.training.peak_resident_mb) if isfinite(run.training.peak_resident_mb) else ""
        body.append([escape(run.name), str(len(run.seeds)), *map(escape, details), str(sum(run.training.skipped)), minutes, peak])
    note = "Solver calls are per update and seed; skipped updates are summed over seeds."
    note += " ≈: time of an update, measured later, times the updates." if any(r.training and r.training.estimated for r in models) else ""
    note += " Peak MB: the most resident memory in an update above what was there before it." if any(row[-1] for row in body) else ""
    return f'<div class="wraps">{table(head, body)}</div><p class="note">{note}</p>'
