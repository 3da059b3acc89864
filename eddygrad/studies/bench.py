"""What the runs of a comparison share: data, solvers, and networks on top of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from eddygrad.correctors.compose import Corrected, correct, predict
from eddygrad.correctors.resnet import ResNet
from eddygrad.datasets.dataset import Dataset, Split
from eddygrad.solver.step import Stepper
from eddygrad.studies.configuration import Configuration
from eddygrad.studies.evaluate import Persistence
from eddygrad.studies.settings import Setting, setting


class Bench:
    """Data and solvers of a configuration, made once per process; `data` replaces the recipe's training data."""

    def __init__(self, c: Configuration, data: Dataset | None = None) -> None:
        self.configuration = c
        self.setting: Setting = setting(c.recipe)
        dtype = getattr(torch, c.dtype)
        split = (self.setting.training(c.frames) if data is None else data).split(val=c.val, test=0)
        self.data = Split(*(part.to(c.device, dtype) if part.samples else part for part in (split.train, split.val, split.test)))
        self.test: Dataset = self.setting.testing(c.starts, c.long_horizon, c.test_seed).to(c.device, dtype)

    @property
    def baselines(self) -> dict[str, Stepper]:
        """By name, in the order of `baseline_names`."""
        return {"persistence": Persistence(self.setting.coarse.dt), **self.setting.baselines}

    def stepper(self, task: str, seeds: Sequence[int]) -> Corrected:
        c, s = self.configuration, self.setting
        cin = s.state_channels + s.features.extra_channels
        network = ResNet(c.width, c.depth, cin, s.state_channels, s.ndim, tuple(seeds)).to(c.device, getattr(torch, c.dtype))
        if task == "correct":
            return correct(s.coarse, network, s.mode, features=s.features)
        return predict(network, s.coarse.dt, features=s.features)


def baseline_names(c: Configuration) -> list[str]:
    """What is scored beside the networks; no data are made for that."""
    return ["persistence", *setting(c.recipe).baselines]
