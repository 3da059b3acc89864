"""The last section of the report: how the weightings were compared, on which machine, and how to repeat the comparison."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from html import escape
from pathlib import Path
from typing import Any

from eddygrad.plotting.html import machines, pairs, setting, table
from eddygrad.studies.shared.presets import repeated
from eddygrad.studies.shared.report_page import note, setup_section
from eddygrad.studies.weightings.config import WeightingConfiguration, preset, preset_names
from eddygrad.studies.weightings.results.run import FAILED
from eddygrad.studies.weightings.results.study_results import WeightingResults

_METHOD = (
    "Every problem is trained with every weighting and optimiser from the same seeds for the same number of updates. An error is that of the network "
    "after the last update, relative to the known solution. Weightings are compared by the ratio of the geometric means of their errors over seeds, "
    "paired by seed on the log scale over the seeds that both have (Welch's test if these are fewer than two), with 95 % t-intervals. If the "
    "interval contains 1, the gap is below the spread of the seeds and is called a tie. If one weighting lost more seeds and is also worse on the "
    "seeds that neither lost, the p-value is that of these seeds. p-values are corrected by Holm over all ratios of a problem and an optimiser, "
    "and a weighting is called best only if they are below .05; the best is chosen with the same seeds that the test uses. "
    f"A seed fails if its error is above {FAILED:g}. Errors are clipped at 30; an error that is not finite, or that of a seed that diverged, counts "
    "as 30: none is dropped. Where terms join the loss, the optimiser starts anew. Published values are those of the problem's own budget."
)


def setup(results: WeightingResults, path: str | Path | None = None) -> str:
    """Return the section with method, configurations, training, environment and the commands that repeat the study.

    Args: results: of one study or of several. path: of the report; with several studies the command that writes it from them is included.
    """
    several = len(results.folders) > 1
    titles = [f"Configuration of {name}, fixed beforehand" if several else "Configuration, fixed beforehand" for name in results.names]
    commands = [command(config, folder) for folder, config in results.configs.items()]
    parts = {
        **{title: _configuration(config) for title, config in zip(titles, results.configs.values())},
        "Training": _training(results),
        "Weightings": _weightings(results),
        "Environment": machines(r.environment for r in results.runs),
    }
    report = ["eddygrad", "report", *map(str, results.folders), *(["--out", str(path or "NAME.html")] if several else [])]
    return setup_section(_METHOD, parts, None if None in commands else "\n".join(filter(None, commands)), report)


def _configuration(config: Mapping[str, Any]) -> str:
    return pairs({k: v for k, v in config.items() if k != "kind" and v is not None}) or "<p>No study.json in the folder.</p>"


def _training(results: WeightingResults) -> str:
    head = ["", "seeds", "updates", "rate", "schedule", "network", "parameters", "minutes", "threads"]
    body: list[list[str]] = []
    for block, runs in results.blocks().items():
        body.append([", ".join(block)])
        for run in runs:
            settings = [run.updates, run.learning_rate, run.schedule, run.made.get("network", ""), run.made.get("parameters", "")]
            cells = [run.weighting, setting(list(run.seeds)), *(setting(value) for value in settings), f"{run.seconds / 60:.1f}", str(run.threads)]
            body.append([escape(cell) for cell in cells])
    return f'<div class="wraps">{table(head, body)}</div>' + note("Minutes are those of the whole stack of seeds.")


def _weightings(results: WeightingResults) -> str:
    """List the weightings as they were built: a problem may set their reference term and how often they measure gradients."""
    made = {run.weighting: dict[str, None]() for run in results.runs}
    for run in results.runs:
        made[run.weighting][str(run.made.get("weighting", ""))] = None
    return pairs({name: " or ".join(built) for name, built in made.items()})


def command(config: Mapping[str, Any], folder: Path) -> str | None:
    """Return the `eddygrad pinn ...` that makes a study again: a preset, and the options that differ from it.

    Args:    config: content of `study.json`. folder: of the study.
    Returns: None for another kind of study, or one with a problem that a user registered, which the command line does not know.
    """
    if not {"name", "problem", "weighting"} <= set(config) or "registered" in config:
        return None
    known = config["name"] in preset_names()
    usual = {f.name: f.default for f in fields(WeightingConfiguration) if f.default is not MISSING}
    default = {**usual, **(preset(config["name"]) if known else {})}
    return repeated("pinn", config, {k: list(v) if isinstance(v, tuple) else v for k, v in default.items()}, folder, known)
