"""`eddygrad validate`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from eddygrad.cli.base import Command, Outcome, Say, set_up_process


@dataclass(frozen=True, kw_only=True)
class Validate(Command):
    """Check a data set or a study on disk: complete, finite, checksums right; every run readable and tested on the same states.

    Exit code 2 if a file is bad. To check the physics of this installation: eddygrad check.

    example: eddygrad validate data/ks

    example: eddygrad validate runs/demo
    """

    path: tyro.conf.Positional[Path | None] = None
    """A data set (.nc or folder of shards) or the folder of a study."""

    def run(self, say: Say) -> Outcome:
        """Check the files. Raises: ValueError for a bad file or a missing path."""
        from eddygrad.datasets.dataset import open
        from eddygrad.datasets.manifest import validate

        set_up_process(self.threads)
        path = self.path
        if path is None:
            raise ValueError("validate: expected the path of a data set or a study, got none; physics of this installation: eddygrad check")
        if not path.exists():
            raise ValueError(f"validate: expected a data set or a study, got {path}, which does not exist")
        if path.is_dir() and (path / "runs").is_dir():
            from eddygrad.studies import study_kinds

            summary, counts = study_kinds.kind_of(path).check(path)
            say(f"{path}: {summary}")
            return Outcome({"path": str(path), "kind": "study", **counts})
        validate(path)
        data = open(path)
        say(f"{path}: {data!r}; complete, finite, checksums right")
        return Outcome({"path": str(path), "kind": "data set", "samples": data.samples, "frames": data.frames, "stepper": data.attrs.get("stepper")})
