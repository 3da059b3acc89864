"""`eddygrad report`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from eddygrad.commands.command import Command, Outcome, Say


@dataclass(kw_only=True)
class Report(Command):
    """Write report.html, results.json and results.csv of a comparison, or of a trained folder after eddygrad evaluate.

    example: eddygrad report runs/demo
    """

    folder: tyro.conf.Positional[Path]
    """Folder with study.json and runs/."""
    out: Path = Path("report.html")
    """The report; a relative path lies in the folder."""
    table: bool = False
    """Print the table too, ratios against baselines included."""

    def run(self, say: Say) -> Outcome:
        from eddygrad.studies import report, results

        study = results.load(self.folder)
        path = report.write(self.folder, self.out)
        results.to_json(study, self.folder / "results.json")
        results.to_csv(study, self.folder / "results.csv")
        if self.table:
            say(results.table(study, baselines=True))
        say(str(path))
        return Outcome({"report": path, "runs": results.rows(study), "ratios": results.comparison_rows(results.comparisons(study))})
