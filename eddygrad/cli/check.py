"""`eddygrad check`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import tyro

from eddygrad.cli.base import Command, Outcome, Say, set_up_process


@dataclass(frozen=True, kw_only=True)
class CheckPhysics(Command):
    """Check the physics of this installation: a row per quantity with expected value, measured value, tolerance and verdict.

    Exit code 1 if a check fails. To check a data set or a study on disk: eddygrad validate PATH.

    example: eddygrad check

    example: eddygrad check order lyapunov
    """

    names: tyro.conf.Positional[tuple[str, ...]] = ()
    """Checks to run, benchmarks included; by default all but the benchmarks. An unknown name prints the list."""
    benchmarks: bool = False
    """Also run the published benchmarks of walls and bodies, minutes each: cavity, channel, wake."""
    seed: int = 0
    """Seed of the random states of the checks."""

    def run(self, say: Say) -> Outcome:
        """Run the checks and print a row for each quantity. Raises: ValueError for an unknown check."""
        from eddygrad.validation import run as selfchecks

        set_up_process(self.threads)
        known = [*selfchecks.checks(), *selfchecks.benchmarks()]
        names = self.names or tuple(check.name for check in (known if self.benchmarks else selfchecks.checks()))
        unknown = set(names) - {check.name for check in known}
        if unknown:
            selfchecks.run(sorted(unknown))  # raises the error that lists the checks
        say(f"{'quantity':64} {'expected':>10} {'got':>10} {'tolerance':>10}  verdict")
        rows: list[dict[str, Any]] = []
        for name in names:
            for row in selfchecks.run([name], self.seed):
                rows.append({"check": name, **asdict(row), "passed": row.passed})
                say(f"{row.quantity:64} {row.expected:10.4g} {row.got:10.4g} {row.tolerance:10.2g}  {row.verdict}")
        failed = sum(not row["passed"] for row in rows)
        say(f"{len(rows)} checks, {failed} failed" if failed else f"{len(rows)} checks, all passed")
        return Outcome({"checks": rows, "failed": failed}, code=1 if failed else 0)
