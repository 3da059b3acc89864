"""The last section of the report: how the weightings were compared, on what machine, and how to do it again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import MISSING, fields
from html import escape
from pathlib import Path
from typing import Any

from eddygrad.plotting.html import again, machines, pairs, setting, table
from eddygrad.studies.shared.presets import repeated
from eddygrad.studies.weightings.config import Plan, preset, preset_names
from eddygrad.studies.weightings.results.load import FAILED, Results

_METHOD = (
    "Every problem is trained with every weighting and optimiser from the same seeds for the same number of updates. An error is that of the network "
    "after the last update, relative to the known solution. Weightings are compared by the ratio of the geometric means of their errors over seeds, "
    "paired by seed on the log scale over the seeds that both have (Welch's test where these are fewer than two), with 95 % t-intervals; where the "
    "interval contains 1, the gap is below the spread of the seeds and is called a tie. Where one side lost more seeds and is worse on those that "
    "neither lost, the p-value is that of these. p-values are corrected by Holm over all ratios of a problem and an optimiser, and a weighting "
    f"is called best only where they are below .05; it is found with the same seeds. A run fails where its error is above {FAILED:g}. An error is "
    "clipped at 30, and so counts one that is not finite or of a seed that diverged: none is dropped. Where terms join, the optimiser begins "
    "anew. Published values are those of the problem's own budget."
)


def setup(found: Results, path: str | Path | None = None) -> str:
    """Method, configurations, training, environment and the commands that repeat it; of several studies also the one that writes `path` from them."""
    several = len(found.folders) > 1
    titles = [f"Configuration of {name}, fixed beforehand" if several else "Configuration, fixed beforehand" for name in found.names]
    configs = "".join(f"<h3>{escape(title)}</h3>{_configuration(config)}" for title, config in zip(titles, found.configs.values()))
    made_on = machines(r.environment for r in found.runs)
    commands = [command(config, folder) for folder, config in found.configs.items()]
    repeat = None if None in commands else "\n".join(filter(None, commands))
    draw = ["eddygrad", "report", *map(str, found.folders), *(["--out", str(path or "NAME.html")] if several else [])]
    return (
        f'<section id="setup"><h2>How this was done</h2><p>{_METHOD}</p>{configs}'
        f"<h3>Training</h3>{_training(found)}<h3>Weightings</h3>{_weightings(found)}<h3>Environment</h3>{made_on}"
        f"{again(repeat, shlex.join(draw))}</section>"
    )


def _configuration(config: Mapping[str, Any]) -> str:
    return pairs({k: v for k, v in config.items() if k != "kind" and v is not None}) or "<p>No study.json in the folder.</p>"


def _training(found: Results) -> str:
    head = ["", "seeds", "updates", "rate", "schedule", "network", "parameters", "minutes", "threads"]
    body: list[list[str]] = []
    for block, runs in found.blocks().items():
        body.append([", ".join(block)])
        for run in runs:
            told = [run.updates, run.learning_rate, run.schedule, run.made.get("network", ""), run.made.get("parameters", "")]
            cells = [run.weighting, setting(list(run.seeds)), *(setting(value) for value in told), f"{run.seconds / 60:.1f}", str(run.threads)]
            body.append([escape(cell) for cell in cells])
    return f'<div class="wraps">{table(head, body)}</div><p class="note">Minutes are those of the whole stack of seeds.</p>'


def _weightings(found: Results) -> str:
    """As they were built, where a problem may have set the reference and the interval between looks at gradients."""
    made = {run.weighting: dict[str, None]() for run in found.runs}
    for run in found.runs:
        made[run.weighting][str(run.made.get("weighting", ""))] = None
    return pairs({name: " or ".join(spelled) for name, spelled in made.items()})


def command(config: Mapping[str, Any], folder: Path) -> str | None:
    """The `eddygrad pinn ...` that makes the study of this `study.json` again: a preset and what differs from it; None if it is no such study."""
    if not {"name", "problem", "weighting"} <= set(config) or "registered" in config:  # a command does not know a user's own problem
        return None
    given = config["name"] in preset_names()
    usual = {f.name: f.default for f in fields(Plan) if f.default is not MISSING}
    default = {**usual, **(preset(config["name"]) if given else {})}
    return repeated("pinn", config, {k: list(v) if isinstance(v, tuple) else v for k, v in default.items()}, folder, given)
