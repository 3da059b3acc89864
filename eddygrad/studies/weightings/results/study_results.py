"""The results of a comparison of loss weightings: its finished runs, and the trainings that its plan still lacks."""

from __future__ import annotations

from collections import Counter
from itertools import product

from eddygrad.studies.shared.study_results import Block, StudyResults
from eddygrad.studies.weightings.results.run import WeightingRun

Setting = tuple[str, str, str]


class WeightingResults(StudyResults[WeightingRun]):
    """The finished runs of a comparison, or of several that are reported as one, in the order of their `study.json`."""

    @property
    def weightings(self) -> tuple[str, ...]:
        """Names of the weightings that have a finished run."""
        return tuple(dict.fromkeys(run.weighting for run in self.runs))

    @property
    def missing(self) -> dict[Setting, int]:
        """Number of planned seeds without a finished run, by (problem, weighting, optimiser)."""
        done = {(run.setting, seed) for run in self.runs for seed in run.seeds}
        return dict(Counter(setting for setting, seed in self._planned_seeds if (setting, seed) not in done))

    @property
    def planned(self) -> int:
        """Number of trainings that the configurations ask for, each seed counted."""
        return len(self._planned_seeds)

    @property
    def _planned_seeds(self) -> dict[tuple[Setting, int], None]:
        """Every planned setting with every seed, in the order of the configurations; empty for a folder without one."""
        planned: dict[tuple[Setting, int], None] = {}
        for config in self.configs.values():
            if {"problem", "weighting", "optimizer", "seeds"} <= set(config):
                first = config.get("first_seed", 1)
                seeds = range(first, first + config["seeds"])
                planned |= dict.fromkeys(product(product(config["problem"], config["weighting"], config["optimizer"]), seeds))
        return planned

    def title(self, block: Block) -> str:
        """Return the title of a block: "poisson:k=6, adam", without the optimiser if the study has only one."""
        return block[0] if len({optimizer for _, optimizer in self.blocks()}) == 1 else ", ".join(block)
