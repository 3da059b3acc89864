"""Expected cost of the runs that a study still lacks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """Expected cost of one run.

    Args:
        run:                name of the run.
        updates:            number of updates, tuning included.
        seconds_per_update: mean over all updates [s].
        megabytes:          memory that an update's graph keeps for its backward pass [MB].
        other_seconds:      everything but updates: making data, validating, testing [s].
    """

    run: str
    updates: int
    seconds_per_update: float
    megabytes: float
    other_seconds: float = 0.0

    @property
    def hours(self) -> float:
        """Duration of the run [h]."""
        return (self.updates * self.seconds_per_update + self.other_seconds) / 3600


class Estimates(list[Estimate]):
    """Estimates of the missing runs; `print` shows them as a table.

    Args:
        rows:      one estimate per missing run.
        baselines: duration of scoring the baselines, before the first run [s].
        jobs:      number of runs at a time.
    """

    def __init__(self, rows: Iterable[Estimate] = (), baselines: float = 0.0, jobs: int = 1) -> None:
        super().__init__(rows)
        self.baselines, self.jobs = baselines, jobs

    @property
    def hours(self) -> float:
        """Sum over all runs and baselines [h]."""
        return sum(row.hours for row in self) + self.baselines / 3600

    @property
    def elapsed_hours(self) -> float:
        """Time until the last run ends [h]: baselines first, then each run on the job that is free first."""
        busy = [0.0] * self.jobs
        for row in self:
            busy[busy.index(min(busy))] += row.hours
        return max(busy) + self.baselines / 3600

    def __str__(self) -> str:
        if not self:
            return "no run is missing"
        width = max(*(len(row.run) for row in self), len("baselines"))
        lines = [f"{'run':{width}}  {'updates':>9}  {'ms/update':>9}  {'other s':>7}  {'hours':>7}  {'graph MB':>8}"]
        lines += [
            f"{row.run:{width}}  {row.updates:>9,}  {1e3 * row.seconds_per_update:>9.1f}  {row.other_seconds:>7.1f}  {row.hours:>7.3f}"
            f"  {row.megabytes:>8.1f}"
            for row in self
        ]
        for name, hours in (("baselines", self.baselines / 3600), ("total", self.hours)):
            lines.append(f"{name:{width}}  {'':9}  {'':9}  {'':7}  {hours:>7.3f}")
        return "\n".join([*lines, f"about {60 * self.elapsed_hours:.1f} minutes with {self.jobs} at a time, if nothing else runs"])
