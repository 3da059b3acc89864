"""`eddygrad compare`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro

from eddygrad.cli.base import Command, Outcome, Say, set_up_process
from eddygrad.studies.unrolling.config import UnrollingConfiguration
from eddygrad.studies.unrolling.config import preset as preset_fields


@dataclass(frozen=True, kw_only=True)
class Compare(Command):
    """Compare ways to unroll (ONE, NOG, WIG) and tasks (correct, predict): many seeds, baselines, ratios with intervals, a report.

    Hours and memory are estimated first. Finished runs are kept in --folder: after an interruption the same command does the missing runs.

    example: eddygrad compare --preset demo --seeds 4 --folder runs/mine
    """

    preset: str | None = None
    """Name of a comparison that comes with the package (eddygrad info lists them); other options override it."""
    folder: Path | None = None
    """Folder of the results; by default runs/NAME."""
    estimate: bool = False
    """Only estimate hours and memory."""
    jobs: int = 1
    """Runs side by side."""
    costs: bool = False
    """After the runs, time all of them side by side and replace the costs that were measured while they ran. Let nothing else run meanwhile."""
    study: Annotated[UnrollingConfiguration, tyro.conf.OmitArgPrefixes] = field(default_factory=UnrollingConfiguration)
    """The comparison, fixed before it starts."""

    @staticmethod
    def preset_values(name: str) -> dict[str, Any]:
        """Return the fields of a preset. Raises: ValueError for an unknown name."""
        return preset_fields(name)

    def run(self, say: Say) -> Outcome:
        """Estimate, do the missing runs and write the report. Raises: ValueError for less than one job, or a folder of another study."""
        from eddygrad.studies.unrolling.costs import measure
        from eddygrad.studies.unrolling.report import page
        from eddygrad.studies.unrolling.study import UnrollingStudy

        if self.jobs < 1:
            raise ValueError(f"compare: --jobs must be at least 1, got {self.jobs}")
        count = set_up_process(self.threads, self.study.device)
        study = UnrollingStudy(self.study, self.folder or Path("runs") / self.study.name)
        if not self.estimate:
            study.claim()
        expected = study.estimate(threads=count, jobs=self.jobs)
        if expected:
            say(f"{study.folder}: {len(expected)} of {len(self.study.planned)} runs are missing\n{expected}")
        answer: dict[str, Any] = {"folder": str(study.folder), "estimate": [{**asdict(row), "hours": row.hours} for row in expected]}
        if self.estimate:
            return Outcome(answer)
        study.run(self.jobs, count, progress=not self.json)
        if self.costs:
            measure(study, progress=not self.json)
        say(study.table())
        published = page.publish(study.folder)
        say(f"{published['report']}; numbers in results.json, results.csv and results-ratios.csv in the same folder")
        return Outcome({**answer, **published})
