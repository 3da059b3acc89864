"""Scores of a trained stepper and of baselines on one test set, as a table, a report, or a study folder of one run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from eddygrad.correctors.seeded_network import SeedNetwork
from eddygrad.evaluation.evaluate import Evaluation
from eddygrad.runtime.files import write_atomically


@dataclass
class TestResult:
    """The result of `run.test()`.

    Args:
        model:     scores of the trained stepper, every seed.
        baselines: name -> scores.
        record:    the run's JSON without its scores: name, task, unroll, network, seeds, training, curve.
    """

    __test__ = False  # not a test case of pytest
    model: Evaluation
    baselines: Mapping[str, Evaluation] = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)

    @property
    def error(self) -> torch.Tensor:
        """The endpoint per seed (S,): mean of rellinf over the test trajectories."""
        return self.model.metrics["rellinf"].mean(1)

    def table(self) -> str:
        """Return errors and costs as text."""
        from eddygrad.studies.unrolling.results import load, tables

        return tables.table(load.from_records(Path(self._name), self._study(), self._runs()))

    def report(self, path: str | Path = "report.html") -> Path:
        """Write the report and, in a folder of the same name without `.html`, its numbers; `eddygrad report FOLDER` draws it again from them.

        Returns: the path of the report, absolute.
        """
        from eddygrad.studies.unrolling.report import page

        path = Path(path).resolve()
        folder = path.with_suffix("")
        self.write(folder)
        return page.write(folder, path, command=f"eddygrad report {folder}")

    def write(self, folder: str | Path) -> None:
        """Write a study folder of this run and its baselines."""
        from eddygrad.studies.shared.run_files import write_pictures, write_record

        folder = Path(folder)
        write_atomically(folder / "study.json", (json.dumps(self._study(), indent=1) + "\n").encode())
        alone = self.baselines.get("coarse")
        if self.model.reference.ndim in (4, 5):  # a line or a plane
            write_pictures(folder / "runs" / f"{self._name}.nc", self.model, None if alone is None else alone.prediction[0])
        for name, record in self._runs().items():
            write_record(folder / "runs" / f"{name}.json", record)

    @property
    def _name(self) -> str:
        return str(self.record["name"])

    def _study(self) -> dict[str, Any]:
        """Return the content of study.json."""
        endpoint = {"metric": "rellinf", "horizon": self.model.error_over_time.shape[-1] - 1}
        return {"name": self._name, "endpoint": endpoint, "recipe": self.record.get("recipe")}

    def _runs(self) -> dict[str, dict[str, Any]]:
        """Return file name -> content of each run's JSON, baselines first."""
        from eddygrad.studies.shared.run_files import BASELINE, run_record, slug

        runs = {f"baseline-{slug(title)}": run_record({"name": title, **BASELINE}, "", score) for title, score in self.baselines.items()}
        return {**runs, self._name: run_record(dict(self.record), "", self.model)}


def describe_network(network: Any) -> dict[str, Any]:
    """Return the `network` part of a run's JSON: name, sizes, parameters of one seed."""
    if isinstance(network, SeedNetwork):
        return network.describe()
    sizes = {key: value for key in ("width", "depth", "widths") if isinstance(value := vars(network).get(key), int | tuple | list)}
    return {"name": type(network).__name__, **sizes, "parameters": sum(p.numel() for p in network.parameters())}
