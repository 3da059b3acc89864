"""The kinds of study that a folder can hold, by "kind" in its study.json, and what can be done with each when it is read again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eddygrad.studies.shared.text_tables import count
from eddygrad.studies.unrolling.report import page as report
from eddygrad.studies.unrolling.results import tables
from eddygrad.studies.unrolling.results.load import configured
from eddygrad.studies.weightings.report import page
from eddygrad.studies.weightings.results import tables as pinn


@dataclass(frozen=True)
class Kind:
    """What can be done with folders of this kind; each raises ValueError, one line, if a folder holds no valid study.

    Args:
        publish: writes report and results of the folders as one, the report under this name or its own; returns where it is, and its numbers.
        table:   of the folders as one, as text. checked: what is there, told and counted.
    """

    publish: Callable[[Sequence[Path], Path | None], dict[str, Any]]
    table: Callable[[Sequence[Path]], str]
    checked: Callable[[Path], tuple[str, dict[str, int]]]


def kind_of(folder: Path) -> Kind:
    """The kind of study in a folder: modalities of unrolling where study.json names none. Raises ValueError for a kind that we do not know."""
    name = configured(folder).get("kind", "unrolling")
    if name not in KINDS:
        raise ValueError(f"{folder}: study.json: expected a kind among {', '.join(KINDS)}, got {name!r}; was it written by another version?")
    return KINDS[name]


def _one(folders: Sequence[Path]) -> Path:
    if len(folders) > 1:
        raise ValueError(f"{folders[0]}: expected no other folder, got {folders[1]}; only comparisons of loss weightings are reported together")
    return folders[0]


def _unrolling(folder: Path) -> tuple[str, dict[str, int]]:
    found = tables.load(folder)
    counts = {"models": len(found.models), "baselines": len(found.baselines)}
    return f"a study of {counts['models']} models and {counts['baselines']} baselines; all can be read and have met the same test", counts


def _pinn(folder: Path) -> tuple[str, dict[str, int]]:
    found = pinn.load(folder)
    counts = {"problems": len({run.problem for run in found.runs}), "weightings": len(found.weightings), "settings": len(found.runs)}
    told = f"{count(counts['weightings'], 'weighting')} on {count(counts['problems'], 'problem')}, {count(counts['settings'], 'setting')}"
    return f"a study of {told}; all can be read", counts


KINDS: Mapping[str, Kind] = {
    "unrolling": Kind(
        lambda folders, out: report.publish(_one(folders), out or "report.html"),
        lambda folders: tables.table(tables.load(_one(folders)), baselines=True),
        _unrolling,
    ),
    "pinn": Kind(
        lambda folders, out: page.publish(*folders, path=out),
        lambda folders: pinn.table(pinn.load(*folders)),
        _pinn,
    ),
}
