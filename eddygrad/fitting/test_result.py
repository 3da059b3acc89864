"""A trained stepper's scores beside those of baselines, as a table and as a report: a study of one run."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, is_dataclass, replace
from pathlib import Path
from typing import Any

import torch

from eddygrad.correctors.compose import Corrected
from eddygrad.correctors.seeded_network import SeedNetwork
from eddygrad.evaluation.evaluate import Evaluation, Persistence
from eddygrad.runtime.files import write_atomically
from eddygrad.solver.step import Stepper


@dataclass
class Tested:
    """Scores on one test set.

    Args:
        model:     of the trained stepper, every seed.
        baselines: name -> scores.
        record:    the run's JSON without its scores: name, task, unroll, network, seeds, training, curve.
    """

    model: Evaluation
    baselines: Mapping[str, Evaluation] = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)

    @property
    def error(self) -> torch.Tensor:
        """The endpoint per seed (S,): mean of rellinf over the test trajectories."""
        return self.model.metrics["rellinf"].mean(1)

    def table(self) -> str:
        """Errors and costs as text."""
        from eddygrad.studies.unrolling.results import tables

        with tempfile.TemporaryDirectory() as folder:
            self.write(folder)
            return tables.table(tables.load(folder))

    def report(self, path: str | Path = "report.html") -> Path:
        """Write the report. Beside it, `report/` for `report.html`, stays a folder with its numbers, from which `eddygrad report` draws it anew.

        Returns: the path of the report, absolute.
        """
        from eddygrad.studies.unrolling.report import page

        path = Path(path).resolve()
        folder = path.with_suffix("")
        self.write(folder)
        return page.write(folder, path, command=f"eddygrad report {folder}")

    def write(self, folder: str | Path) -> None:
        """A study folder of one run and its baselines."""
        from eddygrad.studies.shared.run_files import BASELINE, slug, write_pictures, write_run

        folder, name = Path(folder), self.record["name"]
        runs, alone = folder / "runs", self.baselines.get("coarse")
        study = {
            "name": name,
            "endpoint": {"metric": "rellinf", "horizon": self.model.error_over_time.shape[-1] - 1},
            "recipe": self.record.get("recipe"),
        }
        write_atomically(folder / "study.json", (json.dumps(study, indent=1) + "\n").encode())
        for title, score in self.baselines.items():
            write_run(runs / f"baseline-{slug(title)}.json", {"name": title, **BASELINE}, "", score)
        if self.model.reference.ndim in (4, 5):
            write_pictures(runs / f"{name}.nc", self.model, None if alone is None else alone.prediction[0])
        write_run(runs / f"{name}.json", dict(self.record), "", self.model)


def is_baseline(name: str) -> bool:
    """Whether `baseline` knows this name."""
    return re.fullmatch(r"persistence|coarse(:dt/([2-9]|[1-9]\d+))?", name) is not None


def baseline(name: str, solver: Any, dt: float) -> Stepper:
    """`persistence`; `coarse`, the solver without its network; `coarse:dt/N`, that solver with N times the substeps.

    Raises: ValueError for another name, or a solver that cannot be refined.
    """
    if not is_baseline(name):
        raise ValueError(f"test: baselines are 'persistence', 'coarse' and 'coarse:dt/N', got {name!r}; pass others as a dict name -> stepper")
    if name == "persistence":
        return Persistence(dt)
    if solver is None:
        raise ValueError(f"test: {name!r} is the solver alone, but this network replaces the solver; pass baselines={{'solver': your_stepper}}")
    factor = name.partition(":dt/")[2]
    if not factor:
        return solver
    if not (is_dataclass(solver) and hasattr(solver, "substeps")):
        raise ValueError(
            f"test: {name!r} needs a solver with substeps, got {solver!r}; pass baselines={{{name!r}: eg.wrap(finer_step, dt={solver.dt})}}"
        )
    refined: Any = replace(solver, substeps=solver.substeps * int(factor))  # type: ignore[type-var]
    return refined


def steppers(baselines: Sequence[str] | Mapping[str, Stepper], stepper: Corrected) -> dict[str, Stepper]:
    """Baselines by name, or as they are given."""
    if isinstance(baselines, Mapping):
        return dict(baselines)
    return {name: baseline(name, stepper.solver, stepper.dt) for name in ((baselines,) if isinstance(baselines, str) else baselines)}


def describe_network(network: Any) -> dict[str, Any]:
    """The `network` part of a run's JSON."""
    if isinstance(network, SeedNetwork):
        return network.describe()
    sizes = {key: value for key in ("width", "depth", "widths") if isinstance(value := vars(network).get(key), int | tuple | list)}
    return {"name": type(network).__name__, **sizes, "parameters": sum(p.numel() for p in network.parameters())}
