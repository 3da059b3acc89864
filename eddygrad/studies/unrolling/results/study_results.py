"""The results of a comparison of unrolling modalities: trained models and baselines, all scored on the same test."""

from __future__ import annotations

from collections.abc import Mapping

from eddygrad.studies.shared.study_results import Block, StudyResults
from eddygrad.studies.unrolling.results.run import TASKS, UnrollingRun


class UnrollingResults(StudyResults[UnrollingRun]):
    """The finished runs of a comparison: models first, then baselines."""

    @property
    def metric(self) -> str:
        """The endpoint, an error: `study.json`'s "endpoint", or the "metric" in it; by default `rellinf`."""
        endpoint = self.config.get("endpoint")
        if isinstance(endpoint, Mapping) and "metric" in endpoint:
            return str(endpoint["metric"])
        return endpoint if isinstance(endpoint, str) and endpoint in self.runs[0].test.metrics else "rellinf"

    @property
    def models(self) -> tuple[UnrollingRun, ...]:
        """The runs that trained a network."""
        return tuple(r for r in self.runs if r.kind == "model")

    @property
    def baselines(self) -> tuple[UnrollingRun, ...]:
        """The steppers without a network that were scored for comparison."""
        return tuple(r for r in self.runs if r.kind == "baseline")

    @property
    def recipe(self) -> str:
        """Name of the data recipe; empty if `study.json` has none."""
        return str(self.config.get("recipe") or "")

    @property
    def side_by_side(self) -> int | None:
        """How many runs shared the machine while costs were measured: 0 if each was timed alone, None if the files do not say."""
        counts = [0 if "costs" in r.environment else r.environment.get("side_by_side") for r in self.models]
        return None if None in counts else max((int(n) for n in counts if n is not None), default=0)

    def exact(self, baseline: UnrollingRun) -> bool:
        """Return whether a baseline computes the reference itself up to round-off: its error is a million times below every model's."""
        return baseline.typical(self.metric) < 1e-6 * min((r.typical(self.metric) for r in self.models), default=1.0)

    def title(self, block: Block) -> str:
        """Return the title of a block: "Correction, ResNet(16, 4), 20,000 updates"."""
        group, task = block
        return f"{TASKS.get(task, task).capitalize()}, {group}"
