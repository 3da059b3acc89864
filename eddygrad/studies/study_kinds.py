"""The kinds of study that a folder can hold, by "kind" in its study.json, and what can be done with a folder of each kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eddygrad.studies.shared.study_results import read_config
from eddygrad.studies.shared.text_tables import count
from eddygrad.studies.unrolling.report import page as unrolling_page
from eddygrad.studies.unrolling.results import load as unrolling
from eddygrad.studies.unrolling.results import tables as unrolling_tables
from eddygrad.studies.weightings.report import page as weightings_page
from eddygrad.studies.weightings.results import load as weightings
from eddygrad.studies.weightings.results import tables as weightings_tables


@dataclass(frozen=True)
class StudyKind:
    """What can be done with folders of one kind; each function raises ValueError, one line, if a folder holds no valid study.

    Args:
        publish: (folders, path of the report or None) -> where the report is, and its numbers; several folders are reported as one study.
        table:   folders -> their table as text.
        check:   folder -> a sentence that describes its content, and the numbers in it.
    """

    publish: Callable[[Sequence[Path], Path | None], dict[str, Any]]
    table: Callable[[Sequence[Path]], str]
    check: Callable[[Path], tuple[str, dict[str, int]]]


def kind_of(folder: Path) -> StudyKind:
    """Return the kind of study in a folder, by default a comparison of unrolling modalities. Raises: ValueError for an unknown kind."""
    name = read_config(folder).get("kind", "unrolling")
    if name not in KINDS:
        raise ValueError(f"{folder}: study.json: expected a kind among {', '.join(KINDS)}, got {name!r}; was it written by another version?")
    return KINDS[name]


def _check_unrolling(folder: Path) -> tuple[str, dict[str, int]]:
    results = unrolling.load(folder)
    counts = {"models": len(results.models), "baselines": len(results.baselines)}
    return f"a study of {counts['models']} models and {counts['baselines']} baselines; all are readable and scored on the same test", counts


def _check_weightings(folder: Path) -> tuple[str, dict[str, int]]:
    results = weightings.load(folder)
    counts = {"problems": len({run.problem for run in results.runs}), "weightings": len(results.weightings), "settings": len(results.runs)}
    content = f"{count(counts['weightings'], 'weighting')} on {count(counts['problems'], 'problem')}, {count(counts['settings'], 'setting')}"
    return f"a study of {content}; all are readable", counts


KINDS: Mapping[str, StudyKind] = {
    "unrolling": StudyKind(
        lambda folders, path: unrolling_page.publish(*folders, path=path),
        lambda folders: unrolling_tables.table(unrolling.load(folders[0]), baselines=True),
        _check_unrolling,
    ),
    "pinn": StudyKind(
        lambda folders, path: weightings_page.publish(*folders, path=path),
        lambda folders: weightings_tables.table(weightings.load(*folders)),
        _check_weightings,
    ),
}
