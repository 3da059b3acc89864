"""`eddygrad report`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from eddygrad.commands.command import Command, Outcome, Say


@dataclass(kw_only=True)
class Report(Command):
    """Write report.html, results.json and results.csv of a comparison of unrolling or of weightings, or of a trained folder after eddygrad evaluate.

    example: eddygrad report runs/demo
    """

    folder: tyro.conf.Positional[Path]
    """Folder with study.json and runs/."""
    out: Path = Path("report.html")
    """The report; a relative path lies in the folder."""
    table: bool = False
    """Print the table too, ratios against baselines included."""

    def run(self, say: Say) -> Outcome:
        from eddygrad.studies import kinds

        kind = kinds.kind_of(self.folder)
        found = kind.publish(self.folder, self.out)
        if self.table:
            say(kind.table(self.folder))
        say(str(found["report"]))
        return Outcome(found)
