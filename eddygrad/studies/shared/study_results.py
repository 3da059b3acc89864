"""The results of a study as they are read back: `study.json` and the finished runs of one folder, or of several."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from eddygrad.studies.shared.text_tables import listed

Block = tuple[str, str]


class FinishedRun(Protocol):
    """One row of a study's results: a setting with all its seeds, read from one RUN.json or merged from several."""

    @property
    def block(self) -> Block:
        """Key of the runs that are compared with each other."""

    @property
    def environment(self) -> Mapping[str, Any]:
        """Versions, machine and date of the run."""


RunT = TypeVar("RunT", bound=FinishedRun)


@dataclass(frozen=True)
class StudyResults(Generic[RunT]):
    """The finished runs of a study, or of several studies that are reported as one.

    Args:
        configs: content of `study.json` by folder; empty for a folder that has none.
        runs:    the finished runs, in the order in which tables and figures show them.
    """

    configs: Mapping[Path, Mapping[str, Any]]
    runs: tuple[RunT, ...]

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folders that were read."""
        return tuple(self.configs)

    @property
    def folder(self) -> Path:
        """The first folder."""
        return self.folders[0]

    @property
    def config(self) -> Mapping[str, Any]:
        """Content of the first folder's `study.json`."""
        return self.configs[self.folder]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the studies; the paths of their folders where two studies have the same name."""
        own = tuple(str(config.get("name") or folder.resolve().name) for folder, config in self.configs.items())
        return own if len(set(own)) == len(own) else tuple(map(str, self.folders))

    @property
    def name(self) -> str:
        """Name of the study, or the names of all: "a, b and c"."""
        return listed(self.names)

    @property
    def finished(self) -> str:
        """Date of the last run; empty if no run has one."""
        return max((str(run.environment.get("finished", "")) for run in self.runs), default="")

    @property
    def models(self) -> tuple[RunT, ...]:
        """The trained runs, which are compared with each other in blocks."""
        return self.runs

    def blocks(self) -> dict[Block, tuple[RunT, ...]]:
        """Return the trained runs by block; runs of one block are compared with each other."""
        found: dict[Block, tuple[RunT, ...]] = {}
        for run in self.models:
            found[run.block] = (*found.get(run.block, ()), run)
        return found


def read_config(folder: str | Path) -> Mapping[str, Any]:
    """Return the content of `study.json`, empty if there is no such file. Raises: ValueError, one line, if it is not a JSON object."""
    path = Path(folder) / "study.json"
    if not path.exists():
        return {}
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: expected JSON, got {error}") from None
    if not isinstance(config, dict):
        raise ValueError(f"{path}: expected a JSON object, got {type(config).__name__}")
    return config


def run_paths(folder: Path) -> Sequence[Path]:
    """Return the paths of the finished runs' JSON files. Raises: ValueError if there is none."""
    paths = sorted((folder / "runs").glob("*.json"))
    if not paths:
        raise ValueError(f"{folder}: expected finished runs as runs/NAME.json, got none; run the study first")
    return paths
