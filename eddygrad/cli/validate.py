"""`eddygrad validate`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import tyro

from eddygrad.cli.base import Command, Outcome, Say, set_up_process


@dataclass(kw_only=True)
class Validate(Command):
    """Check the physics of this installation, a row per quantity; with a path, check a data set or a study on disk.

    Exit code 1 if a check fails, 2 if a file is bad.

    example: eddygrad validate --checks order lyapunov

    example: eddygrad validate data/ks
    """

    path: tyro.conf.Positional[Path | None] = None
    """A data set (.nc or folder of shards) or the folder of a study."""
    checks: tuple[str, ...] = ()
    """Only these, benchmarks included; a name that none has is answered with the list."""
    benchmarks: bool = False
    """Also the published benchmarks of walls and bodies, minutes each: cavity, channel, wake."""
    seed: int = 0
    """Seed of the random states of the checks."""

    def run(self, say: Say) -> Outcome:
        set_up_process(self.threads)
        return self._physics(say) if self.path is None else self._file(self.path, say)

    def _physics(self, say: Say) -> Outcome:
        from eddygrad.validation import run as selfchecks

        known = [*selfchecks.checks(), *selfchecks.benchmarks()]
        names = self.checks or tuple(check.name for check in (known if self.benchmarks else selfchecks.checks()))
        unknown = set(names) - {check.name for check in known}
        if unknown:
            selfchecks.run(sorted(unknown))  # its error names the checks
        say(f"{'quantity':64} {'expected':>10} {'got':>10} {'tolerance':>10}  verdict")
        rows: list[dict[str, Any]] = []
        for name in names:
            for row in selfchecks.run([name], self.seed):
                rows.append({"check": name, **asdict(row), "passed": row.passed})
                say(f"{row.quantity:64} {row.expected:10.4g} {row.got:10.4g} {row.tolerance:10.2g}  {row.verdict}")
        failed = sum(not row["passed"] for row in rows)
        say(f"{len(rows)} checks, {failed} failed" if failed else f"{len(rows)} checks, all passed")
        return Outcome({"checks": rows, "failed": failed}, code=1 if failed else 0)

    def _file(self, path: Path, say: Say) -> Outcome:
        from eddygrad.datasets.dataset import open
        from eddygrad.datasets.manifest import validate

        if not path.exists():
            raise ValueError(f"validate: expected a data set or a study, got {path}, which does not exist")
        if path.is_dir() and (path / "runs").is_dir():
            from eddygrad.studies import study_kinds

            told, counts = study_kinds.kind_of(path).checked(path)
            say(f"{path}: {told}")
            return Outcome({"path": str(path), "kind": "study", **counts})
        validate(path)
        data = open(path)
        say(f"{path}: {data!r}; whole, finite, checksums right")
        return Outcome({"path": str(path), "kind": "data set", "samples": data.samples, "frames": data.frames, "stepper": data.attrs.get("stepper")})
