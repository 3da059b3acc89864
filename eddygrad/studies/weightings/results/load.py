"""Reading the folders of comparisons of loss weightings: `study.json` and the finished runs, one per setting."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from eddygrad.studies.shared.study_results import read_config, run_paths
from eddygrad.studies.weightings.results.merge_seeds import Attribute, check_alike, merged_seeds
from eddygrad.studies.weightings.results.run import WeightingRun, read
from eddygrad.studies.weightings.results.study_results import Setting, WeightingResults


def load(*folders: str | Path) -> WeightingResults:
    """Read the folder of a comparison of loss weightings, or several folders as one study, e.g. with weightings or seeds that were added later.

    Raises: ValueError, one line, if there is no finished run, if a file does not follow the schema, or if runs do not belong together: parts of a
            setting that share a seed, or weightings of one problem and optimiser with another network, learning rate or number of updates.
    """
    configs = {Path(folder): _config(Path(folder)) for folder in folders}
    settings: dict[Setting, list[WeightingRun]] = {}
    for folder in configs:
        for run in map(read, run_paths(folder)):
            settings.setdefault(run.setting, []).append(run)
    runs = [merged_seeds(sorted(parts, key=lambda r: r.seeds)) for parts in settings.values()]
    results = WeightingResults(configs, tuple(_ordered(runs, [*configs.values()])))
    for block in results.blocks().values():
        _check_comparable(block)
    return results


def _config(folder: Path) -> Mapping[str, Any]:
    config = read_config(folder)
    if config.get("kind", "pinn") != "pinn":
        raise ValueError(f"{folder}: study.json: expected kind 'pinn', got {config['kind']!r}; eddygrad report {folder} knows all kinds")
    return config


def _ordered(runs: Sequence[WeightingRun], configs: Sequence[Mapping[str, Any]]) -> list[WeightingRun]:
    """Sort runs by the places of their problem, weighting and optimiser in the configurations; those without a place come last."""
    problems, weightings, optimizers = (_places([config.get(key) or () for config in configs]) for key in ("problem", "weighting", "optimizer"))
    last = max(map(len, (problems, weightings, optimizers)))
    return sorted(runs, key=lambda r: (problems.get(r.problem, last), weightings.get(r.weighting, last), optimizers.get(r.optimizer, last)))


def _places(plans: Iterable[Iterable[str]]) -> dict[str, int]:
    """Return the place of each name in the concatenated lists."""
    return {text: i for i, text in enumerate(dict.fromkeys(chain.from_iterable(plans)))}


def _check_comparable(runs: Sequence[WeightingRun]) -> None:
    """Raise ValueError if runs of a block differ in network, problem, length or precision, so that their errors do not compare."""
    first = next((run for run in runs if not all(run.diverged)), runs[0])
    for run in runs:
        check_alike(first, run, "to which it would be compared", _made("network"), _made("problem"))


def _made(name: str) -> Attribute:
    return name, lambda run: run.made.get(name)
