"""The data, solvers and networks that the runs of a comparison share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import torch

from eddygrad.correctors.compose import Corrected, correct, predict
from eddygrad.datasets.dataset import Dataset, Split
from eddygrad.datasets.recipes.recipe import DatasetRecipe
from eddygrad.evaluation.baselines import Persistence
from eddygrad.solver.step import FreeMask, Stepper
from eddygrad.studies.unrolling.config import UnrollingConfiguration
from eddygrad.studies.unrolling.networks import build
from eddygrad.studies.unrolling.settings import Setting, setting


class Bench:
    """The data and solvers of a configuration; data are made at first use, once per process.

    Args:
        c:        the configuration.
        data:     replaces the recipe's training data.
        folder:   where the recipe's data are kept for other processes; None keeps them in memory only.
        progress: whether a bar is shown while data on a plane are made, which takes minutes.
    """

    def __init__(self, c: UnrollingConfiguration, data: Dataset | None = None, folder: Path | None = None, progress: bool = False) -> None:
        self.configuration = c
        self.setting: Setting = setting(c.recipe)
        self._given, self._folder, self._progress = data, folder, progress

    @cached_property
    def data(self) -> Split:
        """Training and validation data; the test part is empty."""
        c = self.configuration
        training = self._made(f"training-{c.frames}", self.setting.training(c.frames)) if self._given is None else self._given
        own = self.setting.validation() if self.setting.validation is not None and self._given is None else None
        split = training.split(val=c.val if own is None else 0, test=0)
        if own is not None:
            split = split._replace(val=replace(self._made("validation", own), normalisation=split.train.normalisation))
        return Split(*(part.to(c.device, getattr(torch, c.dtype)) if part.samples else part for part in split))

    @cached_property
    def test(self) -> Dataset:
        """The recipe's test data."""
        c = self.configuration
        recipe = self.setting.testing(c.starts, c.long_horizon, c.test_seed)
        return self._made(f"testing-{c.starts}-{c.long_horizon}-{c.test_seed}", recipe).to(c.device, getattr(torch, c.dtype))

    def _made(self, name: str, recipe: DatasetRecipe) -> Dataset:
        """Make data, or open those in the folder; on a plane each trajectory is a shard, so that little is lost when a process is killed."""
        path = None if self._folder is None else self._folder / f"{self.setting.name}-{name}"
        plane = self.setting.ndim > 1
        return recipe.generate(path, progress=self._progress and plane, shard_samples=1 if plane else None)

    def make(self) -> Bench:
        """Make all data now; returns the workbench."""
        _ = self.data, self.test
        return self

    @property
    def baselines(self) -> dict[str, list[Stepper]]:
        """Steppers by name, in the order of `baseline_names`: one, or several candidates of which one is chosen on validation data."""
        known = {"persistence": Persistence(self.setting.coarse.dt), **self.setting.baselines}
        return {name: [stepper] for name, stepper in known.items()} | {name: list(candidates) for name, candidates in self.setting.tuned.items()}

    def stepper(self, task: str, seeds: Sequence[int]) -> Corrected:
        """Return the untrained stepper of a task. Args: task: "correct" or "predict". seeds: of its networks."""
        c, s = self.configuration, self.setting
        cin = s.state_channels + s.features.extra_channels
        cout = s.state_channels if s.written is None or task != "correct" else len(s.written)
        network = build(c, cin, cout, s.ndim, seeds, s.padding).to(c.device, getattr(torch, c.dtype))
        if task == "correct":
            return correct(s.coarse, network, s.mode, features=s.features, channels=s.written)
        return predict(network, s.coarse.dt, features=s.features, domain=self.domain)

    @property
    def domain(self) -> FreeMask | None:
        """The coarse solver if boundaries or bodies fix some of its values; errors of all steppers are measured on the other values."""
        coarse = self.setting.coarse
        return coarse if isinstance(coarse, FreeMask) else None


def baseline_names(c: UnrollingConfiguration) -> list[str]:
    """Return the names of the steppers that are scored next to the networks; makes no data."""
    s = setting(c.recipe)
    return ["persistence", *s.baselines, *s.tuned]
