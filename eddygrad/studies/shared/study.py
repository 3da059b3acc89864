"""A study while it runs: a configuration, and a folder in which finished runs are kept."""

from __future__ import annotations

import abc
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from eddygrad.studies.shared.estimate import Estimates


class PlannedRun(Protocol):
    """One run of a study, planned but not made yet."""

    @property
    def name(self) -> str:
        """Name of the run and of its files."""


RunT = TypeVar("RunT", bound=PlannedRun)
RunTCo = TypeVar("RunTCo", bound=PlannedRun, covariant=True)


class Configuration(Protocol[RunTCo]):
    """The settings of a study, fixed before it starts."""

    @property
    def planned(self) -> Iterable[RunTCo]:
        """The runs."""


ConfigurationT = TypeVar("ConfigurationT", bound=Configuration[Any])


class Study(abc.ABC, Generic[ConfigurationT, RunT]):
    """A study that can be interrupted: killed at any moment, a second call of `run` makes the missing runs.

    The folder holds `study.json`, `runs/RUN.json`, other files of each run, and `work/` with checkpoints.

    Args: configuration: the settings. folder: of the results.
    """

    def __init__(self, configuration: ConfigurationT, folder: str | Path) -> None:
        self.configuration, self.folder = configuration, Path(folder)

    def path(self, run: RunT) -> Path:
        """Return the path of a run's JSON, whether the run is finished or not."""
        return self.folder / "runs" / f"{run.name}.json"

    def pending(self) -> list[RunT]:
        """Return the runs that are not finished."""
        return [run for run in self.configuration.planned if not self.path(run).exists()]

    @abc.abstractmethod
    def claim(self) -> None:
        """Write `study.json`, or check that the folder holds this study. Raises: ValueError if it holds another."""

    @abc.abstractmethod
    def estimate(self) -> Estimates:
        """Return the expected cost of the missing runs, from a few measured updates."""

    @abc.abstractmethod
    def run(self, jobs: int = 1, threads: int | None = None, progress: bool = True) -> Study[ConfigurationT, RunT]:
        """Make the missing runs.

        Args: jobs: processes at a time. threads: of each process; by default torch's number of threads, divided among them. progress: show a bar.
        """

    @abc.abstractmethod
    def table(self) -> str:
        """Return errors, costs and ratios of the finished runs as text."""

    @abc.abstractmethod
    def report(self, path: str | Path = "report.html") -> Path:
        """Write the report, `results.json`, `results.csv` and `results-ratios.csv`; returns the path of the report.

        Args: path: of the report; a relative one lies in the folder of the study.
        """


def check_options(prefix: str, known: Collection[str], options: Mapping[str, Any]) -> None:
    """Raise ValueError for an option that is no field of the configuration.

    Args: prefix: of the error. known: names of the fields. options: as given by the user.
    """
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise ValueError(f"{prefix}: unknown options {unknown}; expected some of {sorted(known)}")
