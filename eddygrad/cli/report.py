"""`eddygrad report`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from eddygrad.cli.base import Command, Outcome, Say


@dataclass(frozen=True, kw_only=True)
class Report(Command):
    """Write report.html, results.json and results.csv of a comparison, or of a folder of eddygrad train after eddygrad evaluate.

    Several comparisons of weightings become one report.

    example: eddygrad report runs/demo

    example: eddygrad report runs/poisson runs/poisson-more --out both.html
    """

    folders: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(name="folder")]
    """Folder with study.json and runs/; several are reported as one study."""
    out: Path | None = None
    """The report, by default report.html; a relative path lies in the (first) folder. With several folders, the results are named like it."""
    table: bool = False
    """Print the table too, ratios against baselines included."""

    def run(self, say: Say) -> Outcome:
        """Write the report. Raises: ValueError for no folder, or one that holds no study."""
        from eddygrad.studies import study_kinds

        if not self.folders:
            raise ValueError("report: expected a folder, got none")
        kind = study_kinds.kind_of(self.folders[0])
        published = kind.publish(self.folders, self.out)
        if self.table:
            say(kind.table(self.folders))
        say(str(published["report"]))
        return Outcome(published)
