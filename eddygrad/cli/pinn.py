"""`eddygrad pinn`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro

from eddygrad.cli.base import Command, Outcome, Say, set_up_process
from eddygrad.studies.weightings.config import WeightingConfiguration
from eddygrad.studies.weightings.config import preset as preset_fields


@dataclass(frozen=True, kw_only=True)
class Pinn(Command):
    """Solve problems with physics-informed networks and compare loss weightings: many seeds, ratios with intervals, a report.

    Problems come first, or after --problem. Finished runs are kept in --folder: after an interruption the same command does the missing runs.

    example: eddygrad pinn poisson:k=4 --weighting uniform inverse-dirichlet --seeds 5 --steps 3000
    """

    preset: str | None = None
    """Name of a plan that comes with the package (eddygrad info lists them); other options override it."""
    folder: Path | None = None
    """Folder of the results; by default runs/NAME."""
    estimate: bool = False
    """Only estimate hours and memory."""
    jobs: int = 1
    """Runs side by side."""
    compiled: bool = False
    """Fuse the networks' loops: faster, equal to round-off; needs a C++ compiler and up to a minute at first."""
    plan: Annotated[WeightingConfiguration, tyro.conf.OmitArgPrefixes] = field(default_factory=WeightingConfiguration)
    """The comparison, fixed before it starts."""

    @staticmethod
    def preset_values(name: str) -> dict[str, Any]:
        """Return the fields of a preset. Raises: ValueError for an unknown name."""
        return preset_fields(name)

    @staticmethod
    def expanded(args: Sequence[str]) -> list[str]:
        """Write --problem before the problems that come first. Raises: ValueError where --problem names others."""
        count = next((i for i, word in enumerate(args) if word.startswith("-")), len(args))
        if count and any(word.split("=")[0] == "--problem" for word in args):
            raise ValueError(f"pinn: expected problems once, got {', '.join(args[:count])} and --problem")
        return [*(["--problem", *args[:count]] if count else []), *args[count:]]

    def run(self, say: Say) -> Outcome:
        """Estimate, or do the missing runs and write the report. Raises: ValueError for a folder of another study."""
        from eddygrad.studies.weightings.report import page
        from eddygrad.studies.weightings.study import WeightingStudy

        count = set_up_process(self.threads, self.plan.device)
        study = WeightingStudy(self.plan, self.folder or Path("runs") / self.plan.name)
        if self.estimate:
            expected = study.estimate(jobs=self.jobs, compiled=self.compiled)
            say(f"{study.folder}: {len(expected)} of {len(self.plan.planned)} runs are missing\n{expected}")
            return Outcome({"folder": str(study.folder), "estimate": [{**asdict(row), "hours": row.hours} for row in expected]})
        study.run(self.jobs, count, progress=not self.json, compiled=self.compiled)
        say(study.table())
        published = page.publish(study.folder)
        say(f"{published['report']}; numbers in results.json, results.csv and results-ratios.csv in the same folder")
        return Outcome({"folder": str(study.folder), **published})
